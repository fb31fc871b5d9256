internal import GuestMemory

/// A host bridge's registers of the memory of system management, which only processors in that mode reach. A pure value.
/// Intel 290549 (82441FX), 3.2.26; Intel 316966 (82Q35), 5.1.35 and 5.1.36, with two registers of QEMU's: the size of a
/// larger segment, and whether what lies at the initial SMBASE belongs to it (OVMF's Q35MchIch9.h).
struct ManagementRegisters: Equatable {
    /// A run of addresses: RAM at an offset of the first MiB, or nothing.
    struct Range: Equatable {
        var start: UInt64
        var end: UInt64
        /// Where in the first MiB the RAM is; nil: what lies there is hidden.
        var source: UInt64?
        var audience: AddressSpace.Audience
    }

    /// SMRAM.
    enum Control {
        static let open: UInt8 = 1 << 6
        static let closed: UInt8 = 1 << 5
        static let locked: UInt8 = 1 << 4
        static let enabled: UInt8 = 1 << 3
        /// Bits 2 to 0 name the only place that there is.
        static let base: UInt8 = 0x02
        static let writable = open | closed | locked | enabled
    }
    /// ESMRAMC, of the Q35.
    enum Extended {
        static let high: UInt8 = 1 << 7
        static let segmentSize: UInt8 = 3 << 1
        static let segmentEnabled: UInt8 = 1
        /// The caches' bits are 1.
        static let fixed: UInt8 = 0x38
        static let writable = high | segmentSize | segmentEnabled
    }
    /// The register of the initial SMBASE, of the Q35.
    enum InitialBase {
        static let query: UInt8 = 0xFF
        static let isRAM: UInt8 = 0x01
        static let locked: UInt8 = 0x02
        static let start: UInt64 = 0x3_0000
        static let count: UInt64 = 0x2_0000
    }
    private static let low: UInt64 = 0xA_0000
    private static let lowCount: UInt64 = 0x2_0000
    private static let high: UInt64 = 0xFEDA_0000

    private(set) var control = Control.base
    private(set) var extended = Extended.fixed
    private(set) var initialBase: UInt8 = 0

    /// A driver's writes. Once locked, the registers listen no more.
    mutating func write(control: UInt8, extended: UInt8, initialBase: UInt8) {
        if initialBase == InitialBase.query {
            if self.initialBase != InitialBase.locked { self.initialBase = InitialBase.isRAM }
        } else if self.initialBase != InitialBase.locked {
            self.initialBase = initialBase
        }
        guard self.control & Control.locked == 0 else { return }
        self.control = control & Control.writable | Control.base
        if self.control & Control.locked != 0 { self.control &= ~Control.open }
        self.extended = extended & Extended.writable | Extended.fixed
    }

    /// What lies differently, in ascending order of weight. `top` is where RAM below 4 GiB ends and `segment` the bytes of the
    /// largest segment; nil for boards without system management, whose memory is only opened and closed.
    func ranges(top: UInt64?, segment: UInt64) -> [Range] {
        let isHigh = extended & Extended.high != 0
        var result: [Range] = []
        func add(_ start: UInt64, _ audience: AddressSpace.Audience) {
            result.append(Range(start: start, end: start + Self.lowCount, source: Self.low, audience: audience))
        }
        let isOpen = control & Control.open != 0
        if isOpen { add(isHigh ? Self.high : Self.low, .everyone) }
        guard let top else { return result }
        if control & Control.enabled != 0 {
            if !isOpen { add(isHigh ? Self.high : Self.low, .systemManagement) }
            if extended & Extended.segmentEnabled != 0 {
                let size = min([1 << 20, 2 << 20, 8 << 20, segment][Int(extended & Extended.segmentSize) >> 1], top)
                if size > 0 { result.append(Range(start: top - size, end: top, source: nil, audience: .others)) }
            }
        }
        if initialBase == InitialBase.locked {
            result.append(
                Range(
                    start: InitialBase.start, end: InitialBase.start + InitialBase.count, source: nil, audience: .others))
        }
        return result
    }
}
