import Daemon
import HostOS
import RPCWire
import TestSupport
import Testing

/// Clients that come over TCP, TLS and SSH.
@Suite("Clients of other hosts", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasEmulator))
struct ListenerTests {
    static let hasOpenSSL = Program.exists("/usr/bin/openssl")

    static func port(_ daemon: DaemonProcess, _ kind: String) throws -> String {
        let text = String(decoding: try HostFile.contents(daemon.folder + "/run/listeners"), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(kind + "://") })
        return String(try #require(line.split(separator: ":").last))
    }

    /// An authority, a server's certificate for this host, a client's, and one of a stranger's.
    static func makeCertificates(_ folder: String) throws {
        func openssl(_ words: String...) throws { try HostProgram.output("/usr/bin/openssl", words) }
        for (authority, names) in [("ca", ["server", "client"]), ("strange", ["stranger"])] {
            try openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=\(authority)", "-keyout",
                "\(folder)/\(authority)key.pem", "-out", "\(folder)/\(authority)cert.pem")
            for name in names {
                try openssl(
                    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout",
                    "\(folder)/\(name)key.pem", "-out", "\(folder)/\(name).csr")
                try HostFile.replace(
                    "\(folder)/\(name).ext", with: Array("subjectAltName=DNS:localhost,IP:127.0.0.1\n".utf8))
                try openssl(
                    "x509", "-req", "-days", "2", "-in", "\(folder)/\(name).csr", "-CA",
                    "\(folder)/\(authority)cert.pem", "-CAkey", "\(folder)/\(authority)key.pem", "-CAcreateserial",
                    "-extfile", "\(folder)/\(name).ext", "-out", "\(folder)/\(name)cert.pem")
            }
        }
        try HostFile.rename("\(folder)/cacert.pem", to: "\(folder)/authority.pem")
        try HostFile.replace("\(folder)/cacert.pem", with: try HostFile.contents("\(folder)/authority.pem"))
    }

    @Test("Places are read as people write them")
    func places() {
        typealias Place = ListenerOptions.Place
        #expect(Place("1.2.3.4:5", usualPort: 1) == Place(host: "1.2.3.4", port: 5))
        #expect(Place("[::1]:5", usualPort: 1) == Place(host: "::1", port: 5))
        #expect(Place("[::1]", usualPort: 1) == Place(host: "::1", port: 1))
        #expect(Place("::1", usualPort: 1) == Place(host: "::1", port: 1))
        #expect(Place(":5", usualPort: 1) == Place(host: "", port: 5))
        #expect(Place("5", usualPort: 1) == Place(host: "", port: 5))
        #expect(Place("host", usualPort: 1) == Place(host: "host", port: 1))
        for text in ["host:", "host:x", "host:65536", "a b", "/path", "h:1:"] {
            #expect(Place(text, usualPort: 1) == nil, "\(text)")
        }
    }

    @Test("Over TCP anybody is served")
    func tcp() throws {
        let daemon = try DaemonProcess(options: ["--tcp", "127.0.0.1:0"])
        let port = try Self.port(daemon, "tcp")
        let uri = "qemu+tcp://127.0.0.1:\(port)/session"
        let list = try HostProgram.output("virsh", ["-c", uri, "list", "--all"])
        #expect(list.contains("Id   Name   State"))
        #expect(try HostProgram.output("virsh", ["-c", uri, "uri"]).contains("qemu+tcp://"))
    }

    @Test("Over TLS those with a certificate of the authority's are served, and nobody else", .enabled(if: hasOpenSSL))
    func tls() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-pki-")
        defer { HostFile.removeTree(folder) }
        try Self.makeCertificates(folder)
        let daemon = try DaemonProcess(options: ["--tls", "127.0.0.1:0", "--pki", folder])
        let uri = "qemu+tls://127.0.0.1:\(try Self.port(daemon, "tls"))/session?pkipath=\(folder)"
        #expect(try HostProgram.output("virsh", ["-c", uri, "list", "--all"]).contains("Name"))
        // More than one record, both ways.
        let text = String(repeating: "word ", count: 20_000)
        let xml = TestXML.domain("big").replacing("<memory", with: "<description>\(text)</description><memory")
        try HostFile.replace(folder + "/big.xml", with: Array(xml.utf8))
        try HostProgram.output("virsh", ["-c", uri, "define", folder + "/big.xml"])
        #expect(try HostProgram.output("virsh", ["-c", uri, "dumpxml", "big"]).contains(text))
        // Somebody else's certificate, and none at all.
        for end in ["cert", "key"] {
            let bytes = try HostFile.contents("\(folder)/stranger\(end).pem")
            try HostFile.replace("\(folder)/client\(end).pem", with: bytes)
        }
        let stranger = try HostProgram.run("virsh", ["-c", uri, "list"])
        #expect(stranger.status != 0)
        for end in ["cert", "key"] { try HostFile.remove("\(folder)/client\(end).pem") }
        #expect(try HostProgram.run("virsh", ["-c", uri, "list"]).status != 0)
        // Plain words where TLS is expected.
        let port = try #require(UInt16(try Self.port(daemon, "tls")))
        let address = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: "\(port)").first)
        let socket = try Socket.connect(address)
        try socket.writeAll([UInt8](repeating: 0x41, count: 4096))
        #expect(socket.wait(for: [.read], milliseconds: 60_000) != [])
        #expect(try HostProgram.output("virsh", ["-c", Virsh.uri(daemon), "list", "--all"]).contains("big"))
    }

    /// What ssh would do on the other host: a shell with the last word.
    private static func fakeSSH(_ folder: String) throws -> String {
        let script = "#!/bin/sh\nfor word; do last=$word; done\nexec sh -c \"$last\"\n"
        try HostFile.replace(folder + "/ssh", with: Array(script.utf8), permissions: 0o755)
        return folder + "/ssh"
    }

    @Test(
        "By SSH's way, with netcat at the other end", .enabled(if: Program.exists("/usr/bin/nc"), "there is no netcat"))
    func netcat() throws {
        let daemon = try DaemonProcess()
        let uri =
            "qemu+ssh://host/session?command=\(try Self.fakeSSH(daemon.folder))&proxy=netcat&netcat=/usr/bin/nc"
            + "&socket=\(daemon.folder)/libvirt-sock"
        #expect(try HostProgram.output("virsh", ["-c", uri, "list", "--all"]).contains("Name"))
    }

    @Test(
        "By SSH's way, with libvirt's helper at the other end",
        .enabled(
            if: Program.exists("/usr/bin/virt-ssh-helper") && HostIdentity.userID == 0,
            "there is no virt-ssh-helper, or no root to show it the daemon's folder as the system's"))
    func helper() throws {
        let daemon = try DaemonProcess()
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-ssh-")
        defer { HostFile.removeTree(folder) }
        // As above, where the folder of the system's daemon is this one's.
        let script = """
            #!/bin/sh
            for word; do last=$word; done
            exec unshare -m sh -c "mount -t tmpfs none /run && mkdir /run/libvirt && \\
                mount --bind \(daemon.folder) /run/libvirt && $last"

            """
        try HostFile.replace(folder + "/ssh", with: Array(script.utf8), permissions: 0o755)
        let uri = "qemu+ssh://host/system?command=\(folder)/ssh&proxy=native"
        #expect(try HostProgram.output("virsh", ["-c", uri, "list", "--all"]).contains("Name"))
    }
}
