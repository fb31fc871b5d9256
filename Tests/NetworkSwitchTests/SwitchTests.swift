import HostOS
import DomainModel
import Network
import NetworkSwitch
import TestSupport
import Testing

@Suite struct SwitchTests {
    @Test func framesGoToWhomTheyAreFor() throws {
        let network = try TestNetwork()
        let (a, b, c) = (try network.cable(1), try network.cable(2), try network.cable(3))
        // Nobody knows b yet: everybody gets the frame. Its answer goes to a alone.
        try a.send(a.frame(to: b.mac, "first"))
        #expect(b.takes("first") && c.takes("first"))
        try b.send(b.frame(to: a.mac, "answer"))
        #expect(a.takes("answer"))
        try a.send(a.frame(to: b.mac, "second"))
        #expect(b.takes("second"))
        try a.send(a.frame(to: everybody, "last"))
        #expect(!c.has("answer", "second", before: "last"))
        let status = network.network.vswitch.ports
        #expect(status[0].addresses == [HardwareAddress(a.mac)])
        #expect(network.counters(1).received == 3 && network.counters(2).sent >= 2)
    }

    @Test func malformedFramesAreRefused() throws {
        let network = try TestNetwork()
        let (a, b) = (try network.cable(1), try network.cable(2))
        try a.send([1, 2, 3])
        try a.send(everybody + everybody + [8, 0] + [UInt8](repeating: 0, count: 46))
        try a.send(everybody + [UInt8](repeating: 0, count: 6) + [8, 0] + [UInt8](repeating: 0, count: 46))
        // Nobody passes for the gateway.
        try a.send(a.frame(to: everybody, "gate", from: [0x52, 0x55, 192, 168, 122, 1]))
        try a.send(everybody + a.mac + [0x81, 0, 0])
        try a.send(a.frame(to: everybody, "good"))
        #expect(!b.has("gate", before: "good"))
        #expect(network.counters(1).refused == 5)
    }

    @Test func anImpossibleLengthEndsOneConnectionOnly() throws {
        let network = try TestNetwork()
        let (a, b, c) = (try network.cable(1), try network.cable(2), try network.cable(3))
        try a.socket.writeAll([0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3])
        #expect(waits { network.network.vswitch.ports.first { $0.settings.name == "vnet1" }?.isConnected == false })
        try b.send(b.frame(to: everybody, "on"))
        #expect(c.takes("on"))
        // The machine comes back to its port.
        let again = Cable(
            try Socket.connect(try SocketAddress.unix(network.paths.portSocket("default", "vnet1"))), a.mac)
        #expect(waits { network.network.vswitch.ports.first { $0.settings.name == "vnet1" }?.isConnected == true })
        try b.send(b.frame(to: everybody, "again"))
        #expect(again.takes("again"))
    }

    @Test func aMachineThatStopsReadingStallsNobody() throws {
        let network = try TestNetwork()
        let (a, b, c) = (try network.cable(1), try network.cable(2), try network.cable(3))
        // b reads nothing.
        let big = everybody + a.mac + [0x88, 0xB5] + [UInt8](repeating: 1, count: 1400)
        for _ in 0..<4000 {
            try a.send(big)
            _ =
                c.socket.wait(for: [.read], milliseconds: 0).contains(.read)
                ? try c.socket.readAvailable(limit: 1 << 18) : []
        }
        #expect(waits { network.counters(2).dropped > 0 }, "What waits is bounded")
        let d = try network.cable(4)
        try a.send(a.frame(to: everybody, "alive"))
        #expect(d.takes("alive"))
        withExtendedLifetime(b) {}
    }

    @Test func isolatedPortsDoNotMeet() throws {
        let network = try TestNetwork()
        let a = try network.cable(1) { $0.isIsolated = true }
        let b = try network.cable(2) { $0.isIsolated = true }
        let c = try network.cable(3)
        try a.send(a.frame(to: everybody, "secret"))
        #expect(c.takes("secret"))
        try c.send(c.frame(to: everybody, "open"))
        #expect(!b.has("secret", before: "open"))
    }

