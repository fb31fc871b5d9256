import DomainModel
import HostOS
import Network
import NetworkSwitch
import TestSupport
import Testing

@Suite struct ServiceTests {
    private func sum(_ bytes: [UInt8]) -> Int {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return sum
    }
    private func udp(_ mac: [UInt8], from: [UInt8], to: [UInt8], _ ports: (Int, Int), _ payload: [UInt8], at: [UInt8])
        -> [UInt8]
    {
        func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
        var header: [UInt8] = [0x45, 0] + big(28 + payload.count) + [0, 0, 0, 0, 64, 17, 0, 0] + from + to
        header.replaceSubrange(10..<12, with: big(~sum(header) & 0xFFFF))
        return at + mac + [8, 0] + header + big(ports.0) + big(ports.1) + big(8 + payload.count) + [0, 0] + payload
    }
    /// Takes an address over the cable.
    private func lease(_ cable: Cable, name: String) throws -> [UInt8] {
        var discover = DHCPMessage()
        discover.hardware = HardwareAddress(cable.mac)
        discover.add(12, Array(name.utf8))
        for kind in [DHCPMessage.Kind.discover, .request] {
            discover.kind = kind
            try cable.send(
                udp(cable.mac, from: [0, 0, 0, 0], to: [255, 255, 255, 255], (68, 67), discover.bytes, at: everybody))
            let frame = try #require(cable.take { $0.count > 282 && $0[23] == 17 && $0[37] == 68 })
            #expect(sum(Array(frame[14..<34])) == 0xFFFF)
            let answer = try #require(DHCPMessage(Array(frame[42...])))
            #expect(answer.kind == (kind == .discover ? .offer : .ack))
            discover.add(50, [answer.yours])
            if kind == .request { return Array(frame[58..<62]) }
        }
        return []
    }
    private func ask(_ cable: Cable, _ own: [UInt8], _ name: String) throws -> [UInt8] {
        let query: [UInt8] =
            [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + [UInt8(name.utf8.count)] + Array(name.utf8) + [0, 0, 1, 0, 1]
        let gate: [UInt8] = [0x52, 0x55, 192, 168, 122, 1]
        try cable.send(udp(cable.mac, from: own, to: [192, 168, 122, 1], (4000, 53), query, at: gate))
        return Array(try #require(cable.take { $0.count > 54 && $0[23] == 17 && $0[35] == 53 })[42...])
    }

    @Test func machinesGetAddressesAndNames() throws {
        let network = try TestNetwork()
        let (a, b) = (try network.cable(1), try network.cable(2) { $0.machine = "bob" })
        let first = try lease(a, name: "alice")
        let second = try lease(b, name: "liar")
        #expect(first[..<3] == [192, 168, 122] && first != second)
        #expect(try ask(a, first, "bob").suffix(4) == second[...])
        #expect(try ask(b, second, "alice").suffix(4) == first[...])
        #expect(try ask(b, second, "nobody")[3] & 15 == 3)
    }

    // MARK: - Questions over TCP

    private static let gate: [UInt8] = [0x52, 0x55, 192, 168, 122, 1]

    private func segment(
        _ cable: Cable, _ own: [UInt8], _ sequence: UInt32, _ acknowledged: UInt32, _ flags: UInt8,
        _ payload: [UInt8] = [], port: Int = 4000
    ) -> [UInt8] {
        func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
        func long(_ value: UInt32) -> [UInt8] { big(Int(value >> 16)) + big(Int(value & 0xFFFF)) }
        var header: [UInt8] = [0x45, 0] + big(40 + payload.count) + [0, 0, 0, 0, 64, 6, 0, 0] + own + [192, 168, 122, 1]
        header.replaceSubrange(10..<12, with: big(~sum(header) & 0xFFFF))
        let tcp = big(port) + big(53) + long(sequence) + long(acknowledged) + [0x50, flags] + big(8000) + [0, 0, 0, 0]
        return Self.gate + cable.mac + [8, 0] + header + tcp + payload
    }

    /// The next segment of the gateway's: sequence, flags and payload. Its checksum is right.
    private func answer(_ cable: Cable) throws -> (sequence: UInt32, flags: UInt8, payload: [UInt8]) {
        let frame = try #require(cable.take { $0.count >= 54 && $0[23] == 6 && $0[35] == 53 })
        let total = Int(frame[16]) << 8 | Int(frame[17])
        let tcp = Array(frame[34..<14 + total])
        #expect(sum(Array(frame[26..<34]) + [0, 6, UInt8(tcp.count >> 8), UInt8(tcp.count & 255)] + tcp) == 0xFFFF)
        let sequence = tcp[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return (sequence, tcp[13], Array(tcp.dropFirst(Int(tcp[12] >> 4) * 4)))
    }

    @Test func namesAreToldOverTCPToo() throws {
        let network = try TestNetwork()
        let (a, b) = (try network.cable(1), try network.cable(2) { $0.machine = "bob" })
        let own = try lease(a, name: "alice")
        let address = try lease(b, name: "x")
        try a.send(segment(a, own, 1000, 0, 2))
        let greeting = try answer(a)
        #expect(greeting.flags == 0x12)
        let query: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3] + Array("bob".utf8) + [0, 0, 1, 0, 1]
        let message = [0, UInt8(query.count)] + query
        // In two pieces, the second twice.
        try a.send(segment(a, own, 1001, greeting.sequence &+ 1, 0x10, Array(message[..<5])))
        #expect(try answer(a).flags == 0x10)
        try a.send(segment(a, own, 1006, greeting.sequence &+ 1, 0x18, Array(message[5...])))
        // An acknowledgement may go before the answer.
        var reply = try answer(a)
        if reply.payload.isEmpty { reply = try answer(a) }
        try #require(reply.payload.count > 6)
        #expect(reply.payload.suffix(4) == address[...])
        #expect(Int(reply.payload[0]) << 8 | Int(reply.payload[1]) == reply.payload.count - 2)
        // What is not acknowledged comes again.
        let again = try answer(a)
        #expect(again.sequence == reply.sequence && again.payload == reply.payload)
        let end = 1001 + UInt32(message.count)
        try a.send(segment(a, own, end, reply.sequence &+ UInt32(reply.payload.count), 0x11))
        #expect(try answer(a).flags & 1 == 1, "It ends as well")
        // Nobody is at a connection that was never opened.
        try a.send(segment(a, own, 5, 6, 0x10, [1], port: 4001))
        #expect(try answer(a).flags & 4 == 4)
    }

    @Test func hostileSegmentsStallNobody() throws {
        let network = try TestNetwork()
        let (a, b) = (try network.cable(1), try network.cable(2) { $0.machine = "bob" })
        let own = try lease(a, name: "alice")
        _ = try lease(b, name: "x")
        var state: UInt64 = 77
        func next(_ most: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % (most + 1)
        }
        for _ in 0..<FuzzRounds.times(3000) {
            var frame = segment(
                a, own, UInt32(next(20)), UInt32(next(0xFFFF_FFFF)), UInt8(next(63)),
                (0..<next(40)).map { _ in UInt8(next(255)) }, port: Int(next(200)))
            // Headers of any length, too.
            if next(3) == 0 { frame[46] = UInt8(next(255)) }
            try a.send(frame)
        }
        #expect(try ask(b, [192, 168, 122, 99], "bob").count > 12)
    }

    @Test func leasesOutliveTheProcess() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-sw-")
        var network: TestNetwork? = try TestNetwork(folder: folder)
        let before = try lease(try #require(network).cable(1), name: "alice")
        let paths = try #require(network).paths
        #expect(NetworkClient(paths: paths, program: "").leases("default").map(\.hostName) == ["alice"])
        // What a kill leaves is what was written.
        let kept = try HostFile.contents(paths.leases("default"))
        network = nil
        try HostFolder.make(paths.state)
        try HostFile.replace(paths.leases("default"), with: kept)
        network = try TestNetwork(folder: folder)
        #expect(try lease(try #require(network).cable(1), name: "alice") == before)
    }

    @Test func anIsolatedNetworkHasAGatewayThatAnswers() throws {
        let xml = NetworkPlan.defaultXML.replacing("<forward mode='nat'/>", with: "")
        let network = try TestNetwork(xml)
        let a = try network.cable(1)
        let own = try lease(a, name: "a")
        try a.send(
            everybody + a.mac + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + a.mac + own + [0, 0, 0, 0, 0, 0, 192, 168, 122, 1])
        let reply = try #require(a.take { $0[12..<14] == [8, 6] })
        let gate: [UInt8] = [0x52, 0x55, 192, 168, 122, 1]
        #expect(Array(reply[6..<12]) == gate && Array(reply[20..<32]) == [0, 2] + gate + [192, 168, 122, 1])
        var ping: [UInt8] = [0x45, 0, 0, 32, 0, 0, 0, 0, 64, 1, 0, 0] + own + [192, 168, 122, 1]
        ping += [8, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9]
        try a.send(gate + a.mac + [8, 0] + ping)
        let pong = try #require(a.take { $0.count >= 46 && $0[23] == 1 })
        #expect(
            pong[34] == 0 && Array(pong[38..<46]) == [1, 2, 3, 4, 9, 9, 9, 9] && sum(Array(pong[34..<46])) == 0xFFFF)
        #expect(throws: NetworkError.self) { try network.network.addForward("tcp::0-192.168.122.9:22") }
    }

    @Test func definitionsAreLibvirts() throws {
        let network = try VirtualNetwork(
            xml: """
                <network>
                  <name>lab</name>
                  <forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>
                  <bridge name='virbr7' stp='on' delay='0'/>
                  <mtu size='9000'/>
                  <mac address='52:54:00:11:22:33'/>
                  <domain name='lab.test' localOnly='yes'/>
                  <dns forwardPlainNames='no'>
                    <forwarder domain='corp.example' addr='10.1.1.1'/>
                    <txt name='note.example' value='a text'/>
                    <srv service='ldap' protocol='tcp' domain='lab.test' target='gate.example' port='389' priority='1' weight='2'/>
                    <host ip='10.9.0.7'><hostname>gate.example</hostname><hostname>gate</hostname></host>
                  </dns>
                  <ip address='10.9.0.1' prefix='16'>
                    <tftp root='/srv/tftp'/>
                    <dhcp>
                      <range start='10.9.1.1' end='10.9.1.99'><lease expiry='2' unit='hours'/></range>
                      <host mac='52:54:00:00:00:09' name='nine' ip='10.9.0.9'/>
                      <bootp file='pxe.0' server='10.9.0.2'/>
                    </dhcp>
                  </ip>
                </network>
                """)
        let plan = try NetworkPlan(network)
        #expect(plan.name == "lab" && plan.forward == .nat && plan.bridge == "virbr7" && plan.mtu == 9000)
        #expect("\(plan.dhcp.server)" == "10.9.0.1" && plan.dhcp.prefixLength == 16 && plan.dhcp.leaseTime == 7200)
        #expect(plan.dhcp.hosts.first?.name == "nine" && plan.dhcp.bootFile == "pxe.0" && plan.tftp == "/srv/tftp")
        #expect(plan.dns.services.count == 1 && plan.dns.addresses.count == 2 && plan.dns.isDomainLocal)
        func fails(_ xml: String) -> Bool {
            (try? NetworkPlan(VirtualNetwork(xml: "<network><name>x</name>\(xml)</network>"))) == nil
        }
        #expect(!fails(""), "Machines alone")
        #expect(fails("<forward mode='nat'/>") && fails("<ip address='10.0.0.1' prefix='30'/>") && fails("<ip address='x' prefix='24'/>"))
        #expect(fails("<forward mode='bridge'/><bridge name='br0'/>"))
        #expect(
            fails("<ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.1.1' end='10.0.1.2'/></dhcp></ip>"))
    }
}
