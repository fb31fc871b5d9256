import HostOS
import Machine
import MachineControl
import Testing

/// A machine of which there are two, and who drives them.
struct TwinCase: Sendable, CustomTestStringConvertible {
    let name: String
    /// Of a machine without devices; `FOLDER` is each twin's own folder, `SHARED` one that both have.
    let line: String
    /// The models that it tests; those of the board where there are none.
    let models: [String]
    /// Ports and windows whose registers are written, by the names in `info mtree`; `all`: every one.
    var registers: Set<String> = []
    /// Those who know how their device wants to be driven.
    var drivers: @Sendable (Twin) -> [any TwinDriver] = { _ in [] }
    /// Threads work for its devices: what they do is waited for after each operation.
    var isBusy = false
    /// Its devices' threads look at the clock: they finish what a timer had them do before time goes on.
    var isTimed = false
    /// Fields that need not be alike, and why.
    var living: [String: String] = [:]
    /// A state leaves out what the first machine still knows, by design: it takes its own state as the other does.
    var forgets = false
    /// A program that must be there.
    var needs: String?
    /// Operations on the first twin before it is saved, and on both after that.
    var before = 120
    var after = 120

    var testDescription: String { name }

    /// Disks of 1 MiB in the folder.
    static let disks = ["d0.raw", "d1.raw", "d2.raw"]

    /// The machine of one of the twins, with files of its folder.
    func configuration(_ folder: String, shared: String) throws -> MachineConfiguration {
        for (number, name) in Self.disks.enumerated() {
            let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: ($0 >> 9) &* 31 &+ $0 &+ number) }
            try HostFile.replace("\(folder)/\(name)", with: bytes)
        }
        try HostFile.replace("\(folder)/f0.raw", with: [UInt8](repeating: 0xFF, count: 64 << 10))
        try HostFile.replace("\(folder)/kernel", with: Samples.kernel + [UInt8](repeating: 0, count: 4096))
        let own = line.split(whereSeparator: \.isWhitespace).map {
            String($0).replacing("FOLDER", with: folder).replacing("SHARED", with: shared)
        }
        var words = [
            "apus-vmm", "-nodefaults", "-display", "none", "-cpu", "qemu64", "-seed", "1", "-uuid",
            "01234567-89ab-cdef-0123-456789abcdef", "-rtc", "base=2026-01-02T03:04:05,clock=vm",
        ]
        if !own.contains("-m") { words += ["-m", "8M"] }
        if !line.contains("pflash") { words += ["-kernel", "\(folder)/kernel"] }
        switch CommandLineParser.parse(words + own) {
        case .machine(let configuration, _): return configuration
        case .information(let text), .failure(let text):
            Issue.record("\(name): \(text)")
            throw TwinError.line(text)
        }
    }

    enum TwinError: Error { case line(String) }

    /// The driver of registers, and those who know more.
    func allDrivers(_ twin: Twin) -> [any TwinDriver] {
        // What the board has of its own is at slots below 2, and at 31.
        let isBoard = models.isEmpty
        let plain = RegisterDriver(
            twin, { isBoard || $0.bus > 0 || ($0.slot > 1 && $0.slot < 31) || registers.contains("slot \($0.slot)") },
            names: registers)
        return [plain] + drivers(twin)
    }
}
