import HostOS
import RPCWire
import SASL
import TestSupport
import Testing

/// Clients that prove by SASL who they are, with Debian's virsh, our own, and one that means no good.
@Suite(
    "SASL", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && TestPrograms.hasEmulator && Program.exists("/usr/sbin/saslpasswd2"),
        "needs virsh and saslpasswd2"))
struct SASLTests {
    /// A daemon whose SASL knows 'fred' and 'mary', and has the mechanisms that are named.
    private static func daemon(_ mechanisms: String, _ options: [String]) throws -> DaemonProcess {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        try HostFolder.make(folder + "/sasl")
        let text = """
            mech_list: \(mechanisms)
            pwcheck_method: auxprop
            auxprop_plugin: sasldb
            sasldb_path: \(folder)/sasl/db
            """
        try HostFile.replace(folder + "/sasl/libvirt.conf", with: Array(text.utf8))
        for user in ["fred", "mary"] {
            try HostProgram.output(
                "/bin/sh",
                ["-c", "printf 'key of \(user)' | saslpasswd2 -p -c -a libvirt -f '\(folder)/sasl/db' \(user)"])
            let file = """
                # Whom we are.
                [credentials-test]
                authname = \(user)
                password = key of \(user)
                [auth-libvirt-127.0.0.1]
                credentials=test
                [auth-libvirt-localhost]
                credentials=test
                """
            try HostFile.replace("\(folder)/\(user).conf", with: Array(file.utf8))
        }
        let wrong = "[credentials-a]\nauthname=fred\npassword=x\n[auth-libvirt-default]\ncredentials=a\n"
        try HostFile.replace("\(folder)/wrong.conf", with: Array(wrong.utf8))
        return try DaemonProcess(
            folder: folder, options: options, environment: ["SASL_CONF_PATH=\(folder)/sasl"])
    }

    private static func clear(_ daemon: DaemonProcess) { DaemonProcess.clear(daemon.folder) }

    private static let programs = [["/usr/bin/virsh"], [TestPrograms.daemon, "virsh"]]

    private static func virsh(_ program: [String], _ uri: String, _ words: String...) throws -> HostProgram {
        try HostProgram.run(program[0], program.dropFirst() + ["-c", uri] + words, input: "")
    }

    @Test("Over TCP everything is encrypted by DIGEST-MD5, for those with a password alone")
    func tcp() throws {
        let daemon = try Self.daemon("digest-md5 scram-sha-256", ["--tcp", "127.0.0.1:0", "--auth-tcp", "sasl"])
        defer { Self.clear(daemon) }
        let folder = daemon.folder
        let uri = "qemu+tcp://127.0.0.1:\(try ListenerTests.port(daemon, "tcp"))/session?authfile=\(folder)/"
        // Many pieces, both ways.
        let text = String(repeating: "word ", count: 40_000)
        for (index, program) in Self.programs.enumerated() {
            let xml = TestXML.domain("big\(index)").replacing(
                "<memory", with: "<description>\(text)</description><memory")
            try HostFile.replace(folder + "/big.xml", with: Array(xml.utf8))
            let defined = try Self.virsh(program, uri + "fred.conf", "define", folder + "/big.xml")
            #expect(defined.status == 0, "\(program): \(defined)")
            let shown = try Self.virsh(program, uri + "mary.conf", "dumpxml", "big\(index)")
            #expect(shown.output.contains(text), "\(program)")
            let wrong = try Self.virsh(program, uri + "wrong.conf", "list", "--all")
            #expect(wrong.status == 1 && wrong.errors.contains("authentication failed"), "\(program): \(wrong)")
            // Without a file the user is asked, and here says nothing.
            let unasked = try Self.virsh(
                program, uri.replacing("?authfile=\(folder)/", with: ""), "list", "--all")
            #expect(unasked.status == 1 && !unasked.output.contains("big0"), "\(program): \(unasked)")
            // SCRAM has no layer: over TCP it is not to be had.
            let bare = try Self.virsh(program, uri + "fred.conf&auth=sasl.SCRAM-SHA-256", "list")
            #expect(bare.status == 1 && bare.errors.contains("SCRAM-SHA-256"), "\(program): \(bare)")
        }
        // A person at our own prompt.
        let typed = try HostProgram.run(
            TestPrograms.daemon,
            ["virsh", "-c", uri.replacing("?authfile=\(folder)/", with: ""), "list", "--all", "--name"],
            input: "fred\nkey of fred\n")
        #expect(typed.status == 0 && typed.output.contains("big0"), "\(typed)")
    }

