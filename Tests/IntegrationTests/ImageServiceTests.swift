import Foundation
import Testing

/// What a machine's NBD server and its images tell, with no guest running.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct ImageServiceTests {
    private static let client = LiveJobTests.tool

    private static func machine(_ folder: TemporaryFolder, _ more: [String]) throws -> (GuestMachine, MonitorClient) {
        let socket = folder.path("qmp")
        let machine = try GuestMachine(
            ["-m", "32", "-nodefaults", "-display", "none", "-S", "-qmp", "unix:\(socket),server=on,wait=off"] + more)
        return (machine, try MonitorClient(path: socket))
    }

    /// Only the client whose certificate's name the rules allow sees the export.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/openssl"), "needs openssl"))
    func rulesSayWhoMayCome() throws {
        let folder = try TemporaryFolder()
        let steps = """
            cd '\(folder.path("."))'
            new() {
              openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1/$2-key.pem -out request -subj "$3"
              printf 'basicConstraints=critical,CA:FALSE\\nkeyUsage=critical,digitalSignature\\nextendedKeyUsage=%b\\n' \
                "$4" >words
              openssl x509 -req -in request -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -extfile words \
                -out $1/$2-cert.pem -days 30
              cp ca-cert.pem $1/
            }
            mkdir server good bad
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca-cert.pem \
              -subj /CN=ca -days 30 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
            new server server /CN=localhost 'serverAuth\\nsubjectAltName=DNS:localhost'
            new good client '/C=GB/O=Acme/CN=good' clientAuth
            new bad client '/C=GB/O=Acme/CN=bad' clientAuth
            """
        let made = try runOnHost("sh", "-ec", steps)
        try #require(made.status == 0, "\(made.output)")
        let (machine, monitor) = try Self.machine(
            folder,
            [
                "-object", "tls-creds-x509,id=tls,dir=\(folder.path("server")),endpoint=server", "-blockdev",
                "driver=null-co,node-name=disk,size=1M",
            ])
        let socket = folder.path("nbd")
        let address = ["type": "unix", "data": ["path": socket]] as [String: Any]
        let start = { (more: [String: Any]) in ["addr": address as Any].merging(more) { $1 } }
        #expect(
            try monitor.failure("nbd-server-start", start(["tls-authz": "rules"]))
                == "'tls-authz' is not permitted without 'tls-creds'")
        #expect(
            try monitor.failure("nbd-server-start", start(["tls-creds": "tls", "tls-authz": "rules"])).contains("rules")
        )
        try monitor.execute(
            "object-add",
            [
                "qom-type": "authz-list", "id": "rules", "policy": "deny",
                "rules": [["match": "C=GB,O=Acme,CN=g*", "policy": "allow", "format": "glob"]],
            ])
        try monitor.execute("nbd-server-start", start(["tls-creds": "tls", "tls-authz": "rules"]))
        try monitor.execute("nbd-server-add", ["device": "disk"])
        func info(_ keys: String?) throws -> (status: Int32, output: String) {
            var words = [Self.client, "info", "--image-opts"]
            var place = "driver=nbd,server.type=unix,server.path=\(socket),export=disk"
            if let keys {
                words.insert(
                    contentsOf: ["--object", "tls-creds-x509,id=c,dir=\(folder.path(keys)),endpoint=client"], at: 2)
                place += ",tls-creds=c,tls-hostname=localhost"
            }
            let result = try runOnHost("sh", "-c", (words + [place]).map { "'\($0)'" }.joined(separator: " ") + " 2>&1")
            return (result.status, result.output)
        }
        let good = try info("good")
        #expect(good.status == 0 && good.output.contains("1 MiB"), "\(good.output)")
        let bad = try info("bad")
        #expect(bad.status == 1 && !bad.output.contains("1 MiB"), "\(bad.output)")
        let plain = try info(nil)
        #expect(plain.status == 1 && plain.output.contains("TLS"), "\(plain.output)")
        // The machine is none the worse for those that it sent away.
        #expect(try info("good").status == 0)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    /// Damage that a request meets is told once, marks the image, and makes no write go through any more.
    @Test func damageIsTold() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("disk")
        try LiveJobTests.run("create", "-q", "-f", "qcow2", path, "64M")
        try LiveJobTests.run("io", "-f", "qcow2", "-c", "write -q 0 64k", path)
        // The entry of the L1 table: into the middle of a cluster.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        func number(_ at: Int) -> UInt64 { bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        let l1 = Int(number(40))
        bytes[l1 + 6] = 0x2a
        try bytes.write(to: URL(fileURLWithPath: path))
        let table = number(l1) & ~(1 << 63)
        let (machine, monitor) = try Self.machine(
            folder, ["-blockdev", "driver=qcow2,node-name=disk,file.driver=file,file.filename=\(path)"])
        let socket = folder.path("nbd")
        try monitor.execute("nbd-server-start", ["addr": ["type": "unix", "data": ["path": socket]]])
        try monitor.execute("nbd-server-add", ["device": "disk", "writable": true])
        let result = try runOnHost(
            Self.client, "io", "-f", "raw", "-c", "read 0 64k", "-c", "write 0 64k", "nbd+unix:///disk?socket=\(socket)"
        )
        #expect(result.output.contains("read failed: Input/output error"), "\(result.output)")
        #expect(result.output.contains("write failed: Input/output error"), "\(result.output)")
        let event = try monitor.wait(forEvent: "BLOCK_IMAGE_CORRUPTED", seconds: 60)
        let reason = "L2 table offset 0x\(String(table, radix: 16)) unaligned (L1 index: 0)"
        #expect(event["msg"] as? String == reason && event["fatal"] as? Bool == true, "\(event)")
        #expect(event["node-name"] as? String == "disk" && event["device"] as? String == "", "\(event)")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        #expect(machine.console.contains("qcow2: Marking image as corrupt: \(reason)"), "\(machine.console)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path))[79] == 2)
        let events = monitor.events.count { $0["event"] as? String == "BLOCK_IMAGE_CORRUPTED" }
        #expect(events == 0, "It came more than once")
    }
}
