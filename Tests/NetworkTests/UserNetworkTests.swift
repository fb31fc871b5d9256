import HostOS
import Network
import Testing

@Suite struct UserNetworkTests {
    private func network(_ change: (inout UserNetworkConfiguration) throws -> Void = { _ in }) throws -> (
        UserNetwork, Card
    ) {
        var configuration = UserNetworkConfiguration()
        try change(&configuration)
        let network = try UserNetwork(configuration)
        let card = Card()
        network.setReceiver(card)
        return (network, card)
    }

    /// A free TCP port of loopback.
    private func freePort() throws -> UInt16 {
        let any = try #require(SocketAddress.resolve(host: "127.0.0.1", port: "0").first)
        return try Socket.localAddress(Socket.listen(any)).port
    }

    @Test func aDiscoverIsOfferedTheFirstAddress() throws {
        let (network, card) = try network {
            try $0.set("hostname", "guest")
            try $0.set("ipv6", "off")
        }
        network.send(dhcp(type: 1))

        let offer = try #require(card.take { isUDP($0, to: 68) })
        #expect(Array(offer[58..<62]) == [10, 0, 2, 15])
        #expect(option(53, of: offer) == [2])
        #expect(option(1, of: offer) == [255, 255, 255, 0])
        #expect(option(3, of: offer) == [10, 0, 2, 2])
        #expect(option(6, of: offer) == [10, 0, 2, 3])
        #expect(option(12, of: offer) == Array("guest".utf8))
        network.stop()
    }

    @Test func anotherNetworkMovesEveryAddress() throws {
        let (network, card) = try network { try $0.set("net", "192.168.76.0/24") }
        network.send(dhcp(type: 1))
        let offer = try #require(card.take { isUDP($0, to: 68) })
        #expect(Array(offer[58..<62]) == [192, 168, 76, 15])
        #expect(option(3, of: offer) == [192, 168, 76, 2])
        network.stop()
    }