    @Test func networksOfTheirOwnShareASwitch() throws {
        let network = try TestNetwork()
        let a = try network.cable(1) { $0.vlan = 10 }
        let b = try network.cable(2) { $0.vlan = 10 }
        let c = try network.cable(3) { $0.vlan = 20 }
        let trunk = try network.cable(4) { $0.trunk = [10, 20] }
        let plain = try network.cable(5)
        try a.send(a.frame(to: everybody, "ten"))
        #expect(b.takes("ten"))
        let tagged = try #require(trunk.take { String(decoding: $0, as: UTF8.self).contains("ten") })
        #expect(Array(tagged[12..<16]) == [0x81, 0, 0, 10])
        try trunk.send(
            everybody + trunk.mac + [0x81, 0, 0, 20] + [0x88, 0xB5] + Array("twenty".utf8)
                + [UInt8](repeating: 0, count: 40))
        let untagged = try #require(c.take { String(decoding: $0, as: UTF8.self).contains("twenty") })
        #expect(Array(untagged[12..<14]) == [0x88, 0xB5])
        // Tags that a port has not are refused, and so is a tag within a tag of a port that knows none.
        try a.send(everybody + a.mac + [0x81, 0, 0, 20] + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46))
        try trunk.send(everybody + trunk.mac + [0x81, 0, 0, 30] + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46))
        #expect(waits { network.counters(1).refused == 1 && network.counters(4).refused == 1 })
        try plain.send(plain.frame(to: everybody, "plain"))
        try b.send(b.frame(to: everybody, "end"))
        #expect(!a.has("plain", "twenty", before: "end"))
    }

    @Test func cleanTrafficKeepsSpoofedFramesOut() throws {
        let network = try TestNetwork()
        let a = try network.cable(1) {
            $0.filter = .cleanTraffic
            $0.ipAddresses = [IPv4Address("192.168.122.50")!]
        }
        let b = try network.cable(2)
        func arp(_ mac: [UInt8], _ ip: [UInt8], _ inner: [UInt8]) -> [UInt8] {
            everybody + mac + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + inner + ip + [0, 0, 0, 0, 0, 0, 192, 168, 122, 9]
        }
        let own: [UInt8] = [192, 168, 122, 50]
        let forged: [[UInt8]] = [
            arp(b.mac, own, b.mac), arp(a.mac, [192, 168, 122, 51], a.mac), arp(a.mac, own, b.mac),
            a.frame(to: everybody, "other protocol"),
            everybody + a.mac + [8, 0] + [
                0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0, 192, 168, 122, 51, 192, 168, 122, 2,
            ],
        ]
        for frame in forged { try a.send(frame) }
        try a.send(arp(a.mac, own, a.mac))
        #expect(b.take { $0[12..<14] == [8, 6] && Array($0[28..<32]) == own } != nil)
        #expect(network.counters(1).refused == UInt64(forged.count))
    }

    @Test func ratesAreLimited() throws {
        let network = try TestNetwork()
        let a = try network.cable(1) { $0.outbound = RateLimit(average: 1000) }
        let frame = everybody + a.mac + [0x88, 0xB5] + [UInt8](repeating: 1, count: 1400)
        for _ in 0..<300 { try a.send(frame) }
        #expect(waits { network.counters(1).received + network.counters(1).refused == 300 })
        #expect(network.counters(1).refused > 100 && network.counters(1).received >= 90)
    }

    @Test func aWholeNetworkIsLimited() throws {
        let limit = "<bandwidth><inbound average='1'/><outbound average='1' burst='1'/></bandwidth><bridge"
        let network = try TestNetwork(NetworkPlan.defaultXML.replacing("<bridge", with: limit))
        let (a, b) = (try network.cable(1), try network.cable(2))
        // What goes to the gateway is limited, what goes to neighbours is not: echoes that libslirp answers.
        let echo = try meet(a, 9)
        for _ in 0..<400 { try a.send(echo) }
        for number in 0..<400 { try a.send(a.frame(to: everybody, "n\(number)")) }
        #expect(b.takes("n399"))
        let answers = { a.count { $0.count > 1000 && $0[23] == 1 } }
        _ = waits { answers() >= 100 }
        #expect((50..<300).contains(answers()), "A burst of 128 KiB: \(answers())")
        // No limits any more.
        let free = try NetworkPlan(VirtualNetwork(xml: NetworkPlan.defaultXML))
        try network.network.setLimits(free)
        let before = answers()
        for _ in 0..<200 { try a.send(echo) }
        #expect(waits { answers() == before + 200 })
    }

    /// Has the gateway know a machine at 192.168.122.`last`; an echo of a kilobyte that libslirp answers.
    private func meet(_ cable: Cable, _ last: UInt8) throws -> [UInt8] {
        let gate: [UInt8] = [0x52, 0x55, 192, 168, 122, 1]
        let echo: [UInt8] = [8, 0, 0xF7, 0xFF, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 1000)
        var header: [UInt8] = [0x45, 0, 4, 4, 0, 0, 0, 0, 64, 1, 0, 0, 192, 168, 122, last, 192, 168, 122, 1]
        let sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(header[$1]) << 8 + Int(header[$1 + 1]) }
        let value = ~(sum & 0xFFFF + sum >> 16) & 0xFFFF
        header.replaceSubrange(10..<12, with: [UInt8(value >> 8), UInt8(value & 255)])
        var question: [UInt8] = everybody + cable.mac
        question += [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + cable.mac
        question += header[12..<16] + [0, 0, 0, 0, 0, 0, 192, 168, 122, 1]
        try cable.send(question)
        #expect(cable.take { $0[12..<14] == [8, 6] } != nil)
        return gate + cable.mac + [8, 0] + header + echo
    }

    @Test func aMachineHasItsPartOfTheWhole() throws {
        let limit = "<bandwidth><inbound average='1' burst='1'/></bandwidth><bridge"
        let network = try TestNetwork(NetworkPlan.defaultXML.replacing("<bridge", with: limit))
        let (a, b) = (try network.cable(1) { $0.floor = 8 << 20 }, try network.cable(2))
        let (first, second) = (try meet(a, 9), try meet(b, 10))
        let answers = { (cable: Cable) in cable.count { $0.count > 1000 && $0[23] == 1 } }
        for _ in 0..<400 { try b.send(second) }
        _ = waits { answers(b) >= 100 }
        // The others have used up what there is.
        for _ in 0..<200 { try a.send(first) }
        #expect(waits { answers(a) == 200 })
        #expect(answers(b) < 300)
    }

    @Test func addressesAreBounded() throws {
        let network = try TestNetwork()
        let (a, b) = (try network.cable(1), try network.cable(2))
        try b.send(b.frame(to: everybody, "b"))
        _ = a.takes("b")
        for number in 0..<1000 {
            try a.send(a.frame(to: everybody, from: [2, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)]))
        }
        try a.send(a.frame(to: everybody, "done"))
        #expect(b.takes("done"))
        let ports = network.network.vswitch.ports
        #expect(ports[0].addresses.count <= 256 && ports[1].addresses == [HardwareAddress(b.mac)])
    }

    @Test func segmentsArriveWhole() throws {
        let network = try TestNetwork()
        let a = try network.cable(1) { $0.hasHeaders = true }
        let b = try network.cable(2) { $0.hasHeaders = true }
        let header: [UInt8] = [1, 1, 54, 0, 0xA8, 5, 34, 0, 16, 0, 0, 0]
        let frame = b.mac + a.mac + [8, 0] + [UInt8](repeating: 0x45, count: 5000)
        try a.send(header + frame)
        let came = try #require(b.take { $0.count > 5000 })
        #expect(Array(came[..<10]) == Array(header[..<10]) && Array(came[12...]) == frame)
    }

    @Test func randomFramesHarmNobody() throws {
        let network = try TestNetwork()
        var generator = FixedGenerator(seed: 3)
        let a = try network.cable(1) {
            $0.hasHeaders = true; $0.filter = .cleanTraffic
        }
        let b = try network.cable(2) {
            $0.trunk = [1, 2, 3]; $0.vlan = 1
        }
        let c = try network.cable(3)
        for round in 0..<FuzzRounds.times(3000) {
            let cable = [a, b, c][Int.random(in: 0..<3, using: &generator)]
            var frame = (0..<Int.random(in: 1..<120, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let skip = cable === a ? 12 : 0
            if frame.count > skip + 14, Bool.random(using: &generator) {
                frame.replaceSubrange(skip..<skip + 12, with: everybody + cable.mac)
                let types: [[UInt8]] = [[8, 0], [8, 6], [0x81, 0], [0x86, 0xDD]]
                frame.replaceSubrange(skip + 12..<skip + 14, with: types[Int.random(in: 0..<4, using: &generator)])
            }
            try cable.send(frame)
            if round % 50 == 0 {
                for other in [a, b, c] where other.socket.wait(for: [.read], milliseconds: 0).contains(.read) {
                    _ = try other.socket.readAvailable(limit: 1 << 18)
                }
            }
        }
        let (d, e) = (try network.cable(4), try network.cable(5))
        try d.send(d.frame(to: everybody, "alive"))
        #expect(e.takes("alive"))
    }
}
