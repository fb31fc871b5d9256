import HostOS
import RPCWire
import TestSupport
import Testing

/// virsh against one daemon, by words.
struct Virsh {
    let daemon: DaemonProcess

    static func uri(_ daemon: DaemonProcess) -> String {
        "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock"
    }

    /// Runs a command and takes what comes of it.
    func run(_ words: String...) throws -> HostProgram { try run(words) }

    func run(_ words: [String]) throws -> HostProgram {
        try HostProgram.run("virsh", ["-c", Virsh.uri(daemon)] + words)
    }

    /// A command that is to succeed: what it prints.
    @discardableResult
    func callAsFunction(_ words: String...) throws -> String {
        try HostProgram.output("virsh", ["-c", Virsh.uri(daemon)] + words)
    }

    func state(_ name: String) throws -> String {
        try self("domstate", name, "--reason").filter { $0 != "\n" }
    }
}

/// Two daemons of one host, each with its own folder, and machines that go from one to the other.
@Suite("Migration", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct MigrationTests {
    static func define(_ daemon: DaemonProcess, _ emulator: String? = nil) throws -> Virsh {
        let virsh = Virsh(daemon: daemon)
        _ = try HostProgram.output(
            TestPrograms.imageTool, ["create", "-q", "-f", "qcow2", daemon.folder + "/d.qcow2", "64M"])
        let program = emulator.map { "<emulator>\($0)</emulator>" } ?? ""
        let devices = """
            \(program)<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
            <source file='\(daemon.folder)/d.qcow2'/><target dev='vda' bus='virtio'/></disk>
            <interface type='network'><source network='default'/><model type='virtio'/></interface>
            <serial type='pty'/>
            """
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(daemon.folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", daemon.folder + "/m.xml")
        try virsh("start", "m")
        return virsh
    }

    /// What a machine has said since its start, as far as its daemon knows.
    static func waitForBoot(_ daemon: DaemonProcess) throws {
        let uuid = try Virsh(daemon: daemon)("domuuid", "m").filter { $0 != "\n" }
        let log = "\(daemon.folder)/run/qemu/\(uuid)/charserial0.log"
        let pause = Bell()
        for _ in 0..<6000 {
            let text = String(decoding: (try? HostFile.contents(log)) ?? [], as: UTF8.self)
            if text.contains("Linux version") { return }
            pause.wait(nanoseconds: 10_000_000)
        }
        Issue.record("the guest did not start")
    }

    private static let ways: [[String]] = [
        ["--live"], ["--live", "--p2p"], ["--live", "--p2p", "--tunnelled"],
        ["--live", "--persistent", "--undefinesource"],
    ]

    @Test("A machine goes to another daemon while it runs, by a client, by itself, through a tunnel", arguments: ways)
    func goes(way: [String]) throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let virsh = try Self.define(source)
        try Self.waitForBoot(source)
        let other = Virsh(daemon: destination)
        let unsafe = try virsh.run("migrate", "--live", "m", Virsh.uri(destination))
        #expect(unsafe.errors.contains("Unsafe migration: Migration without shared storage is unsafe"))
        let words = ["-c", Virsh.uri(source), "migrate"] + way + ["--unsafe", "m", Virsh.uri(destination)]
        let place = way.contains("--tunnelled") ? [] : ["tcp:127.0.0.1:0"]
        let done = try HostProgram.run("virsh", words + place)
        #expect(done.status == 0, "\(done)")
        #expect(try other.state("m") == "running (migrated)")
        let left = try virsh.run("domstate", "m", "--reason")
        if way.contains("--undefinesource") {
            #expect(left.errors.contains("failed to get domain 'm'"))
            #expect(try other("dominfo", "m").contains("Persistent:     yes"))
        } else {
            #expect(left.output.filter { $0 != "\n" } == "shut off (migrated)")
            #expect(try other("dominfo", "m").contains("Persistent:     no"))
        }
        #expect(try other("domiflist", "m").contains("vnet0"))
        // It runs on with its disk and its card.
        try other("suspend", "m")
        try other("resume", "m")
        try other("destroy", "m")
    }

    @Test("A machine comes back, and one that cannot go stays and runs")
    func returns() throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let virsh = try Self.define(source)
        try Self.waitForBoot(source)
        let other = Virsh(daemon: destination)
        let (here, there) = (Virsh.uri(source), Virsh.uri(destination))
        // Nobody listens where the state is to go.
        let lost = try virsh.run(
            "migrate", "--live", "--p2p", "--unsafe", "m", "qemu+unix:///session?socket=/nonexistent")
        #expect(lost.status != 0)
        #expect(try virsh.state("m") == "running (booted)")
        // The same machine is there already.
        let same = try virsh.run("migrate", "--live", "--unsafe", "m", here)
        #expect(same.errors.contains("Attempt to migrate guest to the same host"))
        try virsh("migrate", "--live", "--unsafe", "--p2p", "m", there)
        try other("migrate", "--live", "--unsafe", "--p2p", "m", here)
        #expect(try virsh.state("m") == "running (migrated)")
        #expect(try other.run("domstate", "m").status != 0)
        #expect(try virsh("domjobinfo", "m").contains("None"))
        // One that stands goes as it is, under another name.
        try virsh("suspend", "m")
        try virsh("migrate", "--unsafe", "--dname", "n", "m", there, "tcp:127.0.0.1:0")
        #expect(try other("domstate", "n").contains("paused"))
        try other("resume", "n")
        try other("destroy", "n")
    }

    @Test("A definition goes alone")
    func offline() throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let virsh = Virsh(daemon: source)
        try HostFile.replace(source.folder + "/m.xml", with: Array(TestXML.domain("m").utf8))
        try virsh("define", source.folder + "/m.xml")
        let words = ["migrate", "--offline", "m", Virsh.uri(destination)]
        let refused = try HostProgram.run("virsh", ["-c", Virsh.uri(source)] + words)
        #expect(refused.errors.contains("persistent flag"))
        try virsh("migrate", "--offline", "--persistent", "--undefinesource", "m", Virsh.uri(destination))
        #expect(try Virsh(daemon: destination)("list", "--all", "--name").contains("m"))
        #expect(try !virsh("list", "--all", "--name").contains("m"))
    }

    @Test("A machine of QEMU goes the same ways", .enabled(if: Program.exists(Program.qemu)))
    func qemu() throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let virsh = try Self.define(source, Program.qemu)
        try Self.waitForBoot(source)
        let other = Virsh(daemon: destination)
        try virsh("migrate", "--live", "--unsafe", "m", Virsh.uri(destination), "tcp:127.0.0.1:0")
        #expect(try other.state("m") == "running (migrated)")
        try other("migrate", "--live", "--unsafe", "--p2p", "--tunnelled", "m", Virsh.uri(source))
        #expect(try virsh.state("m") == "running (migrated)")
        try virsh("destroy", "m")
    }

    private static func refusal<Procedure: RPCProcedure>(
        _ client: TestClient, _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws -> RemoteError { try #require(try client.failure(type, arguments)) }

    @Test("Nonsense in the steps of the protocol is refused, and harms no machine")
    func nonsense() throws {
        let daemon = try DaemonProcess()
        let client = try daemon.client()
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        func begin(_ parameters: [RemoteTypedParam], _ flags: UInt32) throws -> RemoteError {
            try Self.refusal(
                client, Remote.DomainMigrateBegin3Params.self, .init(dom: domain, params: parameters, flags: flags))
        }
        #expect(try begin([.init(field: "x", value: .int(1))], 0).code == VirErrorNumber.invalidArg)
        #expect(try begin([.init(field: "migrate_uri", value: .int(1))], 0).code == VirErrorNumber.invalidArg)
        #expect(try begin([], VirDomainMigrateFlags.postcopyResume).code == VirErrorNumber.operationUnsupported)
        typealias Flags = VirDomainMigrateFlags
        let tunnel = Flags.peer2peer | Flags.tunnelled
        let refused = [
            Flags.parallel | Flags.postcopy, tunnel | Flags.tls, tunnel | Flags.parallel, tunnel | Flags.postcopy,
        ]
        for flags in refused {
            #expect(try begin([], flags).code == VirErrorNumber.operationUnsupported, "\(flags)")
        }
        for count in [0, -1, 17] as [Int32] {
            let parameters: [RemoteTypedParam] = [.init(field: "parallel.connections", value: .int(count))]
            #expect(try begin(parameters, Flags.parallel).code == VirErrorNumber.invalidArg, "\(count)")
            #expect(try begin(parameters, 0).code == VirErrorNumber.invalidArg, "\(count)")
        }
        #expect(try begin([], VirDomainMigrateFlags.tunnelled).code == VirErrorNumber.invalidArg)
        #expect(try begin([], VirDomainMigrateFlags.offline).code == VirErrorNumber.operationInvalid)
        for uri in ["", "ftp://x", "tcp:", "unix:relative", "tcp://127.0.0.1:1"] {
            let parameters: [RemoteTypedParam] = [.init(field: "migrate_uri", value: .string(uri))]
            let error = try Self.refusal(
                client, Remote.DomainMigratePerform3Params.self,
                .init(dom: domain, dconnuri: nil, params: parameters, cookieIn: [], flags: 1))
            #expect(error.message?.isEmpty == false, "\(uri)")
        }
        for uri in ["", "qemu", "qemu+ftp://h/system", "xen:///", "qemu+unix:///session?socket=/nonexistent"] {
            let error = try Self.refusal(
                client, Remote.DomainMigratePerform3Params.self,
                .init(dom: domain, dconnuri: uri, params: [], cookieIn: [], flags: 2))
            #expect(error.message?.isEmpty == false, "\(uri)")
        }
        for cookie in [Array("<x/>".utf8), Array("<qemu-migration>".utf8), [0xFF, 0xFE]] as [[UInt8]] {
            let parameters: [RemoteTypedParam] = [.init(field: "destination_xml", value: .string(xml))]
            _ = try Self.refusal(
                client, Remote.DomainMigratePrepare3Params.self,
                .init(params: parameters, cookieIn: cookie, flags: 1))
        }
        // The end of what never began.
        let named: [RemoteTypedParam] = [.init(field: "destination_name", value: .string("m"))]
        _ = try Self.refusal(
            client, Remote.DomainMigrateFinish3Params.self,
            .init(params: named, cookieIn: [], flags: 1, cancelled: 0))
        _ = try Self.refusal(
            client, Remote.DomainMigrateFinish3Params.self,
            .init(params: named, cookieIn: [], flags: 1, cancelled: 1))
        _ = try client.call(
            Remote.DomainMigrateConfirm3Params.self,
            .init(dom: domain, params: [], cookieIn: [], flags: 1, cancelled: 0))
        #expect(
            try client.call(Remote.DomainGetState.self, .init(dom: domain, flags: 0)).state == VirDomainState.running)
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }

    @Test("A machine that waits for its state goes with those who asked for it")
    func abandoned() throws {
        let daemon = try DaemonProcess()
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        let parameters: [RemoteTypedParam] = [.init(field: "destination_xml", value: .string(xml))]
        do {
            let client = try TestClient(daemon.folder + "/libvirt-sock", opens: true)
            let prepared = try client.call(
                Remote.DomainMigratePrepare3Params.self, .init(params: parameters, cookieIn: [], flags: 1))
            #expect(prepared.uriOut?.hasPrefix("tcp:") == true)
            let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
            let state = try client.call(Remote.DomainGetState.self, .init(dom: domain, flags: 0))
            #expect(state.state == VirDomainState.paused)
            #expect(state.reason == VirDomainPausedReason.migration)
        }
        let client = try daemon.client()
        let pause = Bell()
        for _ in 0..<600 where try client.failure(Remote.DomainLookupByName.self, .init(name: "m")) == nil {
            pause.wait(nanoseconds: 100_000_000)
        }
        #expect(try client.failure(Remote.DomainLookupByName.self, .init(name: "m"))?.code == VirErrorNumber.noDomain)
    }

    @Test("A daemon that is killed while a machine is on its way leaves it here, and none waiting there")
    func killed() throws {
        let (here, there) = (
            try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-"),
            try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        )
        defer { for folder in [here, there] { DaemonProcess.clear(folder) } }
        let (source, destination) = (try DaemonProcess(folder: here), try DaemonProcess(folder: there))
        let virsh = try Self.define(source)
        try Self.waitForBoot(source)
        try virsh("migrate-setspeed", "m", "1")
        let path = here + "/libvirt-sock"
        let uri = Virsh.uri(destination)
        let client = try HostThread(name: "client") {
            guard let client = try? TestClient(path, opens: true),
                let domain = try? client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
            else { return }
            _ = try? client.call(
                Remote.DomainMigratePerform3Params.self,
                .init(
                    dom: domain, dconnuri: uri, params: [], cookieIn: [],
                    flags: VirDomainMigrateFlags.live | VirDomainMigrateFlags.peer2peer | VirDomainMigrateFlags.unsafe))
        }
        // At once when it is there: on a busy host a slow look would find that the whole machine has gone.
        let watcher = try TestClient(there + "/libvirt-sock", opens: true)
        let pause = Bell()
        for _ in 0..<6000 where try watcher.failure(Remote.DomainLookupByName.self, .init(name: "m")) != nil {
            pause.wait(nanoseconds: 5_000_000)
        }
        destination.kill()
        source.kill()
        client.join()
        let (next, last) = (try DaemonProcess(folder: here), try DaemonProcess(folder: there))
        #expect(try !Virsh(daemon: last)("list", "--all", "--name").contains("m"))
        let again = Virsh(daemon: next)
        for _ in 0..<600 where try !again("domstate", "m").contains("running") { pause.wait(nanoseconds: 50_000_000) }
        #expect(try again("domstate", "m").contains("running"))
        try again("suspend", "m")
        try again("resume", "m")
        try again("destroy", "m")
    }
}
