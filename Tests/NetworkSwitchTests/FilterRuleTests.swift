import Network
import NetworkSwitch
import TestSupport
import Testing

/// Rules of libvirt's nwfilter, as a port has them.
@Suite struct FilterRuleTests {
    private static let mac: [UInt8] = [0x52, 0x54, 0, 0, 0, 1]
    private static let other: [UInt8] = [0x52, 0x54, 0, 0, 0, 2]

    private static func document(_ rules: String, chain: String = "root", priority: Int = 0) -> String {
        "<filter name='f' chain='\(chain)' priority='\(priority)'>\(rules)</filter>"
    }

    /// A packet of IPv4 with ports.
    private static func packet(
        _ proto: UInt8, from: [UInt8] = [10, 0, 0, 1], to: [UInt8] = [10, 0, 0, 2], _ ports: (UInt16, UInt16) = (1, 2),
        outward: Bool = true
    ) -> [UInt8] {
        var frame = outward ? other + mac : mac + other
        frame += [8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, proto, 0, 0] + from + to
        frame += [UInt8(ports.0 >> 8), UInt8(ports.0 & 255), UInt8(ports.1 >> 8), UInt8(ports.1 & 255), 0, 0, 0, 0]
        return frame
    }

    private static func passes(_ rules: inout PortGuard, _ frame: [UInt8], _ outward: Bool = true) -> Bool {
        // SAFETY: the array lives for the call.
        unsafe frame.withUnsafeBytes {
            unsafe outward ? rules.passes($0, now: 1) : rules.admits($0, now: 1)
        }
    }

    private static func port(_ documents: [String], ip: String? = nil) throws -> PortGuard {
        var settings = PortSettings(name: "p")
        settings.address = HardwareAddress(mac)
        settings.rules = documents
        if let ip { settings.addOnce(address: ip) }
        try #require(settings.fault == nil, "\(settings.fault ?? "")")
        return PortGuard(settings)
    }

    @Test func aServerIsReachedAndAnswersAndNothingElseIs() throws {
        var port = try Self.port([
            Self.document(
                """
                <rule action='accept' direction='in' priority='100'><tcp dstportstart='22'/></rule>
                <rule action='accept' direction='out' priority='100'><udp dstportstart='53'/></rule>
                <rule action='drop' direction='inout' priority='1000'><all/></rule>
                """)
        ])
        // In to port 22, and its answers out; nothing to another port.
        #expect(Self.passes(&port, Self.packet(6, (999, 22), outward: false), false))
        let answer = Self.packet(6, from: [10, 0, 0, 2], to: [10, 0, 0, 1], (22, 999))
        #expect(Self.passes(&port, answer))
        #expect(!Self.passes(&port, Self.packet(6, from: [10, 0, 0, 2], to: [10, 0, 0, 1], (22, 998))))
        #expect(!Self.passes(&port, Self.packet(6, (999, 23), outward: false), false))
        // Questions for names go out, and the answers come in.
        #expect(!Self.passes(&port, Self.packet(17, from: [9, 9, 9, 9], to: [10, 0, 0, 1], (53, 5), outward: false), false))
        #expect(Self.passes(&port, Self.packet(17, to: [9, 9, 9, 9], (5, 53))))
        #expect(Self.passes(&port, Self.packet(17, from: [9, 9, 9, 9], to: [10, 0, 0, 1], (53, 5), outward: false), false))
        // What is no IP was not named.
        #expect(Self.passes(&port, Self.other + Self.mac + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46)))
    }

    @Test func chainsAndPrioritiesCountAsInLibvirt() throws {
        var port = try Self.port([
            Self.document(
                """
                <rule action='return' direction='out' priority='400'><mac srcmacaddr='52:54:00:00:00:01'/></rule>
                <rule action='drop' direction='out' priority='500'><mac/></rule>
                """, chain: "mac", priority: -800),
            Self.document(
                "<rule action='drop' direction='out'><ip match='no' srcipaddr='10.0.0.0' srcipmask='8'/></rule>",
                chain: "ipv4", priority: -700),
            Self.document("<rule action='drop' direction='out' priority='700'><ip protocol='udp'/></rule>"),
            Self.document("<rule action='accept' direction='out' priority='600'><ip dstipaddr='10.0.0.9'/></rule>"),
        ])
        #expect(Self.passes(&port, Self.packet(6)))
        var spoofed = Self.packet(6)
        spoofed[11] = 9
        #expect(!Self.passes(&port, spoofed))
        #expect(!Self.passes(&port, Self.packet(6, from: [11, 0, 0, 1])))
        #expect(!Self.passes(&port, Self.packet(17)))
        #expect(Self.passes(&port, Self.packet(17, to: [10, 0, 0, 9])), "An earlier rule accepts it")
    }

    @Test func theMachinesOwnAddressIsWhatItWasGivenOrShowsFirst() throws {
        let rules = Self.document(
            """
            <rule action='return' direction='out' priority='100'><ip srcipaddr='$IP'/></rule>
            <rule action='drop' direction='out' priority='200'><ip/></rule>
            """)
        var given = try Self.port([rules], ip: "10.0.0.7")
        #expect(!Self.passes(&given, Self.packet(6)))
        #expect(Self.passes(&given, Self.packet(6, from: [10, 0, 0, 7])))
        var shown = try Self.port([rules])
        #expect(Self.passes(&shown, Self.packet(6)))
        #expect(!Self.passes(&shown, Self.packet(6, from: [10, 0, 0, 7])))
    }

    @Test(
        "Rules that would let through more than they say are refused",
        arguments: [
            "<rule action='drop' direction='out'><tcp srcipaddr='no address'/></rule>",
            "<rule action='drop' direction='out'><tcp dstportstart='70000'/></rule>",
            "<rule action='drop' direction='out'><tcp connlimit-above='2'/></rule>",
            "<rule action='drop' direction='out'><stp/></rule>",
            "<rule action='drop' direction='out'><mac srcmacaddr='x'/></rule>",
            "<rule action='maybe' direction='out'><mac/></rule>",
        ])
    func refused(_ rule: String) {
        var settings = PortSettings(name: "p")
        settings.rules = [Self.document(rule)]
        #expect(settings.fault != nil)
    }

    @Test func hostileFramesMeetRulesOfAllKinds() throws {
        var port = try Self.port([
            Self.document(
                """
                <rule action='drop' direction='inout'><arp opcode='Reply' arpsrcipaddr='10.0.0.1'/></rule>
                <rule action='drop' direction='inout'><vlan vlanid='5' encap-protocol='ipv4'/></rule>
                <rule action='drop' direction='inout'><ipv6 srcipaddr='fe80::1' srcipmask='64'/></rule>
                <rule action='accept' direction='inout'><icmp type='8' code='0'/></rule>
                <rule action='accept' direction='inout'><tcp srcportstart='1' srcportend='60000'/></rule>
                <rule action='drop' direction='inout'><all-ipv6/></rule>
                """)
        ])
        var generator = SplitMix64(state: 5)
        let types: [[UInt8]] = [[8, 0], [8, 6], [0x80, 0x35], [0x86, 0xDD], [0x81, 0, 0, 5, 8, 0], [0x81, 0]]
        for _ in 0..<FuzzRounds.times(20_000) {
            var frame = (0..<12).map { _ in UInt8.random(in: 0...255, using: &generator) }
            frame += types.randomElement(using: &generator) ?? []
            frame += (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = Self.passes(&port, frame, Bool.random(using: &generator))
        }
    }

}
