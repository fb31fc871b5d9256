import DomainModel
import Network
import NetworkSwitch
import TestSupport
import Testing

/// Addresses over DHCP for IPv6: the server as a value, without a network.
@Suite struct DHCPv6Tests {
    static let xml = """
        <network><name>default</name><forward mode='nat'><nat ipv6='yes'/></forward><bridge name='virbr0'/>
          <domain name='lab.test'/>
          <ip address='192.168.122.1' prefix='24'><dhcp><range start='192.168.122.2' end='192.168.122.9'/></dhcp></ip>
          <ip family='ipv6' address='fd00:12::1' prefix='64'><dhcp>
            <range start='fd00:12::100' end='fd00:12::103'><lease expiry='10' unit='minutes'/></range>
            <host id='0:3:0:1:52:54:0:0:0:9' name='nine' ip='fd00:12::9'/>
            <host name='named' ip='fd00:12::7'/>
          </dhcp></ip>
        </network>
        """
    private let gate = HardwareAddress([0x52, 0x54, 0, 1, 2, 3])

    private func server(leases: [DHCPv6Lease] = []) throws -> DHCPv6Server {
        let plan = try NetworkPlan(VirtualNetwork(xml: Self.xml))
        return DHCPv6Server(try #require(plan.ipv6).dhcp, hardware: gate, leases: leases, now: 1000)
    }
    private var serverID: [UInt8] { [0, 3, 0, 1] + gate.bytes }
    static func identifier(_ number: UInt8) -> [UInt8] { [0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, number] }
    private func hardware(_ number: UInt8) -> HardwareAddress { HardwareAddress(Self.identifier(number).suffix(6)) }
    static func message(
        _ kind: DHCPv6Message.Kind, _ number: UInt8, server: [UInt8]? = nil, _ wanted: IPv6Address? = nil,
        name: String? = nil
    ) -> DHCPv6Message {
        var message = DHCPv6Message(kind, transaction: 0x12_3456)
        message.add(1, identifier(number))
        if let server { message.add(2, server) }
        var association = DHCPv6Message.Association(number: 5)
        if let wanted { association.addresses = [(wanted, 0)] }
        message.add(association)
        if let name { message.add(39, [0, UInt8(name.utf8.count)] + Array(name.utf8)) }
        return message
    }
    private func lease(
        _ server: inout DHCPv6Server, _ number: UInt8, name: String? = nil, port: Int = 1, now: UInt64 = 1000
    ) -> IPv6Address? {
        let solicit = Self.message(.solicit, number, name: name)
        let offer = server.answer(solicit, hardware: hardware(number), port: port, now: now)
        guard offer?.kind == .advertise, let address = offer?.associations.first?.addresses.first?.address else {
            return nil
        }
        let request = Self.message(.request, number, server: serverID, address, name: name)
        return server.answer(request, hardware: hardware(number), port: port, now: now)?.associations.first?.addresses
            .first?
            .address
    }

    @Test func aMachineGetsAnAddressAndKeepsIt() throws {
        var server = try server()
        let given = lease(&server, 1, name: "alice")
        let first = try #require(given)
        #expect("\(first)".hasPrefix("fd00:12::10"))
        let kept = try #require(server.leases(now: 1000).first)
        #expect(kept.hostName == "alice" && kept.hardware == hardware(1) && kept.expiry == 1600)
        #expect(kept.clientID == "00:03:00:01:52:54:00:00:00:01" && kept.association == 5)
        // Renewed by its own server alone.
        let renewal = Self.message(.renew, 1, server: serverID, first)
        let renewed = server.answer(renewal, hardware: hardware(1), port: 1, now: 1200)
        #expect(renewed?.associations.first?.addresses.first?.lifetime == 600)
        #expect(server.leases(now: 1700).count == 1 && server.leases(now: 1800).isEmpty)
        let other = server.answer(
            Self.message(.renew, 1, server: [1, 2], first), hardware: hardware(1), port: 1, now: 1)
        #expect(other == nil)
        // The names that all are told.
        #expect(renewed?.option(23) == IPv6Address("fd00:12::1")?.bytes)
        #expect(renewed?.option(24) == [3] + Array("lab".utf8) + [4] + Array("test".utf8) + [0])
        // Released, it is another's: four addresses for five machines.
        for number in 2...4 as ClosedRange<UInt8> { #expect(lease(&server, number) != nil) }
        #expect(lease(&server, 5) == nil)
        let release = Self.message(.release, 1, server: serverID, first)
        #expect(server.answer(release, hardware: hardware(1), port: 1, now: 1300)?.status == .success)
        #expect(lease(&server, 5) == first)
    }

    @Test func fixedAddressesAreTheirHostsAlone() throws {
        var server = try server()
        #expect(lease(&server, 9) == IPv6Address("fd00:12::9"))
        #expect(server.leases(now: 1000).first?.hostName == "nine")
        #expect(lease(&server, 8, name: "named") == IPv6Address("fd00:12::7"))
        let thief = Self.message(.request, 2, server: serverID, IPv6Address("fd00:12::9"))
        let answer = server.answer(thief, hardware: hardware(2), port: 1, now: 1000)
        #expect(answer?.associations.first?.addresses.first?.address != IPv6Address("fd00:12::9"))
    }

    @Test func whatIsAskedInOtherWaysIsAnswered() throws {
        var server = try server()
        // In two messages instead of four.
        var quick = Self.message(.solicit, 1)
        quick.add(14, [])
        let reply = server.answer(quick, hardware: hardware(1), port: 1, now: 1000)
        #expect(reply?.kind == .reply && reply?.option(14) != nil && server.leases(now: 1000).count == 1)
        // An address that somebody else uses is not given for a while.
        let address = try #require(reply?.associations.first?.addresses.first?.address)
        _ = server.answer(
            Self.message(.decline, 1, server: serverID, address), hardware: hardware(1), port: 1, now: 1000)
        let next = lease(&server, 1)
        #expect(next != nil && next != address)
        let elsewhere = Self.message(.confirm, 1, IPv6Address("fd00:99::1"))
        let far = server.answer(elsewhere, hardware: hardware(1), port: 1, now: 1000)
        let near = server.answer(Self.message(.confirm, 1, next), hardware: hardware(1), port: 1, now: 1000)
        #expect(far?.status == .notOnLink && near?.status == .success)
        let info = server.answer(
            DHCPv6Message(.informationRequest, transaction: 1), hardware: hardware(3), port: 1, now: 1000)
        #expect(info?.option(23) != nil && info?.associations.isEmpty == true)
        // A client of a lost server says what it had.
        var fresh = try self.server()
        let rebind = Self.message(.rebind, 4, IPv6Address("fd00:12::102"))
        let given = fresh.answer(rebind, hardware: hardware(4), port: 1, now: 1000)
        #expect(given?.associations.first?.addresses.first?.address == IPv6Address("fd00:12::102"))
        var prefix = Self.message(.solicit, 6)
        prefix.add(25, [0, 0, 0, 1] + [UInt8](repeating: 0, count: 8))
        let refused = fresh.answer(prefix, hardware: hardware(6), port: 1, now: 1000)
        #expect(refused?.option(25)?.suffix(2) == [0, 6], "No prefixes")
    }

    @Test func aFloodTakesNoMoreThanItsPortsShare() throws {
        let xml = Self.xml.replacing("fd00:12::103", with: "fd00:12::ffff")
        let plan = try NetworkPlan(VirtualNetwork(xml: xml))
        var server = DHCPv6Server(try #require(plan.ipv6).dhcp, hardware: gate, now: 1000)
        for number in 0..<200 {
            var message = DHCPv6Message(.solicit, transaction: 1)
            message.add(1, [0, 4, UInt8(number)])
            message.add(14, [])
            message.add(DHCPv6Message.Association(number: UInt32(number)))
            _ = server.answer(message, hardware: hardware(1), port: 1, now: 1000)
        }
        #expect(server.leases(now: 1000).count == 64)
        #expect(lease(&server, 77, port: 2) != nil)
    }

    @Test func leasesAreTakenUpAgain() throws {
        var first = try server()
        let address = lease(&first, 3)
        var second = try server(leases: first.leases(now: 1000))
        #expect(second.leases(now: 1000) == first.leases(now: 1000))
        #expect(lease(&second, 3) == address)
    }

    @Test func nonsenseIsNoMessage() throws {
        var generator = FixedGenerator(seed: 66)
        var server = try server()
        let good = Self.message(.request, 1, server: serverID, IPv6Address("fd00:12::100"), name: "x").bytes
        var answers = 0
        for _ in 0..<FuzzRounds.times(5000) {
            var bytes = good
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
            guard let message = DHCPv6Message(bytes) else { continue }
            #expect(DHCPv6Message(message.bytes) == message)
            let answer = server.answer(message, hardware: hardware(1), port: 1, now: 1000)
            if let answer {
                answers += 1
                #expect(DHCPv6Message(answer.bytes) == answer)
            }
        }
        #expect(answers > 0 && server.leases(now: 1000).count <= 8)
    }

    @Test func definitionsAreLibvirts() throws {
        let six = try #require(try NetworkPlan(VirtualNetwork(xml: Self.xml)).ipv6)
        #expect(six.isTranslated && six.dhcp.isStateful && six.dhcp.leaseTime == 600 && six.dhcp.prefixLength == 64)
        func fails(_ text: String, _ other: String) -> Bool {
            (try? NetworkPlan(VirtualNetwork(xml: Self.xml.replacing(text, with: other)))) == nil
        }
        #expect(
            fails("fd00:12::103", "fd00:13::1") && fails("fd00:12::100", "fd00:12::104") && fails("fd00:12::1'", "x'"))
        #expect(fails("0:3:0:1:52", "0:3:0:1:zz") && fails("ip='fd00:12::9'", "ip='fd00:13::9'"))
        #expect(fails("address='fd00:12::1' prefix='64'", "address='fd00:12::1'"))
    }
}