    @Test func theGatewayAnswersARP() throws {
        let (network, card) = try network()
        network.send(arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 2]))
        let reply = try #require(card.take { isARP($0, operation: 2) })
        #expect(Array(reply[28..<32]) == [10, 0, 2, 2])
        #expect(Array(reply[0..<6]) == Card.mac)
        #expect(Array(reply[6..<12]) == [0x52, 0x55, 10, 0, 2, 2])
        network.stop()
    }

    @Test func aForwardedConnectionArrivesAsSYN() throws {
        let port = try freePort()
        let (network, card) = try network { try $0.set("hostfwd", "tcp:127.0.0.1:\(port)-:22") }
        let client = try Socket.connect(SocketAddress.resolve(host: "127.0.0.1", port: "\(port)")[0])
        let question = try #require(card.take { isARP($0, operation: 1) && Array($0[38..<42]) == [10, 0, 2, 15] })
        network.send(arp(operation: 2, from: [10, 0, 2, 15], to: [10, 0, 2, 2], mac: Array(question[6..<12])))
        let syn = try #require(card.take { isSYN($0, to: 22) })
        #expect(Array(syn[30..<34]) == [10, 0, 2, 15])
        #expect(Array(syn[0..<6]) == Card.mac)
        #expect(try network.connectionInfo().contains("TCP"))
        _ = client
        network.stop()
    }

    @Test func forwardsComeAndGoAtRunTime() throws {
        let port = try freePort()
        let (network, _) = try network()
        let forward = try HostForward("tcp:127.0.0.1:\(port)-10.0.2.15:80")
        let address = try SocketAddress.resolve(host: "127.0.0.1", port: "\(port)")[0]
        #expect(throws: HostError.self) { try Socket.connect(address) }
        try network.addHostForward(forward)
        _ = try Socket.connect(address)
        #expect(throws: UserNetworkError.self) { try network.addHostForward(forward) }
        try network.removeHostForward(HostForwardKey("tcp:127.0.0.1:\(port)"))
        #expect(throws: HostError.self) { try Socket.connect(address) }
        #expect(throws: UserNetworkError.noSuchForward("tcp:127.0.0.1:\(port)")) {
            try network.removeHostForward(forward.key)
        }
        network.stop()
        network.stop()
        #expect(throws: UserNetworkError.stopped) { try network.addHostForward(forward) }
    }

    @Test func everyOptionIsTaken() throws {
        let options = [
            ("ipv6-net", "fd00:1::/64"), ("ipv6-host", "fd00:1::9"), ("ipv6-dns", "fd00:1::8"), ("host", "10.0.2.1"),
            ("dns", "10.0.2.4"), ("dhcpstart", "10.0.2.40"), ("dnssearch", "a.example"), ("dnssearch", "b.example"),
            ("domainname", "c.example"), ("tftp", "/nonexistent"), ("tftp-server-name", "server"), ("bootfile", "boot"),
            ("restrict", "on"), ("guestfwd", "tcp:10.0.2.100:7-cmd:/bin/cat"), ("guestfwd", "tcp:10.0.2.100:8-unix:/s"),
        ]
        let (network, card) = try network { for (name, value) in options { try $0.set(name, value) } }
        network.send(dhcp(type: 1))
        let offer = try #require(card.take { isUDP($0, to: 68) })
        #expect(Array(offer[58..<62]) == [10, 0, 2, 40])
        #expect(option(15, of: offer) == Array("c.example".utf8))
        network.stop()
    }

    @Test func aTakenPortIsAnErrorThatNamesTheForward() throws {
        let any = try #require(SocketAddress.resolve(host: "127.0.0.1", port: "0").first)
        let listener = try Socket.listen(any)
        let port = try Socket.localAddress(listener).port
        let error = #expect(throws: UserNetworkError.self) {
            try network { try $0.set("hostfwd", "tcp:127.0.0.1:\(port)-:22") }
        }
        #expect(error?.description.contains("tcp:127.0.0.1:\(port)-:22") == true)
    }

    @Test func framesWaitForACardWithoutRoom() throws {
        let (network, card) = try network { try $0.set("ipv6", "off") }
        card.setRoom(0)
        network.send(arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 2]))
        network.send(arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 3]))
        let pause = Bell()
        pause.wait(nanoseconds: 30_000_000)
        #expect(card.frames.isEmpty)
        card.setRoom(1)
        network.receiverReady()
        let first = try #require(card.take { isARP($0, operation: 2) })
        #expect(Array(first[28..<32]) == [10, 0, 2, 2])
        pause.wait(nanoseconds: 10_000_000)
        #expect(card.frames.isEmpty)
        card.setRoom(1)
        network.receiverReady()
        let second = try #require(card.take { isARP($0, operation: 2) })
        #expect(Array(second[28..<32]) == [10, 0, 2, 3])
        #expect(!card.overrun)
        network.stop()
    }

    @Test func malformedFramesHarmNothing() throws {
        let (network, card) = try network()
        var seed: UInt64 = 99
        func random() -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33)
        }
        let samples = [
            dhcp(type: 1), arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 2]),
            ethernet(
                type: 0x0800, ipv4(6, from: [10, 0, 2, 15], to: [10, 0, 2, 2], [UInt8](repeating: 0x55, count: 20))),
            ethernet(type: 0x0800, ipv4(1, from: [10, 0, 2, 15], to: [10, 0, 2, 2], [8, 0, 0, 0, 1, 2, 3, 4])),
            ethernet(type: 0x86DD, [0x60] + [UInt8](repeating: 0, count: 60)), ethernet(type: 0x88CC, [1, 2, 3]),
        ]
        network.send([])
        network.send([UInt8](repeating: 0, count: 13))
        network.send([UInt8](repeating: 0xFF, count: 70000))
        for sample in samples {
            for length in 0..<sample.count where length % 3 == 0 { network.send(Array(sample.prefix(length))) }
            for _ in 0..<200 {
                var frame = sample
                // The destination stays off the world: only header fields that make no connection are changed.
                for _ in 0..<3 { frame[12 + random() % min(12, frame.count - 12)] = UInt8(random() & 255) }
                network.send(frame)
            }
        }
        network.send(arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 2]))
        #expect(card.take { isARP($0, operation: 2) } != nil)
        network.stop()
    }

    @Test func aFloodIsDroppedNotKept() throws {
        let (network, card) = try network { try $0.set("ipv6", "off") }
        card.setRoom(0)
        let question = arp(operation: 1, from: [10, 0, 2, 15], to: [10, 0, 2, 2])
        for _ in 0..<100_000 { network.send(question) }
        card.setRoom(.max)
        network.receiverReady()
        #expect(card.take { isARP($0, operation: 2) } != nil)
        network.stop()
        #expect(card.frames.count < 100_000)
    }

    @Test func twoNetworksInOneProcessAndAnUnusedOne() throws {
        let (first, firstCard) = try network()
        let (second, secondCard) = try network { try $0.set("net", "10.9.0.0/16") }
        first.send(dhcp(type: 1))
        second.send(dhcp(type: 1))
        #expect(Array(try #require(firstCard.take { isUDP($0, to: 68) })[58..<62]) == [10, 0, 2, 15])
        #expect(Array(try #require(secondCard.take { isUDP($0, to: 68) })[58..<62]) == [10, 9, 2, 15])
        // The end of the last reference ends the thread.
        _ = try UserNetwork(UserNetworkConfiguration())
        first.stop()
        second.stop()
        #expect(NoNetwork().send([1, 2, 3]))
    }
}
