import CEngine

/// A piece of code of any mode and privilege, with all that it starts with.
struct PrivilegedCase {
    /// The size of code, and what holds it.
    enum Mode: CaseIterable {
        case real, virtual8086, protected16, protected32, compatibility16, compatibility32, long

        var isLong: Bool { self == .long || self == .compatibility16 || self == .compatibility32 }
        /// Segments as in real mode, their bases from their selectors.
        var isReal: Bool { self == .real || self == .virtual8086 }
        var is32: Bool { self == .protected32 || self == .compatibility32 }
        var levels: [UInt64] { self == .real ? [0] : self == .virtual8086 ? [3] : [0, 1, 3] }
    }

    var mode: Mode
    var level: UInt64
    var state: apus_x86_state
    var code: [UInt8]
    /// RAM from its start, without the code.
    var memory: [UInt8]
    /// Where the code starts in its page.
    var start: Int

    /// Whether instructions may run whose results are of this moment: time, chance, and registers with either.
    var isTimeless: Bool {
        for at in code.indices.dropLast() where code[at] == 0x0f {
            switch code[at + 1] {
            // RDTSC, RDPMC, WRMSR, RDMSR
            case 0x30...0x33: return false
            // RDTSCP, RDRAND and RDSEED, RDPID
            case 0x01: if at + 2 < code.count && code[at + 2] == 0xf9 { return false }
            case 0xc7: if at + 2 < code.count && code[at + 2] >> 4 & 3 == 3 { return false }
            default: break
            }
        }
        return true
    }
}
