import Foundation
import Testing

private let bootDisk = Repository.root.appendingPathComponent("guest/boot.qcow2").path
private let uefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
private let uefiVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"

/// A Debian with its stock kernel, which firmware boots from every kind of disk. Made by hand, as it takes minutes.
@Suite(
    .serialized,
    .enabled(if: FileManager.default.fileExists(atPath: bootDisk), "needs 'make guest/boot.qcow2'"))
struct BootDiskTests {
    /// Logs in, behind what the console has shown so far, and leaves a plain shell.
    private func logIn(_ machine: GuestMachine, after skipped: Int = 0) throws {
        try machine.wait(for: "apus-debian login:", after: skipped, seconds: 600)
        try machine.type("root")
        try machine.wait(for: "root@apus-debian", after: skipped)
        try machine.type("exec env TERM=dumb PS1= sh +m")
    }

    /// Has the guest start anew, and logs in again.
    private func reboot(_ machine: GuestMachine) throws {
        let before = machine.console.count
        try machine.type("reboot")
        try logIn(machine, after: before)
    }

    @Test(arguments: ["ide", "ahci", "virtio", "scsi", "nvme", "uefi"])
    func debianBoots(_ kind: String) throws {
        let folder = try TemporaryFolder()
        let variable = "/sys/firmware/efi/efivars/ApusTest-5a9a2c56-6c1b-4e5b-8f0e-3b1c2d4e5f60"
        let disk = "file=\(bootDisk),if=none,id=d,snapshot=on"
        var arguments = ["-m", "512", "-nographic", "-nic", "none"]
        switch kind {
        case "ide": arguments += ["-drive", "file=\(bootDisk),snapshot=on"]
        case "ahci": arguments += ["-M", "q35", "-drive", "file=\(bootDisk),snapshot=on"]
        case "virtio": arguments += ["-drive", disk, "-device", "virtio-blk-pci,drive=d"]
        case "scsi":
            arguments += ["-drive", disk, "-device", "virtio-scsi-pci,id=s", "-device", "scsi-hd,bus=s.0,drive=d"]
        case "nvme": arguments += ["-M", "q35", "-drive", disk, "-device", "nvme,serial=boot,drive=d"]
        default:
            try #require(FileManager.default.fileExists(atPath: uefiCode), "needs ovmf")
            let variables = folder.path("vars.fd")
            try #require(try runOnHost("cp", uefiVariables, variables).status == 0)
            arguments += [
                "-M", "q35", "-drive", "file=\(bootDisk),snapshot=on",
                "-drive", "if=pflash,unit=0,readonly=on,format=raw,file=\(uefiCode)",
                "-drive", "if=pflash,unit=1,format=raw,file=\(variables)",
            ]
        }
        let machine = try GuestMachine(arguments)
        try logIn(machine)
        let root = try machine.output(of: "findmnt -no SOURCE /")
        let wanted = ["virtio": "/dev/vda2", "nvme": "/dev/nvme0n1p2"]
        #expect(root == wanted[kind] ?? "/dev/sda2")
        if kind == "uefi" {
            #expect(
                try machine.output(of: "printf '\\007\\000\\000\\000kept' >\(variable); tail -c 4 \(variable)")
                    == "kept")
        }
        #expect(try machine.output(of: "dmesg | grep -E 'Oops|BUG:|WARNING:|I/O error|soft lockup'") == "")
        try reboot(machine)
        #expect(try machine.output(of: "findmnt -no SOURCE /") == root)
        if kind == "uefi" { #expect(try machine.output(of: "tail -c 4 \(variable)") == "kept") }
        try machine.type("shutdown now")
        #expect(try machine.status() == 0)
        guard kind == "uefi" else { return }
        // Another process, with the flash that the first one wrote.
        let second = try GuestMachine(arguments)
        try logIn(second)
        #expect(try second.output(of: "tail -c 4 \(variable)") == "kept")
        try second.type("poweroff")
        #expect(try second.status() == 0)
    }

