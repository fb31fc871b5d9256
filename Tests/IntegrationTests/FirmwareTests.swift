import Foundation
import TestSupport
import Testing

private let rescueDisc = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
private let uefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
private let uefiVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
private let seaBIOS = "/usr/share/seabios/bios-256k.bin"

private func isThere(_ paths: String...) -> Bool { paths.allSatisfy { FileManager.default.fileExists(atPath: $0) } }

/// Debian's firmware on both boards, by the names of its packages.
@Suite(.serialized)
struct FirmwareTests {
    /// A line as users type it: SeaBIOS by itself, the disc before the disk, GRUB's menu.
    @Test(.enabled(if: isThere(rescueDisc, seaBIOS), "needs grub-rescue-pc and seabios"), arguments: ["pc", "q35"])
    func theDiscBootsToGRUB(_ board: String) throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        try #require(try runOnHost("qemu-img", "create", "-f", "qcow2", disk, "10G").status == 0)
        let machine = try GuestMachine([
            "-M", board, "-m", "128", "-nographic", "-nic", "none", "-hda", disk, "-boot", "d", "-cdrom", rescueDisc,
            "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
        ])
        try machine.wait(for: "SeaBIOS (version")
        try machine.wait(for: "The highlighted entry will be executed automatically")
        #expect(machine.console.contains("Booting from DVD/CD"))
        // The medium goes and another comes, which the guest's BIOS would read from now on.
        let monitor = try MonitorClient(path: folder.path("qmp"))
        let name = board == "pc" ? "ide1-cd0" : "ide2-cd0"
        _ = try monitor.human("change \(name) \(rescueDisc)")
        #expect(
            try monitor.human("info block").contains("\(name): \(rescueDisc)")
                || monitor.human("info block").contains(name))
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    /// Every card brings iPXE, which here takes a script from the user's network.
    @Test(
        .enabled(if: isThere(seaBIOS, "/usr/lib/ipxe/qemu/efi-e1000.rom"), "needs seabios and ipxe-qemu"),
        arguments: ["", "virtio-net-pci"] + (FuzzRounds.factor > 1 ? ["e1000e", "rtl8139", "pcnet"] : []))
    func machinesStartByNetwork(_ card: String) throws {
        let folder = try TemporaryFolder()
        try Data("#!ipxe\necho Apus came by ${net0/mac}\n".utf8).write(
            to: URL(fileURLWithPath: folder.path("hello.ipxe")))
        let user =
            "user,\(card.isEmpty ? "" : "model=\(card),")mac=52:54:00:00:00:77,tftp=\(folder.path(".")),bootfile=hello.ipxe"
        let machine = try GuestMachine(["-m", "64", "-nographic", "-boot", "n", "-nic", user])
        try machine.wait(for: "Apus came by 52:54:00:00:00:77")
        try machine.press("\u{1}x")
        #expect(try machine.status() == 0)
    }

    @Test func variablesOfUEFIStay() throws {
        let folder = try TemporaryFolder()
        let variables = folder.path("vars.fd")
        try #require(try runOnHost("cp", uefiVariables, variables).status == 0)
        let arguments = [
            "-m", "128", "-nographic", "-nic", "none", "-boot", "strict=on", "-no-reboot",
            "-drive", "if=pflash,unit=0,readonly=on,format=raw,file=\(uefiCode)",
            "-drive", "if=pflash,unit=1,format=raw,file=\(variables)",
        ]
        let name = "ApusTest -guid 5A9A2C56-6C1B-4E5B-8F0E-3B1C2D4E5F60"
        // What is typed comes back with moves of the cursor in it: what counts is printed below. The shell prints the
        // number byte by byte as it lies in memory.
        for (board, command, answer) in [
            ("q35", "setvar \(name) -bs -rt -nv =0x5741\r\necho isset", "isset"), ("pc", "setvar \(name)", "41 57"),
        ] {
            let machine = try GuestMachine(["-M", board] + arguments)
            try machine.wait(for: "in 5 seconds to skip")
            try machine.type("\u{1B}")
            try machine.wait(for: "Shell>")
            try machine.type(command + "\r")
            try machine.wait(for: answer)
            try machine.type("reset -s\r")
            #expect(try machine.status() == 0)
        }
    }

    @Test func aFirmwareThatIsMissingNamesItsPackage() throws {
        let machine = try GuestMachine(["-nographic", "-bios", "bios-of-nobody.bin"])
        #expect(try machine.status() == 1)
        #expect(try machine.remainder().contains("could not load PC BIOS 'bios-of-nobody.bin'"))
    }
}

