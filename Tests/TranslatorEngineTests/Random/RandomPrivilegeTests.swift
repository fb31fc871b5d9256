import CEngine
import HostOS
import TestSupport
import Testing

/// Random code at every privilege and in every mode, interpreted and translated: it ends, touches nothing outside the
/// guest's RAM, and does the same in both.
@Suite(.serialized) struct RandomPrivilegeTests {
    private typealias Place = PrivilegedGuest.Place
    private static let arithmetic: UInt64 = 0x8d5

    @Test(arguments: PrivilegedCase.Mode.allCases)
    func guestsStayInTheirMemory(mode: PrivilegedCase.Mode) throws {
        let interpreted = try PrivilegedGuest(threshold: .max, promotion: 2048)
        let translated = try PrivilegedGuest(threshold: 1, promotion: 2048)
        // Its blocks go to the upper tiers at once.
        let promoted = try PrivilegedGuest(threshold: 1, promotion: 0)
        let guests = [interpreted, translated, promoted]
        let stopper = PrivilegedGuest.Stopper(guests)
        let thread = try HostThread(name: "kicks") { stopper.run() }
        defer {
            stopper.stop()
            thread.join()
        }
        var ends: [String: Int] = [:]
        var failures = 0
        var compared = 0
        for seed in UInt64(0)..<UInt64(40 * FuzzRounds.factor) {
            for level in mode.levels {
                var generator = PrivilegedGenerator(seed: seed << 8 | level, guest: interpreted)
                let item = generator.makeCase(mode, level: level)
                let expected = interpreted.run(item)
                ends[Self.name(expected.end), default: 0] += 1
                // A guest may have its code or its stack where there is no memory. All else is the engine's fault.
                if case .error(let words) = expected.end {
                    #expect(words.hasPrefix("Executed code") || words.hasSuffix("reached device memory"), "\(words)")
                }
                for guest in guests.dropFirst() where failures < 10 {
                    let outcome = guest.run(item)
                    guard item.isTimeless, !expected.isDisturbed, !outcome.isDisturbed else { continue }
                    // A string instruction that runs on beside a port or a device.
                    guard expected.end != .endless else { continue }
                    compared += 1
                    let found = Self.differences(outcome, expected)
                    if found.isEmpty { continue }
                    failures += 1
                    let words = found.joined(separator: "; ")
                    let tier = guest === promoted ? "promoted" : "translated"
                    Issue.record(
                        "\(mode), level \(level), seed \(seed), \(tier), \(expected.end): \(words)\(Self.listing(item))"
                    )
                }
            }
        }
        for guest in guests { #expect(!guest.isMarginChanged) }
        #expect(compared > 0)
        // Most end one way or the other, and some get to their end.
        #expect(ends["endless", default: 0] < ends.values.reduce(0, +) / 2, "\(ends)")
        #expect(ends["port", default: 0] > 0, "\(ends)")
    }

    private static func name(_ end: PrivilegedGuest.End) -> String {
        switch end {
        case .port: "port"
        case .exception: "exception"
        case .shutdown: "shutdown"
        case .halted: "halted"
        case .endless: "endless"
        case .error: "error"
        }
    }

    /// What differs between a translated run and the interpreter's.
    static func differences(_ a: PrivilegedGuest.Outcome, _ b: PrivilegedGuest.Outcome) -> [String] {
        var found: [String] = []
        if a.end != b.end { found.append("end \(a.end), not \(b.end)") }
        if a.accesses != b.accesses { found.append("accesses \(a.accesses.suffix(5)), not \(b.accesses.suffix(5))") }
        let names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + (8..<16).map { "r\($0)" }
        // Flags that nothing looks at are lost where an instruction faults.
        let isFault = b.end != .port
        for at in 0..<MemoryLayout<apus_x86_state>.size / 8 {
            var (left, right) = (word(a.state, at), word(b.state, at))
            if at == 17 && isFault { (left, right) = (left & ~arithmetic, right & ~arithmetic) }
            if left == right { continue }
            let name = at < 16 ? names[at] : at == 16 ? "rip" : at == 17 ? "rflags" : "state+\(at * 8)"
            found.append("\(name) \(String(left, radix: 16)), not \(String(right, radix: 16))")
        }
        var places: [String] = []
        // Where the flags of the fault's frame lie.
        var flags: Int? = isFault ? nil : -2
        if a.memory != b.memory {
            for at in 0..<min(a.memory.count, b.memory.count) where a.memory[at] != b.memory[at] {
                let changed = a.memory[at] ^ b.memory[at]
                if flags == nil && changed & ~UInt8(truncatingIfNeeded: arithmetic) == 0 {
                    flags = at
                    continue
                }
                if changed == UInt8(arithmetic >> 8) && (flags ?? at - 1) == at - 1 {
                    flags = at - 1
                    continue
                }
                places.append(
                    ([UInt64(at)] + [a.memory[at], b.memory[at]].map { UInt64($0) })
                        .map { String($0, radix: 16) }.joined(separator: " ")
                )
            }
        }
        if !places.isEmpty { found.append("memory " + places.prefix(8).joined(separator: ", ")) }
        return found
    }

    private static func word(_ state: apus_x86_state, _ index: Int) -> UInt64 {
        // SAFETY: the index is below the structure's size in words.
        unsafe withUnsafeBytes(of: state) { unsafe $0.load(fromByteOffset: index * 8, as: UInt64.self) }
    }

    private static func listing(_ item: PrivilegedCase) -> String {
        let code = item.code.dropFirst(item.start).prefix(260)
        let end = code.lastIndex { $0 != 0xcc } ?? item.start
        let state = item.state
        let control = [state.cr0, state.cr4, state.rflags, UInt64(state.pkru)].map { String($0, radix: 16) }
        return "\n  cr0 cr4 rflags pkru \(control.joined(separator: " ")) start \(item.start)\n  "
            + code[...end].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}
