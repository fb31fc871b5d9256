import Daemon
import HostOS
import RPCWire
import TestSupport
import Testing

/// What a client that breaks the rules is answered, as a real libvirtd does.
@Suite("Connections")
struct ConnectionTests {
    private static func header(_ procedure: Int32, type: RPCMessageType = .call) -> RPCHeader {
        RPCHeader(program: .remote, procedure: procedure, type: type, serial: 77)
    }

    private static func error(_ client: TestClient, _ frame: Frame) throws -> RemoteError {
        try client.send(frame)
        let answer = try client.answer(frame.header.serial)
        #expect(answer.header.status == RPCStatus.error.rawValue)
        var reader = XDRReader(answer.payload)
        return try RemoteError(from: &reader)
    }

    @Test("Before the connection is open, little is answered")
    func notOpen() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client(opens: false)
        #expect(try client.call(Remote.AuthList.self, NoPayload()).types == [0])
        let refused = try client.failure(Remote.ConnectGetHostname.self, NoPayload())
        #expect(refused?.code == VirErrorNumber.internalError)
        #expect(refused?.message == "internal error: hypervisor connection not open")
        let unknown = try client.failure(Remote.ConnectOpen.self, .init(name: "xen:///", flags: 0))
        #expect(unknown?.code == VirErrorNumber.noConnect)
        _ = try client.call(Remote.ConnectOpen.self, .init(name: nil, flags: 0))
        let again = try client.failure(Remote.ConnectOpen.self, .init(name: nil, flags: 0))
        #expect(again?.message == "internal error: connection already open")
    }

    @Test("Unknown procedures, programs, versions and states are answered, and the connection lives")
    func unknown() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        #expect(try Self.error(client, Frame(Self.header(9999))).message == "unknown procedure: 9999")
        #expect(try Self.error(client, Frame(Self.header(318))).message == "unknown procedure: 318")
        var program = Self.header(1)
        program.program = 0x1234
        #expect(try Self.error(client, Frame(program)).message == "Cannot find program 4660 version 1")
        var version = Self.header(1)
        version.version = 2
        #expect(try Self.error(client, Frame(version)).code == VirErrorNumber.rpc)
        var status = Self.header(59)
        status.status = 1
        #expect(try Self.error(client, Frame(status)).message == "Unexpected message status 1")
        let short = Frame(Self.header(Remote.DomainLookupByName.number), payload: [0, 0, 0, 9])
        #expect(try Self.error(client, short).message == "Unable to decode message payload")
        #expect(try client.call(Remote.ConnectGetType.self, NoPayload()).type == "QEMU")
    }

    @Test("Pings are answered before the connection is open, and streams that nobody opened are dropped")
    func pings() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client(opens: false)
        try client.send(Frame(Self.header(201, type: .stream), payload: [1, 2, 3]))
        try client.send(Frame(Self.header(1, type: .reply)))
        try client.send(Frame.ping)
        #expect(try client.next().header == Frame.pong.header)
    }

    @Test("A length that no frame has closes the connection", arguments: [UInt8(2), 0x7F])
    func badLength(first: UInt8) throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        try client.socket.writeAll([first == 2 ? 0 : first, 0, 0, 2])
        #expect(throws: TestClient.Ended.self) { _ = try client.next() }
        #expect(try daemon.client().call(Remote.ConnectGetType.self, NoPayload()).type == "QEMU")
    }

    @Test("After the answer to its close the daemon closes, and forgets the client")
    func closing() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        _ = try client.call(Remote.ConnectClose.self, NoPayload())
        #expect(throws: TestClient.Ended.self) { _ = try client.next() }
        let pause = Bell()
        for _ in 0..<6000 where daemon.daemon.sessionCount > 0 { pause.wait(nanoseconds: 10_000_000) }
        #expect(daemon.daemon.sessionCount == 0)
    }

    @Test("A read-only connection changes nothing, whatever it calls")
    func readOnly() throws {
        let daemon = try TestDaemon()
        let full = try daemon.client()
        let domain = try full.call(Remote.DomainDefineXML.self, .init(xml: TestXML.domain("ro"))).dom
        let client = try daemon.client(readOnly: true)
        let denied = try client.failure(Remote.DomainUndefine.self, .init(dom: domain))
        #expect(denied?.code == VirErrorNumber.operationDenied)
        #expect(denied?.message == "operation forbidden: read only access prevents virDomainUndefine")
        for entry in RPCProgram.remote.procedures.entries where entry.readOnly == .refused && !entry.isEvent {
            let answer = try Self.error(client, Frame(Self.header(entry.number)))
            #expect(answer.code == VirErrorNumber.operationDenied, "\(entry.name)")
        }
        #expect(try client.call(Remote.DomainLookupByName.self, .init(name: "ro")).dom == domain)
        let secret = try client.failure(
            Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: VirDomainXMLFlags.secure))
        #expect(secret?.code == VirErrorNumber.operationDenied)
        // The flag of the opening makes an ordinary socket's connection read-only as well.
        let flagged = try daemon.client(opens: false)
        _ = try flagged.call(Remote.ConnectOpen.self, .init(name: nil, flags: VirConnectFlags.ro))
        #expect(
            try flagged.failure(Remote.DomainUndefine.self, .init(dom: domain))?.code == VirErrorNumber.operationDenied)
    }

    @Test("Random frames and pieces of frames harm neither the daemon nor other clients")
    func hostileFrames() throws {
        let daemon = try TestDaemon()
        let witness = try daemon.client()
        var state: UInt64 = 7
        func random() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        for _ in 0..<200 {
            let client = try daemon.client(readOnly: true, opens: random() % 2 == 0)
            for _ in 0..<8 {
                var header = Self.header(Int32(random() % 460))
                header.type = Int32(random() % 8)
                header.status = Int32(random() % 3)
                var bytes = Frame(header, payload: (0..<random() % 64).map { _ in UInt8(random() % 4) }).bytes
                if random() % 8 == 0 { bytes.removeLast(Int(random() % 28) % bytes.count) }
                if (try? client.socket.writeAll(bytes)) == nil { break }
            }
        }
        #expect(try witness.call(Remote.ConnectGetType.self, NoPayload()).type == "QEMU")
    }

    @Test("Many connections at once")
    func manyConnections() throws {
        let daemon = try TestDaemon()
        let clients = try (0..<200).map { _ in try daemon.client() }
        for client in clients { #expect(try client.call(Remote.ConnectGetType.self, NoPayload()).type == "QEMU") }
        #expect(daemon.daemon.sessionCount == 200)
        // They live until here.
        withExtendedLifetime(clients) {}
    }

    @Test("A client that never reads is served no more than it takes, and cut off; others go on")
    func neverReads() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        let greedy = try daemon.client()
        let call = try Frame.call(Remote.ConnectGetCapabilities.self, .init(), serial: 77).bytes
        // Until neither end takes more: the daemon reads no further than it may answer.
        var sent = 0
        while sent < 200_000 {
            // SAFETY: the array lives for the call.
            let result = unsafe call.withUnsafeBytes { unsafe Socket.send(greedy.socket, $0) }
            guard case .moved(let count) = result, count == call.count else { break }
            sent += 1
        }
        for _ in 0..<50 { _ = try client.call(Remote.ConnectGetHostname.self, .init()) }
        #expect(daemon.daemon.sessionCount == 2)
    }

    @Test(
        "Calls of every kind with random arguments end in an answer or an error with a code and a text",
        .enabled(if: Program.exists("/usr/bin/python3") && HostIdentity.userID == 0, "needs root and python3"))
    func hostileCalls() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        try HostFolder.make(folder + "/pool")
        try HostFile.replace(folder + "/x.img", with: [UInt8](repeating: 0, count: 1 << 20))
        // Somebody who can do no harm to this host.
        let nobody = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for name in ["", "/pool", "/x.img"] { try HostFile.setOwner(folder + name, 65_534, group: 65_534) }
        let daemon = try DaemonProcess(folder: folder, way: nobody, options: ["--networks", "switch"])
        // Not before it has all of its sockets.
        _ = try daemon.client().call(Remote.ConnectGetType.self, .init())
        func open() throws -> [String] {
            let folder = "/proc/\(daemon.process.number)/fd/"
            return try HostFolder.names(in: folder).compactMap { try? HostFile.target(ofLink: folder + $0) }.sorted()
        }
        let files = try open()
        let done = try HostProgram.run(
            nobody[0],
            nobody.dropFirst() + ["/usr/bin/python3", TestPrograms.root + "/Scripts/fuzz-daemon", folder]
                + ["\(2 * FuzzRounds.factor)"], seconds: Double(120 + 4 * FuzzRounds.factor))
        #expect(done.status == 0, "\(done)")
        #expect(!daemon.process.hasEnded)
        // Nothing of a connection stays; networks and pools that were begun hold a few.
        let pause = Bell()
        for _ in 0..<300 where try open().count > files.count + 16 { pause.wait(nanoseconds: 50_000_000) }
        let left = try open()
        #expect(left.count <= files.count + 16, "At first \(files), now \(left)")
    }
}
