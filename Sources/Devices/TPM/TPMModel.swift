package import DeviceModel

/// The registers in front of a TPM as a pure model. Commands come out by `command`, responses go in by `complete`.
package protocol TPMModel: Sendable {
    /// Bytes of a command or response at most.
    static var bufferSize: Int { get }
    /// The command that the TPM is to carry out, until it is complete.
    var command: (bytes: [UInt8], locality: UInt8)? { get }
    /// The driver no longer waits for the command.
    var isCancelled: Bool { get }
    /// The interrupt line.
    var level: Bool { get }
    /// The flag of an established root of trust, as the TPM has it.
    var isEstablished: Bool { get set }
    /// A driver asks to clear it.
    mutating func takeEstablishedReset() -> UInt8?
    mutating func reset()
    mutating func readByte(_ offset: UInt64) -> UInt8
    mutating func write(_ offset: UInt64, _ size: Int, _ value: UInt64)
    /// The response; one of no bytes where the TPM failed.
    mutating func complete(_ response: [UInt8])
    func exportState() -> DeviceState
    mutating func importState(_ state: DeviceState) throws(DeviceStateError)
}

/// A response that tells of a failure (TPM 2.0 Library, part 2, 6.6: TPM_RC_FAILURE).
enum TPMResponse {
    static let failure: [UInt8] = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01]
    /// The length that a command or response says of itself; nil before its head is there.
    static func length(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 6 else { return nil }
        return (2..<6).reduce(0) { $0 << 8 | Int(bytes[$1]) }
    }
}
