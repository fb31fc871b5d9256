import HostOS
import Network
import Testing

@Suite struct DatagramTests {
    private func socketPair(_ folder: Folder) throws -> (DatagramNetwork, DatagramNetwork) {
        let (a, b) = (try folder.socket("a"), try folder.socket("b"))
        let one = try Socket.datagram(local: a, remote: nil)
        let two = try Socket.datagram(local: b, remote: nil)
        return (
            try DatagramNetwork(.address(one, b, only: nil), name: "a"),
            try DatagramNetwork(.address(two, a, only: nil), name: "b")
        )
    }

    @Test func datagramsAreFrames() throws {
        let folder = try Folder()
        let (a, b) = try socketPair(folder)
        let card = Card()
        b.setReceiver(card)
        a.send(frame(60))
        a.send(frame(1514))
        a.send([1, 2, 3])
        #expect(card.take { $0 == frame(60) } != nil && card.take { $0 == frame(1514) } != nil)
        a.stop()
        b.stop()
    }

    @Test func aReceiverWithoutRoomLosesNothingThatFits() throws {
        let folder = try Folder()
        let (a, b) = try socketPair(folder)
        let card = Card()
        card.setRoom(0)
        b.setReceiver(card)
        for byte in 0..<100 { #expect(a.send(frame(200, UInt8(byte)))) }
        card.setRoom(1000)
        b.receiverReady()
        #expect(waits { card.frames.count == 100 })
        a.stop()
        b.stop()
    }

    @Test func aFullPeerCostsOnlyFrames() throws {
        let folder = try Folder()
        let (a, b) = try socketPair(folder)
        let card = Card()
        card.setRoom(0)
        b.setReceiver(card)
        var refused = 0
        for _ in 0..<3000 where !a.send(frame(1514)) { refused += 1 }
        #expect(refused > 0)
        a.stop()
        b.stop()
    }

    @Test func groupsReachAllMembers() throws {
        let group: UInt32 = 0xEF00_0000 | UInt32.random(in: 1...0xFF_FFFF)
        let any = try Socket.datagram(local: SocketAddress.ipv4(0x7F00_0001, port: 0), remote: nil)
        let port = try Socket.localAddress(any).port
        var members: [(DatagramNetwork, Card)] = []
        for name in ["a", "b", "c"] {
            let (socket, address) = try PacketSocket.multicast(group: group, port: port, local: 0x7F00_0001)
            let network = try DatagramNetwork(.address(socket, address, only: nil), name: name)
            let card = Card()
            network.setReceiver(card)
            members.append((network, card))
        }
        members[0].0.send(frame(80))
        #expect(members[1].1.take { $0.count == 80 } != nil && members[2].1.take { $0.count == 80 } != nil)
        for member in members { member.0.stop() }
    }

    @Test func aHubSpreadsFrames() throws {
        let hub = FrameHub()
        let folder = try Folder()
        let (joined, far) = try socketPair(folder)
        let (one, two, three) = (Card(), Card(), Card())
        let first = try hub.makePort(name: "1")
        let second = try hub.makePort(name: "2")
        let third = try hub.makePort(joining: joined, name: "3")
        first.setReceiver(one)
        second.setReceiver(two)
        far.setReceiver(three)
        first.send(frame(50))
        #expect(two.take { $0.count == 50 } != nil && three.take { $0.count == 50 } != nil && one.frames.isEmpty)
        far.send(frame(51))
        #expect(one.take { $0.count == 51 } != nil && two.take { $0.count == 51 } != nil)
        for network in [first, second, third] { network.stop() }
        far.stop()
    }

    @Test func capturesAreReadableFiles() throws {
        let folder = try Folder()
        let (a, b) = try socketPair(folder)
        let card = Card()
        let watched = WatchedNetwork(a)
        watched.setReceiver(card)
        let capture = try PacketCapture("\(folder.path)/all.pcap", limit: 64)
        watched.add(capture, name: "f1", .all)
        watched.send(frame(60))
        b.send(frame(1514))
        _ = card.take { $0.count == 1514 }
        #expect(watched.removeCapture("f1") && !watched.removeCapture("f1"))
        watched.send(frame(61))
        let bytes = try HostFile.contents("\(folder.path)/all.pcap")
        #expect(bytes.count == 24 + 16 + 60 + 16 + 64)
        #expect(Array(bytes[..<8]) == [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0] && bytes[20] == 1)
        #expect(Array(bytes[32..<40]) == [60, 0, 0, 0, 60, 0, 0, 0] && Array(bytes[40..<100]) == frame(60))
        #expect(Array(bytes[108..<116]) == [64, 0, 0, 0, 0xEA, 5, 0, 0])
        watched.setLink(up: false)
        b.send(frame(70))
        watched.setLink(up: true)
        b.send(frame(71))
        #expect(card.take { $0.count == 71 } != nil)
        watched.stop()
        b.stop()
    }
}
