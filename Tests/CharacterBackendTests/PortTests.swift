import CharacterBackend
import DeviceModel
import HostOS
import Synchronization
import Testing

@Suite struct PortTests {
    private func open(_ specification: ChardevSpecification, _ loop: EventLoop) throws -> any HostCharacterPort {
        try CharacterPorts.open(specification, label: "test", loop: loop, announce: { _ in })
    }

    @Test func filesAreEmptiedOrAppendedTo() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/out"
        try open(ChardevSpecification(.file(path: path, append: false)), loop).write(bytes("one"))
        try open(ChardevSpecification(.file(path: path, append: true)), loop).write(bytes("two"))
        #expect(try HostFile.contents(path) == bytes("onetwo"))
        try open(ChardevSpecification(.file(path: path, append: false)), loop).write(bytes("three"))
        #expect(try HostFile.contents(path) == bytes("three"))
        #expect(throws: ChardevError.self) {
            try open(ChardevSpecification(.file(path: path + "/no", append: false)), loop)
        }
    }

    @Test func aLogFileRecordsOutput() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/log"
        let port = try open(ChardevSpecification(.null, logFile: path), loop)
        port.write(bytes("recorded"))
        #expect(try HostFile.contents(path) == bytes("recorded"))
        let again = try open(ChardevSpecification(.null, logFile: path, logAppends: true), loop)
        again.write(bytes("!"))
        #expect(try HostFile.contents(path) == bytes("recorded!"))
    }

    @Test func aRingBufferKeepsTheNewest() throws {
        let port = RingBufferPort(label: "r", size: 4)
        port.write(bytes("abc"))
        port.write(bytes("def"))
        #expect(port.read(3) == bytes("cde"))
        #expect(port.read(9) == bytes("f"))
        port.write(bytes("0123456789"))
        #expect(port.read(9) == bytes("6789"))
    }

    @Test func stdioReadsOnlyWhatTheReceiverTakes() throws {
        let loop = try EventLoop()
        let (input, output) = (try DescriptorPair.pipe(), try DescriptorPair.pipe())
        let port = try StdioPort(
            label: "s", signals: false, loop: loop, reading: input.input, writing: output.output)
        let sink = Sink(room: 5)
        port.setReceiver(sink)
        try input.output.writeAll(bytes("0123456789"))

        #expect(loop.turn { sink.bytes.count == 5 })
        loop.turn(milliseconds: 10)
        #expect(sink.text == "01234")
        // The rest is still in the pipe, not in the port.
        #expect(input.input.wait(for: [.read], milliseconds: 0).contains(.read))
        sink.addRoom(100)
        port.acceptInput()
        #expect(loop.turn { sink.text == "0123456789" })
        #expect(!sink.overrun)
        port.write(bytes("out"))
        #expect(try output.input.receiveSome() == bytes("out"))
        port.close()
    }

    @Test func stdioLosesNothingToASlowReader() throws {
        let loop = try EventLoop()
        let (input, output) = (try DescriptorPair.pipe(), try DescriptorPair.pipe())
        let port = try StdioPort(
            label: "s", signals: false, loop: loop, reading: input.input, writing: output.output)
        let total = 3 << 20
        let writer = try HostThread(name: "writer") {
            var sent = 0
            while sent < total {
                port.write((0..<4096).map { UInt8(truncatingIfNeeded: (sent + $0) >> 3) })
                sent += 4096
            }
        }
        // Nobody reads: the queue fills, and the flag rises.
        #expect(loop.turn { port.isCongested })
        var seen = 0
        var wrong = 0
        while seen < total, output.input.wait(for: [.read], milliseconds: 120_000).contains(.read) {
            for byte in try output.input.readAvailable(limit: 1 << 16) {
                if byte != UInt8(truncatingIfNeeded: seen >> 3) { wrong += 1 }
                seen += 1
            }
            loop.turn(wait: false)
        }
        writer.join()
        #expect(seen == total)
        #expect(wrong == 0)
        #expect(loop.turn { !port.isCongested })
        port.close()
    }

    @Test func theEndOfInputLeavesOutputAlive() throws {
        let loop = try EventLoop()
        let output = try DescriptorPair.pipe()
        let port = try StdioPort(
            label: "s", signals: true, loop: loop, reading: try HostFile.open("/dev/null", .read),
            writing: output.output)
        let sink = Sink()
        port.setReceiver(sink)
        loop.turn(milliseconds: 5)
        port.write(bytes("alive"))
        #expect(try output.input.receiveSome() == bytes("alive"))
        #expect(sink.bytes.isEmpty)
        port.close()
    }

    @Test func aFileAsInputIsReadToItsEnd() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/in"
        let content = (0..<20000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        try HostFile.open(path, .replace).writeAll(content)
        let port = try StdioPort(
            label: "s", signals: false, loop: loop, reading: try HostFile.open(path, .read),
            writing: try HostFile.open("/dev/null", .write))
        let sink = Sink(room: 16)
        port.setReceiver(sink)
        #expect(
            loop.turn {
                if sink.receiveCapacity() == 0 {
                    sink.addRoom(1000)
                    port.acceptInput()
                }
                return sink.bytes.count == content.count
            })
        #expect(sink.bytes == content)
        port.close()
    }

    @Test func namedPipesCarryBothWays() throws {
        let loop = try EventLoop()
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/fifo"
        #expect(throws: ChardevError.self) { try open(ChardevSpecification(.pipe(path: path)), loop) }
        try makeFIFO(path + ".in")
        try makeFIFO(path + ".out")
        let port = try open(ChardevSpecification(.pipe(path: path)), loop)
        let sink = Sink()
        port.setReceiver(sink)
        let writer = try HostFile.open(path + ".in", .readWrite, nonBlocking: true)
        let reader = try HostFile.open(path + ".out", .readWrite, nonBlocking: true)
        try writer.writeAll(bytes("in"))
        #expect(loop.turn { sink.text == "in" })
        port.write(bytes("out"))
        #expect(try reader.receiveSome() == bytes("out"))
        port.close()
    }

    @Test func aPTYTellsOfUsersComingAndGoing() throws {
        let loop = try EventLoop()
        let lines = Mutex<[String]>([])
        let opened = try CharacterPorts.open(ChardevSpecification(.pty), label: "serial0", loop: loop) { line in
            lines.withLock { $0.append(line) }
        }
        let port = try #require(opened as? PTYPort)
        #expect(lines.withLock { $0 } == ["char device redirected to \(port.path) (label serial0)"])
        #expect(port.filename == "pty:\(port.path)")
        let sink = Sink()
        port.setReceiver(sink)
        port.write(bytes("lost"))
        #expect(!port.isConnected)

        var user: Descriptor? = try HostFile.open(port.path, .readWrite, nonBlocking: true)
        port.write(bytes("hello\n\u{FF}"))
        #expect(try #require(user).receiveSome() == bytes("hello\n\u{FF}"))
        try #require(user).writeAll(bytes("typed\r"))
        #expect(loop.turn { sink.text == "typed\r" })
        user = nil
        #expect(loop.turn { sink.events == [.opened, .closed] })
        #expect(!port.isConnected)

        // The next user types first, before the guest writes.
        let next = try HostFile.open(port.path, .readWrite, nonBlocking: true)
        try next.writeAll(bytes("again"))
        #expect(loop.turn { sink.text == "typed\ragain" })
        port.write(bytes("back"))
        #expect(try next.receiveSome() == bytes("back"))
        port.close()
    }

    @Test func datagramsCrossLoopback() throws {
        let loop = try EventLoop()
        let any = try #require(SocketAddress.resolve(host: "127.0.0.1", port: "0", datagram: true).first)
        let peer = try Socket.datagram(local: any, remote: nil)
        let peerPort = try Socket.localAddress(peer).port
        let port = try open(
            ChardevSpecification(.udp(host: "127.0.0.1", port: "\(peerPort)", localHost: "127.0.0.1", localPort: "0")),
            loop)
        port.write(bytes("ping"))
        #expect(try peer.receiveSome() == bytes("ping"))
        port.close()
    }
}