    /// A disk, a card, a processor and a memory module come and go under the installed system, as its own programs tell.
    @Test(arguments: ["pc", "q35"]) func whatComesAndGoesIsSeen(_ board: String) throws {
        let folder = try TemporaryFolder()
        let image = folder.path("more.raw")
        try Data(repeating: 0x61, count: 1 << 20).write(to: URL(fileURLWithPath: image))
        let ports = (1...2).flatMap { ["-device", "pcie-root-port,id=rp\($0),slot=\($0)"] }
        let machine = try GuestMachine(
            ["-M", board, "-m", "512,slots=2,maxmem=2G", "-smp", "1,maxcpus=2", "-nographic", "-monitor", "none"]
                + ["-serial", "stdio", "-nic", "none", "-drive", "file=\(bootDisk),snapshot=on"]
                + (board == "q35" ? ports : []) + ["-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"])
        try logIn(machine)
        let monitor = try MonitorClient(path: folder.path("qmp"))
        // The kernel's own words stay out of what commands print.
        _ = try machine.shell("dmesg -n 1")
        let complaints = "dmesg --level=emerg,alert,crit,err"
        let before = try machine.output(of: complaints)
        func wait(_ command: String, for wanted: String) throws {
            let end = Date().addingTimeInterval(120)
            var seen = ""
            while Date() < end {
                seen = try machine.output(of: command)
                if seen == wanted { return }
                Thread.sleep(forTimeInterval: 0.2)
            }
            Issue.record("'\(command)' says '\(seen)', not '\(wanted)'")
        }
        func bus(_ port: String) -> [String: Any] { board == "q35" ? ["bus": port] : [:] }
        let disks = "lsblk -dnro NAME,SIZE | grep '^vd'"
        let cards = "ip -o link | grep -vc ' lo:'"
        // What a booted Debian has is what the kernel calls its blocks of 128 MiB.
        let memory = "grep -l online /sys/devices/system/memory/memory*/state | wc -l"
        let blocks = try #require(Int(try machine.output(of: memory)))
        #expect(try machine.output(of: cards) == "0")

        try monitor.execute(
            "blockdev-add", ["driver": "raw", "node-name": "n1", "file": ["driver": "file", "filename": image]])
        try monitor.execute(
            "device_add", ["driver": "virtio-blk-pci", "id": "d1", "drive": "n1"].merging(bus("rp1")) { $1 })
        try wait(disks, for: "vda 1M")
        #expect(try machine.output(of: "head -c 4 /dev/vda") == "aaaa")
        try monitor.execute("netdev_add", ["type": "user", "id": "net1"])
        try monitor.execute(
            "device_add", ["driver": "virtio-net-pci", "id": "c1", "netdev": "net1"].merging(bus("rp2")) { $1 })
        try wait(cards, for: "1")
        try monitor.execute(
            "device_add", ["driver": "qemu64-x86_64-cpu", "id": "cpu1", "socket-id": 0, "core-id": 1, "thread-id": 0])
        try wait("echo 1 >/sys/devices/system/cpu/cpu1/online; nproc", for: "2")
        #expect(try machine.output(of: "taskset 2 nproc") == "1")
        _ = try machine.output(of: "echo online_movable >/sys/devices/system/memory/auto_online_blocks")
        try monitor.execute("object-add", ["qom-type": "memory-backend-ram", "id": "m1", "size": 256 << 20])
        try monitor.execute("device_add", ["driver": "pc-dimm", "id": "dimm1", "memdev": "m1"])
        try wait(memory, for: "\(blocks + 2)")

        for (id, command, wanted) in [
            ("d1", disks, ""), ("c1", cards, "0"), ("cpu1", "nproc", "1"), ("dimm1", memory, "\(blocks)"),
        ] {
            try monitor.execute("device_del", ["id": id])
            while try monitor.wait(forEvent: "DEVICE_DELETED", seconds: 120)["device"] as? String != id {}
            try wait(command, for: wanted)
        }
        #expect(try machine.output(of: complaints) == before)
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
