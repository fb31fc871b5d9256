import HostOS
import RPCWire
import TestSupport
import Testing

/// What a guest does, and what is done to it, as a client hears of it: each kind of event, in one boot of Debian's kernel.
@Suite(
    "Events of one boot", .serialized,
    .enabled(if: TestPrograms.hasStockGuest && TestPrograms.hasVirsh, "needs 'make guest' and virsh"))
struct OneBootTests {
    private static let emulators = [TestPrograms.emulator] + (Program.exists(Program.qemu) ? [Program.qemu] : [])

    private static func subscribe(_ client: TestClient) throws {
        for event in Int32(0)...VirDomainEventID.channelLifecycle {
            _ = try client.call(
                Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: event, dom: nil))
        }
    }

    /// An image of which a table points to a place where no cluster can be.
    private static func makeDamagedImage(_ path: String, in folder: String) throws {
        try HostFile.replace(folder + "/data", with: [UInt8](repeating: 0x5A, count: 1 << 20))
        try HostProgram.output(
            TestPrograms.imageTool, ["convert", "-f", "raw", "-O", "qcow2", folder + "/data", path])
        var bytes = try HostFile.contents(path)
        func number(_ offset: Int) -> Int { bytes[offset..<offset + 8].reduce(0) { $0 << 8 | Int($1) } }
        let table = number(number(40)) & 0x00FF_FFFF_FFFF_FE00
        // Of the ninth cluster: what looks at an image's head finds nothing.
        bytes[table + 70] |= 2
        try HostFile.replace(path, with: bytes)
    }

    private static func definition(_ folder: String) throws -> String {
        let tool = TestPrograms.imageTool
        try HostFile.replace(folder + "/base.raw", with: [UInt8](repeating: 0x5A, count: 4 << 20))
        try HostProgram.output(
            tool, ["create", "-q", "-f", "qcow2", "-b", folder + "/base.raw", "-F", "raw", folder + "/a.qcow2", "32M"])
        try makeDamagedImage(folder + "/b.qcow2", in: folder)
        for name in ["c.raw", "disc.iso"] {
            try HostFile.replace(folder + "/" + name, with: [UInt8](repeating: 0, count: 4 << 20))
        }
        func disk(_ name: String, _ target: String) -> String {
            """
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='\(folder)/\(name)'/>
            <target dev='\(target)' bus='virtio'/></disk>
            """
        }
        let devices = """
            \(GuestShell.device(folder))\(disk("a.qcow2", "vda"))\(disk("b.qcow2", "vdb"))
            <disk type='file' device='cdrom'><source file='\(folder)/disc.iso'/><target dev='hda' bus='ide'/></disk>
            <interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/></interface>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <watchdog model='i6300esb' action='none'/><memballoon model='virtio'/><panic model='isa'/>
            """
        return TestXML.domain("m", devices: devices, kernel: TestPrograms.stockKernel)
            .replacing(TestPrograms.initramfs, with: TestPrograms.stockInitramfs)
            .replacing("console=ttyS0", with: "console=ttyS0 memhp_default_state=online_kernel")
            .replacing(
                "<memory unit='MiB'>128</memory>",
                with: "<maxMemory slots='1' unit='MiB'>1024</maxMemory><memory unit='MiB'>256</memory>"
            )
            .replacing(
                "<vcpu>1</vcpu>",
                with: "<vcpu current='1'>2</vcpu>"
                    + "<cpu><numa><cell id='0' cpus='0-1' memory='256' unit='MiB'/></numa></cpu>")
    }

    @Test("Clocks, watchdogs, trays, disks, cards, channels, memory, processors, and a crash")
    func everything() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder, client) = (Virsh(daemon: daemon), daemon.folder, try daemon.client())
        try HostFile.replace(folder + "/m.xml", with: Array(try Self.definition(folder).utf8))
        try virsh("define", folder + "/m.xml")
        try Self.subscribe(client)
        try virsh("start", "m")
        try virsh("reset", "m")
        #expect(try client.event(Remote.DomainEventCallbackReboot.self).dom.name == "m")
        let guest = try GuestShell(folder)
        try Self.watchDisks(guest, virsh, client, folder)
        try Self.watchDevices(guest, virsh, client, folder)
        try Self.watchMemory(guest, virsh, client, folder)
        try Self.watchProcessors(guest, virsh, client)

        try virsh("desc", "m", "--title", "--live", "a title")
        #expect(
            try client.event(Remote.DomainEventCallbackMetadataChange.self).type == VirDomainMetadataType.title)
        // The crash is told of, and then what the definition wants done.
        try guest.type("echo c >/proc/sysrq-trigger")
        var life: [[Int32]] = []
        while life.last?.first != VirDomainEventType.stopped {
            let event = try client.event(Remote.DomainEventCallbackLifecycle.self)
            life.append([event.event, event.detail])
        }
        #expect(life.contains([VirDomainEventType.crashed, VirDomainEventCrashedDetailType.panicked]), "\(life)")
        #expect(life.last == [VirDomainEventType.stopped, VirDomainEventStoppedDetailType.crashed], "\(life)")
        #expect(try virsh.state("m") == "shut off (crashed)")
    }

    /// An image that is damaged, one that grows beyond a mark, jobs.
    private static func watchDisks(
        _ guest: GuestShell, _ virsh: Virsh, _ client: TestClient, _ folder: String
    ) throws {
        _ = try guest.run("dd if=/dev/vdb of=/dev/null bs=4k skip=128 count=1")
        let error = try client.event(Remote.DomainEventCallbackIOErrorReason.self)
        #expect(error.srcPath == folder + "/b.qcow2" && error.devAlias == "virtio-disk1")
        #expect(error.action == VirDomainEventIOErrorAction.report)
        _ = try client.event(Remote.DomainEventCallbackIOError.self)

        let mark = 2 << 20
        try virsh("domblkthreshold", "m", "vda", "\(mark)")
        #expect(try virsh("domstats", "m", "--block").contains("block.0.threshold=\(mark)\n"))
        _ = try guest.run("dd if=/dev/zero of=/dev/vda bs=64k seek=128 count=48 conv=fsync")
        var names: [String] = []
        for _ in 0..<2 {
            let passed = try client.event(Remote.DomainEventBlockThreshold.self)
            #expect(passed.path == folder + "/a.qcow2" && passed.threshold == UInt64(mark) && passed.excess > 0)
            names.append(passed.dev)
        }
        let top = try #require(names.last)
        #expect(names.first == "vda" && top.hasPrefix("vda["))
        // It is told once. The image below is one of the machine's, too, and a target is what there is.
        let after = try virsh("domstats", "m", "--block")
        #expect(!after.contains("threshold"), "\(after)")
        let images = try virsh("dumpxml", "m").split(separator: "<backingStore")[1]
        let index = try #require(images.split(separator: "index='").dropFirst().first?.prefix { $0.isNumber })
        try virsh("domblkthreshold", "m", "vda[\(index)]", "4096")
        try virsh("domblkthreshold", "m", top, "0")
        for (name, words) in [
            ("vdq", "failed to find disk 'vdq'"), ("vda[99]", "failed to find disk 'vda[99]'"),
            ("vda[x]", "failed to parse block device 'vda[x]'"), ("vda[1", "failed to parse block device 'vda[1'"),
        ] {
            let refused = try virsh.run("domblkthreshold", "m", name, "1")
            #expect(refused.status == 1 && refused.errors.contains(words), "\(refused)")
        }

        let backup = """
            <domainbackup mode='push'><disks><disk name='vda' type='file'><driver type='qcow2'/>
            <target file='\(folder)/copy.qcow2'/></disk><disk name='vdb' backup='no'/></disks></domainbackup>
            """
        try HostFile.replace(folder + "/backup.xml", with: Array(backup.utf8))
        try virsh("backup-begin", "m", folder + "/backup.xml")
        let job = try client.event(Remote.DomainEventCallbackJobCompleted.self).params
        #expect(job.contains(.init(field: "operation", value: .int(VirDomainJobOperation.backup))), "\(job)")
        try virsh("blockpull", "m", "vda")
        let old = try client.event(Remote.DomainEventCallbackBlockJob.self)
        #expect(old.path == folder + "/a.qcow2" && old.status == VirConnectDomainEventBlockJobStatus.completed)
        #expect(try client.event(Remote.DomainEventBlockJob2.self).dst == "vda")
        #expect(try !virsh("dumpxml", "m").contains("base.raw"))
    }

    /// The clock, the tray, the card's address, the channel, the watchdog.
    private static func watchDevices(
        _ guest: GuestShell, _ virsh: Virsh, _ client: TestClient, _ folder: String
    ) throws {
        _ = try guest.run("date -u -s '2031-05-06 07:08:09'; hwclock -w -u")
        // Several years, in seconds.
        #expect(try client.event(Remote.DomainEventCallbackRTCChange.self).offset.magnitude > 10_000_000)
        _ = try guest.run("echo 1 >/proc/sys/dev/cdrom/autoeject; head -c 2048 /dev/sr0 >/dev/null")
        let tray = try client.event(Remote.DomainEventCallbackTrayChange.self)
        #expect(tray.reason == VirDomainEventTrayChangeReason.open && tray.devAlias == "ide0-0-0")
        _ = try guest.run("ip link set eth0 address 52:54:00:aa:bb:02")
        let card = try client.event(Remote.DomainEventNICMACChange.self)
        #expect(card.alias == "net0" && card.oldMAC == "52:54:00:aa:bb:01" && card.newMAC == "52:54:00:aa:bb:02")
        #expect(try virsh("dumpxml", "m").contains("52:54:00:aa:bb:02"))
        // Asking lets the next change be told of.
        _ = try guest.run("ip link set eth0 address 52:54:00:aa:bb:03")
        #expect(try client.event(Remote.DomainEventNICMACChange.self).newMAC == "52:54:00:aa:bb:03")

        _ = try guest.run("exec 5<>$(ls /dev/vport*p1)")
        typealias Agent = VirConnectDomainEventAgentLifecycleState
        #expect(try client.event(Remote.DomainEventCallbackAgentLifecycle.self).state == Agent.connected)
        let channel = try client.event(Remote.DomainEventCallbackChannelLifecycle.self)
        #expect(channel.channelName == "org.qemu.guest_agent.0" && channel.state == Agent.connected)
        _ = try guest.run("exec 5>&-")
        #expect(try client.event(Remote.DomainEventCallbackAgentLifecycle.self).state == Agent.disconnected)

        _ = try guest.run("watchdog -T 2 -t 600 /dev/watchdog")
        #expect(
            try client.event(Remote.DomainEventCallbackWatchdog.self).action == VirDomainEventWatchdogAction.none)
    }

    private static func watchProcessors(_ guest: GuestShell, _ virsh: Virsh, _ client: TestClient) throws {
        try virsh("setvcpus", "m", "2", "--live")
        _ = try guest.run("while [ ! -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done")
        try virsh("setvcpus", "m", "1", "--live")
        #expect(try client.event(Remote.DomainEventVCPURemoved.self).vcpuid == 1)
    }

    /// What comes and goes, or stays: a disk, memory.
    private static func watchMemory(
        _ guest: GuestShell, _ virsh: Virsh, _ client: TestClient, _ folder: String
    ) throws {
        try virsh("setmem", "m", "229376", "--live")
        var actual: UInt64 = 0
        // A guest gives memory piece by piece; the last word is the last value.
        while actual != 229_376 { actual = try client.event(Remote.DomainEventCallbackBalloonChange.self).actual }

        try virsh("attach-disk", "m", folder + "/c.raw", "vdc", "--subdriver", "raw", "--live")
        #expect(try client.event(Remote.DomainEventCallbackDeviceAdded.self).devAlias == "virtio-disk2")
        _ = try guest.run("while [ ! -e /dev/vdc ]; do sleep 0.1; done")
        try virsh("detach-disk", "m", "vdc", "--live")
        #expect(try client.event(Remote.DomainEventCallbackDeviceRemoved.self).devAlias == "virtio-disk2")

        let module = """
            <memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>
            """
        try HostFile.replace(folder + "/module.xml", with: Array(module.utf8))
        try virsh("attach-device", "m", folder + "/module.xml", "--live")
        #expect(try client.event(Remote.DomainEventCallbackDeviceAdded.self).devAlias == "dimm0")
        // The kernel's own things lie there then: folders of a file system in memory.
        _ = try guest.run("while [ $(grep -c online /sys/devices/system/memory/memory32/state) != 1 ]; do sleep 0.1; done")
        _ = try guest.run("mount -t tmpfs none /mnt; i=0; while [ $i -lt 3000 ]; do mkdir /mnt/$i; i=$((i+1)); done")
        // Whether virsh hears of that depends on how long the guest tries.
        _ = try virsh.run("detach-device", "m", folder + "/module.xml", "--live")
        #expect(try client.event(Remote.DomainEventCallbackDeviceRemovalFailed.self).devAlias == "dimm0")
        #expect(try virsh("dumpxml", "m").contains("<alias name='dimm0'/>"))
    }

    @Test("After a crash comes what the definition says: a dump and a new start, or nothing", arguments: emulators)
    func crashes(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let (virsh, folder, client) = (Virsh(daemon: daemon), daemon.folder, try daemon.client())
        let devices = GuestShell.device(folder) + "<panic model='isa'/>"
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
            .replacing("<features>", with: "<on_crash>coredump-restart</on_crash><features>")
        _ = try client.call(
            Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.lifecycle, dom: nil))
        func wait(for wanted: [Int32]) throws {
            while true {
                let event = try client.event(Remote.DomainEventCallbackLifecycle.self)
                if [event.event, event.detail] == wanted { return }
            }
        }
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("create", folder + "/m.xml")
        // A line that goes away takes with it what was typed last.
        var guest: GuestShell? = try GuestShell(folder)
        try guest?.type("echo c >/proc/sysrq-trigger")
        try wait(for: [VirDomainEventType.crashed, VirDomainEventCrashedDetailType.panicked])
        try wait(for: [VirDomainEventType.resumed, VirDomainEventResumedDetailType.unpaused])
        #expect(try virsh.state("m") == "running (crashed)")
        let dumps = folder + "/lib/qemu/dump"
        let names = try HostFolder.names(in: dumps)
        #expect(names.count == 1 && names[0].contains("-m-"), "\(names)")
        let head = try HostFile.contents(dumps + "/" + (names.first ?? "")).prefix(4)
        #expect(head == [0x7F, 0x45, 0x4C, 0x46])
        // The guest comes up anew.
        try guest?.wait("Type poweroff to end.")
        guest = nil
        try virsh("destroy", "m")

        try HostFile.replace(
            folder + "/m.xml", with: Array(xml.replacing("coredump-restart", with: "preserve").utf8))
        try virsh("create", folder + "/m.xml")
        guest = try GuestShell(folder)
        try guest?.type("echo c >/proc/sysrq-trigger")
        try wait(for: [VirDomainEventType.crashed, VirDomainEventCrashedDetailType.panicked])
        #expect(try virsh.state("m") == "crashed (panicked)")
        try virsh("destroy", "m")
    }
}
