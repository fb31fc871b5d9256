import Network
import NetworkSwitch
import TestSupport
import Testing

@Suite struct DHCPTests {
    private func address(_ text: String) -> IPv4Address { IPv4Address(text)! }
    private func server(_ change: (inout DHCPConfiguration) -> Void = { _ in }) -> DHCPServer {
        var configuration = DHCPConfiguration(server: address("192.168.122.1"), prefixLength: 24)
        configuration.ranges = [address("192.168.122.10").rawValue...address("192.168.122.13").rawValue]
        configuration.nameServers = [address("192.168.122.1")]
        change(&configuration)
        return DHCPServer(configuration, now: 1000)
    }
    private func message(_ kind: DHCPMessage.Kind, _ mac: UInt8, _ wanted: String? = nil, name: String? = nil)
        -> DHCPMessage
    {
        var message = DHCPMessage()
        message.kind = kind
        message.hardware = HardwareAddress([0x52, 0x54, 0, 0, 0, mac])
        message.transaction = 0x1234_5678
        if let wanted { message.add(50, [address(wanted)]) }
        if let name { message.add(12, Array(name.utf8)) }
        return message
    }
    /// The address that a machine gets in the usual way.
    @discardableResult
    private func lease(_ server: inout DHCPServer, _ mac: UInt8, name: String? = nil, port: Int = 1, now: UInt64 = 1000)
        -> IPv4Address?
    {
        guard let offer = server.answer(message(.discover, mac), port: port, now: now) else { return nil }
        let ack = server.answer(message(.request, mac, "\(offer.yours)", name: name), port: port, now: now)
        return ack?.kind == .ack ? ack?.yours : nil
    }

    @Test func messagesAreReadAsTheyAreWritten() throws {
        var sent = message(.request, 7, "10.0.0.1", name: "host")
        sent.wantsBroadcast = true
        sent.seconds = 3
        let read = try #require(DHCPMessage(sent.bytes))
        #expect(read == sent && read.kind == .request && read.hardware == sent.hardware && read.wantsBroadcast)
        #expect(read.address(50) == address("10.0.0.1") && read.option(12) == Array("host".utf8))
    }

    @Test func aMachineGetsAnAddressAndKeepsIt() throws {
        var server = server()
        let answer = server.answer(message(.discover, 1), port: 1, now: 1000)
        let offer = try #require(answer)
        #expect(offer.kind == .offer && offer.transaction == 0x1234_5678 && offer.isReply)
        #expect(offer.address(1) == address("255.255.255.0") && offer.address(3) == address("192.168.122.1"))
        #expect(offer.address(6) == address("192.168.122.1") && offer.address(54) == address("192.168.122.1"))
        #expect(offer.address(51)?.rawValue == 3600)
        #expect(server.leases(now: 1000).isEmpty, "An offer is no lease")
        let given = lease(&server, 1, name: "Alice")
        let first = try #require(given)
        #expect(server.hasChanged && server.leases(now: 1000).first?.hostName == "alice")
        // Renewed, without and with words about the address.
        var renewal = message(.request, 1)
        renewal.client = first
        let renewed = server.answer(renewal, port: 1, now: 2000)
        #expect(renewed?.yours == first)
        #expect(server.leases(now: 5000).count == 1 && server.leases(now: 6000).isEmpty)
        let again = lease(&server, 1, now: 9000)
        #expect(again == first)
    }

    @Test func addressesEndAndComeBack() throws {
        var server = server()
        let given = (UInt8(1)...4).compactMap { lease(&server, $0) }
        #expect(Set(given).count == 4)
        let none = lease(&server, 5)
        #expect(none == nil, "All are given")
        let late = lease(&server, 5, now: 1000 + 3601)
        #expect(late != nil, "Those of the absent are given again")
        var release = message(.release, 2)
        release.client = given[1]
        let silence = server.answer(release, port: 1, now: 1000)
        #expect(silence == nil)
    }

    @Test func othersAddressesAreRefused() throws {
        var server = server()
        let given = lease(&server, 1)
        let first = try #require(given)
        let taken = server.answer(message(.request, 2, "\(first)"), port: 1, now: 1000)
        #expect(taken?.kind == .nak)
        for wrong in ["192.168.122.1", "192.168.122.0", "192.168.122.255", "192.168.122.99", "10.0.0.1"] {
            let refused = server.answer(message(.request, 2, wrong), port: 1, now: 1000)
            #expect(refused?.kind == .nak)
        }
        var elsewhere = message(.request, 2, "192.168.122.10")
        elsewhere.add(54, [address("192.168.122.77")])
        let silence = server.answer(elsewhere, port: 1, now: 1000)
        #expect(silence == nil, "It was another server's offer")
        var release = message(.release, 2)
        release.client = first
        _ = server.answer(release, port: 1, now: 1000)
        #expect(server.leases(now: 1000).count == 1)
    }

    @Test func fixedAddressesAreKeptForTheirMachines() throws {
        var server = server {
            $0.hosts = [
                .init(
                    hardware: HardwareAddress([0x52, 0x54, 0, 0, 0, 9]), address: address("192.168.122.200"),
                    name: "nine"),
                .init(
                    hardware: HardwareAddress([0x52, 0x54, 0, 0, 0, 8]), address: address("192.168.122.10"),
                    leaseTime: 0),
            ]
        }
        let nine = lease(&server, 9, name: "liar")
        #expect(nine == address("192.168.122.200"))
        #expect(server.leases(now: 1000).first?.hostName == "nine")
        let three = (UInt8(1)...3).compactMap { lease(&server, $0) }
        #expect(three.count == 3)
        let fourth = lease(&server, 4)
        #expect(fourth == nil, "One of the four is kept")
        let eight = lease(&server, 8)
        #expect(eight == address("192.168.122.10"))
        #expect(server.leases(now: UInt64(1) << 40).map(\.expiry) == [0], "For ever")
    }

    @Test func aFloodTakesNoMoreThanItsShare() throws {
        var server = server { $0.ranges = [address("192.168.122.2").rawValue...address("192.168.122.254").rawValue] }
        var offers = 0
        for number in 0..<2000 {
            var flood = message(.discover, 0)
            flood.hardware = HardwareAddress([2, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)])
            if server.answer(flood, port: 1, now: 1000) != nil { offers += 1 }
        }
        #expect(offers == 64)
        let other = lease(&server, 77, port: 2)
        #expect(other != nil)
    }

    @Test func anAddressThatIsInUseIsNotGivenAgain() throws {
        var server = server()
        let given = lease(&server, 1)
        let first = try #require(given)
        _ = server.answer(message(.decline, 1, "\(first)"), port: 1, now: 1000)
        let next = lease(&server, 1)
        #expect(next != first)
        let others = (UInt8(2)...9).compactMap { lease(&server, $0) }
        #expect(!others.contains(first))
    }

    @Test func randomMessagesNeverHarm() {
        var server = server()
        var generator = FixedGenerator(seed: 11)
        for _ in 0..<FuzzRounds.times(5000) {
            var bytes = message(.request, 1, "192.168.122.10", name: "x").bytes
            for _ in 0..<Int.random(in: 0..<8, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
            guard let message = DHCPMessage(bytes) else { continue }
            let answer = server.answer(message, port: 1, now: UInt64.random(in: 0...10000, using: &generator))
            #expect((answer?.bytes.count ?? 0) < 1400)
        }
        #expect(server.leases(now: 0).count <= 5)
    }
}
