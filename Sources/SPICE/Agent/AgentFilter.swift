/// Looks at the messages of an agent's stream (SPICE's vd_agent.h) as they pass, in pieces of any size: some are kept back.
package struct AgentFilter {
    /// What becomes of messages of a type.
    package enum Verdict: Equatable, Sendable { case pass, drop, hold }
    /// A message that was held until it was complete, with its head.
    package struct Held: Equatable, Sendable {
        package var type: UInt32
        package var bytes: [UInt8]
        /// What follows the head.
        var data: ArraySlice<UInt8> { bytes[AgentFilter.headSize...] }
    }
    static let headSize = 20
    /// The longest message that is held; longer ones pass.
    private static let holdLimit = 4096

    private let verdict: @Sendable (UInt32) -> Verdict
    private var head: [UInt8] = []
    private var left = 0
    private var current = Verdict.pass
    private var type: UInt32 = 0
    private var held: [UInt8] = []

    package init(_ verdict: @escaping @Sendable (UInt32) -> Verdict) { self.verdict = verdict }

    /// The same filter for another stream, of which nothing has come.
    package var renewed: AgentFilter { AgentFilter(verdict) }
    /// Whether the last piece ended with a message.
    package var isBetweenMessages: Bool { head.isEmpty && left == 0 }
    /// What of the message under way is still to come does not pass.
    package mutating func dropCurrent() {
        current = .drop
        held = []
    }

    /// What passes of a piece, and the messages that are complete with it and were held.
    package mutating func take(_ piece: ArraySlice<UInt8>) -> (passed: [UInt8], held: [Held]) {
        var passed: [UInt8] = []
        var complete: [Held] = []
        var rest = piece
        while !rest.isEmpty {
            if left == 0 {
                let count = min(Self.headSize - head.count, rest.count)
                // Of a message that began before a client came, the end of its head is passed over too.
                let wasDropped = !head.isEmpty && current == .drop
                head += rest.prefix(count)
                rest = rest.dropFirst(count)
                guard head.count == Self.headSize else {
                    if !wasDropped { current = .pass }
                    break
                }
                var fields = MessageFields(head[4...])
                type = (try? fields.next()) ?? 0
                _ = try? fields.next(UInt64.self)
                left = Int((try? fields.next(UInt32.self)) ?? 0)
                current = wasDropped ? .drop : verdict(type)
                if current == .hold, left > Self.holdLimit { current = .pass }
                switch current {
                case .pass: passed += head
                case .drop: break
                case .hold: held = head
                }
                head = []
            } else {
                let part = rest.prefix(left)
                rest = rest.dropFirst(part.count)
                left -= part.count
                switch current {
                case .pass: passed += part
                case .drop: break
                case .hold: held += part
                }
            }
            guard left == 0, head.isEmpty, current == .hold else { continue }
            complete.append(Held(type: type, bytes: held))
            held = []
        }
        return (passed, complete)
    }
}
