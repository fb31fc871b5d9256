import Foundation
import Testing

private let installer = Repository.root.appendingPathComponent("guest/installer/linux").path
private let installerDisk = Repository.root.appendingPathComponent("guest/installer/initrd.gz").path

/// Debian's installer, on the screen.
@Suite(
    .serialized,
    .enabled(if: FileManager.default.fileExists(atPath: installerDisk), "needs 'make guest/installer/initrd.gz'"))
struct InstallerTests {
    @Test func theInstallerAsksAndIsAnswered() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine([
            "-accel", "tcg", "-m", "1200", "-nodefaults", "-vga", "std", "-kernel", installer, "-initrd", installerDisk,
            "-append", "vga=788 quiet", "-vnc", "unix:\(folder.path("vnc"))", "-qmp",
            "unix:\(folder.path("qmp")),server=on,wait=off",
        ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        let viewer = try RawViewer(path: folder.path("vnc"))
        /// Looks until what is seen is a blue screen with a box on it that stands still, and is not `old`.
        func question(after old: Pixmap?) throws -> Pixmap {
            let end = Date().addingTimeInterval(300)
            var last: Pixmap?
            while Date() < end {
                try viewer.look()
                let now = viewer.picture
                let row = now.width * 3
                let corner: [UInt8] = Array(now.bytes[(row * 100)..<(row * 100 + 3)])
                let start = row * (now.height / 2)
                let middle: [UInt8] = Array(now.bytes[start..<(start + row)])
                let isBlue = corner == [0, 0, 0xAA] && Set(middle).count > 2
                if isBlue, now == last, now != old { return now }
                last = now
                Thread.sleep(forTimeInterval: 0.3)
            }
            throw MonitorClient.Failed(description: "the installer does not ask")
        }
        let languages = try question(after: nil)
        // The mark goes down, and the next question comes.
        try viewer.press(0xFF54)
        let next = try question(after: languages)
        try viewer.press(0xFF0D)
        _ = try question(after: next)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
