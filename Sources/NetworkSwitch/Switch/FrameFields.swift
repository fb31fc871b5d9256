internal import Network

/// What rules look at in a frame, read once. Every place is compared with the frame's count before it is read.
struct FrameFields {
    let source: HardwareAddress
    let destination: HardwareAddress
    /// The type, behind a VLAN tag where there is one.
    let type: UInt16
    let vlan: UInt16?
    /// An ARP or RARP message: operation, and the addresses of sender and target.
    var arp: ARP?
    /// Addresses of IP, 4 or 16 bytes each; empty for anything else.
    var from: [UInt8] = []
    var to: [UInt8] = []
    /// The protocol in an IP packet.
    var proto: UInt8?
    /// Ports of TCP, UDP, UDP-Lite and SCTP, where the packet is no later fragment.
    var ports: (from: UInt16, to: UInt16)?
    /// Type and code of ICMP.
    var icmp: (type: UInt8, code: UInt8)?

    struct ARP {
        let operation: UInt16
        let sender: HardwareAddress
        let senderAddress: [UInt8]
        let target: HardwareAddress
        let targetAddress: [UInt8]
    }

    /// Reads a frame of 14 bytes or more.
    init(_ frame: UnsafeRawBufferPointer) {
        // SAFETY: the frame has 14 bytes or more; what lies behind is compared with its count first.
        source = unsafe HardwareAddress(frame, at: 6)
        destination = unsafe HardwareAddress(frame, at: 0)
        var start = 14
        var type = unsafe PacketBytes.word(frame, 12)
        if type == 0x8100, frame.count >= 18 {
            vlan = unsafe PacketBytes.word(frame, 14) & 0xFFF
            type = unsafe PacketBytes.word(frame, 16)
            start = 18
        } else {
            vlan = nil
        }
        self.type = type
        switch type {
        case 0x0806, 0x8035:
            guard frame.count >= start + 28 else { return }
            arp = unsafe ARP(
                operation: PacketBytes.word(frame, start + 6), sender: HardwareAddress(frame, at: start + 8),
                senderAddress: Array(frame[start + 14..<start + 18]), target: HardwareAddress(frame, at: start + 18),
                targetAddress: Array(frame[start + 24..<start + 28]))
        case 0x0800:
            guard frame.count >= start + 20 else { return }
            from = unsafe Array(frame[start + 12..<start + 16])
            to = unsafe Array(frame[start + 16..<start + 20])
            proto = unsafe frame[start + 9]
            let isLater = unsafe frame[start + 6] & 0x1F != 0 || frame[start + 7] != 0
            let header = unsafe Int(frame[start] & 15) * 4
            if !isLater, header >= 20 { unsafe readPayload(frame, start + header) }
        case 0x86DD:
            guard frame.count >= start + 40 else { return }
            from = unsafe Array(frame[start + 8..<start + 24])
            to = unsafe Array(frame[start + 24..<start + 40])
            proto = unsafe frame[start + 6]
            unsafe readPayload(frame, start + 40)
        default: break
        }
    }

    private mutating func readPayload(_ frame: UnsafeRawBufferPointer, _ place: Int) {
        switch proto {
        case 6, 17, 132, 136:
            guard frame.count >= place + 4 else { return }
            ports = unsafe (PacketBytes.word(frame, place), PacketBytes.word(frame, place + 2))
        case 1, 58:
            guard frame.count >= place + 2 else { return }
            icmp = unsafe (frame[place], frame[place + 1])
        default: break
        }
    }

    /// The same as the other side would have sent it: for rules of both directions.
    var reversed: FrameFields {
        var result = FrameFields(source: destination, destination: source, type: type, vlan: vlan)
        result.arp = arp.map {
            ARP(
                operation: $0.operation, sender: $0.target, senderAddress: $0.targetAddress, target: $0.sender,
                targetAddress: $0.senderAddress)
        }
        (result.from, result.to, result.proto, result.icmp) = (to, from, proto, icmp)
        result.ports = ports.map { ($0.to, $0.from) }
        return result
    }

    private init(source: HardwareAddress, destination: HardwareAddress, type: UInt16, vlan: UInt16?) {
        (self.source, self.destination, self.type, self.vlan) = (source, destination, type, vlan)
    }
}
