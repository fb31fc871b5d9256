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
        func openssl(_ words: String...) {
            let result = Tool.run(["/usr/bin/openssl"] + words) { String(decoding: $0, as: UTF8.self) }
            #expect(result.status == 0, "\(words): \(result.errors)")
        }
        for name in ["server", "client", "other"] { _ = unsafe mkdir(folder.file(name), 0o700) }
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-x509"]
        func request(_ name: String, _ subject: String, _ more: [String]) {
            let all =
                ["req", "-keyout", folder.file("\(name)-key.pem"), "-out", folder.file("\(name)-cert.pem"), "-subj"]
                + [subject] + more + key
            let result = Tool.run(["/usr/bin/openssl"] + all) { String(decoding: $0, as: UTF8.self) }
            #expect(result.status == 0, "\(result.errors)")
        }
        for authority in ["ca", "no"] {
            request(
                authority, "/CN=\(authority)",
                ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"])
        }
        func sign(_ name: String, _ authority: String, _ place: String, _ extensions: String) {
            folder.write("extensions", Array(extensions.utf8))
            openssl(
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                folder.file("\(place)/\(name)-key.pem"), "-out", folder.file("request"), "-subj", "/CN=\(name)")
            openssl(
                "x509", "-req", "-in", folder.file("request"), "-CA", folder.file("\(authority)-cert.pem"), "-CAkey",
                folder.file("\(authority)-key.pem"), "-CAcreateserial", "-days", "3650", "-extfile",
                folder.file("extensions"), "-out", folder.file("\(place)/\(name)-cert.pem"))
            folder.write("\(place)/ca-cert.pem", folder.read("ca-cert.pem"))
        }
        let usage = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage="
        sign("server", "ca", "server", usage + "serverAuth\nsubjectAltName=DNS:disks.example\n")
        sign("client", "ca", "client", usage + "clientAuth\n")
        // Somebody else's word for the client: the server does not take it.
        sign("client", "no", "other", usage + "clientAuth\n")
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
}
