import HostOS
import TestSupport
import Testing

/// Logs of machines stay small, whether or not a daemon is there.
@Suite("Logs of machines", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct LogTests {
    private static func fill(_ path: String, _ byte: UInt8, _ count: Int) throws {
        try HostFile.open(path, .append).writeAll([UInt8](repeating: byte, count: count))
    }

    private static func waits(_ path: String) -> Bool {
        let pause = Bell()
        for _ in 0..<300 where HostFile.status(path).kind == .nothing { pause.wait(nanoseconds: 50_000_000) }
        pause.wait(nanoseconds: 100_000_000)
        return HostFile.status(path).kind == .file
    }

    /// Waits until a log is short again, which it is after its content has been copied.
    private static func isBegunAnew(_ path: String) -> Bool {
        let pause = Bell()
        for _ in 0..<300 where HostFile.status(path).size > 1 << 20 { pause.wait(nanoseconds: 50_000_000) }
        return HostFile.status(path).size < 1 << 20
    }

    @Test("Logs are begun anew after 2 MiB, with three older parts, also after the daemon was killed")
    func rotation() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let daemon = try DaemonProcess(folder: folder)
        let virsh = Virsh(daemon: daemon)
        let named = folder + "/serial.log"
        let xml = TestXML.domain(
            "m", devices: "<serial type='pty'><log file='\(named)'/></serial>", kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("create", folder + "/m.xml")
        let own = folder + "/log/qemu/m.log"
        for path in [named, own] { try Self.fill(path, 0x61, 3 << 20) }
        for path in [named, own] {
            #expect(Self.waits(path + ".0"))
            #expect(Self.isBegunAnew(path), "\(HostFile.status(path).size)")
        }
        daemon.kill()
        for (number, letter) in [0x62, 0x63, 0x64].enumerated() {
            try Self.fill(named, UInt8(letter), 3 << 20)
            #expect(Self.isBegunAnew(named))
            if number < 2 { #expect(Self.waits("\(named).\(number + 1)")) }
        }
        #expect(HostFile.status(named + ".3").kind == .nothing)
        for (number, letter) in [0x64, 0x63, 0x62].enumerated() {
            let bytes = try HostFile.contents("\(named).\(number)")
            #expect(bytes.count == 2 << 20 && bytes[bytes.count / 2] == UInt8(letter))
        }
    }
}
