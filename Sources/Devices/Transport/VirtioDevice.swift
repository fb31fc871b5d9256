public import DeviceModel
public import GuestMemory
public import VirtQueue

/// What a driver and its transport hand to a device when the driver is ready. Moved into the device, which gives it
/// up at `reset`.
public struct VirtioActivation: ~Copyable, Sendable {
    /// The negotiated feature bits, those of rings and transports included.
    public let features: UInt64
    /// Guest memory.
    public let memory: AddressSpace
    /// The queues by number; nil for those that the driver has not enabled. From here on the device's.
    public let queues: [VirtQueue?]
    /// How the device reaches the driver.
    public let interrupt: VirtioInterrupt

    /// True for a driver of before virtio 1.0.
    public var isLegacy: Bool { features & VirtioFeature.version1 == 0 }
}

/// A type of virtio device, whatever transport it sits behind. virtio 1.2, chapters 2, 3 and 5.
///
/// Life: made → (`activate` → `notify`* → `reset`)*, with `pause` and `resume` around saving. The transport calls
/// `activate`, `reset`, `pause` and `resume` under its own lock, one at a time; `notify` and configuration accesses
/// come from any processor at any time, also before `activate` and after `reset`. Lock order: transport, device,
/// interrupt, controller: a device may raise interrupts under its lock, and calls its transport for nothing else.
public protocol VirtioDevice: AnyObject, Sendable {
    /// What it is.
    var kind: VirtioDeviceKind { get }
    /// The feature bits of its type.
    var features: UInt64 { get }
    /// The largest size of each queue; the count is the number of queues. Powers of two.
    var queueSizes: [UInt16] { get }
    /// Bytes of its configuration.
    var configurationCount: Int { get }
    /// Reads 1, 2 or 4 bytes of its configuration, little-endian. Any offset.
    func readConfiguration(offset: Int, size: Int) -> UInt32
    /// Writes 1, 2 or 4 bytes of its configuration. Any offset.
    func writeConfiguration(offset: Int, size: Int, value: UInt32)
    /// False where the driver's choice makes no sense: FEATURES_OK is then refused.
    func accepts(features: UInt64) -> Bool
    /// The driver is ready: the device works from now on.
    func activate(_ context: consuming VirtioActivation)
    /// The driver has added buffers to a queue.
    func notify(queue: Int)
    /// To the state after power-on. When it returns, the device touches guest memory no more.
    func reset()
    /// Finishes what is in flight; nothing is started until `resume`.
    func pause()
    /// Goes on, and looks at every queue.
    func resume()
    /// The end: threads and back-ends go.
    func halt()
    /// Its own state, while paused.
    func exportState() -> DeviceState
    /// Takes its own state, after `reset` and before `activate`.
    func importState(_ state: DeviceState) throws(DeviceStateError)
}

extension VirtioDevice {
    public func accepts(features: UInt64) -> Bool { true }
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {}
    public func pause() {}
    public func resume() {}
    public func halt() {}
}

/// Reads of configurations that are kept as bytes.
enum VirtioConfiguration {
    /// The little-endian value at an offset; bytes past the end are 0.
    static func read(_ bytes: [UInt8], offset: Int, size: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<min(max(size, 0), 4) where bytes.indices.contains(offset &+ index) {
            value |= UInt32(bytes[offset + index]) << UInt32(index * 8)
        }
        return value
    }
    /// Replaces bytes by a little-endian value; those past the end are ignored.
    static func write(_ bytes: inout [UInt8], offset: Int, size: Int, value: UInt32) {
        for index in 0..<min(max(size, 0), 4) where bytes.indices.contains(offset &+ index) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
        }
    }
    /// Appends a little-endian integer.
    static func append(_ bytes: inout [UInt8], _ value: some FixedWidthInteger) {
        for index in 0..<MemoryLayout.size(ofValue: value) {
            bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8)))
        }
    }
}