/// Devices and processors that come and go under Linux.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct HotplugTests {
    /// Waits until a command of the guest's shell writes what is wanted.
    private func wait(_ machine: GuestMachine, _ command: String, for wanted: String) throws -> Bool {
        let end = Date().addingTimeInterval(90)
        while Date() < end {
            if try machine.output(of: command) == wanted { return true }
            Thread.sleep(forTimeInterval: 0.2)
        }
        return false
    }

    @Test(arguments: ["pc", "q35"]) func disksAndCardsComeAndGo(_ board: String) throws {
        let folder = try TemporaryFolder()
        let image = folder.path("disk.raw")
        try Data(repeating: 0x61, count: 1 << 20).write(to: URL(fileURLWithPath: image))
        let ports =
            board == "q35"
            ? ["-device", "pcie-root-port,id=rp1,slot=1", "-device", "pcie-root-port,id=rp2,slot=2"] : []
        let machine = try GuestMachine(
            booting: ["-M", board, "-smp", "1,maxcpus=2", "-nic", "none"] + ports
                + ["-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"])
        try machine.wait(for: "Type poweroff to end.")
        let monitor = try MonitorClient(path: folder.path("qmp"))
        // What was not there at the start has no driver yet.
        _ = try machine.output(of: "modprobe -a virtio_pci virtio_blk virtio_net")
        func bus(_ port: String) -> [String: Any] { board == "q35" ? ["bus": port] : [:] }

        try monitor.execute(
            "blockdev-add", ["driver": "raw", "node-name": "n1", "file": ["driver": "file", "filename": image]])
        try monitor.execute(
            "device_add", ["driver": "virtio-blk-pci", "id": "d1", "drive": "n1"].merging(bus("rp1")) { $1 })
        #expect(try wait(machine, "ls /sys/block | grep vd", for: "vda"))
        #expect(try machine.output(of: "head -c 4 /dev/vda") == "aaaa")
        try monitor.execute("netdev_add", ["type": "user", "id": "net1"])
        try monitor.execute(
            "device_add", ["driver": "virtio-net-pci", "id": "c1", "netdev": "net1"].merging(bus("rp2")) { $1 })
        #expect(try wait(machine, "ls /sys/class/net | grep eth", for: "eth0"))

        for (id, command) in [("d1", "ls /sys/block | grep vd"), ("c1", "ls /sys/class/net | grep eth")] {
            try monitor.execute("device_del", ["id": id])
            let event = try monitor.wait(forEvent: "DEVICE_DELETED", seconds: 90)
            #expect(event["device"] as? String == id)
            #expect(try wait(machine, command, for: ""))
        }
        try monitor.execute("blockdev-del", ["node-name": "n1"])
        try monitor.execute("netdev_del", ["id": "net1"])

        #expect(try machine.output(of: "cat /sys/devices/system/cpu/online") == "0")
        try monitor.execute(
            "device_add",
            ["driver": "qemu64-x86_64-cpu", "id": "cpu1", "socket-id": 0, "core-id": 1, "thread-id": 0])
        #expect(try wait(machine, "ls -d /sys/devices/system/cpu/cpu1", for: "/sys/devices/system/cpu/cpu1"))
        #expect(try wait(machine, "echo 1 >/sys/devices/system/cpu/cpu1/online; nproc", for: "2"))
        try monitor.execute("device_del", ["id": "cpu1"])
        try monitor.wait(forEvent: "DEVICE_DELETED", seconds: 90)
        #expect(try machine.output(of: "nproc") == "1")
        let errors = try machine.output(of: "dmesg | grep -E 'BUG:|Oops|WARNING:|I/O error'")
        #expect(errors == "", "\(errors)")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }
}
