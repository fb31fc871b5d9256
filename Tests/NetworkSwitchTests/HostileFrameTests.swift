import HostOS
import Network
import NetworkSwitch
import TestSupport
import Testing

/// Frames that a hostile machine sends, each kind as a flood: no other port is stalled by them, and none is led astray.
@Suite struct HostileFrameTests {
    /// What a machine floods its network with.
    enum Kind: CaseIterable, Sendable {
        case runts, giants, badChecksums, nestedTags, spoofedAddresses, dhcp, dhcp6, advertisements, neighbours, names
    }

    private static func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    private static func join(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
    private static let gate: [UInt8] = [0x52, 0x55, 192, 168, 122, 1]
    private static let (server, machine): ([UInt8], [UInt8]) = ([192, 168, 122, 1], [192, 168, 122, 77])

    /// An IPv4 packet with a header whose checksum is right, or not.
    private static func ipv4(
        _ proto: UInt8, _ from: [UInt8], _ to: [UInt8], _ payload: [UInt8], isRight: Bool = true
    ) -> [UInt8] {
        var header = join([0x45, 0], big(20 + payload.count), [0, 0, 0, 0, 64, proto, 0, 0], from, to)
        var sum = 0
        for place in stride(from: 0, to: 20, by: 2) { sum += Int(header[place]) << 8 | Int(header[place + 1]) }
        sum = ~(sum & 0xFFFF + sum >> 16) & 0xFFFF
        header.replaceSubrange(10..<12, with: big(isRight ? sum : sum ^ 0x5555))
        return join([8, 0], header, payload)
    }

    private static func ipv6(_ proto: UInt8, _ from: [UInt8], _ to: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        join([0x86, 0xDD, 0x60, 0, 0, 0], big(payload.count), [proto, 255], from, to, payload)
    }

    private static func udp(_ ports: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        join(ports, big(8 + payload.count), [0, 0], payload)
    }

    private static func dhcp(_ hardware: [UInt8], _ kind: UInt8, _ number: [UInt8]) -> [UInt8] {
        let message = join(
            [1, 1, 6, 0], number, zeros(20), hardware, zeros(202), [0x63, 0x82, 0x53, 0x63, 53, 1, kind, 255])
        return join(everybody, hardware, ipv4(17, zeros(4), [255, 255, 255, 255], udp([0, 68, 0, 67], message)))
    }

    /// One frame of a flood.
    private static func frame(_ kind: Kind, _ own: [UInt8], _ random: inout FixedGenerator) -> [UInt8] {
        func byte() -> UInt8 { UInt8.random(in: 0...255, using: &random) }
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }
        let made = join([2], bytes(5))
        let link = join([0xFE, 0x80], bytes(14))
        let all6 = join([0xFF, 2], zeros(13), [1])
        switch kind {
        case .runts:
            return Array(join(everybody, own, [8, 0], bytes(46)).prefix(Int.random(in: 1..<34, using: &random)))
        case .giants:
            let count = Int.random(in: 9000...68_000, using: &random)
            return join(everybody, own, [8, 0], [UInt8](repeating: 0x45, count: count))
        case .badChecksums:
            let proto: UInt8 = [1, 6, 17][Int(byte()) % 3]
            return join(gate, own, ipv4(proto, machine, server, bytes(44), isRight: byte() & 1 == 0))
        case .nestedTags:
            var tags: [UInt8] = []
            for _ in 0..<Int.random(in: 1..<300, using: &random) {
                tags += byte() & 1 == 0 ? [0x81, 0] : [0x88, 0xA8]
                tags += bytes(2)
            }
            return join(everybody, own, tags, [8, 0], bytes(Int(byte())))
        case .spoofedAddresses:
            let source = byte() & 1 == 0 ? gate : made
            return join(everybody, source, [8, 6, 0, 1, 8, 0, 6, 4, 0, 2], source, server, bytes(10))
        case .dhcp: return dhcp(made, 1 + byte() % 3, bytes(4))
        case .dhcp6:
            let head = join([1 + byte() % 5, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1], made)
            let message = join(head, [0, 3, 0, 12], bytes(4), zeros(8))
            let servers = join([0xFF, 2], zeros(11), [1, 0, 2])
            return join([0x33, 0x33, 0, 1, 0, 2], made, ipv6(17, link, servers, udp([2, 34, 2, 35], message)))
        case .advertisements:
            let options = join([1, 1], made, [3, 4, 64, 0xC0], bytes(8), zeros(4), bytes(16))
            let message = join([134, 0], bytes(2), [64, 0, 7, 8], bytes(8), options)
            return join(everybody, made, ipv6(58, link, all6, message))
        case .neighbours:
            let message = join([135 + byte() % 2, 0], bytes(2), [0xE0, 0, 0, 0], bytes(16), [2, 1], made)
            return join(everybody, made, ipv6(58, link, all6, message))
        case .names:
            let question = join(bytes(2), [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3], bytes(3), [0, 0, 1, 0, 1])
            return join(gate, own, ipv4(17, machine, server, udp(join(bytes(2), [0, 53]), question)))
        }
    }

