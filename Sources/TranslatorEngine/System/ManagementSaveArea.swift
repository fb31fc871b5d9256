internal import CEngine

/// The last 512 bytes of a processor's system management memory, from SMBASE + 0xFE00 on: its state while it is in that
/// mode (AMD64 manual volume 2, table 10-1). A pure value; reserved fields are 0.
struct ManagementSaveArea {
    /// From SMBASE.
    static let offset: UInt64 = 0xFE00
    static let count = 0x200
    /// The layout of AMD64's processors, with a SMBASE that the handler may move.
    static let revision: UInt32 = 0x2_0064

    private(set) var bytes: [UInt8]

    /// Places from the area's start.
    private enum Field {
        static let segments: [(index: Int32, place: Int)] = [
            (APUS_SEG_ES, 0x00), (APUS_SEG_CS, 0x10), (APUS_SEG_SS, 0x20), (APUS_SEG_DS, 0x30), (APUS_SEG_FS, 0x40),
            (APUS_SEG_GS, 0x50), (APUS_SEG_LDTR, 0x70), (APUS_SEG_TR, 0x90),
        ]
        static let (gdtr, idtr) = (0x60, 0x80)
        static let autoHalt = 0xC9
        static let efer = 0xD0
        static let revision = 0xFC
        static let smbase = 0x100
        static let (cr4, cr3, cr0, dr7, dr6, rflags, rip) = (0x148, 0x150, 0x158, 0x160, 0x168, 0x170, 0x178)
        /// By number: RAX is the last of the area, R15 the first.
        static func general(_ number: Int) -> Int { 0x1F8 - number * 8 }
    }

    init(_ bytes: [UInt8] = [UInt8](repeating: 0, count: ManagementSaveArea.count)) { self.bytes = bytes }

    private func word<T: FixedWidthInteger>(_ place: Int, as type: T.Type = T.self) -> T {
        (0..<MemoryLayout<T>.size).reversed().reduce(0) { $0 << 8 | T(truncatingIfNeeded: bytes[place + $1]) }
    }
    private mutating func set<T: FixedWidthInteger>(_ place: Int, _ value: T) {
        for index in 0..<MemoryLayout<T>.size { bytes[place + index] = UInt8(truncatingIfNeeded: value >> T(index * 8)) }
    }

    /// Fills the area from a processor's state. `flags` are all of RFLAGS.
    mutating func take(_ state: apus_x86_state, flags: UInt64) {
        var state = state
        unsafe withUnsafeBytes(of: &state.gpr) {
            // SAFETY: sixteen registers.
            for number in 0..<16 { set(Field.general(number), unsafe $0.load(fromByteOffset: number * 8, as: UInt64.self)) }
        }
        unsafe withUnsafeBytes(of: &state.segment) {
            let segments = unsafe $0.assumingMemoryBound(to: apus_x86_segment.self)
            for (index, place) in Field.segments {
                let s = unsafe segments[Int(index)]
                set(place, s.selector)
                // Bits 8 to 11 lie as in a descriptor, four bits further.
                set(place + 2, s.attributes & 0xff | (s.attributes & 0xf00) << 4)
                set(place + 4, s.limit)
                set(place + 8, s.base)
            }
        }
        for (place, table) in [(Field.gdtr, state.gdtr), (Field.idtr, state.idtr)] {
            set(place + 4, table.limit)
            set(place + 8, table.base)
        }
        bytes[Field.autoHalt] = state.halted != 0 ? 1 : 0
        set(Field.efer, state.efer)
        set(Field.revision, Self.revision)
        set(Field.smbase, UInt32(truncatingIfNeeded: state.smbase))
        for (place, value) in [
            (Field.cr4, state.cr4), (Field.cr3, state.cr3), (Field.cr0, state.cr0), (Field.dr7, state.dr.7),
            (Field.dr6, state.dr.6), (Field.rflags, flags), (Field.rip, state.rip),
        ] { set(place, value) }
    }

    /// Gives the area's registers to a state, with what the handler changed; the rest of it stays.
    func put(_ state: inout apus_x86_state) {
        unsafe withUnsafeMutableBytes(of: &state.gpr) {
            for number in 0..<16 {
                // SAFETY: sixteen registers.
                unsafe $0.storeBytes(of: word(Field.general(number)), toByteOffset: number * 8, as: UInt64.self)
            }
        }
        unsafe withUnsafeMutableBytes(of: &state.segment) {
            let segments = unsafe $0.assumingMemoryBound(to: apus_x86_segment.self)
            for (index, place) in Field.segments {
                let attributes: UInt16 = word(place + 2)
                unsafe segments[Int(index)] = apus_x86_segment(
                    base: word(place + 8), limit: word(place + 4), selector: word(place),
                    attributes: attributes & 0xff | attributes >> 4 & 0xf00)
            }
        }
        func table(_ place: Int) -> apus_x86_table {
            apus_x86_table(base: word(place + 8), limit: word(place + 4, as: UInt32.self) & 0xffff, reserved: 0)
        }
        (state.gdtr, state.idtr) = (table(Field.gdtr), table(Field.idtr))
        state.halted = bytes[Field.autoHalt] & 1
        state.efer = word(Field.efer)
        if word(Field.revision, as: UInt32.self) & 0x2_0000 != 0 { state.smbase = UInt64(word(Field.smbase, as: UInt32.self)) }
        (state.cr4, state.cr3, state.cr0) = (word(Field.cr4), word(Field.cr3), word(Field.cr0))
        state.dr.7 = word(Field.dr7, as: UInt64.self) & 0xffff_2bff | 0x400
        state.dr.6 = word(Field.dr6, as: UInt64.self) & 0xe00f | 0xffff_0ff0
        state.rflags = word(Field.rflags, as: UInt64.self) & 0x3f_7fd7 | 2
        state.rip = word(Field.rip)
    }
}
