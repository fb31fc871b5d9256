import CLinux
import HostOS
import Testing

/// NBD by TLS, each end ours or Debian's.
@Suite(.enabled(if: Tool.isThere && Tool.isBuilt, "qemu-utils is not installed, or apus-img not built"))
struct NBDTLSTests {
    private static let theirs = ["/usr/bin/qemu-nbd"]
    private static var ours: [String] { [Tool.apusImg ?? "", "nbd"] }
    private static let hasOpenSSL = unsafe access("/usr/bin/openssl", X_OK) == 0

    /// What a client says of a server's export by TLS.
    private func options(_ server: Server, host: String? = nil) -> String {
        "driver=nbd,server.type=unix,server.path=\(server.socket),tls-creds=t"
            + (host.map { ",tls-hostname=\($0)" } ?? "")
    }

    /// Copies the export by both clients: what each says.
    private func copies(_ folder: Folder, _ server: Server, _ object: String, host: String? = nil) -> [Outcome] {
        let words = [
            "convert", "--object", object, "--image-opts", options(server, host: host), "-O", "raw",
        ]
        return [folder.image(words + ["@ours.raw"]), folder.qemu(words + ["@theirs.raw"])]
    }

    private func exchange(
        _ folder: Folder, _ kind: String, host: String? = nil, good: String, bad: String
    ) throws {
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 8))
        for program in [Self.theirs, Self.ours] {
            let server = try Server(
                program, folder,
                [
                    "-e", "4", "--object", "\(kind),id=s,dir=\(folder.file("server")),endpoint=server",
                    "--tls-creds", "s", "-f", "raw", folder.file("disk.raw"),
                ])
            for outcome in copies(folder, server, good, host: host) { #expect(outcome.status == 0, "\(outcome)") }
            #expect(folder.read("ours.raw") == folder.read("disk.raw"))
            #expect(folder.read("theirs.raw") == folder.read("disk.raw"))
            for outcome in copies(folder, server, bad, host: host) { #expect(outcome.status == 1, "\(outcome)") }
            // Without TLS nobody gets anything.
            let plain = "nbd+unix:///?socket=\(server.socket)"
            let (ours, theirs) = (folder.image("info", plain), folder.qemu("info", plain))
            #expect(ours == theirs && ours.status == 1 && ours.errors.contains("TLS negotiation required"))
            let list = ["-L", "-k", server.socket, "--object", good, "--tls-creds", "t"]
            let named = host.map { ["--tls-hostname", $0] } ?? []
            func run(_ program: [String]) -> Outcome {
                Tool.run(program + list + named) { String(decoding: $0, as: UTF8.self) }
            }
            let (one, two) = (run(Self.ours), run(Self.theirs))
            #expect(one == two && one.output.contains("size:  3145728"), "\(one) \(two)")
        }
    }

    @Test func keysThatAreShared() throws {
        let folder = try Folder()
        for name in ["server", "client", "other"] { _ = unsafe mkdir(folder.file(name), 0o700) }
        let key = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
        folder.write("server/keys.psk", Array("# all\nsomebody:00ff\nqemu:\(key)\n".utf8))
        folder.write("client/keys.psk", Array("qemu:\(key)\n".utf8))
        folder.write("other/keys.psk", Array("qemu:\(String(key.reversed()))\n".utf8))
        func object(_ name: String) -> String { "tls-creds-psk,id=t,dir=\(folder.file(name)),endpoint=client" }
        try exchange(folder, "tls-creds-psk", good: object("client"), bad: object("other"))
        // A server without TLS says so.
        let server = try Server(Self.ours, folder, ["-f", "raw", folder.file("disk.raw")])
        for outcome in copies(folder, server, object("client")) {
            #expect(outcome.status == 1 && outcome.errors.contains("Denied by server for option 5 (starttls)"))
        }
        // Objects that are no good are errors at once.
        folder.write("other/keys.psk", Array("qemu:zz\n".utf8))
        for words in ["dir=\(folder.file("other"))", "dir=\(folder.file("nosuch"))", "endpoint=client", "dir=x,x=1"] {
            #expect(folder.image("info", "--object", "tls-creds-psk,id=t,\(words)", "@disk.raw").status == 1)
        }
    }

    @Test(.enabled(if: hasOpenSSL, "openssl is not installed")) func certificates() throws {
        let folder = try Folder()
        let certificates = try TestCertificates(folder)
        certificates.sign(
            "server", "ca", "server", certificates.usage + "serverAuth\nsubjectAltName=DNS:disks.example\n")
        certificates.sign("client", "ca", "client", certificates.usage + "clientAuth\n")
        // Somebody else's word for the client: the server does not take it.
        certificates.sign("client", "no", "other", certificates.usage + "clientAuth\n")
        func object(_ name: String) -> String { "tls-creds-x509,id=t,dir=\(folder.file(name)),endpoint=client" }
        try exchange(
            folder, "tls-creds-x509", host: "disks.example", good: object("client"), bad: object("other"))
        // The name must be the certificate's, and there must be one.
        let server = try Server(
            Self.ours, folder,
            [
                "--object", "tls-creds-x509,id=s,dir=\(folder.file("server")),endpoint=server", "--tls-creds", "s",
                "-r", "-f", "raw", folder.file("disk.raw"),
            ])
        for host in ["others.example", nil] {
            for outcome in copies(folder, server, object("client"), host: host) {
                #expect(outcome.status == 1, "\(outcome)")
            }
        }
    }

    /// Only whose certificate has the right name may come: both programs' servers take and refuse the same ones.
    @Test(.enabled(if: hasOpenSSL, "openssl is not installed")) func namesOfClients() throws {
        let folder = try Folder()
        let certificates = try TestCertificates(folder)
        certificates.sign(
            "server", "ca", "server", certificates.usage + "serverAuth\nsubjectAltName=DNS:disks.example\n")
        certificates.sign(
            "client", "ca", "client", certificates.usage + "clientAuth\n",
            subject: "/C=GB/O=Acme, Inc./emailAddress=a@b.c/CN=client")
        folder.write("disk.raw", mixedBytes(1 << 20, seed: 8))
        let name = "C=GB,O=Acme\\, Inc.,EMAIL=a@b.c,CN=client"
        let doubled = name.replacing(",", with: ",,")
        folder.write(
            "rules",
            Array(
                "{\"policy\":\"allow\",\"rules\":[{\"match\":\"*Acme*\",\"policy\":\"deny\",\"format\":\"glob\"}]}".utf8
            ))
        let cases: [(String, Int32)] = [
            ("authz-simple,id=a,identity=\(doubled)", 0), ("authz-simple,id=a,identity=CN=client", 1),
            ("authz-list,id=a,policy=deny,rules.0.match=\(doubled),rules.0.policy=allow", 0),
            ("authz-list,id=a,policy=allow,rules.0.match=C=*CN=clien?,rules.0.policy=deny,rules.0.format=glob", 1),
            ("authz-list,id=a,policy=allow,rules.0.match=C=*CN=clien?,rules.0.policy=deny", 0),
            ("authz-list,id=a", 1), ("authz-list-file,id=a,filename=\(folder.file("rules")),refresh=off", 1),
        ]
        let object = "tls-creds-x509,id=t,dir=\(folder.file("client")),endpoint=client"
        for program in [Self.theirs, Self.ours] {
            for (rules, status) in cases {
                let server = try Server(
                    program, folder,
                    [
                        "-e", "4", "--object", "tls-creds-x509,id=s,dir=\(folder.file("server")),endpoint=server",
                        "--tls-creds", "s", "--object", rules, "--tls-authz", "a", "-f", "raw", folder.file("disk.raw"),
                    ])
                let outcome = copies(folder, server, object, host: "disks.example")[0]
                #expect(outcome.status == status, "\(program[0]) \(rules): \(outcome)")
            }
        }
        // Rules that nobody would be asked about are an error.
        let tls = ["--object", "tls-creds-x509,id=s,dir=\(folder.file("server")),endpoint=server,verify-peer=off"]
        for words in [
            ["--tls-authz", "a"], tls + ["--tls-creds", "s", "--tls-authz", "a"],
            tls + ["--tls-creds", "s", "--tls-authz", "b"],
        ] {
            let line =
                Self.ours + ["-k", folder.file("s"), "--object", "authz-list,id=a"] + words + [folder.file("disk.raw")]
            #expect(Tool.run(line) { String(decoding: $0, as: UTF8.self) }.status == 1)
        }
    }
}