    @Test(arguments: Kind.allCases) func aFloodStallsNobody(kind: Kind) throws {
        let network = try TestNetwork(
            DHCPv6Tests.xml.replacing("<forward mode='nat'><nat ipv6='yes'/></forward>", with: "")
                .replacing("end='192.168.122.9'", with: "end='192.168.122.200'"))
        let (a, b, c) = (try network.cable(1), try network.cable(2), try network.cable(3))
        let tagged = try network.cable(4) {
            $0.trunk = [1, 2]; $0.vlan = 1
        }
        var random = FixedGenerator(seed: 77)
        let count = FuzzRounds.times(kind == .giants ? 60 : 1500)
        for round in 0..<count {
            try (kind == .nestedTags && round % 2 == 0 ? tagged : a).send(Self.frame(kind, a.mac, &random))
            if round % 20 == 0 { for cable in [a, b, c, tagged] { cable.drain() } }
        }
        try a.send(a.frame(to: everybody, "end of the flood"))
        // Neighbours meet, and one gets an address: of the room that the flood has not.
        try b.send(b.frame(to: everybody, "still here"))
        #expect(c.takes("still here"))
        try b.send(Self.dhcp(b.mac, 1, [7, 7, 7, 7]))
        let ports: [UInt8] = [0, 67, 0, 68]
        let offer = try #require(b.take { $0.count > 280 && Array($0[34..<38]) == ports && Array($0[..<6]) == b.mac })
        #expect(Array(offer[26..<30]) == Self.server)
        // Nobody was told of a router or a server that is none.
        #expect(c.came { $0.count > 54 && $0[12] == 0x86 && $0[20] == 58 && $0[54] == 134 && $0[6] == 2 } == nil)
        if kind == .spoofedAddresses { #expect(c.came { Array($0[6..<12]) == Self.gate && $0[21] == 2 } == nil) }
        let counters = network.counters(1)
        #expect(counters.received + counters.refused + network.counters(4).received + network.counters(4).refused > 0)
    }

    @Test func neighboursThatAreMadeUpHideNobody() {
        var table = NeighbourTable<IPv4Address>(depth: 2, portLimit: 64)
        for number in 0..<100_000 {
            let address = IPv4Address(rawValue: UInt32(number))
            _ = table.note(HardwareAddress(rawValue: UInt64(number)), address, 1)
        }
        let own = HardwareAddress([0x52, 0x54, 0, 0, 0, 9])
        #expect(table.all.count == 64)
        let isNew = table.note(own, IPv4Address(rawValue: 5), 2)
        #expect(isNew && table.all[own] == [IPv4Address(rawValue: 5)])
        // The latest counts first, none twice, and no more than the depth.
        for value in [6, 5, 7] as [UInt32] { _ = table.note(own, IPv4Address(rawValue: value), 2) }
        #expect(table.all[own]?.map(\.rawValue) == [7, 5])
        let isNewAgain = table.note(own, IPv4Address(rawValue: 7), 2)
        #expect(!isNewAgain)
        table.forget(port: 1)
        #expect(table.all.count == 1)
    }
}
