internal import CEngine

/// The head of an ELF core file of a guest's memory (System V ABI, "Program Header"; AMD64 supplement), with the notes
/// that `gdb` and `crash` read.
struct CoreFile {
    /// Memory as it lies in the file.
    struct Segment: Equatable {
        var physical: UInt64
        /// Where it is mapped; 0 where that is not told.
        var linear: UInt64
        var count: UInt64
    }
    let segments: [Segment]
    let processors: [apus_x86_state]
    /// What the guest's kernel has told of itself, whole words.
    var guestNote: [UInt8] = []

    private static let headerSize = 64
    private static let programHeaderSize = 56
    /// What the 16 bits of the count hold; beyond, it is in the first section's header.
    private static let countLimit = 0xFFFF

    /// All that stands before the memory.
    var head: [UInt8] {
        let notes = self.notes
        let count = segments.count + 1
        let isLarge = count >= Self.countLimit
        var bytes: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        bytes.put(4 as UInt16)  // ET_CORE
        bytes.put(62 as UInt16)  // EM_X86_64
        bytes.put(1 as UInt32)
        bytes.put(0 as UInt64)
        bytes.put(UInt64(Self.headerSize))
        bytes.put(isLarge ? UInt64(Self.headerSize + count * Self.programHeaderSize) : 0)
        bytes.put(0 as UInt32)
        bytes.put(UInt16(Self.headerSize))
        bytes.put(UInt16(Self.programHeaderSize))
        bytes.put(UInt16(isLarge ? Self.countLimit : count))
        bytes.put(isLarge ? 64 : 0 as UInt16)
        bytes.put(isLarge ? 1 : 0 as UInt16)
        bytes.put(0 as UInt16)
        let start = Self.headerSize + count * Self.programHeaderSize + (isLarge ? 64 : 0)
        var offset = UInt64(start)
        func program(_ kind: UInt32, _ segment: Segment) {
            bytes.put(kind)
            bytes.put(0 as UInt32)
            bytes.put(offset)
            bytes.put(segment.linear)
            bytes.put(segment.physical)
            bytes.put(segment.count)
            bytes.put(segment.count)
            bytes.put(0 as UInt64)
            offset += segment.count
        }
        program(4, Segment(physical: 0, linear: 0, count: UInt64(notes.count)))
        for segment in segments { program(1, segment) }
        if isLarge {
            // The number of program headers is in sh_info (System V ABI, PN_XNUM).
            var section = [UInt8](repeating: 0, count: 44)
            section.put(UInt32(count))
            bytes += section + [UInt8](repeating: 0, count: 64 - section.count)
        }
        return bytes + notes
    }

    /// The processors, and what the guest told.
    var notes: [UInt8] {
        var bytes: [UInt8] = []
        for (index, state) in processors.enumerated() {
            bytes.note("CORE", 1, Self.status(state, index))
        }
        for state in processors { bytes.note("QEMU", 0, Self.whole(state)) }
        return bytes + guestNote
    }

    /// elf_prstatus of x86-64 Linux: the processor's registers as those of a thread.
    private static func status(_ state: apus_x86_state, _ index: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes.put(UInt32(index + 1))
        bytes += [UInt8](repeating: 0, count: 76)
        let (g, s) = (state.gpr, state.segment)
        let registers: [UInt64] = [
            g.15, g.14, g.13, g.12, g.5, g.3, g.11, g.10, g.9, g.8, g.0, g.1, g.2, g.6, g.7, g.0, state.rip,
            UInt64(s.1.selector), state.rflags, g.4, UInt64(s.2.selector), s.4.base, s.5.base, UInt64(s.3.selector),
            UInt64(s.0.selector), UInt64(s.4.selector), UInt64(s.5.selector),
        ]
        for register in registers { bytes.put(register) }
        return bytes + [UInt8](repeating: 0, count: 8)
    }

    /// The system's registers, in the form that `crash` knows from QEMU's files (version 1).
    private static func whole(_ state: apus_x86_state) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put(1 as UInt32)
        bytes.put(0 as UInt32)
        let g = state.gpr
        for register in [
            g.0, g.3, g.1, g.2, g.6, g.7, g.4, g.5, g.8, g.9, g.10, g.11, g.12, g.13, g.14, g.15, state.rip,
            state.rflags,
        ] { bytes.put(register) }
        func segment(_ segment: apus_x86_segment) {
            bytes.put(UInt32(segment.selector))
            bytes.put(segment.limit)
            let attributes = UInt32(segment.attributes)
            bytes.put((attributes & 0xFF) << 8 | (attributes & 0xF00) << 12)
            bytes.put(0 as UInt32)
            bytes.put(segment.base)
        }
        let s = state.segment
        for part in [s.1, s.3, s.0, s.4, s.5, s.2, s.6, s.7] { segment(part) }
        for table in [state.gdtr, state.idtr] {
            segment(apus_x86_segment(base: table.base, limit: table.limit, selector: 0, attributes: 0))
        }
        for control in [state.cr0, 0, state.cr2, state.cr3, state.cr4] { bytes.put(control) }
        bytes.put(state.kernel_gs_base)
        let size = UInt32(bytes.count)
        for index in 0..<4 { bytes[4 + index] = UInt8(truncatingIfNeeded: size >> UInt32(index * 8)) }
        return bytes
    }
}

extension [UInt8] {
    fileprivate mutating func put(_ value: some FixedWidthInteger) {
        // SAFETY: the bytes are copied inside the closure.
        unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
    }

    /// A note: lengths, kind, name and contents, each filled up to words.
    fileprivate mutating func note(_ name: String, _ kind: UInt32, _ contents: [UInt8]) {
        let text = Array(name.utf8) + [0]
        put(UInt32(text.count))
        put(UInt32(contents.count))
        put(kind)
        for part in [text, contents] {
            self += part
            self += [UInt8](repeating: 0, count: -part.count & 3)
        }
    }
}
