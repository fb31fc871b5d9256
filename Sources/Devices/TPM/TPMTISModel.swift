package import DeviceModel

/// The FIFO interface of a TPM. (TCG PC Client Platform TPM Profile 1.05, 6.5.)
package struct TPMTISModel: TPMModel {
    package static let bufferSize = 4096
    private static let localities = 5

    private enum Register {
        static let access: UInt64 = 0x00
        static let interruptEnable: UInt64 = 0x08
        static let interruptVector: UInt64 = 0x0C
        static let interruptStatus: UInt64 = 0x10
        static let capability: UInt64 = 0x14
        static let status: UInt64 = 0x18
        static let fifo: UInt64 = 0x24
        static let interfaceID: UInt64 = 0x30
        static let extendedFIFO: UInt64 = 0x80
        static let vendor: UInt64 = 0xF00
        static let revision: UInt64 = 0xF04
    }
    private enum Access {
        static let notEstablished: UInt8 = 1 << 0
        static let request: UInt8 = 1 << 1
        static let pending: UInt8 = 1 << 2
        static let seize: UInt8 = 1 << 3
        static let seized: UInt8 = 1 << 4
        static let active: UInt8 = 1 << 5
        static let valid: UInt8 = 1 << 7
    }
    private enum Status {
        static let expect: UInt32 = 1 << 3
        static let available: UInt32 = 1 << 4
        static let go: UInt32 = 1 << 5
        static let ready: UInt32 = 1 << 6
        static let valid: UInt32 = 1 << 7
        static let retry: UInt32 = 1 << 1
        static let cancel: UInt32 = 1 << 24
        static let resetEstablished: UInt32 = 1 << 25
        static let version2: UInt32 = 1 << 26
    }
    private enum Interrupt {
        static let available: UInt32 = 1 << 0
        static let valid: UInt32 = 1 << 1
        static let locality: UInt32 = 1 << 2
        static let ready: UInt32 = 1 << 7
        static let all: UInt32 = 0x87
    }
    private enum Phase: UInt8 { case idle, ready, reception, execution, completion }

    private var active: UInt8?
    private var requests: UInt8 = 0
    private var seized: UInt8 = 0
    private var phase = Phase.idle
    private var buffer: [UInt8] = []
    private var position = 0
    private var interruptEnable: UInt32 = 0
    private var interruptStatus: UInt32 = 0
    private var vector: UInt8 = 0
    package private(set) var isCancelled = false
    package var isEstablished = false
    private var establishedReset: UInt8?

    package init() {}

    package mutating func reset() {
        let established = isEstablished
        self = TPMTISModel()
        isEstablished = established
    }
    package var command: (bytes: [UInt8], locality: UInt8)? {
        guard phase == .execution, let active else { return nil }
        return (buffer, active)
    }
    package var level: Bool { interruptEnable >> 31 != 0 && interruptStatus & interruptEnable & Interrupt.all != 0 }
    package mutating func takeEstablishedReset() -> UInt8? {
        defer { establishedReset = nil }
        return establishedReset
    }

    private mutating func raise(_ cause: UInt32) { interruptStatus |= cause }

    // MARK: Registers

    package mutating func readByte(_ offset: UInt64) -> UInt8 {
        let locality = UInt8(truncatingIfNeeded: offset >> 12)
        guard locality < Self.localities else { return 0xFF }
        let register = offset & 0xFFF
        if register == Register.access { return access(locality) }
        let isActive = active == locality
        if Register.fifo..<Register.fifo + 4 ~= register || Register.extendedFIFO..<Register.extendedFIFO + 4 ~= register {
            return isActive ? readFIFO() : 0xFF
        }
        let shift = UInt32(register & 3) * 8
        let word: UInt32
        switch register & ~3 {
        case Register.interruptEnable: word = isActive ? interruptEnable : 0
        case Register.interruptVector: word = UInt32(vector)
        case Register.interruptStatus: word = isActive ? interruptStatus : 0
        // Version 1.3, transfers of up to 64 bytes, interrupts for what is above, high level.
        case Register.capability: word = 3 << 28 | 3 << 9 | 0x97
        case Register.status: word = isActive ? status : 0xFF_FF00 | UInt32(0xFF)
        // The interface of version 1.3, with five localities.
        case Register.interfaceID: word = 0x0F | 1 << 8 | 1 << 13
        case Register.vendor: word = 0x0001_1014
        case Register.revision: word = 1
        default: word = 0
        }
        return UInt8(truncatingIfNeeded: word >> shift)
    }

    private func access(_ locality: UInt8) -> UInt8 {
        var value = Access.valid | (isEstablished ? 0 : Access.notEstablished)
        let bit: UInt8 = 1 << locality
        if active == locality { value |= Access.active }
        if requests & bit != 0 { value |= Access.request }
        if requests & ~bit != 0 { value |= Access.pending }
        if seized & bit != 0 { value |= Access.seized }
        return value
    }

    private var status: UInt32 {
        var value = Status.version2
        // As much as a driver may move at once.
        let room: Int
        switch phase {
        case .idle: room = Self.bufferSize
        case .ready:
            value |= Status.valid | Status.ready
            room = Self.bufferSize
        case .reception:
            value |= Status.valid | (expects ? Status.expect : 0)
            room = Self.bufferSize - buffer.count
        case .execution: room = 0
        case .completion:
            value |= Status.valid | (position < buffer.count ? Status.available : 0)
            room = buffer.count - position
        }
        return value | UInt32(min(room, 0xFFFF)) << 8
    }

    /// Whether a command is not whole yet.
    private var expects: Bool {
        guard let length = TPMResponse.length(buffer) else { return true }
        return buffer.count < min(length, Self.bufferSize)
    }

    private mutating func readFIFO() -> UInt8 {
        guard phase == .completion, position < buffer.count else { return 0xFF }
        defer { position += 1 }
        return buffer[position]
    }

    package mutating func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        let locality = UInt8(truncatingIfNeeded: offset >> 12)
        guard locality < Self.localities else { return }
        let register = offset & 0xFFF
        let word = UInt32(truncatingIfNeeded: value)
        if register == Register.access { return writeAccess(locality, UInt8(truncatingIfNeeded: value)) }
        guard active == locality else { return }
        switch register {
        case Register.interruptEnable:
            interruptEnable = word & (1 << 31 | Interrupt.all)
        case Register.interruptVector: vector = UInt8(word & 15)
        case Register.interruptStatus: interruptStatus &= ~word
        case Register.status: writeStatus(word, locality)
        case Register.fifo..<Register.fifo + 4, Register.extendedFIFO..<Register.extendedFIFO + 4:
            for lane in 0..<min(max(size, 1), 8) { writeFIFO(UInt8(truncatingIfNeeded: value >> UInt64(lane * 8))) }
        default: break
        }
    }

    private mutating func writeAccess(_ locality: UInt8, _ value: UInt8) {
        let bit: UInt8 = 1 << locality
        if value & Access.active != 0, active == locality {
            // Given up: the highest locality that waits is next.
            active = nil
            abort()
            if requests != 0 {
                let next = UInt8(7 - requests.leadingZeroBitCount)
                requests &= ~(1 << next)
                active = next
                raise(Interrupt.locality)
            }
        }
        if value & Access.active != 0 { requests &= ~bit }
        if value & Access.seized != 0 { seized &= ~bit }
        if value & Access.seize != 0, let owner = active, owner < locality, phase != .execution {
            seized |= 1 << owner
            active = locality
            abort()
            raise(Interrupt.locality)
        }
        if value & Access.request != 0 {
            if active == nil { active = locality } else if active != locality { requests |= bit }
        }
    }

    private mutating func abort() {
        guard phase != .execution else {
            isCancelled = true
            return
        }
        (phase, buffer, position) = (.idle, [], 0)
    }

    private mutating func writeStatus(_ value: UInt32, _ locality: UInt8) {
        if value & Status.cancel != 0, phase == .execution { isCancelled = true }
        if value & Status.resetEstablished != 0 { establishedReset = locality }
        if value & Status.ready != 0 {
            if phase == .execution {
                isCancelled = true
            } else {
                (phase, buffer, position) = (.ready, [], 0)
                raise(Interrupt.ready)
            }
        } else if value & Status.go != 0, phase == .reception, !expects {
            phase = .execution
            isCancelled = false
        } else if value & Status.retry != 0, phase == .completion {
            position = 0
        }
    }

    private mutating func writeFIFO(_ byte: UInt8) {
        if phase == .ready { phase = .reception }
        guard phase == .reception, expects, buffer.count < Self.bufferSize else { return }
        buffer.append(byte)
        if !expects { raise(Interrupt.valid) }
    }

    package mutating func complete(_ response: [UInt8]) {
        guard phase == .execution else { return }
        if isCancelled, active == nil {
            (phase, buffer, position, isCancelled) = (.idle, [], 0, false)
            return
        }
        let isWanted = !response.isEmpty && response.count <= Self.bufferSize
        (phase, buffer, position) = (.completion, isWanted ? response : TPMResponse.failure, 0)
        isCancelled = false
        raise(Interrupt.available | Interrupt.valid)
    }

    // MARK: State

    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("bytes", [active ?? 0xFF, requests, seized, phase.rawValue, vector, isCancelled ? 1 : 0])
        state.set("buffer", buffer)
        state.set("position", position)
        state.set("enable", interruptEnable)
        state.set("status", interruptStatus)
        return state
    }
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let bytes = try state.bytes("bytes", count: 6)
        guard let phase = Phase(rawValue: bytes[3]), bytes[0] == 0xFF || bytes[0] < Self.localities else {
            throw .outOfRange(field: "bytes", value: UInt64(bytes[3]))
        }
        self.phase = phase
        active = bytes[0] == 0xFF ? nil : bytes[0]
        (requests, seized, vector, isCancelled) = (bytes[1] & 0x1F, bytes[2] & 0x1F, bytes[4] & 15, bytes[5] != 0)
        buffer = try state.bytes("buffer")
        position = Int(try state.integer("position", as: UInt16.self))
        guard buffer.count <= Self.bufferSize, position <= buffer.count else {
            throw .outOfRange(field: "buffer", value: UInt64(buffer.count))
        }
        interruptEnable = try state.integer("enable")
        interruptStatus = try state.integer("status", as: UInt32.self) & Interrupt.all
    }
}
