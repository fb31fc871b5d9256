import DomainModel
import Foundation
import HostOS
import Network
import NetworkSwitch
import Testing

/// IPv6 in our own switch: over cables, with libslirp behind the gateway or nothing.
@Suite struct IPv6Tests {
    private static let isolated = DHCPv6Tests.xml.replacing(
        "<forward mode='nat'><nat ipv6='yes'/></forward>", with: "")

    /// A packet with its checksum right, as all answers are expected to be.
    private func frame(
        _ cable: Cable, at: [UInt8], to: String, _ proto: UInt8, _ payload: [UInt8], checksumAt place: Int,
        from: String? = nil
    ) -> [UInt8] {
        let own = from.flatMap { IPv6Address($0)?.bytes } ?? link(cable)
        let target = IPv6Address(to)!.bytes
        var body = payload
        let tail: [UInt8] = [0, 0, UInt8(body.count >> 8), UInt8(body.count & 255), 0, 0, 0, proto]
        let pseudo = own + target + tail
        let value = ~sum(pseudo + body) & 0xFFFF
        body.replaceSubrange(place..<place + 2, with: [UInt8(value >> 8), UInt8(value & 255)])
        let head: [UInt8] = [0x86, 0xDD, 0x60, 0, 0, 0, UInt8(body.count >> 8), UInt8(body.count & 255), proto, 255]
        return at + cable.mac + head + own + target + body
    }
    private func sum(_ bytes: [UInt8]) -> Int {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return sum
    }
    private func isRight(_ frame: [UInt8]) -> Bool {
        let count = Int(frame[18]) << 8 | Int(frame[19])
        var bytes = Array(frame[22..<54])
        bytes += [0, 0, frame[18], frame[19], 0, 0, 0, frame[20]] as [UInt8]
        bytes += frame[54..<54 + count]
        return sum(bytes) == 0xFFFF
    }
    private func link(_ cable: Cable) -> [UInt8] {
        let own = cable.mac
        let head: [UInt8] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, own[0] ^ 2, own[1], own[2], 0xFF, 0xFE]
        return head + own[3...]
    }
    private let routers: [UInt8] = [0x33, 0x33, 0, 0, 0, 2]
    private func icmp(_ cable: Cable, _ type: UInt8) -> [UInt8]? {
        cable.take { frame in frame.count > 58 && frame[12] == 0x86 && frame[20] == 58 && frame[54] == type }
    }
    private func udp(_ ports: (Int, Int), _ payload: [UInt8]) -> [UInt8] {
        func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
        return big(ports.0) + big(ports.1) + big(8 + payload.count) + [0, 0] + payload
    }
    private func ask(_ cable: Cable, _ message: DHCPv6Message) throws -> DHCPv6Message {
        try cable.send(
            frame(
                cable, at: [0x33, 0x33, 0, 1, 0, 2], to: "ff02::1:2", 17, udp((546, 547), message.bytes), checksumAt: 6)
        )
        let ports: [UInt8] = [2, 35, 2, 34]
        let answer = try #require(cable.take { $0.count > 66 && $0[20] == 17 && Array($0[54..<58]) == ports })
        #expect(isRight(answer) && Array(answer[38..<54]) == link(cable))
        let count = Int(answer[58]) * 256 + Int(answer[59])
        return try #require(DHCPv6Message(Array(answer[62..<54 + count])))
    }
    private func lease(_ cable: Cable) throws -> IPv6Address {
        let number = try #require(cable.mac.last)
        let offer = try ask(cable, DHCPv6Tests.message(.solicit, number))
        let address = try #require(offer.associations.first?.addresses.first?.address)
        let reply = try ask(
            cable, DHCPv6Tests.message(.request, number, server: offer.option(2), address, name: "alice"))
        return try #require(reply.kind == .reply ? reply.associations.first?.addresses.first?.address : nil)
    }

    @Test func aRouterTellsOfItselfAndOthersAreNotHeard() throws {
        let network = try TestNetwork(DHCPv6Tests.xml)
        let (a, b) = (try network.cable(1), try network.cable(2))
        try a.send(frame(a, at: routers, to: "ff02::2", 58, [133, 0, 0, 0, 0, 0, 0, 0], checksumAt: 2))
        let told = try #require(icmp(a, 134))
        #expect(isRight(told) && Array(told[22..<38]) == IPv6Address("fe80::2")?.bytes)
        // Managed; it is a router; the prefix is on the link and nobody makes addresses of it.
        #expect(told[59] == 0xC0 && told[60..<62] == [7, 8] && Array(told[6..<12]) == [0x52, 0x56, 0, 0, 0, 2])
        #expect(Array(told[78..<82]) == [3, 4, 64, 0x80])
        #expect(String(decoding: told, as: UTF8.self).contains("lab"))
        // A machine is no router, and no server.
        try b.send(frame(b, at: everybody, to: "ff02::1", 58, Array(told[54...]), checksumAt: 2))
        try b.send(frame(b, at: everybody, to: "ff02::1", 17, udp((547, 546), [7, 1, 2, 3]), checksumAt: 6))
        try b.send(b.frame(to: everybody, "behind"))
        #expect(a.takes("behind"))
        #expect(a.came({ $0.count > 54 && Array($0[6..<12]) == b.mac && $0[12] == 0x86 }) == nil)
    }

    @Test func machinesGetAddressesAndNamesAndReachTheGateway() throws {
        let network = try TestNetwork(DHCPv6Tests.xml)
        let (a, b) = (try network.cable(9), try network.cable(2))
        let own = try lease(a)
        #expect("\(own)" == "fd00:12::9")
        let other = try lease(b)
        #expect("\(other)".hasPrefix("fd00:12::10"))
        // libslirp answers for the gateway, behind the address that its router told.
        try a.send(
            frame(
                a, at: [0x33, 0x33, 0xFF, 0, 0, 1], to: "ff02::1:ff00:1", 58,
                [135, 0, 0, 0, 0, 0, 0, 0] + IPv6Address("fd00:12::1")!.bytes + [1, 1] + a.mac, checksumAt: 2,
                from: "\(own)"))
        let neighbour = try #require(icmp(a, 136))
        let gate = Array(neighbour[6..<12])
        #expect(gate[..<2] == [0x52, 0x56])
        try a.send(
            frame(
                a, at: gate, to: "fd00:12::1", 58, [128, 0, 0, 0, 1, 2, 3, 4, 9, 9], checksumAt: 2, from: "\(own)"))
        let pong = try #require(icmp(a, 129))
        #expect(isRight(pong) && Array(pong[58..<64]) == [1, 2, 3, 4, 9, 9])
        let name: [UInt8] = [4] + Array("nine".utf8) + [0]
        try a.send(
            frame(
                a, at: gate, to: "fd00:12::1", 17,
                udp((4000, 53), [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 28, 0, 1]), checksumAt: 6,
                from: "\(own)"))
        let answer = try #require(a.take { $0.count > 80 && $0[12] == 0x86 && $0[20] == 17 && $0[55] == 53 })
        #expect(isRight(answer) && answer.suffix(16) == own.bytes[...])
        // Between machines, by what the switch has learnt.
        try a.send(frame(a, at: b.mac, to: "\(other)", 58, [128, 0, 0, 0, 5, 5, 5, 5], checksumAt: 2, from: "\(own)"))
        #expect(icmp(b, 128) != nil)
    }

    @Test func anIsolatedNetworkAnswersItselfAndLeasesOutliveIt() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-sw-")
        var network: TestNetwork? = try TestNetwork(Self.isolated, folder: folder)
        let paths = try #require(network).paths
        let a = try #require(network).cable(1)
        let own = try lease(a)
        try a.send(frame(a, at: routers, to: "ff02::2", 58, [133, 0, 0, 0, 0, 0, 0, 0], checksumAt: 2))
        let told = try #require(icmp(a, 134))
        #expect(told[60..<62] == [0, 0], "It leads nowhere")
        let gate = Array(told[6..<12])
        try a.send(
            frame(
                a, at: [0x33, 0x33, 0xFF, 0, 0, 1], to: "ff02::1:ff00:1", 58,
                [135, 0, 0, 0, 0, 0, 0, 0] + IPv6Address("fd00:12::1")!.bytes + [1, 1] + a.mac, checksumAt: 2,
                from: "\(own)"))
        let neighbour = try #require(icmp(a, 136))
        #expect(isRight(neighbour) && Array(neighbour[80..<86]) == gate)
        try a.send(frame(a, at: gate, to: "fd00:12::1", 58, [128, 0, 0, 0, 1, 2, 3, 4], checksumAt: 2, from: "\(own)"))
        #expect(icmp(a, 129).map(isRight) == true)
        let kept = try HostFile.contents(paths.leases6("default"))
        network = nil
        try HostFolder.make(paths.state)
        try HostFile.replace(paths.leases6("default"), with: kept)
        let client = NetworkClient(paths: paths, program: "/none")
        #expect(client.leases6("default").first?.address == own && client.leases6("default").first?.hostName == "alice")
        network = try TestNetwork(Self.isolated, folder: folder)
        #expect(try lease(try #require(network).cable(1)) == own)
    }

    @Test func withoutAddressesToGiveMachinesMakeTheirOwn() throws {
        let start = try #require(Self.isolated.range(of: "<dhcp>\n", options: .backwards)?.lowerBound)
        let end = try #require(Self.isolated.range(of: "</dhcp>", options: .backwards)?.upperBound)
        var xml = Self.isolated
        xml.removeSubrange(start..<end)
        let network = try TestNetwork(xml)
        let a = try network.cable(1)
        try a.send(frame(a, at: routers, to: "ff02::2", 58, [133, 0, 0, 0, 0, 0, 0, 0], checksumAt: 2))
        let told = try #require(icmp(a, 134))
        #expect(told[59] == 0x40 && Array(told[78..<82]) == [3, 4, 64, 0xC0])
        #expect(try ask(a, DHCPv6Tests.message(.solicit, 1)).status == .noAddresses)
    }
}
