import Foundation
import Testing

/// A running Debian kernel, driven over QMP.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct GuestMonitorTests {
    private static func socket(_ folder: TemporaryFolder) -> [String] {
        ["-qmp", "unix:\(folder.path)/qmp,server=on,wait=off"]
    }

    @Test func theLifeOfAGuest() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: ["-smp", "2", "-name", "guest=bird,debug-threads=on", "-S", "-nic", "user,model=virtio"]
                + Self.socket(folder), append: "nokaslr nopti")
        let monitor = try MonitorClient(path: folder.path("qmp"))
        let version = (monitor.greeting["QMP"] as? [String: Any])?["version"] as? [String: Any]
        #expect((version?["qemu"] as? [String: Int])?["major"] == 7)
        #expect((try monitor.execute("query-status") as? [String: Any])?["status"] as? String == "prelaunch")
        #expect((try monitor.execute("query-name") as? [String: String])?["name"] == "bird")
        try monitor.execute("cont")
        _ = try monitor.wait(forEvent: "RESUME")
        try machine.wait(for: "Type poweroff to end.")

        // Threads carry names, and their numbers are the host's.
        let processors = try #require(try monitor.execute("query-cpus-fast") as? [[String: Any]])
        #expect(processors.compactMap { $0["cpu-index"] as? Int } == [0, 1])
        for (index, processor) in processors.enumerated() {
            let thread = try #require(processor["thread-id"] as? Int)
            let name = try String(contentsOfFile: "/proc/\(machine.identifier)/task/\(thread)/comm", encoding: .utf8)
            #expect(name.hasPrefix("CPU \(index)/"))
        }
        let cpus = try monitor.human("info cpus")
        #expect(cpus.hasPrefix("* CPU #0: thread_id=") && cpus.contains("\n  CPU #1: thread_id="))

        // A machine that stands shows the same twice.
        try monitor.execute("stop")
        _ = try monitor.wait(forEvent: "STOP")
        #expect(try monitor.human("info status") == "VM status: paused\n")
        let registers = try monitor.human("info registers")
        #expect(registers == (try monitor.human("info registers")))
        for word in ["RIP=", "CR3=", "EFER=0000000000000d01", "XMM15=", "GDT=", "DPL=0 CS64 [-RA]"] {
            #expect(registers.contains(word), "\(word) in \(registers)")
        }
        #expect(try monitor.human("info registers -a").contains("CPU#1"))
        let pages = try monitor.human("info mem")
        #expect(pages.contains("ffffffff81000000-") && pages.contains("-rw"), "\(pages.prefix(500))")
        // The kernel's text, by linear and by physical address; and its instructions.
        let text = try monitor.human("x/4xw 0xffffffff81000000")
        let words = text.split(separator: " ").dropFirst()
        #expect(words.count == 4 && text.hasPrefix("ffffffff81000000: 0x"), "\(text)")
        #expect(try monitor.human("x/2i $pc").split(separator: "\n").count == 2)
        #expect(try monitor.human("xp/2xb 0xfffffff0") == "00000000fffffff0: 0xf4 0xeb\n")
        #expect(try monitor.human("print $cs").hasPrefix("0x"))

        let tree = try monitor.human("info mtree")
        #expect(tree.contains("(prio 0, ram): pc.ram") && tree.contains("(prio 0, i/o): serial0"))
        #expect(try monitor.human("info pci").contains("Ethernet controller: PCI device 1af4:1000"))
        #expect(try monitor.human("info qtree").contains("dev: piix3-ide, id \"\""))
        #expect(try monitor.human("info network").contains("type=user,net=10.0.2.0"))
        #expect(try monitor.human("info block").hasPrefix("ide1-cd0: [not inserted]\n"))
        #expect(try monitor.human("info kvm").hasPrefix("kvm support: "))

        try monitor.execute("cont")
        _ = try monitor.wait(forEvent: "RESUME")
        // An NMI that nobody waits for is told by the kernel.
        #expect(try monitor.human("nmi") == "")
        try machine.wait(for: "NMI received for unknown reason")

        try monitor.execute("system_reset")
        let reset = try monitor.wait(forEvent: "RESET")
        #expect(reset["guest"] as? Bool == false && reset["reason"] as? String == "host-qmp-system-reset")
        let end = Date().addingTimeInterval(90)
        while machine.console.components(separatedBy: "Type poweroff to end.").count < 3, Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        try monitor.execute("system_powerdown")
        _ = try monitor.wait(forEvent: "POWERDOWN")
        try machine.type("poweroff -f")
        let shutdown = try monitor.wait(forEvent: "SHUTDOWN")
        #expect(shutdown["guest"] as? Bool == true && shutdown["reason"] as? String == "guest-shutdown")
        #expect(try machine.status() == 0)
    }

    @Test func mediaAreChanged() throws {
        let folder = try TemporaryFolder()
        let first = try folder.file("a.iso", [UInt8](repeating: 0x41, count: 1 << 20))
        let second = try folder.file("b.iso", [UInt8](repeating: 0x42, count: 2 << 20))
        let machine = try GuestMachine(
            booting: ["-nic", "none", "-drive", "if=none,id=cd,media=cdrom,file=\(first)"]
                + ["-device", "ide-cd,drive=cd,id=tray,bus=ide.1", "-no-shutdown"] + Self.socket(folder))
        let monitor = try MonitorClient(path: folder.path("qmp"))
        func block() throws -> [String: Any] {
            try #require((try monitor.execute("query-block") as? [[String: Any]])?.first)
        }
        func file() throws -> String? { (try block()["inserted"] as? [String: Any])?["file"] as? String }
        try machine.wait(for: "Type poweroff to end.")
        #expect(try block()["device"] as? String == "cd" && block()["qdev"] as? String == "tray")
        #expect(try file() == first)
        #expect(try machine.shell("wc -c </dev/sr0").contains("\n1048576"))

        try monitor.execute("blockdev-change-medium", ["id": "tray", "filename": second, "format": "raw"])
        #expect(try monitor.wait(forEvent: "DEVICE_TRAY_MOVED")["tray-open"] as? Bool == true)
        let closed = try monitor.wait(forEvent: "DEVICE_TRAY_MOVED")
        #expect(closed["tray-open"] as? Bool == false && closed["id"] as? String == "tray")
        #expect(try file() == second)
        #expect(try machine.shell("wc -c </dev/sr0; tr -d B </dev/sr0 | wc -c").contains("\n2097152\r\n0\r\n"))

        // Where the new image cannot be opened, the old one stays.
        #expect(
            try monitor.failure("blockdev-change-medium", ["device": "cd", "filename": "/nonexistent"])
                == "Cannot open '/nonexistent': no such file")
        #expect(try file() == second)
        #expect(try monitor.failure("eject", ["device": "nope"]) == "Device 'nope' not found")
        #expect(try monitor.failure("blockdev-remove-medium", ["id": "tray"]) == "Tray of device 'tray' is not open")

        try monitor.execute("eject", ["device": "cd"])
        #expect(try file() == nil)
        #expect(try block()["tray_open"] as? Bool == true)
        try monitor.execute(
            "blockdev-add",
            ["driver": "raw", "node-name": "disc", "read-only": true, "file": ["driver": "file", "filename": first]])
        try monitor.execute("blockdev-insert-medium", ["id": "tray", "node-name": "disc"])
        #expect(try monitor.failure("blockdev-del", ["node-name": "disc"]).contains("disc"))
        try monitor.execute("blockdev-close-tray", ["id": "tray"])
        #expect(try monitor.human("info block").hasPrefix("cd (disc): \(first) (raw, read-only)\n"))
        #expect(try machine.shell("wc -c </dev/sr0").contains("\n1048576"))
        // The guest's own eject is told.
        while (try? monitor.wait(forEvent: "DEVICE_TRAY_MOVED", seconds: 0.5)) != nil {}
        _ = try machine.shell("eject /dev/sr0 || echo none")
        if !machine.console.contains("eject: not found") {
            #expect(try monitor.wait(forEvent: "DEVICE_TRAY_MOVED")["tray-open"] as? Bool == true)
        }
        // The monitor for people does the same.
        #expect(try monitor.human("change cd \(second) raw") == "")
        #expect(try file() == second)
        #expect(try monitor.human("eject -f cd") == "")
        #expect(try file() == nil)

        try machine.type("poweroff -f")
        _ = try monitor.wait(forEvent: "SHUTDOWN")
        _ = try monitor.wait(forEvent: "STOP")
        #expect((try monitor.execute("query-status") as? [String: Any])?["status"] as? String == "shutdown")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func memoryBackendsAndNodes() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: [
                "-nic", "none", "-smp", "2", "-object",
                "memory-backend-file,id=m0,size=256M,mem-path=\(folder.path)/ram,"
                    + "share=on,prealloc=on,merge=off,dump=off", "-object", "memory-backend-memfd,id=m1,size=256M",
                "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1",
                "-numa", "dist,src=0,dst=1,val=30", "-name", "process=bird",
            ])
        try machine.wait(for: "Type poweroff to end.")
        let nodes = try machine.shell("cat /sys/devices/system/node/online /sys/devices/system/node/node0/distance")
        #expect(nodes.contains("0-1") && nodes.contains("10 30"), "\(nodes)")
        let name = try String(contentsOfFile: "/proc/\(machine.identifier)/comm", encoding: .utf8)
        #expect(name == "bird\n")
        // The file is the guest's memory: what the guest's shell has, the host finds in it.
        _ = try machine.shell("word=kingfisher; export word")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        let memory = try Data(contentsOf: URL(fileURLWithPath: folder.path("ram")), options: .alwaysMapped)
        #expect(memory.count == 256 << 20)
        #expect(memory.range(of: Data("Linux version 6.1".utf8)) != nil)
    }

    @Test func snapshotsLeaveTheImageAlone() throws {
        let folder = try TemporaryFolder()
        let bytes = [UInt8](repeating: 0x55, count: 1 << 20)
        let disk = try folder.file("disk", bytes)
        let machine = try GuestMachine(
            booting: ["-nic", "none", "-drive", "file=\(disk),format=raw,snapshot=on"])
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.shell("dd if=/dev/zero of=/dev/sda bs=64k count=4 conv=fsync,notrunc")
        #expect(try machine.shell("tr -d U </dev/sda | wc -c").contains("\n262144"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: disk))) == bytes)
    }
}

