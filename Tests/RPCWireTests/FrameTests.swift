import HostOS
import RPCWire
import Synchronization
import Testing

@Suite("Frames")
struct FrameTests {
    private static func frame(_ serial: UInt32, _ payload: [UInt8] = []) -> Frame {
        Frame(RPCHeader(program: .remote, procedure: 1, type: .call, serial: serial), payload: payload)
    }

    @Test("A stream cut at any byte gives the same frames")
    func anyCut() throws {
        let bytes = Self.frame(1, [1, 2, 3, 4]).bytes + Frame.ping.bytes + Self.frame(2).bytes
        for cut in 0...bytes.count {
            var decoder = FrameDecoder()
            var serials: [UInt32] = []
            for part in [bytes[..<cut], bytes[cut...]] {
                decoder.feed(part)
                while let frame = try decoder.next() { serials.append(frame.header.serial) }
            }
            #expect(serials == [1, 0, 2])
            #expect(decoder.pendingBytes == 0)
        }
    }

    @Test("Lengths that no frame has end the stream", arguments: [0, 2, 4, 27, 33_554_437, UInt32.max])
    func badLength(length: UInt32) {
        var decoder = FrameDecoder()
        decoder.feed((0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) })
        #expect(throws: FrameError.length(length)) { _ = try decoder.next() }
    }

    @Test("The greatest length is announced and takes no memory yet")
    func greatestLength() throws {
        var decoder = FrameDecoder()
        decoder.feed([2, 0, 0, 4])
        #expect(try decoder.next() == nil)
        #expect(decoder.pendingBytes == 4)
    }

    @Test("A frame that announces descriptors must bring them")
    func descriptorCounts() {
        let header = RPCHeader(program: .remote, procedure: 1, type: .callWithDescriptors, serial: 1)
        var missing = FrameDecoder()
        var bytes = Frame(header).bytes
        bytes[31] = 1
        missing.feed(bytes + [0])
        #expect(throws: FrameError.missingDescriptor) { _ = try missing.next() }
        var many = FrameDecoder()
        bytes[31] = 33
        many.feed(bytes)
        #expect(throws: FrameError.descriptorCount(33)) { _ = try many.next() }
    }

    @Test("A failure of a call is a reply, of a stream an abortion, and a text too long is left out")
    func failures() throws {
        let error = RemoteError(code: 42, domain: 10, message: "Domain not found: x", detail: "x", format: "%s")
        let call = RPCHeader(program: .remote, procedure: 23, type: .call, serial: 9)
        let reply = Frame.failure(of: call, error)
        #expect(reply.header == call.answering(.reply, .error))
        var reader = XDRReader(reply.payload)
        #expect(try RemoteError(from: &reader) == error)
        #expect(Frame.failure(of: call.answering(.stream, .continue), error).header.messageType == .stream)
        let long = RemoteError(code: 1, domain: 0, message: String(repeating: "x", count: RPCLimits.string + 1))
        var short = XDRReader(Frame.failure(of: call, long).payload)
        #expect(try RemoteError(from: &short).message == nil)
    }
}

@Suite("Channels")
struct ChannelTests {
    /// A loop on a thread of its own.
    private final class Running: Sendable {
        let loop: EventLoop
        let thread: HostThread

        init() throws {
            let loop = try EventLoop()
            self.loop = loop
            thread = try HostThread(name: "test loop") { loop.run() }
        }

        func end() {
            loop.stop()
            thread.join()
        }
    }

    private static func receive(_ socket: Descriptor, _ decoder: inout FrameDecoder) throws -> Frame? {
        while true {
            if let frame = try decoder.next() { return frame }
            guard socket.wait(for: .read, milliseconds: 60_000).contains(.read) else { return nil }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let (transfer, passed) = unsafe buffer.withUnsafeMutableBytes { unsafe Socket.receive(socket, into: $0) }
            guard case .moved(let count) = transfer else { return nil }
            decoder.feed(buffer.prefix(count), descriptors: passed)
        }
    }

    @Test("Large frames, descriptors and small frames arrive in order at a reader that is slow")
    func everything() throws {
        let running = try Running()
        defer { running.end() }
        let (ours, theirs) = try DescriptorPair.sockets()
        try ours.setNonBlocking()
        try theirs.setNonBlocking()
        let channel = FrameChannel(ours, loop: running.loop, handlers: .init(frame: { _ in }, close: { _ in }))
        try channel.start()
        let header = RPCHeader(program: .remote, procedure: 1, type: .reply, serial: 1)
        let file = try Descriptor.memoryFile(name: "passed", count: 4096)
        channel.send(Frame(header, payload: [UInt8](repeating: 7, count: 3_000_000)))
        channel.send(
            Frame(header.answering(.replyWithDescriptors, .ok), payload: [1], descriptors: [file, file, file]))
        channel.send(Frame.pong)
        #expect(channel.queuedBytes > 0)

        var decoder = FrameDecoder()
        #expect(try Self.receive(theirs, &decoder)?.payload.count == 3_000_000)
        let passed = try #require(try Self.receive(theirs, &decoder))
        #expect(passed.descriptors.count == 3)
        #expect(passed.payload == [1])
        #expect(Set(passed.descriptors.map(\.rawValue)).count == 3)
        #expect(try Self.receive(theirs, &decoder)?.header == Frame.pong.header)
        #expect(channel.queuedBytes == 0)
        channel.close()
    }

    @Test("A paused channel delivers nothing, and everything when it goes on")
    func pausing() throws {
        let running = try Running()
        defer { running.end() }
        let (ours, theirs) = try DescriptorPair.sockets()
        try ours.setNonBlocking()
        let seen = Mutex([UInt32]())
        let three = Bell()
        let holder = Mutex<FrameChannel?>(nil)
        let channel = FrameChannel(
            ours, loop: running.loop,
            handlers: .init(
                frame: { frame in
                    let count = seen.withLock { seen in
                        seen.append(frame.header.serial)
                        return seen.count
                    }
                    if count == 1 { holder.withLock { $0 }?.setPaused(true) }
                    if count == 1 || count == 3 { three.ring() }
                }, close: { _ in three.ring() }))
        holder.withLock { $0 = channel }
        try channel.start()
        var bytes: [UInt8] = []
        for serial in UInt32(1)...3 {
            bytes += Frame(RPCHeader(program: .remote, procedure: 1, type: .call, serial: serial)).bytes
        }
        try theirs.writeAll(bytes)
        three.wait(nanoseconds: 60_000_000_000)
        #expect(seen.withLock { $0 } == [1])
        channel.setPaused(false)
        three.wait(nanoseconds: 60_000_000_000)
        #expect(seen.withLock { $0 } == [1, 2, 3])
        holder.withLock { $0 = nil }
        channel.close()
    }
}
