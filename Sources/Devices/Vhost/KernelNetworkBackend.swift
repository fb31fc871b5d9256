internal import GuestMemory
internal import HostOS
internal import VirtQueue

/// The kernel as a card's back-end (`/dev/vhost-net`): one device for each pair of queues, whose frames are a tap's.
struct KernelNetworkBackend: VhostBackend {
    private enum Feature {
        /// VIRTIO_NET_F_MRG_RXBUF, which is the kernel's to do.
        static let mergesBuffers: UInt64 = 1 << 15
        /// What the tap does: CSUM, GUEST_CSUM, GUEST_TSO4 and 6, HOST_TSO4 and 6.
        static let checksum: UInt64 = 1 << 0
        static let driverChecksum: UInt64 = 1 << 1
        static let driverTCP4: UInt64 = 1 << 7
        static let driverTCP6: UInt64 = 1 << 8
        static let tcp4: UInt64 = 1 << 11
        static let tcp6: UInt64 = 1 << 12
        static let ofTap = checksum | driverChecksum | driverTCP4 | driverTCP6 | tcp4 | tcp6
        /// VHOST_NET_F_VIRTIO_NET_HDR: the kernel makes the headers that the tap has not.
        static let makesHeaders: UInt64 = 1 << 27
    }

    let features: UInt64
    private let ofKernel: UInt64
    private let taps: [VhostTap]
    private let hasHeaders: Bool

    init(_ taps: [VhostTap]) throws(VhostError) {
        self.taps = taps
        var common = UInt64.max
        for tap in taps {
            common &= try VhostError.wrapping { () throws(HostError) in try tap.device.features() }
        }
        ofKernel = common
        hasHeaders = taps.allSatisfy(\.tap.hasHeaders)
        guard hasHeaders || common & Feature.makesHeaders != 0 else {
            throw .lacks("headers for a tap without them (VHOST_NET_F_VIRTIO_NET_HDR)")
        }
        features = common & ~Feature.ofTap & ~Feature.makesHeaders | (hasHeaders ? Feature.ofTap : 0)
    }

    func reach(_ memory: AddressSpace) throws(VhostError) -> VhostMemory { try VhostMemory(allOf: memory) }

    func setFeatures(_ chosen: UInt64) throws(VhostError) {
        let isChosen = { (bits: UInt64) in chosen & bits != 0 }
        // Legacy drivers that do not merge buffers have headers without `num_buffers` (5.1.6.1).
        let headerSize: Int32 = isChosen(VirtioFeature.version1 | Feature.mergesBuffers) ? 12 : 10
        var ofKernel = chosen & ofKernel & ~Feature.ofTap
        if !hasHeaders { ofKernel |= Feature.makesHeaders }
        for tap in taps {
            if hasHeaders {
                guard tap.tap.setHeaderSize(headerSize) else { throw .lacks("headers of \(headerSize) bytes") }
                tap.tap.setOffloads(
                    checksum: isChosen(Feature.driverChecksum), segments4: isChosen(Feature.driverTCP4),
                    segments6: isChosen(Feature.driverTCP6))
            }
            try VhostError.wrapping { () throws(HostError) in try tap.device.setFeatures(ofKernel) }
        }
    }
    func setMemory(_ memory: VhostMemory, _ rings: RingMemory) throws(VhostError) {
        for tap in taps { try VhostError.wrapping { () throws(HostError) in try tap.device.setMemory(memory.kernelRegions(rings)) } }
    }
    func begin(_ index: Int, _ ring: RelayRing, kick: Descriptor, call: Descriptor) throws(VhostError) {
        let device = try pair(of: index).device
        try VhostError.wrapping { () throws(HostError) in
            try device.setRing(index & 1, size: ring.size, ring.parts, kick: kick, call: call)
        }
    }
    func setEnabled(_ index: Int, _ isOn: Bool) throws(VhostError) {
        let pair = try pair(of: index)
        try VhostError.wrapping { () throws(HostError) in
            try pair.device.setNetwork(index & 1, isOn ? pair.tap.descriptor : nil)
        }
    }
    func end(_ index: Int) throws(VhostError) { try setEnabled(index, false) }
    func disconnect() {
        for tap in taps {
            for ring in 0..<2 { try? tap.device.setNetwork(ring, nil) }
        }
    }

    private func pair(of index: Int) throws(VhostError) -> VhostTap {
        guard taps.indices.contains(index / 2) else {
            throw .lacks("queues: ring \(index) has no tap")
        }
        return taps[index / 2]
    }
}