/// What management asks of an emulator before it uses it.
@Suite(.serialized, .enabled(if: FileManager.default.fileExists(atPath: Repository.program), "needs the program"))
struct ProbingTests {
    @Test func anEmptyMachineAnswersWhatLibvirtAsks() throws {
        let folder = try TemporaryFolder()
        // The line of libvirt 9's probing, but for KVM and the background.
        let machine = try GuestMachine([
            "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=tcg",
            "-qmp", "unix:\(folder.path)/qmp,server=on,wait=off", "-pidfile", folder.path("pid"),
        ])
        let monitor = try MonitorClient(path: folder.path("qmp"))
        #expect((try monitor.execute("query-target") as? [String: String])?["arch"] == "x86_64")
        #expect((try monitor.execute("query-cpus-fast") as? [Any])?.isEmpty == true)

        // Every name that the schema uses is one that it has.
        let schema = try #require(try monitor.execute("query-qmp-schema") as? [[String: Any]])
        let types = Set(
            schema.filter { !["command", "event"].contains($0["meta-type"] as? String ?? "") }
                .compactMap { $0["name"] as? String })
        for entry in schema {
            var used = [entry["ret-type"], entry["arg-type"], entry["element-type"]].compactMap { $0 as? String }
            used += (entry["members"] as? [[String: Any]] ?? []).compactMap { $0["type"] as? String }
            used += (entry["variants"] as? [[String: Any]] ?? []).compactMap { $0["type"] as? String }
            for name in used { #expect(types.contains(name), "\(entry["name"] ?? "") uses \(name)") }
        }
        let commands = try #require(try monitor.execute("query-commands") as? [[String: String]]).compactMap { $0["name"] }
        #expect(
            Set(commands)
                == Set(
                    schema.filter { $0["meta-type"] as? String == "command" }
                        .compactMap { $0["name"] as? String }))
        for name in [
            "device_add", "netdev_add", "chardev-add", "blockdev-add", "object-add", "getfd", "add-fd", "qom-get",
            "query-named-block-nodes", "query-hotpluggable-cpus",
        ] { #expect(commands.contains(name)) }

        let kinds = try #require(try monitor.execute("qom-list-types") as? [[String: Any]]).compactMap {
            $0["name"] as? String
        }
        for kind in ["virtio-blk-pci", "memory-backend-file", "pc-i440fx-7.2-machine", "max-x86_64-cpu", "tcg-accel"] {
            #expect(kinds.contains(kind))
            if !kind.hasSuffix("accel") {
                #expect((try monitor.execute("qom-list-properties", ["typename": kind]) as? [Any])?.isEmpty == false)
            }
        }
        for query in [
            "query-machines", "query-cpu-definitions", "query-command-line-options", "query-migrate-capabilities",
        ] { #expect((try monitor.execute(query) as? [Any])?.isEmpty == false, "\(query)") }
        for query in ["query-tpm-models", "query-tpm-types", "query-block", "query-named-block-nodes", "query-jobs"] {
            #expect((try monitor.execute(query) as? [Any])?.isEmpty == true, "\(query)")
        }
        let expansion = try #require(
            try monitor.execute(
                "query-cpu-model-expansion",
                ["type": "static", "model": ["name": "Nehalem", "props": ["aes": true, "popcnt": false]]])
                as? [String: [String: Any]])
        let features = try #require(expansion["model"]?["props"] as? [String: Any])
        #expect(features["aes"] as? Bool == true && features["popcnt"] as? Bool == false)
        #expect(features["vendor"] as? String == "GenuineIntel")
        #expect(try monitor.failure("getfd", ["fdname": "x"]) == "No file descriptor supplied via SCM_RIGHTS")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func backEndsComeAndGo() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine([
            "-S", "-display", "none", "-nodefaults", "-m", "64", "-qmp",
            "unix:\(folder.path)/qmp,server=on,wait=off",
        ])
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try monitor.execute("chardev-add", ["id": "r", "backend": ["type": "ringbuf", "data": ["size": 1024]]])
        try monitor.execute("ringbuf-write", ["device": "r", "data": "c3dpZnQ=", "format": "base64"])
        #expect(try monitor.execute("ringbuf-read", ["device": "r", "size": 10]) as? String == "swift")
        let made = try monitor.execute("chardev-add", ["id": "p", "backend": ["type": "pty", "data": [String: Any]()]])
        let pty = try #require((made as? [String: String])?["pty"])
        #expect(pty.hasPrefix("/dev/pts/"))
        try monitor.execute("chardev-remove", ["id": "p"])
        #expect(try monitor.failure("chardev-remove", ["id": "p"]) == "Chardev 'p' not found")
        #expect(try monitor.failure("chardev-remove", ["id": "compat_monitor0"]) == "Chardev 'compat_monitor0' is busy")
        try monitor.execute(
            "chardev-add",
            [
                "id": "s",
                "backend": [
                    "type": "socket",
                    "data": [
                        "addr": ["type": "unix", "data": ["path": folder.path("s")]], "server": true, "wait": false,
                    ],
                ],
            ])
        #expect(try monitor.human("info chardev").contains("s: filename=unix:\(folder.path)/s,server"))

        try monitor.execute("netdev_add", ["type": "user", "id": "n", "hostname": "bird"])
        #expect(try monitor.failure("netdev_add", ["type": "user", "id": "n"]) == "Duplicate ID 'n' for netdev")
        #expect(try monitor.failure("netdev_add", ["type": "vde", "id": "t"]).contains("vde"))
        try monitor.execute("netdev_del", ["id": "n"])
        #expect(try monitor.failure("netdev_del", ["id": "n"]) == "Device 'n' not found")

        try monitor.execute("object-add", ["qom-type": "secret", "id": "s0", "data": "x"])
        #expect(try monitor.failure("object-add", ["qom-type": "secret", "id": "s0", "data": "x"]).contains("s0"))
        #expect((try monitor.execute("qom-get", ["path": "/objects/s0", "property": "type"]) as? String) == "secret")
        try monitor.execute("object-del", ["id": "s0"])
        #expect(try monitor.failure("object-del", ["id": "s0"]) == "object 's0' not found")
        #expect(
            try monitor.failure("device_add", ["driver": "virtio-rng-pci", "id": "x"])
                == "Bus 'pci.0' does not support hotplugging")
        #expect(
            try monitor.failure("device_add", ["driver": "nope"]).contains("'nope' is not a valid device model name"))
        #expect(try monitor.failure("device_del", ["id": "x"]) == "Device 'x' not found")
        #expect(try monitor.failure("query-balloon") == "No balloon device has been activated")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
