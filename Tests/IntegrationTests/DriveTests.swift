import Foundation
import Testing

/// A file for one test, which goes with it.
private final class ScratchFile {
    let path: String
    init(_ bytes: [UInt8]) throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)").path
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Linux's ata_piix with disks and discs.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct DriveTests {
    @Test func linuxReadsAndWritesIDEDrives() throws {
        let disk = try ScratchFile((0..<4 << 20).map { UInt8(truncatingIfNeeded: $0 / 512 ^ $0) })
        let disc = try ScratchFile([UInt8](repeating: 0x41, count: 1 << 20))
        let machine = try GuestMachine(booting: ["-nic", "none", "-hda", disk.path, "-cdrom", disc.path])
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.shell("dd if=/dev/sda of=/dev/sda bs=64k count=16 seek=32 conv=fsync,notrunc")
        let counts = try machine.shell("wc -c </dev/sr0; tr -d A </dev/sr0 | wc -c")
        #expect(counts.contains("\n1048576\r\n0\r\n"), "\(counts)")
        let names = try machine.shell("dmesg | grep -E 'ata[12].00'")
        #expect(names.contains("QEMU HARDDISK") && names.contains("QEMU DVD-ROM") && !names.contains("error"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: disk.path)))
        #expect(bytes.count == 4 << 20 && bytes[..<(1 << 20)] == bytes[2 << 20..<3 << 20])
    }
}

/// Debian's SeaBIOS.
private let seaBIOS = "/usr/share/seabios/bios-256k.bin"

/// SeaBIOS finds boot sectors.
@Suite(.serialized, .enabled(if: FileManager.default.fileExists(atPath: seaBIOS), "needs SeaBIOS"))
struct FirmwareBootTests {
    /// A boot sector that has the BIOS read the next one, shows the text in it on the serial port, and powers off.
    private static func bootDisk(_ text: String) -> [UInt8] {
        let code: [UInt8] = [
            0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xC0,  // xor ax, ax; mov ds, ax; mov es, ax
            0xBB, 0x00, 0x80, 0xB8, 0x01, 0x02,  // mov bx, 8000; mov ax, 201
            0xB9, 0x02, 0x00, 0xB6, 0x00, 0xCD, 0x13,  // mov cx, 2; mov dh, 0; int 13
            0xBE, 0x00, 0x80, 0xBA, 0xF8, 0x03,  // mov si, 8000; mov dx, 3f8
            0xAC, 0x84, 0xC0, 0x74, 0x03, 0xEE, 0xEB, 0xF8,  // lodsb; test al, al; jz; out dx, al; jmp
            0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF, 0xF4,  // mov dx, 604; mov ax, 2000; out dx, ax; hlt
        ]
        let first = code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xAA]
        let second = Array(text.utf8)
        return first + second + [UInt8](repeating: 0, count: (1 << 20) - 512 - second.count)
    }

    @Test func bootsFromTheFirstDisk() throws {
        let disk = try ScratchFile(Self.bootDisk("The second sector is here."))
        let machine = try GuestMachine([
            "-m", "64", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-bios",
            seaBIOS, "-drive", "format=raw,file=\(disk.path)",
        ])
        try machine.wait(for: "The second sector is here.")
        #expect(try machine.status() == 0)
    }

    @Test func bootIndexDecides() throws {
        let (first, second) = (
            try ScratchFile(Self.bootDisk("The first.")), try ScratchFile(Self.bootDisk("The other."))
        )
        let machine = try GuestMachine([
            "-m", "64", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-bios",
            seaBIOS, "-drive", "format=raw,file=\(first.path)", "-drive",
            "format=raw,if=none,id=other,file=\(second.path)", "-device", "ide-hd,drive=other,bus=ide.1,bootindex=1",
        ])
        try machine.wait(for: "The other.")
        #expect(try machine.status() == 0)
    }
}
