import HostOS
import RPCWire
import TestSupport
import Testing

/// What only a guest makes happen: its clock, its watchdog, channels that it opens, disks that are full, sleep, a crash.
@Suite(
    "Events that guests cause", .serialized,
    .enabled(if: TestPrograms.hasGuest && TestPrograms.hasVirsh, "needs 'make guest' and virsh"))
struct GuestEventTests {
    private static let emulators: [String?] = Program.exists(Program.qemu) ? [nil, Program.qemu] : [nil]

    private static func subscribe(_ client: TestClient) throws {
        for event in 0..<Int32(30) {
            _ = try client.call(
                Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: event, dom: nil))
        }
    }

    /// A file system of a few mebibytes, where an image has no room; nil where the user may not mount.
    private static func smallSystem(_ folder: String) throws -> String? {
        guard HostIdentity.userID == 0 else { return nil }
        let path = folder + "/small"
        try HostFolder.make(path)
        let mounted = try HostProgram.run("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path])
        return mounted.status == 0 ? path : nil
    }

    /// Starts a watchdog that nobody will feed: few guests have a driver for it. (Intel's 6300ESB, sections 16.3 and 16.4.)
    private static let watchdog = """
        d=$(dirname $(grep -l 0x25ab /sys/bus/pci/devices/*/device)); echo 1 >$d/enable; \
        b=$(head -n 1 $d/resource | cut -d' ' -f1); \
        set_() { devmem $((b+12)) 16 0x80; devmem $((b+12)) 16 0x86; devmem $((b+$1)) $2 $3; }; \
        set_ 0 32 16; set_ 4 32 16; set_ 12 16 0x100; printf '\002' | dd of=$d/config bs=1 seek=104 2>/dev/null
        """

    @Test("Each is told once, with what belongs to it", arguments: emulators)
    func causes(emulator: String?) throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let small = try Self.smallSystem(folder)
        defer { if let small { _ = try? HostProgram.run("umount", ["-l", small]) } }
        var daemon: DaemonProcess? = try DaemonProcess(folder: folder)
        var virsh = Virsh(daemon: daemon!)
        let image = (small ?? folder) + "/d.raw"
        try HostProgram.output("truncate", ["-s", "64M", image])
        try HostFile.replace(folder + "/a.iso", with: [UInt8](repeating: 0, count: 65_536))
        let devices = """
            \(emulator.map { "<emulator>\($0)</emulator>" } ?? "")
            <disk type='file' device='disk'><driver name='qemu' type='raw' error_policy='stop'/><source file='\(image)'/>
            <target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><source file='\(folder)/a.iso'/><target dev='hda' bus='ide'/></disk>
            <interface type='user'><mac address='52:54:00:00:00:07'/><model type='virtio'/></interface>
            <channel type='unix'><target type='virtio' name='one'/></channel>
            <channel type='unix'><target type='virtio' name='two'/></channel>
            <watchdog model='i6300esb' action='dump'/><panic model='isa'/>\(GuestShell.device(folder))
            """
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
            .replacing("<devices>", with: "<on_crash>coredump-restart</on_crash><devices>")
        _ = try daemon!.client().call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0))
        let guest = try GuestShell(folder)
        func channel(_ name: String) throws -> Bool {
            try virsh("dumpxml", "m").contains("name='\(name)' state='connected'")
        }

        // Whether a channel is open is asked by a daemon that has not heard of it.
        #expect(try !channel("one"))
        daemon?.kill()
        _ = try guest.run("exec 5<>$(ls /dev/vport*p1)")
        daemon = try DaemonProcess(folder: folder)
        virsh = Virsh(daemon: daemon!)
        #expect(try channel("one"))
        #expect(try !channel("two"))
        let client = try daemon!.client()
        try Self.subscribe(client)
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
        _ = try guest.run("exec 5>&-; exec 6<>$(ls /dev/vport*p2)")
        // QEMU tells of each channel once a second at most: in no certain order.
        let changes = try [0, 1].map { _ in try client.event(Remote.DomainEventCallbackChannelLifecycle.self) }
        typealias State = VirConnectDomainEventAgentLifecycleState
        #expect(changes.first { $0.channelName == "one" }?.state == State.disconnected)
        #expect(changes.first { $0.channelName == "two" }?.state == State.connected)

        _ = try guest.run("date -s '2031-01-01 00:00:00'; hwclock -w -u")
        #expect(try client.event(Remote.DomainEventCallbackRTCChange.self).offset > 100_000_000)
        // A drive opens when the last who read it is done.
        _ = try guest.run("echo 1 >/proc/sys/dev/cdrom/autoeject; head -c 1 /dev/sr0 >/dev/null")
        let tray = try client.event(Remote.DomainEventCallbackTrayChange.self)
        #expect(tray.devAlias == "ide0-0-0" && tray.reason == VirDomainEventTrayChangeReason.open)
        try virsh("setmem", "m", "100M", "--live")
        while try client.event(Remote.DomainEventCallbackBalloonChange.self).actual != 100 << 10 {}
        // What the guest tells of its memory comes when it is asked for.
        try virsh("dommemstat", "m", "--period", "1", "--live")
        let patience = HostClock.monotonic + 30_000_000_000
        while try !virsh("dommemstat", "m").contains("unused"), HostClock.monotonic < patience {}
        let figures = try virsh("domstats", "m", "--balloon")
        #expect(figures.contains("balloon.usable=") && !figures.contains("balloon.last-update=0\n"), "\(figures)")
        try virsh("metadata", "m", "urn:x", "--key", "k", "--set", "<a/>")
        #expect(try client.event(Remote.DomainEventCallbackMetadataChange.self).nsuri == "urn:x")
        if emulator != nil {
            _ = try guest.run("ip link set dev eth0 down; ip link set dev eth0 address 52:54:00:00:00:08")
            let card = try client.event(Remote.DomainEventNICMACChange.self)
            #expect(card.oldMAC == "52:54:00:00:00:07" && card.newMAC == "52:54:00:00:00:08")
            try virsh("domblkthreshold", "m", "vda", "65536")
            _ = try guest.run("dd if=/dev/zero of=/dev/vda bs=64k count=2 conv=fsync 2>/dev/null")
            let threshold = try client.event(Remote.DomainEventBlockThreshold.self)
            #expect(threshold.dev == "vda" && threshold.path == image && threshold.threshold == 65_536)
        }

        // A disk that has no room for what the guest writes stops the machine.
        if small != nil {
            try guest.type("dd if=/dev/urandom of=/dev/vda bs=64k count=64 conv=fsync 2>/dev/null; echo")
            let error = try client.event(Remote.DomainEventCallbackIOErrorReason.self)
            #expect(error.devAlias == "virtio-disk0" && error.srcPath == image)
            #expect(error.reason == "enospc" && error.action == VirDomainEventIOErrorAction.pause)
            #expect(try virsh("domstate", "m", "--reason") == "paused (I/O error)\n\n")
            try HostProgram.output("mount", ["-o", "remount,size=128m", small ?? ""])
            try virsh("resume", "m")
            #expect(try guest.run("echo back") == "back")
        }

        // Sleep.
        try guest.type("echo mem >/sys/power/state; echo a''wake")
        _ = try client.event(Remote.DomainEventCallbackPMSuspend.self)
        #expect(try virsh("domstate", "m") == "pmsuspended\n\n")
        try virsh("dompmwakeup", "m")
        _ = try client.event(Remote.DomainEventCallbackPMWakeup.self)
        try guest.wait("awake")
        #expect(try guest.run("echo back").contains("back"))

        // A watchdog that bites: the memory is kept, and the machine goes on.
        try guest.type(Self.watchdog)
        let bite = try client.event(Remote.DomainEventCallbackWatchdog.self)
        #expect(bite.action == VirDomainEventWatchdogAction.pause)
        func lifecycle(_ event: Int32, _ detail: Int32) throws {
            while true {
                let next = try client.event(Remote.DomainEventCallbackLifecycle.self)
                if next.event == event, next.detail == detail { return }
            }
        }
        try lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.watchdog)
        try lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.unpaused)
        let dumps = "\(folder)/lib/qemu/dump"
        #expect(try HostFolder.names(in: dumps).count == 1)
        #expect(try guest.run("echo back").contains("back"))

        if emulator == nil {
            // A guest that crashes: the same, and it starts anew.
            try guest.type("sleep 1; echo c >/proc/sysrq-trigger")
            try lifecycle(VirDomainEventType.crashed, VirDomainEventCrashedDetailType.panicked)
            try lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.unpaused)
            _ = try client.event(Remote.DomainEventCallbackReboot.self)
            #expect(try virsh("domstate", "m", "--reason") == "running (crashed)\n\n")
            let dump = try #require(try HostFolder.names(in: dumps).max())
            #expect(try HostFolder.names(in: dumps).count == 2)
            #expect(try HostFile.contents("\(dumps)/\(dump)").starts(with: [0x7F, 0x45, 0x4C, 0x46]))
        }
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }

    @Test("virsh waits for events as long as it is told to", .enabled(if: TestPrograms.hasVirsh))
    func patience() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let start = HostClock.monotonic
        let none = try virsh.run("event", "--all", "--loop", "--timeout", "1")
        #expect(HostClock.monotonic - start >= 1_000_000_000)
        #expect(none.status == 1 && none.output.contains("event loop timed out\nevents received: 0"), "\(none)")
        // One that comes ends it at once.
        try HostFile.replace(folder + "/m.xml", with: Array(TestXML.domain("m").utf8))
        let output = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let listener = try HostProcess.spawn(
            "/usr/bin/virsh",
            arguments: [
                "virsh", "-c", "qemu+unix:///session?socket=\(folder)/libvirt-sock", "event", "--event", "lifecycle",
                "--timeout", "60",
            ], environment: ["LC_ALL=C", "HOME=/tmp"], descriptors: [null, output.output, output.output])
        // It has subscribed at some moment: until then each definition goes unheard.
        while !listener.waitForEnd(milliseconds: 100) {
            guard HostClock.monotonic - start < 60_000_000_000 else { break }
            try virsh("define", folder + "/m.xml")
        }
        #expect(listener.reap() == 0)
        let said = String(decoding: try output.input.readAvailable(limit: 4096), as: UTF8.self)
        #expect(said.hasPrefix("event 'lifecycle' for domain 'm': Defined"), "\(said)")
    }
}
