internal import GuestMemory
internal import HostOS

/// The kernel as the back-end of sockets between guest and host (`/dev/vhost-vsock`): programs of the host reach the guest
/// by AF_VSOCK and its number. Rings 0 and 1 are the kernel's.
struct KernelSocketBackend: VhostBackend {
    let features: UInt64
    private let device: KernelVhost

    init(_ device: KernelVhost, guest: UInt64) throws(VhostError) {
        self.device = device
        features = try VhostError.wrapping { () throws(HostError) in try device.features() }
        try VhostError.wrapping { () throws(HostError) in try device.setGuest(guest) }
    }

    func reach(_ memory: AddressSpace) throws(VhostError) -> VhostMemory { try VhostMemory(allOf: memory) }

    func setFeatures(_ chosen: UInt64) throws(VhostError) {
        try VhostError.wrapping { () throws(HostError) in try device.setFeatures(chosen & features) }
    }
    func setMemory(_ memory: VhostMemory, _ rings: RingMemory) throws(VhostError) {
        try VhostError.wrapping { () throws(HostError) in try device.setMemory(memory.kernelRegions(rings)) }
    }
    func begin(_ index: Int, _ ring: RelayRing, kick: Descriptor, call: Descriptor) throws(VhostError) {
        try VhostError.wrapping { () throws(HostError) in
            try device.setRing(index, size: ring.size, ring.parts, kick: kick, call: call)
        }
    }
    func run() throws(VhostError) { try VhostError.wrapping { () throws(HostError) in try device.setRunning(true) } }
    func setEnabled(_ index: Int, _ isOn: Bool) throws(VhostError) {}
    /// Both rings end with the first: the kernel knows no other way.
    func end(_ index: Int) throws(VhostError) {
        try VhostError.wrapping { () throws(HostError) in try device.setRunning(false) }
    }
    func disconnect() { try? device.setRunning(false) }
}
