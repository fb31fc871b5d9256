import Foundation
import Testing

private let folderOfInstaller = Repository.root.appendingPathComponent("guest/installer").path
private let installer = "\(folderOfInstaller)/linux"
private let windows = "\(folderOfInstaller)/gtk.gz"
private let network = "\(folderOfInstaller)/netboot"

private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

/// Debian's installer, on the screen.
@Suite(.serialized, .enabled(if: isThere("\(folderOfInstaller)/initrd.gz"), "needs 'make guest/installer/initrd.gz'"))
struct InstallerTests {
    /// A machine with a viewer, whose picture is waited for.
    private struct Viewed {
        let machine: GuestMachine
        let monitor: MonitorClient
        let viewer: RawViewer

        init(_ folder: TemporaryFolder, _ arguments: [String]) throws {
            machine = try GuestMachine(
                ["-accel", "tcg", "-m", "1200", "-nodefaults", "-vga", "std", "-vnc", "unix:\(folder.path("vnc"))"]
                    + ["-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"] + arguments)
            monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
            viewer = try RawViewer(path: folder.path("vnc"))
        }

        /// Looks until what is seen is as wanted, stands still and is not `old`.
        func picture(after old: Pixmap? = nil, seconds: Double = 300, _ isWanted: (Pixmap) -> Bool) throws -> Pixmap {
            let end = Date().addingTimeInterval(seconds)
            var last: Pixmap?
            while Date() < end {
                try viewer.look()
                let now = viewer.picture
                if isWanted(now), now == last, now != old { return now }
                last = now
                Thread.sleep(forTimeInterval: 0.3)
            }
            throw MonitorClient.Failed(description: "the installer does not ask")
        }

        /// A question of the installer's text: a blue screen with a grey box on it.
        func question(after old: Pixmap? = nil) throws -> Pixmap {
            try picture(after: old) { now in
                guard now.height > 200 else { return false }
                let row = now.width * 3
                let corner: [UInt8] = Array(now.bytes[(row * 100)..<(row * 100 + 3)])
                let start = row * (now.height / 2)
                let isGrey = stride(from: start, to: start + row, by: 3).contains { place in
                    now.bytes[place..<(place + 3)].allSatisfy { $0 == 0xAA }
                }
                return corner == [0, 0, 0xAA] && isGrey
            }
        }

        /// Two questions, the second asked once the first is answered by keys.
        func answer(_ ask: (Pixmap?) throws -> Pixmap) throws {
            let languages = try ask(nil)
            // The mark goes down, and the next question comes.
            try viewer.press(0xFF54)
            let next = try ask(languages)
            try viewer.press(0xFF0D)
            _ = try ask(next)
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
        }
    }

    @Test func theInstallerAsksAndIsAnswered() throws {
        let viewed = try Viewed(
            try TemporaryFolder(),
            ["-kernel", installer, "-initrd", "\(folderOfInstaller)/initrd.gz", "-append", "vga=788 quiet"])
        try viewed.answer { try viewed.question(after: $0) }
    }

    @Test(.enabled(if: isThere(windows), "needs 'make guest/installer/initrd.gz' anew"))
    func theInstallerHasWindows() throws {
        let viewed = try Viewed(
            try TemporaryFolder(), ["-kernel", installer, "-initrd", windows, "-append", "vga=788 quiet"])
        try viewed.answer { old in
            // A banner of many colours over a list on white.
            try viewed.picture(after: old) { now in
                guard now.width >= 800 else { return false }
                let colours = Set(
                    stride(from: 0, to: now.width * 60 * 3, by: 3).map {
                        UInt32(now.bytes[$0]) << 16 | UInt32(now.bytes[$0 + 1]) << 8 | UInt32(now.bytes[$0 + 2])
                    })
                // Beside the pointer, which stands in the middle.
                let place = (now.height / 2 * now.width + now.width * 3 / 4) * 3
                return colours.count > 64 && now.bytes[place..<(place + 3)].allSatisfy { $0 > 0xE0 }
            }
        }
    }

    /// From SeaBIOS by iPXE's option ROM: DHCP, a boot loader and a kernel by TFTP, all of the user's network.
    @Test(
        .enabled(if: isThere("\(network)/pxelinux.0"), "needs 'make guest/installer/initrd.gz' anew"),
        .enabled(if: isThere("/usr/lib/ipxe/qemu/efi-e1000e.rom"), "needs Debian's package ipxe-qemu"))
    func theInstallerComesByNetwork() throws {
        let viewed = try Viewed(
            try TemporaryFolder(),
            [
                "-netdev", "user,id=n,tftp=\(network),bootfile=pxelinux.0", "-device", "e1000e,netdev=n", "-boot", "n",
            ])
        // The boot loader's menu, on its picture; its first line starts the installer.
        // A key that moves nothing ends its count of seconds, after which it stands still.
        _ = try viewed.picture { now in
            guard now.width == 640, now.height == 480, Set(now.bytes).count > 32 else { return false }
            try? viewed.viewer.press(0xFF50)
            return true
        }
        try viewed.viewer.press(0xFF0D)
        try viewed.answer { try viewed.question(after: $0) }
    }
}
