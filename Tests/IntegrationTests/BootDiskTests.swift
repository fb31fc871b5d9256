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
    @Test(arguments: ["ide", "ahci", "virtio", "scsi", "nvme", "uefi"])
    func debianBoots(_ kind: String) throws {
        let folder = try TemporaryFolder()
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
        try machine.wait(for: "apus-debian login:", seconds: 600)
        try machine.type("root")
        try machine.wait(for: "root@apus-debian")
        try machine.type("exec env TERM=dumb PS1= sh +m")
        let root = try machine.output(of: "findmnt -no SOURCE /")
        let wanted = ["virtio": "/dev/vda2", "nvme": "/dev/nvme0n1p2"]
        #expect(root == wanted[kind] ?? "/dev/sda2")
        #expect(try machine.output(of: "dmesg | grep -E 'Oops|BUG:|WARNING:|I/O error|soft lockup'") == "")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
