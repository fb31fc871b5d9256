import HostOS
import LibvirtClient
import RPCWire
import Synchronization
import Testing

@Suite("A client of daemons that mean no good")
struct HostileDaemonTests {
    private static func open(_ daemon: FakeDaemon, _ change: (inout LibvirtConnection.Options) -> Void = { _ in })
        throws
        -> LibvirtConnection
    {
        var options = LibvirtConnection.Options()
        change(&options)
        return try LibvirtConnection.open(daemon.uri, options)
    }

    private static func failure(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test("One that hangs up at once")
    func closes() throws {
        let daemon = try FakeDaemon(closes: true)
        let text = Self.failure { _ = try Self.open(daemon) }
        #expect(text.contains("End of file") || text.contains("Cannot recv data"), "\(text)")
    }

    @Test("Lengths that no frame has", arguments: [0, 3, 27, 0x0200_0005, 0xffff_ffff] as [UInt32])
    func lengths(length: UInt32) throws {
        var writer = XDRWriter()
        writer.word(length)
        let daemon = try FakeDaemon(greeting: writer.bytes)
        let text = Self.failure { _ = try Self.open(daemon) }
        #expect(text.contains("A frame says that it has \(length) bytes"), "\(text)")
    }

    @Test("A frame that ends too soon")
    func truncated() throws {
        var writer = XDRWriter()
        writer.word(1000)
        let daemon = try FakeDaemon(greeting: writer.bytes + [UInt8](repeating: 7, count: 100), closes: true)
        let text = Self.failure { _ = try Self.open(daemon) }
        #expect(text.contains("End of file") || text.contains("Cannot recv data"), "\(text)")
    }

    @Test("One that never answers")
    func silence() throws {
        let daemon = try FakeDaemon()
        let text = Self.failure { _ = try Self.open(daemon) { $0.greeting = 300 } }
        #expect(text == "internal error: the daemon does not answer")
    }

    @Test("One that stops answering after it has promised pongs")
    func noPong() throws {
        let daemon = try FakeDaemon { call, _ in FakeDaemon.open(call) }
        let client = try Self.open(daemon) {
            $0.keepaliveInterval = 1
            $0.keepaliveCount = 1
        }
        let text = Self.failure { try client.call(Remote.ConnectGetHostname.self, NoPayload()) }
        #expect(text == "internal error: connection closed due to keepalive timeout")
        #expect(!client.isAlive)
        #expect(Self.failure { try client.call(Remote.ConnectGetHostname.self, NoPayload()) } == text)
    }

    @Test("Answers to nothing that was asked, then the right one")
    func wrongSerials() throws {
        let daemon = try FakeDaemon { call, _ in
            if let frames = FakeDaemon.open(call) { return frames }
            var wrong = call.header.answering(.reply, .ok)
            wrong.serial &+= 77
            let right = call.header.answering(.reply, .ok)
            let body = Remote.ConnectGetHostname.Result(hostname: "right")
            return [Frame(wrong, payload: [1, 2, 3]), (try? Frame(right, body)) ?? Frame(right)]
        }
        let client = try Self.open(daemon)
        #expect(try client.call(Remote.ConnectGetHostname.self, NoPayload()).hostname == "right")
    }

    @Test("Payloads that are none")
    func payloads() throws {
        let daemon = try FakeDaemon { call, _ in
            if let frames = FakeDaemon.open(call) { return frames }
            let isError = call.header.procedure == Remote.ConnectGetType.number
            let header = call.header.answering(.reply, isError ? .error : .ok)
            // A count that cannot be, and an error without its fields.
            return [Frame(header, payload: [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1])]
        }
        let client = try Self.open(daemon)
        for _ in 0..<3 {
            let list = Self.failure {
                _ = try client.call(Remote.ConnectListAllDomains.self, .init(needResults: 1, flags: 0))
            }
            #expect(list.hasPrefix("Unable to decode message payload"), "\(list)")
            let error = Self.failure { _ = try client.call(Remote.ConnectGetType.self, NoPayload()) }
            #expect(error.hasPrefix("Unable to decode message payload"), "\(error)")
        }
        #expect(client.isAlive)
    }

    @Test("Random bytes in answers", arguments: 0..<8)
    func random(seed: Int) throws {
        let daemon = try FakeDaemon { call, _ in
            if let frames = FakeDaemon.open(call) { return frames }
            var state = UInt64(seed &+ 1) &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(call.header.serial)
            let bytes = (0..<Int(call.header.serial % 97)).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            return [Frame(call.header.answering(.reply, .ok), payload: bytes)]
        }
        let client = try Self.open(daemon)
        // Whatever it is read as: a value or an error, and the connection lives.
        for _ in 0..<50 {
            _ = try? client.call(Remote.NodeGetInfo.self, NoPayload())
            _ = try? client.call(Remote.ConnectGetAllDomainStats.self, .init(doms: [], stats: 0, flags: 0))
        }
        #expect(client.isAlive)
    }

    @Test("A stream that ends in an error while it is sent")
    func abortedUpload() throws {
        let volume = RemoteStorageVol(pool: "p", name: "v", key: "k")
        let daemon = try FakeDaemon { call, _ in
            if let frames = FakeDaemon.open(call) { return frames }
            guard call.header.messageType == .call else { return nil }
            let refusal = RemoteError(code: 38, domain: 18, message: "no space")
            return [
                Frame(call.header.answering(.reply, .ok)),
                Frame.failure(of: call.header.answering(.stream, .ok), refusal),
            ]
        }
        let client = try Self.open(daemon)
        let text = Self.failure {
            let stream = try client.openStream(
                Remote.StorageVolUpload.self, .init(vol: volume, offset: 0, length: 0, flags: 0)
            ).stream
            try stream.send([UInt8](repeating: 1, count: 1 << 20))
            try stream.finish()
        }
        #expect(text == "no space")
    }

    @Test("Pings are answered while a call waits")
    func pings() throws {
        let asked = Mutex<RPCHeader?>(nil)
        let daemon = try FakeDaemon { call, _ in
            if let frames = FakeDaemon.open(call) { return frames }
            if call.header.program == RPCProgram.keepalive.rawValue, call.header.procedure == 2 {
                // The pong lets the answer go.
                guard let header = asked.withLock({ $0 })?.answering(.reply, .ok) else { return nil }
                return (try? Frame(header, Remote.ConnectGetHostname.Result(hostname: "pong"))).map { [$0] }
            }
            asked.withLock { $0 = call.header }
            return [Frame.ping]
        }
        let client = try Self.open(daemon)
        #expect(try client.call(Remote.ConnectGetHostname.self, NoPayload(), within: 120_000).hostname == "pong")
    }
}
