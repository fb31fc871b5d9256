internal import Network

/// An IPv6 packet without extension headers, over Ethernet (RFC 8200). Every length is checked.
struct IPv6Frame {
    let source: HardwareAddress
    let from: IPv6Address
    let to: IPv6Address
    /// The protocol of the payload.
    let proto: UInt8
    let hopLimit: UInt8
    let payload: ArraySlice<UInt8>

    init?(_ frame: [UInt8]) {
        guard frame.count >= 54, frame[12] == 0x86, frame[13] == 0xDD, frame[14] >> 4 == 6 else { return nil }
        let count = Int(frame[18]) << 8 | Int(frame[19])
        guard 54 + count <= frame.count else { return nil }
        source = HardwareAddress(frame[6..<12])
        from = IPv6Address(bytes: Array(frame[22..<38]))
        to = IPv6Address(bytes: Array(frame[38..<54]))
        (proto, hopLimit) = (frame[20], frame[21])
        payload = frame[54..<54 + count]
    }

    /// A frame. `checksumAt`: where in the payload the checksum is to be; it covers a pseudo header (section 8.1).
    static func bytes(
        source: HardwareAddress, destination: HardwareAddress, from: IPv6Address, to: IPv6Address, proto: UInt8,
        payload: [UInt8], checksumAt place: Int
    ) -> [UInt8] {
        let count = payload.count
        let length = [UInt8(count >> 8 & 255), UInt8(count & 255)]
        let pseudo = from.bytes + to.bytes + [0, 0] + length + [0, 0, 0, proto]
        var body = payload
        // SAFETY: the arrays live for the calls, which only read them.
        let sum = unsafe pseudo.withUnsafeBytes { unsafe InternetChecksum.sum($0) }
        let value = unsafe body.withUnsafeBytes { unsafe InternetChecksum.checksum($0, initial: sum) }
        body[place] = UInt8((value == 0 ? 0xFFFF : value) >> 8)
        body[place + 1] = UInt8((value == 0 ? 0xFFFF : value) & 255)
        return destination.bytes + source.bytes + [0x86, 0xDD, 0x60, 0, 0, 0] + length + [proto, 255] + from.bytes
            + to.bytes + body
    }
}

/// A UDP packet over IPv6.
struct UDPv6Frame {
    let ip: IPv6Frame
    let fromPort: UInt16
    let toPort: UInt16
    let payload: [UInt8]

    init?(_ ip: IPv6Frame) {
        guard ip.proto == 17, ip.payload.count >= 8 else { return nil }
        let udp = Array(ip.payload)
        func word(_ place: Int) -> Int { Int(udp[place]) << 8 | Int(udp[place + 1]) }
        guard word(4) >= 8, word(4) <= udp.count else { return nil }
        self.ip = ip
        (fromPort, toPort) = (UInt16(word(0)), UInt16(word(2)))
        payload = Array(udp[8..<word(4)])
    }

    static func bytes(
        source: HardwareAddress, destination: HardwareAddress, from: IPv6Address, to: IPv6Address, fromPort: UInt16,
        toPort: UInt16, payload: [UInt8]
    ) -> [UInt8] {
        let header = [fromPort, toPort, UInt16(truncatingIfNeeded: 8 + payload.count), 0]
            .flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        return IPv6Frame.bytes(
            source: source, destination: destination, from: from, to: to, proto: 17, payload: header + payload,
            checksumAt: 6)
    }
}

/// Messages of neighbour discovery (RFC 4861).
enum NeighbourDiscovery {
    static let routerSolicitation: UInt8 = 133
    static let routerAdvertisement: UInt8 = 134
    static let neighbourSolicitation: UInt8 = 135
    static let neighbourAdvertisement: UInt8 = 136
    static let echoRequest: UInt8 = 128

    /// What a router says of itself and its network.
    struct Router {
        var hardware: HardwareAddress
        var prefix: IPv6Address
        var prefixLength: Int
        /// Whether it leads anywhere.
        var isRouter: Bool
        /// Whether addresses are given by DHCP; otherwise machines make their own.
        var isManaged: Bool
        var mtu: Int?
        var nameServers: [IPv6Address]
        var domain: DNSName?
        /// Seconds that a router counts without saying so again.
        static let lifetime: UInt16 = 1800
        private static let prefixLifetime: UInt32 = 86400

        /// A router advertisement (section 4.2), with RFC 8106's name servers.
        var advertisement: [UInt8] {
            func long(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> UInt32($0) & 255) } }
            let life = isRouter ? Self.lifetime : 0
            // More than addresses is always told by DHCP (O); addresses too where they are given there (M).
            let flags: UInt8 = isManaged ? 0xC0 : 0x40
            var bytes: [UInt8] = [routerAdvertisement, 0, 0, 0, 64, flags, UInt8(life >> 8), UInt8(life & 255)]
            bytes += [UInt8](repeating: 0, count: 8) + [1, 1] + hardware.bytes
            if let mtu { bytes += [5, 1, 0, 0] + long(UInt32(clamping: mtu)) }
            // On the link; machines make addresses of it (A) where nobody gives them, of 64 bits (RFC 4862).
            let usage: UInt8 = isManaged || prefixLength != 64 ? 0x80 : 0xC0
            bytes +=
                [3, 4, UInt8(clamping: prefixLength), usage] + long(Self.prefixLifetime) + long(Self.prefixLifetime)
            bytes += [0, 0, 0, 0] + prefix.masked(prefixLength).bytes
            if !nameServers.isEmpty {
                bytes += [25, UInt8(1 + 2 * nameServers.count), 0, 0] + long(UInt32(Self.lifetime))
                bytes += nameServers.flatMap(\.bytes)
            }
            if let domain {
                let name = domain.bytes
                let units = (8 + name.count + 7) / 8
                bytes += [31, UInt8(clamping: units), 0, 0] + long(UInt32(Self.lifetime)) + name
                bytes += [UInt8](repeating: 0, count: units * 8 - 8 - name.count)
            }
            return bytes
        }
    }

    /// The answer to a question for an address (section 4.4).
    static func answer(for address: IPv6Address, at hardware: HardwareAddress, isRouter: Bool) -> [UInt8] {
        [neighbourAdvertisement, 0, 0, 0, isRouter ? 0xE0 : 0x60, 0, 0, 0] + address.bytes + [2, 1] + hardware.bytes
    }
}
