internal import CLinux

/// A device of the kernel's vhost (`linux/vhost.h`): it works the rings of a virtio device by itself, in the memory of the
/// process that owns it. Any thread, one at a time.
public struct KernelVhost: Sendable {
    /// A piece of memory that descriptors may name.
    @safe public struct Region {
        /// The address that descriptors use.
        public var address: UInt64
        /// Bytes.
        public var count: Int
        /// Where this process has it; it stays there while the device works.
        public var base: UnsafeMutableRawPointer

        /// A region.
        public init(address: UInt64, count: Int, base: UnsafeMutableRawPointer) {
            self.address = address
            self.count = count
            unsafe self.base = base
        }
    }
    /// The parts of a split ring, where this process has them.
    @safe public struct RingParts {
        public var descriptors: UnsafeMutableRawPointer
        public var available: UnsafeMutableRawPointer
        public var used: UnsafeMutableRawPointer

        /// A ring's parts.
        public init(
            descriptors: UnsafeMutableRawPointer, available: UnsafeMutableRawPointer, used: UnsafeMutableRawPointer
        ) {
            unsafe self.descriptors = descriptors
            unsafe self.available = available
            unsafe self.used = used
        }
    }

    /// Regions that a device takes at most (the module's `max_mem_regions` where nobody has changed it).
    public static let mostRegions = Int(APUS_VHOST_REGIONS)
    /// Where the kernel moves frames of taps.
    public static let networkPath = "/dev/vhost-net"
    /// Where the kernel moves bytes of sockets.
    public static let socketPath = "/dev/vhost-vsock"

    /// What stands for it.
    public let descriptor: Descriptor

    /// Opens a device, whose owner this process becomes.
    public init(path: String) throws(HostError) {
        try self.init(adopting: try HostFile.open(path, .readWrite))
    }

    /// Takes a device over that somebody else has opened and nobody owns yet.
    public init(adopting descriptor: Descriptor) throws(HostError) {
        self.descriptor = descriptor
        try check(apus_vhost_set_owner(descriptor.rawValue), "own")
    }

    /// What it can do: feature bits of virtio, and some of its own.
    public func features() throws(HostError) -> UInt64 {
        var features: UInt64 = 0
        // SAFETY: the number is on this stack.
        try check(unsafe apus_vhost_features(descriptor.rawValue, &features), "ask the features of")
        return features
    }
    /// What its driver has chosen of them.
    public func setFeatures(_ features: UInt64) throws(HostError) {
        try check(apus_vhost_set_features(descriptor.rawValue, features), "set the features of")
    }
    /// The memory that descriptors may name; at most `mostRegions`, whole pages each.
    public func setMemory(_ regions: [Region]) throws(HostError) {
        let numbers = regions.flatMap { unsafe [$0.address, UInt64($0.count), UInt64(UInt(bitPattern: $0.base))] }
        // SAFETY: three numbers a region.
        try check(
            unsafe apus_vhost_set_memory(descriptor.rawValue, numbers, UInt32(regions.count)), "set the memory of")
    }
    /// Names a ring of so many entries, which begins at its first one, and what wakes either side.
    public func setRing(
        _ ring: Int, size: UInt16, _ parts: RingParts, kick: Descriptor, call: Descriptor
    ) throws(HostError) {
        let (raw, number) = (descriptor.rawValue, UInt32(ring))
        try check(apus_vhost_set_size(raw, number, UInt32(size)), "set a ring of")
        try check(apus_vhost_set_base(raw, number, 0), "set a ring of")
        try unsafe check(
            apus_vhost_set_addresses(
                raw, number, UInt64(UInt(bitPattern: parts.descriptors)), UInt64(UInt(bitPattern: parts.used)),
                UInt64(UInt(bitPattern: parts.available))), "set a ring of")
        try check(apus_vhost_set_kick(raw, number, kick.rawValue), "set a ring of")
        try check(apus_vhost_set_call(raw, number, call.rawValue), "set a ring of")
    }
    /// Gives a ring of `/dev/vhost-net` its tap, or takes it away: when that returns, nothing of the ring is in use.
    public func setNetwork(_ ring: Int, _ tap: Descriptor?) throws(HostError) {
        try check(apus_vhost_set_network(descriptor.rawValue, UInt32(ring), tap?.rawValue ?? -1), "set the tap of")
    }
    /// The number by which a guest of `/dev/vhost-vsock` is known; nobody else on this host may have it.
    public func setGuest(_ cid: UInt64) throws(HostError) {
        guard apus_vhost_set_guest(descriptor.rawValue, cid) != 0 else { return }
        throw HostError(reason: apus_errno(), "use guest CID \(cid)")
    }
    /// Begins or ends the work of `/dev/vhost-vsock`.
    public func setRunning(_ isRunning: Bool) throws(HostError) {
        try check(apus_vhost_set_running(descriptor.rawValue, isRunning ? 1 : 0), "run")
    }

    private func check(_ result: Int32, _ what: String) throws(HostError) {
        guard result == 0 else { throw HostError(reason: apus_errno(), "\(what) the kernel's vhost") }
    }
}