    @Test("On the host's own socket by SCRAM, and those that are served alone")
    func local() throws {
        let daemon = try Self.daemon("scram-sha-256", ["--access", "sasl", "--sasl-user", "m*"])
        defer { Self.clear(daemon) }
        let uri = "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock&authfile=\(daemon.folder)/"
        for program in Self.programs {
            let mary = try Self.virsh(program, uri + "mary.conf", "list", "--all")
            #expect(mary.status == 0, "\(program): \(mary)")
            let fred = try Self.virsh(program, uri + "fred.conf", "list", "--all")
            #expect(fred.status == 1 && fred.errors.contains("authentication failed"), "\(program): \(fred)")
        }
        // Whoever only looks is asked for nothing.
        let look = try HostProgram.run(
            "/usr/bin/virsh", ["-r", "-c", "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock-ro", "list"])
        #expect(look.status == 0, "\(look)")
    }

    @Test("Over TLS besides the certificate", .enabled(if: ListenerTests.hasOpenSSL))
    func tls() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-pki-")
        defer { HostFile.removeTree(folder) }
        try ListenerTests.makeCertificates(folder)
        let daemon = try Self.daemon(
            "scram-sha-256 plain", ["--tls", "127.0.0.1:0", "--pki", folder, "--auth-tls", "sasl"])
        defer { Self.clear(daemon) }
        let uri =
            "qemu+tls://localhost:\(try ListenerTests.port(daemon, "tls"))/session?pkipath=\(folder)"
            + "&authfile=\(daemon.folder)/"
        for program in Self.programs {
            for mechanism in ["", "&auth=sasl.SCRAM-SHA-256"] {
                let fred = try Self.virsh(program, uri + "fred.conf" + mechanism, "list", "--all")
                #expect(fred.status == 0, "\(program) \(mechanism): \(fred)")
            }
            #expect(try Self.virsh(program, uri + "wrong.conf", "list").status == 1)
        }
    }

    @Test(
        "A machine goes by itself to a daemon that asks who comes, and stays where the word is wrong",
        .enabled(if: TestPrograms.hasGuest))
    func migration() throws {
        let destination = try Self.daemon("digest-md5", ["--tcp", "127.0.0.1:0", "--auth-tcp", "sasl"])
        defer { Self.clear(destination) }
        let source = try DaemonProcess()
        let virsh = try MigrationTests.define(source)
        let place = "qemu+tcp://127.0.0.1:\(try ListenerTests.port(destination, "tcp"))/session?authfile="
        func migrate(_ file: String) throws -> HostProgram {
            try virsh.run(
                "migrate", "--live", "--unsafe", "--p2p", "--migrateuri", "tcp:127.0.0.1:0", "m",
                "\(place)\(destination.folder)/\(file).conf")
        }
        let refused = try migrate("wrong")
        #expect(refused.status == 1 && refused.errors.contains("authentication failed"), "\(refused)")
        #expect(try virsh.state("m").hasPrefix("running"))
        let gone = try migrate("fred")
        #expect(gone.status == 0, "\(gone)")
        #expect(try Virsh(daemon: destination).state("m") == "running (migrated)")
        try Virsh(daemon: destination)("destroy", "m")
    }

    // MARK: - Those who mean no good

    private static func connect(_ daemon: DaemonProcess) throws -> TestClient {
        let port = try ListenerTests.port(daemon, "tcp")
        return try TestClient(try #require(try SocketAddress.resolve(host: "127.0.0.1", port: port).first))
    }

    /// Goes through the exchange, up to its last word.
    private static func begin(_ client: TestClient) throws -> (SASLSession, [UInt8]?) {
        let session = try SASLSession.client(
            service: "libvirt", host: "127.0.0.1", local: try Socket.localAddress(client.socket),
            remote: try Socket.peerAddress(client.socket), .wanted(bits: 56))
        let ask: (SASLSession.Question) -> String? = { question in
            switch question.kind {
            case .name: "fred"
            case .password: "key of fred"
            case .user, .realm: nil
            }
        }
        let list = try client.call(Remote.AuthSASLInit.self, NoPayload()).mechlist
        let (mechanism, first) = try session.start(mechanisms: list, ask: ask)
        let challenge = try client.call(
            Remote.AuthSASLStart.self, .init(mech: mechanism, nil: first.data == nil ? 1 : 0, data: []))
        let last = try session.step(challenge.data.map { UInt8(bitPattern: $0) }, ask: ask)
        return (session, last.data)
    }

    @Test("Words ahead of the layer, and words without it, end the connection unheard")
    func injection() throws {
        let daemon = try Self.daemon("digest-md5", ["--tcp", "127.0.0.1:0", "--auth-tcp", "sasl"])
        defer { Self.clear(daemon) }
        func step(_ data: [UInt8]?) throws -> Frame {
            try Frame.call(
                Remote.AuthSASLStep.self, .init(nil: 0, data: (data ?? []).map { Int8(bitPattern: $0) }), serial: 90)
        }
        let open = try Frame.call(Remote.ConnectOpen.self, .init(name: "qemu:///session", flags: 0), serial: 91)
        // Before anything: refused.
        let early = try Self.connect(daemon)
        #expect(
            try early.failure(Remote.ConnectOpen.self, .init(name: nil, flags: 0))?.code == VirErrorNumber.authFailed)
        // In one breath with the last word of the exchange.
        let ahead = try Self.connect(daemon)
        let (_, last) = try Self.begin(ahead)
        try ahead.send(bytes: try step(last).bytes + open.bytes)
        #expect(try ahead.answer(90).header.status == RPCStatus.ok.rawValue)
        #expect(throws: (any Error).self) { try ahead.answer(91) }
        // After it, without the layer.
        let bare = try Self.connect(daemon)
        let (_, word) = try Self.begin(bare)
        try bare.send(try step(word))
        #expect(try bare.answer(90).header.status == RPCStatus.ok.rawValue)
        // What it takes for a length is longer than one frame.
        for _ in 0..<4 { try? bare.send(open) }
        #expect(throws: (any Error).self) { try bare.answer(91) }
    }

    @Test("Nonsense in every word of the exchange is refused, and the next client comes in")
    func nonsense() throws {
        let daemon = try Self.daemon("digest-md5 scram-sha-256 plain", ["--tcp", "127.0.0.1:0", "--auth-tcp", "sasl"])
        defer { Self.clear(daemon) }
        var random = SplitMix64(state: 67)
        func data(_ count: Int) -> [Int8] { (0..<count).map { _ in Int8.random(in: -128...127, using: &random) } }
        for round in 0..<FuzzRounds.times(40) {
            let client = try Self.connect(daemon)
            if round % 5 != 0 { _ = try client.call(Remote.AuthSASLInit.self, NoPayload()) }
            let names = ["DIGEST-MD5", "PLAIN", "", "NONE", String(repeating: "D", count: 5000)]
            let name = names[Int.random(in: 0..<5, using: &random)]
            let isNil = Int32.random(in: 0...1, using: &random)
            _ = try? client.call(
                Remote.AuthSASLStart.self, .init(mech: name, nil: isNil, data: data([0, 3, 65_536][round % 3])))
            for _ in 0..<3 { _ = try? client.call(Remote.AuthSASLStep.self, .init(nil: isNil, data: data(200))) }
            let refused = try client.failure(Remote.ConnectOpen.self, .init(name: nil, flags: 0))
            #expect(refused?.code == VirErrorNumber.authFailed)
        }
        let port = try ListenerTests.port(daemon, "tcp")
        let uri = "qemu+tcp://127.0.0.1:\(port)/session?authfile=\(daemon.folder)/fred.conf"
        #expect(try Self.virsh(Self.programs[1], uri, "list").status == 0)
    }
}
