/// The display's side of a talk with a guest's agent (SPICE's vd_agent.h): what each can do, clipboards that are grabbed
/// and asked for, and where the pointer is. Bytes and wishes in, effects out: no lock, no thread.
package struct AgentSession: Sendable {
    /// What is to be done.
    package enum Effect: Equatable, Sendable {
        /// Bytes go to the guest.
        case send([UInt8])
        /// The guest has copied a text.
        case share(String)
        /// The guest's agent takes the pointer's places from now on, or no more.
        case takesPointer(Bool)
    }
    private enum Kind {
        static let mouse: UInt32 = 1
        static let clipboard: UInt32 = 4
        static let capabilities: UInt32 = 6
        static let grab: UInt32 = 7
        static let request: UInt32 = 8
        static let release: UInt32 = 9
    }
    private struct Capabilities: OptionSet {
        let rawValue: UInt32
        static let mouse = Self(rawValue: 1 << 0)
        static let byDemand = Self(rawValue: 1 << 5)
        static let selection = Self(rawValue: 1 << 6)
        static let linesEndByTwo = Self(rawValue: 1 << 9)
        static let grabsAreCounted = Self(rawValue: 1 << 17)
    }
    /// The selection that viewers have; the others are the guest's own.
    private static let clipboard: UInt32 = 0
    private static let text: UInt32 = 1
    /// The types of a grab that are looked at.
    private static let mostTypes = 256

    private let hasClipboard: Bool
    private let hasMouse: Bool
    private var stream = AgentStream()
    private var isOpen = false
    /// What the guest's agent can do; empty until it has said so.
    private var guest: Capabilities = []
    /// The text that a viewer has copied.
    private var offered: String?
    private var grabs: UInt32 = 0

    /// A session of what is asked for.
    package init(clipboard: Bool, mouse: Bool) {
        hasClipboard = clipboard
        hasMouse = mouse
    }

    private var own: Capabilities {
        var own: Capabilities = []
        if hasMouse { own.insert(.mouse) }
        if hasClipboard { own.formUnion([.byDemand, .selection, .grabsAreCounted]) }
        return own
    }

    // MARK: From the guest

    /// A program of the guest has opened its end, or closed it.
    package mutating func setOpen(_ isOpen: Bool) -> [Effect] {
        let takesPointer = guest.contains(.mouse)
        self.isOpen = isOpen
        stream = AgentStream()
        guest = []
        grabs = 0
        return (takesPointer ? [.takesPointer(false)] : []) + (isOpen ? [announce(asks: true)] : [])
    }

    private func announce(asks: Bool) -> Effect {
        send(Kind.capabilities, AgentStream.bytes(asks ? 1 : 0, own.rawValue))
    }
    private func send(_ kind: UInt32, _ data: [UInt8]) -> Effect {
        .send(AgentStream.encode(.init(type: kind, data: data)))
    }

    /// Bytes of the guest's agent.
    package mutating func receive(_ bytes: [UInt8]) -> [Effect] {
        guard isOpen else { return [] }
        return stream.receive(bytes).flatMap { handle($0) }
    }

    private mutating func handle(_ message: AgentStream.Message) -> [Effect] {
        let data = message.data
        switch message.type {
        case Kind.capabilities:
            guard data.count >= 8 else { return [] }
            let took = guest.contains(.mouse)
            guest = Capabilities(rawValue: AgentStream.number(data, 4)).intersection(own.union(.linesEndByTwo))
            var effects: [Effect] = []
            if AgentStream.number(data, 0) != 0 { effects.append(announce(asks: false)) }
            if took != guest.contains(.mouse) { effects.append(.takesPointer(!took)) }
            return effects + grab()
        case Kind.grab:
            guard let rest = selected(data) else { return [] }
            // A counter of grabs comes before the types, where both count.
            let types = Array(rest.dropFirst(guest.contains(.grabsAreCounted) ? 4 : 0).prefix(Self.mostTypes * 4))
            let places = stride(from: 0, to: types.count & ~3, by: 4)
            guard places.contains(where: { AgentStream.number(types, $0) == Self.text }) else { return [] }
            offered = nil
            return [send(Kind.request, selection + AgentStream.bytes(Self.text))]
        case Kind.request:
            guard let rest = selected(data), rest.count >= 4 else { return [] }
            guard AgentStream.number(rest, 0) == Self.text, let offered else {
                return [send(Kind.clipboard, selection + AgentStream.bytes(0))]
            }
            return [send(Kind.clipboard, selection + AgentStream.bytes(Self.text) + lines(offered))]
        case Kind.clipboard:
            guard let rest = selected(data), rest.count >= 4, AgentStream.number(rest, 0) == Self.text else {
                return []
            }
            var text = Array(rest[4...])
            if text.last == 0 { text.removeLast() }
            if guest.contains(.linesEndByTwo) { text.removeAll { $0 == 13 } }
            return [.share(String(decoding: text, as: UTF8.self))]
        default: return []
        }
    }

    /// What follows the selection, of a message about the clipboard that viewers have; nil for others.
    private func selected(_ data: [UInt8]) -> [UInt8]? {
        guard hasClipboard, guest.contains(.byDemand) else { return nil }
        guard guest.contains(.selection) else { return data }
        guard data.count >= 4, UInt32(data[0]) == Self.clipboard else { return nil }
        return Array(data[4...])
    }
    /// The selection at the head of a message to the guest.
    private var selection: [UInt8] { guest.contains(.selection) ? AgentStream.bytes(Self.clipboard) : [] }

    // MARK: To the guest

    /// A viewer has copied a text: the guest is told that there is one, and asks for it when somebody pastes.
    package mutating func offer(_ text: String) -> [Effect] {
        guard hasClipboard else { return [] }
        offered = text
        return grab()
    }

    private mutating func grab() -> [Effect] {
        guard offered != nil, isOpen, guest.contains(.byDemand) else { return [] }
        var data = selection
        if guest.contains(.grabsAreCounted) {
            data += AgentStream.bytes(grabs)
            grabs &+= 1
        }
        return [send(Kind.grab, data + AgentStream.bytes(Self.text))]
    }

    private func lines(_ text: String) -> [UInt8] {
        guard guest.contains(.linesEndByTwo) else { return Array(text.utf8) }
        var bytes: [UInt8] = []
        for byte in text.utf8 { bytes += byte == 10 ? [13, 10] : [byte] }
        return bytes
    }

    /// The pointer is at a place of the picture, in pixels; buttons: left 1, right 2, middle 4, wheel up and down 8 and 16.
    package func point(x: Int, y: Int, buttons: UInt32) -> [Effect] {
        guard isOpen, guest.contains(.mouse) else { return [] }
        // The protocol's order: left, middle, right, up, down from bit 1 on.
        let order: [(UInt32, UInt32)] = [(1, 1 << 1), (4, 1 << 2), (2, 1 << 3), (8, 1 << 4), (16, 1 << 5)]
        let mask = order.reduce(0) { buttons & $1.0 != 0 ? $0 | $1.1 : $0 }
        let place = AgentStream.bytes(UInt32(clamping: x), UInt32(clamping: y), mask)
        return [send(Kind.mouse, place + [0])]
    }
}
