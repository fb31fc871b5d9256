import Foundation
import Testing

private let memoryTest = "/boot/memtest86+x64.bin"

/// Debian's memtest86+, which is loaded as a kernel is.
@Suite(
    .serialized,
    .enabled(if: FileManager.default.fileExists(atPath: memoryTest), "needs Debian's package memtest86+"))
struct MemoryTestTests {
    /// All tests of a pass but the last, which waits for some minutes whether bits fade.
    @Test func memoryIsFoundGood() throws {
        let machine = try GuestMachine([
            "-accel", "tcg", "-m", "20", "-nodefaults", "-display", "none", "-vga", "std", "-serial", "stdio",
            "-kernel", memoryTest, "-append", "console=ttyS0,115200",
        ])
        try machine.wait(for: "Bit fade test", seconds: 300)
        // The count of errors is drawn again and again, at its place.
        let counts = machine.console.components(separatedBy: "Errors: ").dropFirst().map { $0.prefix(4) }
        #expect(!counts.isEmpty)
        #expect(counts.allSatisfy { $0.trimmingCharacters(in: .whitespaces).hasPrefix("0") })
        #expect(!machine.console.contains("FAIL"))
    }
}
