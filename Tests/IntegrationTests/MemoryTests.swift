import Foundation
import Testing

/// What a machine takes of the host's memory beside its guest's.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MemoryTests {
    /// Fills what is free of the guest's memory, so that all of it has been touched, and frees it again.
    private static let touchAll = """
        mount -t tmpfs -o size=100% none /mnt; \
        dd if=/dev/zero of=/mnt/a bs=1M count=$(($(awk '/MemFree/{print $2}' /proc/meminfo) / 1024 - 24)) 2>/dev/null; \
        du -m /mnt/a | cut -f 1; rm /mnt/a
        """

    private static func peak(_ machine: GuestMachine) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(machine.identifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.filter(\.isNumber)))
    }

    @Test(arguments: [1, 2])
    func theProcessNeedsLittleMoreThanItsGuest(processors: Int) throws {
        let machine = try GuestMachine(booting: ["-accel", "tcg", "-smp", "\(processors)"])
        try machine.wait(for: "Type poweroff to end.")
        let touched = try #require(Int(try machine.output(of: Self.touchAll)))
        #expect(touched > 350)
        let full = try Self.peak(machine)
        #expect(full > touched << 10)
        #expect(full < (512 + 150) << 10, "\(full) KiB for a guest of 512 MiB")

        // Every program lies at random addresses of its own. What the engine keeps of them must not pile up.
        _ = try machine.output(of: "i=0; while [ $i -lt 2500 ]; do /bin/true; i=$((i + 1)); done")
        let later = try Self.peak(machine)
        #expect(later < (512 + 150) << 10, "\(later) KiB for a guest of 512 MiB, after \(full)")
        #expect(later - full < 60 << 10, "\(later - full) KiB more after 2,500 programs")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }
}
