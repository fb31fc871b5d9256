import CEngine
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// A guest that goes round over a region at a pace, and adds one to the first word of each page, then one to the count of
/// its rounds.
private struct PacedGuest {
    static let (start, counter): (UInt64, UInt64) = (0x100_0000, 0x20_0000)
    /// Bytes of the region; a page of it is written every so many ticks of the counter.
    let size: UInt64
    let ticks: UInt32

    /// `size` bytes, of which `pace` are written a second.
    init(size: UInt64, pace: UInt64) {
        self.size = size
        let (began, time) = (apus_rdtsc(), HostClock.monotonic)
        Bell().wait(nanoseconds: 50_000_000)
        let nanoseconds = HostClock.monotonic - time
        ticks = UInt32((apus_rdtsc() - began) * 1_000_000_000 / nanoseconds * 4096 / pace)
    }

    var kernel: [UInt8] {
        func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        let code: [UInt8] =
            [0xBF, 0, 0, 0, 1, 0x0F, 0x31, 0x89, 0xC6]  // edi: where; esi: when the next is due
            + [0xFF, 0x07, 0x81, 0xC7, 0, 0x10, 0, 0, 0x81, 0xFF] + word(UInt32(Self.start + size))
            + [0x72, 0x0B, 0xBF, 0, 0, 0, 1, 0xFF, 0x05, 0, 0, 0x20, 0, 0x81, 0xC6] + word(ticks)
            + [0x0F, 0x31, 0x89, 0xC3, 0x29, 0xF3, 0x78, 0xF8, 0x81, 0xFB] + word(ticks * 8192)  // waits until then
            + [0x72, 0xCF, 0x89, 0xC6, 0xEB, 0xCB]  // far behind it does not catch up
        var bytes = Samples.kernel
        bytes.replaceSubrange(32..., with: code)
        // The header's ends of what is loaded, and of what is cleared.
        (bytes[20], bytes[24]) = (UInt8(bytes.count), UInt8(bytes.count))
        return bytes + [UInt8](repeating: 0, count: 4096)
    }

    func rounds(_ machine: VirtualMachine) throws -> UInt64 { try Self.word(machine, Self.counter) }
    private static func word(_ machine: VirtualMachine, _ address: UInt64) throws -> UInt64 {
        try machine.readPhysical(address, count: 4).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// No page is older or newer than the rounds say.
    func check(_ machine: VirtualMachine) throws {
        let rounds = try rounds(machine)
        var isBehind = false
        for page in stride(from: Self.start, to: Self.start + size, by: 4096) {
            let count = try Self.word(machine, page)
            if count == rounds { isBehind = true }
            let isWhole = count == rounds || (count == rounds + 1 && !isBehind)
            try #require(isWhole, "Page \(page) has \(count) of \(rounds)")
        }
    }
}

/// Guests that write as fast as memory can be sent, or faster. `make fuzz` has them write 500 MB/s of 512 MiB.
@Suite(.serialized)
struct ConvergenceTests {
    private static let isLong = FuzzRounds.factor > 1
    private static let pace: UInt64 = 500_000_000
    private static let size: UInt64 = (isLong ? 480 : 48) << 20
    /// Less than the guest writes.
    private static let bandwidth: UInt64 = isLong ? 300 << 20 : 100 << 20

    @Test(
        "A guest that writes faster than its memory is sent goes all the same, with all that it wrote",
        arguments: ["auto-converge", "postcopy-ram"])
    func converges(capability: String) throws {
        guard capability != "postcopy-ram" || MigrationWayTests.hasPageFaults else { return }
        let guest = PacedGuest(size: Self.size, pace: Self.pace)
        try Samples.withFolder(["kernel": guest.kernel]) { folder in
            var configuration = CountingGuest.configuration(.microvm, folder)
            configuration.memory.size = Self.size + (32 << 20)
            let source = try RunningMachine(configuration)
            configuration.incoming = "defer"
            let target = try RunningMachine(configuration)
            for machine in [source.machine, target.machine] {
                try machine.setMigrationCapabilities([(capability, true), ("events", true)])
            }
            var parameters: JSONObject = ["max-bandwidth": .number(Self.bandwidth)]
            // A short test has no time for many steps.
            if !Self.isLong { parameters["cpu-throttle-initial"] = 60 }
            if !Self.isLong { parameters["cpu-throttle-increment"] = 15 }
            try source.machine.setMigrationParameters(parameters)
            try target.machine.receiveMigration(from: "unix:\(folder)/door", descriptor: nil)
            source.wait("writing") { (try? guest.rounds(source.machine)) ?? 0 > 0 }
            let (began, first) = (HostClock.monotonic, try guest.rounds(source.machine))
            source.wait("pace") { HostClock.monotonic - began > 1_000_000_000 }
            let passed = HostClock.monotonic - began
            let before = try guest.rounds(source.machine)
            let written = (before - first) * Self.size / (passed / 1_000_000) * 1000
            print("The guest writes \(written / 1_000_000) MB/s of \(Self.size >> 20) MiB")
            if Self.isLong { #expect(written > 400_000_000, "The host is too slow for this test") }

            try source.machine.migrate(to: "unix:\(folder)/door", descriptor: nil)
            if capability == "postcopy-ram" {
                source.wait("a round") { source.machine.migration.rounds > 0 }
                try source.machine.startLateMigration()
            }
            source.wait("sent", seconds: 240) { !source.machine.migration.status.isUnderWay }
            let known = source.machine.migration
            try #require(known.status == .completed, "\(known)")
            print(
                "\(capability): \(known.totalTime) ms, stood \(known.downtime ?? 0) ms, \(known.rounds) rounds,",
                "throttle \(known.throttle) %")
            target.wait("running there") { target.machine.runState == .running }
            target.wait("all there", seconds: 240) { target.machine.migration.status == .completed }
            #expect(source.machine.runState == .postMigrate)
            let there = try guest.rounds(target.machine)
            #expect(there >= before)
            target.wait("going on") { (try? guest.rounds(target.machine)) ?? 0 > there }
            target.machine.stop()
            try guest.check(target.machine)
            _ = source.end()
            _ = target.end()
        }
    }
}
