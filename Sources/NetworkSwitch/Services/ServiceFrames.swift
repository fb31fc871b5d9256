internal import Network

/// A UDP packet over IPv4 and Ethernet, as the services take and send them. Every length is checked.
struct UDPFrame {
    var source: HardwareAddress
    var destination: HardwareAddress
    var from: IPv4Address
    var to: IPv4Address
    var fromPort: UInt16
    var toPort: UInt16
    var payload: [UInt8]

    init(
        source: HardwareAddress, destination: HardwareAddress, from: IPv4Address, to: IPv4Address, fromPort: UInt16,
        toPort: UInt16, payload: [UInt8]
    ) {
        self.source = source
        self.destination = destination
        self.from = from
        self.to = to
        self.fromPort = fromPort
        self.toPort = toPort
        self.payload = payload
    }

    /// Reads a whole packet; nil for fragments and anything else.
    init?(_ frame: [UInt8]) {
        guard let ip = IPv4Frame(frame), ip.proto == 17, ip.payload.count >= 8 else { return nil }
        let udp = Array(ip.payload)
        func word(_ place: Int) -> Int { Int(udp[place]) << 8 | Int(udp[place + 1]) }
        guard word(4) >= 8, word(4) <= udp.count else { return nil }
        source = HardwareAddress(frame[6..<12])
        destination = HardwareAddress(frame[..<6])
        (from, to) = (ip.from, ip.to)
        (fromPort, toPort) = (UInt16(word(0)), UInt16(word(2)))
        payload = Array(udp[8..<word(4)])
    }

    /// The frame with its checksums.
    var bytes: [UInt8] {
        let count = 8 + payload.count
        var udp = [fromPort, toPort, UInt16(truncatingIfNeeded: count), 0].flatMap {
            [UInt8($0 >> 8), UInt8($0 & 255)]
        }
        udp += payload
        let pseudo = from.bytes + to.bytes + [0, 17, UInt8(count >> 8 & 255), UInt8(count & 255)]
        // SAFETY: the arrays live for the calls, which only read them.
        let sum = unsafe pseudo.withUnsafeBytes { unsafe InternetChecksum.sum($0) }
        let value = unsafe udp.withUnsafeBytes { unsafe InternetChecksum.checksum($0, initial: sum) }
        udp[6] = UInt8((value == 0 ? 0xFFFF : value) >> 8)
        udp[7] = UInt8((value == 0 ? 0xFFFF : value) & 255)
        return IPv4Frame.bytes(source: source, destination: destination, from: from, to: to, proto: 17, payload: udp)
    }
}

/// An IPv4 packet that is no fragment.
struct IPv4Frame {
    let from: IPv4Address
    let to: IPv4Address
    let proto: UInt8
    let payload: ArraySlice<UInt8>

    init?(_ frame: [UInt8]) {
        guard frame.count >= 34, frame[12] == 8, frame[13] == 0, frame[14] >> 4 == 4 else { return nil }
        let header = Int(frame[14] & 15) * 4
        let total = Int(frame[16]) << 8 | Int(frame[17])
        guard header >= 20, total >= header, 14 + total <= frame.count, frame[20] & 0x3F == 0, frame[21] == 0 else {
            return nil
        }
        func address(_ place: Int) -> IPv4Address {
            IPv4Address(rawValue: frame[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) })
        }
        (from, to, proto) = (address(26), address(30), frame[23])
        payload = frame[(14 + header)..<(14 + total)]
    }

    static func bytes(
        source: HardwareAddress, destination: HardwareAddress, from: IPv4Address, to: IPv4Address, proto: UInt8,
        payload: [UInt8]
    ) -> [UInt8] {
        let total = 20 + payload.count
        var header: [UInt8] = [0x45, 0, UInt8(total >> 8 & 255), UInt8(total & 255), 0, 0, 0x40, 0, 64, proto, 0, 0]
        header += from.bytes + to.bytes
        let value = unsafe header.withUnsafeBytes { unsafe InternetChecksum.checksum($0) }
        header[10] = UInt8(value >> 8)
        header[11] = UInt8(value & 255)
        return destination.bytes + source.bytes + [8, 0] + header + payload
    }
}
