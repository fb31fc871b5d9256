internal import GuestMemory
internal import HostOS

/// What does a device's work: another process, or the kernel. It has agreed with us on what it can do; what is asked of it
/// may wait for it. One thread at a time.
protocol VhostBackend: Sendable {
    /// Features of the device that it has.
    var features: UInt64 { get }
    /// The configuration, where the model has one.
    var configuration: [UInt8]? { get }
    /// The socket on which it answers, and on which its end is seen; nil for what cannot go.
    var socket: Descriptor? { get }
    /// Our end of the way on which it speaks first.
    var channel: Descriptor? { get }

    /// What it can use of a machine's memory; throws where that is not enough.
    func reach(_ memory: AddressSpace) throws(VhostError) -> VhostMemory
    /// What the guest's driver has chosen.
    func setFeatures(_ chosen: UInt64) throws(VhostError)
    /// The memory that rings and buffers are in.
    func setMemory(_ memory: VhostMemory, _ rings: RingMemory) throws(VhostError)
    /// Names a ring, new and empty.
    func begin(_ index: Int, _ ring: RelayRing, kick: Descriptor, call: Descriptor) throws(VhostError)
    /// All rings are named, and may be worked.
    func run() throws(VhostError)
    /// Whether a ring's buffers are taken.
    func setEnabled(_ index: Int, _ isOn: Bool) throws(VhostError)
    /// Ends the work on a ring. When this returns nothing of it is in use.
    func end(_ index: Int) throws(VhostError)

    /// The configuration as it is now.
    func readConfiguration(count: Int, _ patch: (inout [UInt8]) -> Void) throws(VhostError) -> [UInt8]
    /// Changes a part of it.
    func writeConfiguration(_ bytes: [UInt8], at offset: Int) throws(VhostError)

    /// What came without having been asked for; nil for nothing.
    func unexpected() -> VhostError?
    /// Breaks with it.
    func disconnect()
}

extension VhostBackend {
    var configuration: [UInt8]? { nil }
    var socket: Descriptor? { nil }
    var channel: Descriptor? { nil }
    func run() throws(VhostError) {}
    func readConfiguration(count: Int, _ patch: (inout [UInt8]) -> Void) throws(VhostError) -> [UInt8] {
        throw .lacks("a configuration")
    }
    func writeConfiguration(_ bytes: [UInt8], at offset: Int) throws(VhostError) { throw .lacks("a configuration") }
    func unexpected() -> VhostError? { nil }
}

extension VhostError {
    /// What the host refuses, as an error of a back-end.
    static func wrapping<T>(_ body: () throws(HostError) -> T) throws(VhostError) -> T {
        do throws(HostError) { return try body() } catch { throw .host("\(error)") }
    }
}
