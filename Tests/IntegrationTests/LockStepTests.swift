import Foundation
import Testing

/// Debian's kernel with every translated block compared with the interpreter: minutes, for `make fuzz`.
@Suite(
    .serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"),
    .enabled(if: ProcessInfo.processInfo.environment["APUS_FUZZ_ROUNDS"] != nil, "takes minutes: 'make fuzz' runs it"))
struct LockStepTests {
    @Test func differentialBootToAShell() throws {
        let machine = try GuestMachine(booting: ["-accel", "translator,verify=on", "-nic", "none"])
        try machine.wait(for: "Type poweroff to end.", seconds: 3600)
        let answer = try machine.shell("echo $((6 * 7)); seq 1 2000 | sort -n | md5sum", seconds: 1200)
        #expect(answer.contains("\n42"))
        #expect(answer.contains("-"))
        try machine.type("poweroff -f")
        #expect(try machine.status(seconds: 600) == 0)
        #expect(!machine.console.contains("verify:"))
        #expect(!machine.console.contains("BUG:"))
    }
}
