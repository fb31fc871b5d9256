import Network
import TestSupport
import Testing

@Suite struct ConfigurationTests {
    private func configured(_ options: [(String, String)]) throws -> UserNetworkConfiguration {
        var configuration = UserNetworkConfiguration()
        for (name, value) in options { try configuration.set(name, value) }
        try configuration.validate()
        return configuration
    }

    @Test func theDefaultsAreQEMUs() throws {
        let configuration = try configured([])
        #expect(configuration.effectiveHost.description == "10.0.2.2")
        #expect(configuration.effectiveDNS.description == "10.0.2.3")
        #expect(configuration.effectiveDHCPStart.description == "10.0.2.15")
        #expect(configuration.ipv6Network.description == "fec0::")
    }

    @Test(arguments: [
        ("192.168.5.0/24", "192.168.5.0", 24), ("10.1.2.3/8", "10.0.0.0", 8), ("10.1.0.0/255.255.0.0", "10.1.0.0", 16),
        ("172.20.1.1", "172.16.0.0", 12), ("192.168.1.1", "192.168.0.0", 16), ("130.1.2.3", "130.1.0.0", 16),
        ("200.1.2.3", "200.1.2.0", 24),
    ])
    func networks(_ text: String, _ network: String, _ length: Int) throws {
        let configuration = try configured([("net", text)])
        #expect(configuration.network.description == network)
        #expect(configuration.prefixLength == length)
    }

    @Test func forwards() throws {
        let forward = try HostForward("tcp::2222-:22")
        #expect(forward == HostForward(hostPort: 2222, guestPort: 22))
        #expect(forward.description == "tcp::2222-:22")
        #expect(
            try HostForward("udp:127.0.0.1:53-10.0.2.20:5353")
                == HostForward(
                    isUDP: true, hostAddress: IPv4Address("127.0.0.1"), hostPort: 53,
                    guestAddress: IPv4Address("10.0.2.20"), guestPort: 5353))
        #expect(try HostForward(":127.0.0.1:1-:2").isUDP == false)
        #expect(try HostForwardKey("udp::53") == HostForwardKey(isUDP: true, hostPort: 53))
        #expect(
            try GuestForward("tcp:10.0.2.100:80-cmd:cat - x")
                == GuestForward(address: #require(IPv4Address("10.0.2.100")), port: 80, target: .command("cat - x")))
        #expect(try GuestForward(":10.0.2.100:80-unix:/s").target == .unix(path: "/s"))
    }

    @Test(arguments: [
        "", "-", "tcp", "tcp::22", "tcp::22-", "tcp::22-22", "sctp::1-:2", "tcp::x-:2", "tcp::1-:0", "tcp::65536-:2",
        "tcp:1.2.3:1-:2", "tcp:::1-:2", "tcp::-1-:2", "tcp::1-::2", "tcp:: 1-:2", "tcp::+1-:2",
    ])
    func malformedForwardsNameTheText(_ text: String) {
        let error = #expect(throws: UserNetworkError.self) { try HostForward(text) }
        #expect(error?.description.contains("'\(text)'") == true)
    }

    @Test(arguments: [
        ("net", "10.0.2.0/33"), ("net", "10.0.2"), ("net", "10.0.2.0/255.0.255.0"), ("net", ""), ("net", "1.2.3.4/5/6"),
        ("host", "10.0.3.2"), ("host", "10.0.2.3"), ("host", "10.0.2.256"), ("host", "010.0.2.2"),
        ("dhcpstart", "10.1.0.1"),
        ("dhcpstart", "10.0.2.1"), ("ipv6", "maybe"), ("ipv6-net", "fec0::/127"), ("ipv6-net", "x"),
        ("ipv6-host", "::g"),
        ("dnssearch", "a..b"), ("dnssearch", ""), ("hostname", ""), ("hostname", String(repeating: "h", count: 33)),
        ("tftp", "a\0b"), ("guestfwd", "tcp:10.0.2.100:80-tcp:1.2.3.4:5"), ("guestfwd", "udp:10.0.2.100:80-cmd:x"),
        ("guestfwd", "tcp:10.3.2.100:80-cmd:x"), ("colour", "red"), ("restrict", ""), ("ipv6-prefixlen", "-1"),
    ])
    func whatDoesNotFitIsAnError(_ name: String, _ value: String) {
        #expect(throws: UserNetworkError.self) { try configured([(name, value)]) }
    }

    @Test func bothFamiliesOffIsAnError() {
        #expect(throws: UserNetworkError.self) { try configured([("ipv4", "off"), ("ipv6", "off")]) }
    }

    @Test func addressesReadAndWrite() {
        #expect(IPv4Address("255.255.255.255")?.rawValue == .max)
        #expect(IPv4Address("0.0.0.0")?.description == "0.0.0.0")
        for text in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.４", "a.b.c.d", "1..2.3"] {
            #expect(IPv4Address(text) == nil)
        }
        #expect(IPv6Address("fe80::1")?.description == "fe80::1")
        #expect(IPv6Address("fe80::1\0") == nil)
        #expect(IPv6Address(bytes: []).description == "::")
    }

    @Test func aFrameQueueKeepsOrderAndItsBound() {
        var queue = FrameQueue(capacity: 256)
        var model: [[UInt8]] = []
        var seed: UInt64 = 3
        for _ in 0..<FuzzRounds.times(3000) {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let frame = (0..<Int(seed >> 40) % 120).map { UInt8(truncatingIfNeeded: $0 &+ Int(seed >> 20)) }
            if seed >> 63 == 0 {
                let used = model.reduce(0) { $0 + $1.count + 4 }
                let fits = !frame.isEmpty && used + frame.count + 4 <= 256
                let pushed = unsafe frame.withUnsafeBytes { unsafe queue.push($0) }
                #expect(pushed == fits)
                if fits { model.append(frame) }
            } else {
                var buffer = [UInt8](repeating: 0, count: 128)
                let length = unsafe buffer.withUnsafeMutableBytes { unsafe queue.copyFirst(into: $0) }
                #expect(Array(buffer.prefix(length)) == (model.first ?? []))
                queue.removeFirst()
                if !model.isEmpty { model.removeFirst() }
            }
            let count = queue.count
            #expect(count == model.count)
        }
        queue.removeAll()
        let isEmpty = queue.isEmpty
        #expect(isEmpty)
    }
}
