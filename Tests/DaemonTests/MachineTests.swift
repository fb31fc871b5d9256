import Daemon
import HostOS
import RPCWire
import TestSupport
import Testing

@Suite("Machines of domains", .serialized, .enabled(if: TestPrograms.hasGuest))
struct MachineTests {
    private static let serial = "<serial type='pty'/>"

    private static func emulators() -> [String] {
        [TestPrograms.emulator, "/usr/bin/qemu-system-x86_64"].filter { HostFile.status($0).kind == .file }
    }

    private static func states(_ client: TestClient, _ domain: RemoteDomain) throws -> Int32 {
        try client.call(Remote.DomainGetState.self, .init(dom: domain, flags: 0)).state
    }

    @Test("A machine starts, stops, goes on, restarts and ends, and tells of it", arguments: emulators())
    func life(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let client = try daemon.client()
        _ = try client.call(
            Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.lifecycle, dom: nil))
        let xml = TestXML.domain("m", devices: Self.serial, kernel: TestPrograms.kernel)
        var domain = try client.call(Remote.DomainDefineXML.self, .init(xml: xml)).dom
        domain = try client.call(Remote.DomainCreateWithFlags.self, .init(dom: domain, flags: 0)).dom
        #expect(domain.id > 0)
        #expect(try Self.states(client, domain) == VirDomainState.running)
        let live = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        #expect(live.contains("<source path='/dev/pts/"))
        _ = try client.call(Remote.DomainSuspend.self, .init(dom: domain))
        #expect(try Self.states(client, domain) == VirDomainState.paused)
        _ = try client.call(Remote.DomainResume.self, .init(dom: domain))
        #expect(try Self.states(client, domain) == VirDomainState.running)
        _ = try client.call(Remote.DomainReset.self, .init(dom: domain, flags: 0))
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
        #expect(try Self.states(client, domain) == VirDomainState.shutoff)
        let again = try client.failure(Remote.DomainDestroy.self, .init(dom: domain))
        #expect(again?.code == VirErrorNumber.operationInvalid)
        var seen: [Int32] = []
        while seen.last != VirDomainEventType.stopped {
            seen.append(try client.event(Remote.DomainEventCallbackLifecycle.self).event)
        }
        typealias Type = VirDomainEventType
        #expect(
            seen == [
                Type.defined, Type.resumed, Type.started, Type.suspended, Type.resumed, Type.shutdown, Type.stopped,
            ])
    }

    @Test("A machine outlives its daemon, and the next one has it in hand", arguments: emulators())
    func outlives(emulator: String) throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let xml = TestXML.domain("m", devices: Self.serial, kernel: TestPrograms.kernel)
        let first = try DaemonProcess(folder: folder, emulator: emulator)
        let before = try first.client().call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        let machine = try #require(try DaemonProcess.machine(folder, "m"))
        let text = try first.client().call(Remote.DomainGetXMLDesc.self, .init(dom: before, flags: 0)).xml
        _ = try first.client().call(Remote.DomainSuspend.self, .init(dom: before))
        first.kill()
        #expect(HostProcess.startTime(of: machine) != nil)

        let daemon = try DaemonProcess(folder: folder, emulator: emulator)
        let client = try daemon.client()
        let after = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
        #expect(after == before)
        #expect(try Self.states(client, after) == VirDomainState.paused)
        #expect(try client.call(Remote.DomainGetXMLDesc.self, .init(dom: after, flags: 0)).xml == text)
        #expect(try client.call(Remote.DomainGetVCPUs.self, .init(dom: after, maxinfo: 1, maplen: 1)).info.count == 1)
        _ = try client.call(Remote.DomainResume.self, .init(dom: after))
        #expect(try Self.states(client, after) == VirDomainState.running)
        #expect(try DaemonProcess.machine(folder, "m") == machine)
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: after))
        #expect(HostProcess.startTime(of: machine) == nil)
        // It was never defined: so it goes with its machine.
        #expect(try client.failure(Remote.DomainLookupByName.self, .init(name: "m"))?.code == VirErrorNumber.noDomain)
    }

    @Test("A daemon that ends in peace frees the monitors of its machines at once")
    func successor() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let xml = TestXML.domain("m", devices: Self.serial, kernel: TestPrograms.kernel)
        let paths = DaemonPaths.below(folder)
        let first = try DaemonInstance(paths: paths, emulators: [TestPrograms.emulator])
        _ = try TestClient(folder + "/libvirt-sock", opens: true)
            .call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0))
        first.stop()
        // The first is still there, in this process, and holds nothing of the machine any more.
        let second = try withExtendedLifetime(first) {
            try DaemonInstance(paths: paths, emulators: [TestPrograms.emulator])
        }
        defer { second.stop() }
        let client = try TestClient(folder + "/libvirt-sock", opens: true)
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
        _ = try client.call(Remote.DomainSuspend.self, .init(dom: domain))
        #expect(try Self.states(client, domain) == VirDomainState.paused)
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }

    @Test("A machine that dies while no daemon looks is reported as it is")
    func diesAlone() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        do {
            let daemon = try DaemonProcess(folder: folder)
            let client = try daemon.client()
            let xml = TestXML.domain("m", devices: Self.serial, kernel: TestPrograms.kernel)
            let domain = try client.call(Remote.DomainDefineXML.self, .init(xml: xml)).dom
            _ = try client.call(Remote.DomainCreate.self, .init(dom: domain))
        }
        let process = try HostProcess(number: try #require(try DaemonProcess.machine(folder, "m")))
        process.kill()
        #expect(process.waitForEnd(milliseconds: 60_000))
        let daemon = try DaemonProcess(folder: folder)
        let client = try daemon.client()
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
        #expect(try Self.states(client, domain) == VirDomainState.shutoff)
        _ = try client.call(Remote.DomainCreate.self, .init(dom: domain))
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }

    @Test("A console carries bytes both ways, belongs to one client, and is taken over by force")
    func console() throws {
        let daemon = try DaemonProcess()
        let client = try daemon.client()
        let xml = TestXML.domain("m", devices: Self.serial, kernel: TestPrograms.kernel)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? daemon.client().call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let call = RPCHeader(program: .remote, procedure: Remote.DomainOpenConsole.number, type: .call, serial: 500)
        let arguments = Remote.DomainOpenConsole.Arguments(dom: domain, devName: nil, flags: 0)
        try client.send(try Frame(call, arguments))
        #expect(try client.answer(500).header.status == RPCStatus.ok.rawValue)
        var text = ""
        while !text.contains("Linux version") { text += String(decoding: try client.next().payload, as: UTF8.self) }

        let other = try daemon.client()
        let busy = try other.failure(Remote.DomainOpenConsole.self, arguments)
        #expect(busy?.message == "operation failed: Active console session exists for this domain")
        try other.send(
            try Frame(
                call, Remote.DomainOpenConsole.Arguments(dom: domain, devName: nil, flags: VirDomainConsoleFlags.force))
        )
        #expect(try other.answer(500).header.status == RPCStatus.ok.rawValue)
        var frame = try client.next()
        while frame.header.status == RPCStatus.continue.rawValue { frame = try client.next() }
        #expect(frame.header.status == RPCStatus.error.rawValue)
        try other.send(Frame(call.answering(.stream, .ok)))
        frame = try other.next()
        while frame.header.status == RPCStatus.continue.rawValue { frame = try other.next() }
        #expect(frame.header == call.answering(.stream, .ok))
    }

    @Test("A daemon that is killed at any moment loses no definition and no machine, and leaves none that nobody knows")
    func killedAtRandom() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        var generator = TestGenerator(state: 7)
        for cycle in 0..<FuzzRounds.times(10) {
            let daemon = try DaemonProcess(folder: folder)
            let path = folder + "/libvirt-sock"
            let worker = try HostThread(name: "client") {
                guard let client = try? TestClient(path, opens: true) else { return }
                for number in 0..<100 {
                    let xml = TestXML.domain("m\(cycle)-\(number)", devices: Self.serial, kernel: TestPrograms.kernel)
                    guard let domain = try? client.call(Remote.DomainDefineXML.self, .init(xml: xml)).dom,
                        (try? client.call(Remote.DomainCreate.self, .init(dom: domain))) != nil
                    else { return }
                    if number % 2 == 0 { _ = try? client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
                }
            }
            // Any moment will do.
            _ = daemon.process.waitForEnd(milliseconds: Int32(generator.next() % 300))
            daemon.kill()
            worker.join()
            let next = try DaemonProcess(folder: folder)
            let client = try next.client()
            let domains = try client.call(Remote.ConnectListAllDomains.self, .init(needResults: 1, flags: 0)).domains
            var processes: Set<Int32> = []
            for domain in domains {
                let xml = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
                #expect(xml.contains("<name>\(domain.name)</name>"))
                guard domain.id > 0 else { continue }
                #expect(try Self.states(client, domain) == VirDomainState.running)
                let process = try #require(try DaemonProcess.machine(folder, domain.name))
                #expect(HostProcess.startTime(of: process) != nil)
                processes.insert(process)
            }
            #expect(Self.machines(in: folder).subtracting(processes).isEmpty)
            for domain in domains {
                if domain.id > 0 { _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
                _ = try client.call(Remote.DomainUndefine.self, .init(dom: domain))
            }
            #expect(Self.machines(in: folder).isEmpty)
        }
    }

    /// Processes of machines whose command line names a folder.
    private static func machines(in folder: String) -> Set<Int32> {
        var found: Set<Int32> = []
        for name in (try? HostFolder.names(in: "/proc")) ?? [] {
            guard let number = Int32(name),
                let words = try? HostFile.contents("/proc/\(number)/cmdline", limit: 1 << 20),
                String(decoding: words, as: UTF8.self).contains(folder + "/run/qemu/"),
                HostProcess.startTime(of: number) != nil
            else { continue }
            found.insert(number)
        }
        return found
    }
}

/// Numbers that are the same in every run.
struct TestGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
