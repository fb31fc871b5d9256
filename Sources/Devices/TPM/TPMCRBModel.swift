package import DeviceModel

/// The command response buffer interface of a TPM. (TCG PC Client Platform TPM Profile 1.05, 6.5.3.)
package struct TPMCRBModel: TPMModel {
    /// All of the page behind the registers.
    package static let bufferSize = 0x1000 - 0x80
    private static let address: UInt64 = 0xFED4_0000

    private enum Register {
        static let localityState: UInt64 = 0x00
        static let localityControl: UInt64 = 0x08
        static let localityStatus: UInt64 = 0x0C
        static let interfaceID: UInt64 = 0x30
        static let request: UInt64 = 0x40
        static let status: UInt64 = 0x44
        static let cancel: UInt64 = 0x48
        static let start: UInt64 = 0x4C
        static let commandSize: UInt64 = 0x58
        static let commandLow: UInt64 = 0x5C
        static let commandHigh: UInt64 = 0x60
        static let responseSize: UInt64 = 0x64
        static let responseLow: UInt64 = 0x68
        static let responseHigh: UInt64 = 0x6C
        static let buffer: UInt64 = 0x80
    }

    private var isGranted = false
    private var isIdle = true
    private var isRunning = false
    private var hasFailed = false
    package private(set) var isCancelled = false
    package var isEstablished = false
    private var wantsReset = false
    private var buffer = [UInt8](repeating: 0, count: TPMCRBModel.bufferSize)

    package init() {}

    package mutating func reset() {
        let established = isEstablished
        self = TPMCRBModel()
        isEstablished = established
    }
    package var command: (bytes: [UInt8], locality: UInt8)? {
        guard isRunning else { return nil }
        let length = min(max(TPMResponse.length(buffer) ?? 10, 10), Self.bufferSize)
        return (Array(buffer[..<length]), 0)
    }
    /// There are no interrupts.
    package var level: Bool { false }
    package mutating func takeEstablishedReset() -> UInt8? {
        defer { wantsReset = false }
        return wantsReset ? 0 : nil
    }

    package mutating func readByte(_ offset: UInt64) -> UInt8 {
        if offset >= Register.buffer {
            let place = Int(truncatingIfNeeded: offset - Register.buffer)
            // While the TPM works nobody sees what is in it.
            return place < buffer.count && !isRunning ? buffer[place] : 0xFF
        }
        let word: UInt32
        switch offset & ~3 {
        // Established, locality 0 assigned or not, valid.
        case Register.localityState: word = (isEstablished ? 1 : 0) | (isGranted ? 2 : 0) | 0x80
        case Register.localityStatus: word = isGranted ? 1 : 0
        // The CRB interface, version 1, of which there is no other; 64 bytes at once.
        case Register.interfaceID: word = 1 | 1 << 4 | 1 << 14 | 1 << 17 | 3 << 11
        case Register.interfaceID + 4: word = 0x0001_1014
        // Requests are done at once.
        case Register.request: word = 0
        case Register.status: word = (hasFailed ? 1 : 0) | (isIdle ? 2 : 0)
        case Register.cancel: word = isCancelled ? 1 : 0
        case Register.start: word = isRunning ? 1 : 0
        case Register.commandSize, Register.responseSize: word = UInt32(Self.bufferSize)
        case Register.commandLow, Register.responseLow: word = UInt32(truncatingIfNeeded: Self.address + Register.buffer)
        default: word = 0
        }
        return UInt8(truncatingIfNeeded: word >> UInt32((offset & 3) * 8))
    }

    package mutating func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        if offset >= Register.buffer {
            guard !isRunning else { return }
            for lane in 0..<min(max(size, 1), 8) {
                let place = Int(truncatingIfNeeded: offset - Register.buffer) + lane
                if place < buffer.count { buffer[place] = UInt8(truncatingIfNeeded: value >> UInt64(lane * 8)) }
            }
            return
        }
        let word = UInt32(truncatingIfNeeded: value)
        switch offset {
        case Register.localityControl:
            if word & 1 != 0 { isGranted = true }
            if word & 2 != 0 { isGranted = false }
            if word & 8 != 0 { wantsReset = true }
        case Register.request:
            if word & 1 != 0 { isIdle = false }
            if word & 2 != 0, !isRunning { isIdle = true }
        case Register.cancel: isCancelled = isRunning && word & 1 != 0
        case Register.start: if word & 1 != 0, !isRunning, isGranted { (isRunning, hasFailed, isIdle) = (true, false, false) }
        default: break
        }
    }

    package mutating func complete(_ response: [UInt8]) {
        guard isRunning else { return }
        (isRunning, isCancelled) = (false, false)
        let bytes = response.isEmpty || response.count > Self.bufferSize ? TPMResponse.failure : response
        hasFailed = response.isEmpty
        buffer.replaceSubrange(0..<bytes.count, with: bytes)
    }

    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("flags", [isGranted, isIdle, isRunning, hasFailed, isCancelled].map { $0 ? UInt8(1) : 0 })
        state.set("buffer", buffer)
        return state
    }
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let flags = try state.bytes("flags", count: 5).map { $0 != 0 }
        (isGranted, isIdle, isRunning, hasFailed, isCancelled) = (flags[0], flags[1], flags[2], flags[3], flags[4])
        buffer = try state.bytes("buffer", count: Self.bufferSize)
    }
}
