import CharacterBackend
import DeviceModel
import HostOS
import Synchronization
import Testing

@Suite struct SocketPortTests {
    private func server(
        _ loop: EventLoop, telnet: Bool = false, overflow: OverflowPolicy = .dropOldest
    ) throws -> (SocketPort, SocketAddress) {
        let port = try SocketPort(
            label: "s",
            SocketSpecification(
                .tcp(host: "127.0.0.1", port: "0"), isServer: true, waits: false, isTelnet: telnet, noDelay: true),
            overflow: overflow, loop: loop)
        return (port, try SocketAddress.resolve(host: "127.0.0.1", port: "\(port.boundPort)")[0])
    }

    @Test func aListeningSocketThatWasInheritedIsServed() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let address = try SocketAddress.unix(folder + "/s")
        guard case .success(let number) = try Socket.listen(address).rawCopy() else { return #expect(Bool(false)) }
        #expect(throws: HostError.self) {
            try SocketPort(label: "c", SocketSpecification(.descriptor(number)), loop: loop)
        }
        let port = try SocketPort(
            label: "s", SocketSpecification(.descriptor(number), isServer: true, waits: false), loop: loop)
        #expect(port.filename == "fd:\(number),server=on")
        for round in 0..<2 {
            let client = try Socket.connect(address)
            #expect(loop.turn { port.isConnected })
            port.write(bytes("hello \(round)"))
            #expect(try client.receiveSome() == bytes("hello \(round)"))
            Socket.shutDown(client)
            #expect(loop.turn { !port.isConnected })
        }
        port.close()
        #expect(HostFile.status(folder + "/s").kind != .socket)
    }

    @Test func aConnectionThatWasInheritedIsUsedAsItIs() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let listener = try Socket.listen(SocketAddress.unix(folder + "/s"))
        let far = try Socket.connect(SocketAddress.unix(folder + "/s"))
        let near = try #require(try Socket.accept(listener))
        guard case .success(let number) = near.rawCopy() else { return #expect(Bool(false)) }
        #expect(throws: HostError.self) {
            try SocketPort(label: "s", SocketSpecification(.descriptor(number), isServer: true), loop: loop)
        }
        let port = try SocketPort(label: "c", SocketSpecification(.descriptor(number)), loop: loop)
        #expect(port.isConnected)
        port.write(bytes("hello"))
        #expect(try far.receiveSome() == bytes("hello"))
        port.close()
    }

    @Test func whatIsNoSocketIsRefused() throws {
        let loop = try EventLoop()
        let file = try HostFile.open("/dev/null", HostFile.Mode.read)
        for number in [file.rawValue, 100_000] {
            for isServer in [false, true] {
                let specification = SocketSpecification(.descriptor(number), isServer: isServer, waits: false)
                #expect(throws: HostError.self) { try SocketPort(label: "x", specification, loop: loop) }
            }
        }
        #expect(Descriptor.isOpen(file.rawValue))
    }

    @Test func aUnixServerTakesOneClientAfterTheOther() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/s"
        let port = try SocketPort(
            label: "s", SocketSpecification(.unix(path: path), isServer: true, waits: false), loop: loop)
        #expect(port.filename == "unix:\(path),server=on")
        let sink = Sink()
        port.setReceiver(sink)
        port.write(bytes("nobody hears"))
        for round in 0..<3 {
            var client: Descriptor? = try Socket.connect(SocketAddress.unix(path))
            #expect(loop.turn { port.isConnected })
            port.write(bytes("hello \(round)"))
            #expect(try #require(client).receiveSome() == bytes("hello \(round)"))
            try #require(client).writeAll(bytes("\(round)"))
            #expect(loop.turn { sink.bytes.count == round + 1 })
            client = nil
            #expect(loop.turn { !port.isConnected })
        }
        #expect(sink.text == "012")
        #expect(loop.turn { sink.events == [.opened, .closed, .opened, .closed, .opened, .closed] })
        port.close()
        #expect(throws: HostError.self) { try Socket.connect(SocketAddress.unix(path)) }
        #expect(throws: HostError.self) { try HostFile.size(path) }
    }

    @Test func whatAClientSentBeforeItHungUpArrives() throws {
        let loop = try EventLoop()
        let (port, address) = try server(loop)
        let sink = Sink(room: 4)
        port.setReceiver(sink)
        do {
            let client = try Socket.connect(address)
            try client.writeAll(bytes("0123456789"))
        }
        #expect(loop.turn { sink.bytes.count == 4 })
        loop.turn(milliseconds: 20)
        sink.addRoom(100)
        port.acceptInput()
        #expect(loop.turn { sink.text == "0123456789" })
        #expect(loop.turn { !port.isConnected })
        port.close()
    }

    @Test func aClientThatIsGoneMakesRoomThoughNobodyReads() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/s"
        let port = try SocketPort(
            label: "s", SocketSpecification(.unix(path: path), isServer: true, waits: false), loop: loop)
        do { try Socket.connect(SocketAddress.unix(path)).writeAll(bytes("early")) }
        loop.turn(milliseconds: 20)
        let second = try Socket.connect(SocketAddress.unix(path))
        #expect(loop.turn { port.isConnected })
        port.write(bytes("x"))
        #expect(try second.receiveSome() == bytes("x"))
        let sink = Sink()
        port.setReceiver(sink)
        #expect(loop.turn { sink.text == "early" })
        port.close()
    }

    @Test func aSlowReaderLosesTheOldest() throws {
        let loop = try EventLoop()
        let (port, address) = try server(loop)
        let client = try Socket.connect(address)
        #expect(loop.turn { port.isConnected })
        let line = [UInt8](repeating: 0x2E, count: 65535) + [0x0A]
        for _ in 0..<256 { port.write(line) }
        #expect(port.isCongested)
        port.write(bytes("newest"))
        var last: [UInt8] = []
        var total = 0
        #expect(
            loop.turn {
                guard let part = try? client.readAvailable(limit: 1 << 20) else { return true }
                total += part.count
                last = (last + part).suffix(6)
                return last == bytes("newest")
            })
        #expect(total < 256 * 65536)
        #expect(total >= 1 << 20)
        #expect(loop.turn { !port.isCongested })
        port.close()
    }

    @Test func aWaitingSocketLosesNothing() throws {
        let loop = try EventLoop()
        let (port, address) = try server(loop, overflow: .wait)
        let client = try Socket.connect(address)
        #expect(loop.turn { port.isConnected })
        let total = 16 << 20
        let writer = try HostThread(name: "writer") { port.write([UInt8](repeating: 7, count: total)) }
        var seen = 0
        #expect(
            loop.turn {
                while let part = try? client.readAvailable(limit: 1 << 20), !part.isEmpty { seen += part.count }
                return seen >= total
            })
        writer.join()
        #expect(seen == total)
        port.close()
    }

    @Test func aClientConnectsAgain() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/s"
        let port = try SocketPort(
            label: "c", SocketSpecification(.unix(path: path), reconnectMilliseconds: 5), loop: loop)
        let sink = Sink()
        port.setReceiver(sink)
        loop.turn(milliseconds: 20)
        #expect(!port.isConnected)
        let listener = try Socket.listen(SocketAddress.unix(path))
        for round in 0..<2 {
            #expect(loop.turn { port.isConnected })
            let peer = try #require(try Socket.accept(listener))
            try peer.writeAll(bytes("\(round)"))
            #expect(loop.turn { sink.bytes.count == round + 1 })
            Socket.shutDown(peer)
            #expect(loop.turn { sink.events.count >= 2 * round + 2 })
        }
        #expect(sink.events.prefix(3) == [.opened, .closed, .opened])
        port.close()
    }

    @Test func aClientWithoutReconnectionFailsAtOnce() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/none"
        let error = #expect(throws: HostError.self) {
            try SocketPort(label: "c", SocketSpecification(.unix(path: path)), loop: loop)
        }
        #expect(error?.description.contains(path) == true)
    }

    @Test func aServerMayWaitForItsClient() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/s"
        let told = Mutex("")
        let thread = try HostThread(name: "client") {
            while true {
                if let socket = try? Socket.connect(SocketAddress.unix(path)) {
                    try? socket.writeAll(bytes("first"))
                    _ = socket.wait(for: [.peerClosed], milliseconds: 120_000)
                    return
                }
            }
        }
        let port = try SocketPort(
            label: "s", SocketSpecification(.unix(path: path), isServer: true), loop: loop,
            announce: { line in told.withLock { $0 = line } })
        #expect(port.isConnected)
        #expect(told.withLock { $0 }.contains(path))
        let sink = Sink()
        port.setReceiver(sink)
        #expect(loop.turn { sink.text == "first" })
        port.close()
        thread.join()
    }

    @Test func telnetGreetsFiltersAndQuotes() throws {
        let loop = try EventLoop()
        let (port, address) = try server(loop, telnet: true)
        let sink = Sink()
        port.setReceiver(sink)
        let client = try Socket.connect(address)
        try client.writeAll([0xFF, 0xFD, 0x01, 0x61, 0xFF, 0xF3, 0xFF, 0xFF])
        #expect(loop.turn { sink.bytes == [0x61, 0xFF] })
        #expect(sink.events.contains(.breakReceived))
        port.write([0xFF])
        var seen: [UInt8] = []
        while seen.count < 14 { seen += try client.receiveSome() }
        #expect(seen == [0xFF, 0xFB, 1, 0xFF, 0xFB, 3, 0xFF, 0xFB, 0, 0xFF, 0xFD, 0, 0xFF, 0xFF])
        port.close()
    }

    @Test func passedDescriptorsAreKept() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/s"
        let port = try SocketPort(
            label: "s", SocketSpecification(.unix(path: path), isServer: true, waits: false), loop: loop)
        let sink = Sink()
        port.setReceiver(sink)
        let client = try Socket.connect(SocketAddress.unix(path))
        let pipe = try DescriptorPair.pipe()
        try Socket.send(client, bytes("getfd"), passing: pipe.output)
        #expect(loop.turn { sink.text == "getfd" })
        let passed = try #require(port.takePassedDescriptor())
        try passed.writeAll([5])
        #expect(try pipe.input.readAvailable(limit: 1) == [5])
        #expect(port.takePassedDescriptor() == nil)
        port.close()
    }

    @Test func disconnectingEndsTheConnectionAlone() throws {
        let loop = try EventLoop()
        let (port, address) = try server(loop)
        let client = try Socket.connect(address)
        #expect(loop.turn { port.isConnected })
        port.disconnect()
        #expect(loop.turn { !port.isConnected })
        #expect(client.wait(for: [.read], milliseconds: 5000).contains(.read))
        #expect(try client.readAvailable(limit: 1) == [])
        _ = try Socket.connect(address)
        #expect(loop.turn { port.isConnected })
        port.close()
    }
}
