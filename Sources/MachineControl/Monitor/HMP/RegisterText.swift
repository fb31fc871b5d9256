internal import Machine

/// The text of `info registers`, and registers by name for expressions.
enum RegisterText {
    private static let names64 = [
        "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP", "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15",
    ]
    /// Places of the names above in the architecture's order.
    private static let order = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15]
    private static let segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS"]

    static func text(_ registers: RegisterDump) -> String {
        let wide = registers.isLongMode
        let width = wide ? 16 : 8
        func number(_ value: UInt64) -> String { hex(wide ? value : value & 0xffff_ffff, width) }
        var text = ""
        for place in 0..<(wide ? 16 : 8) {
            let name = wide ? names64[place] : "E" + names64[place].dropFirst()
            text += name + "=" + number(registers.general[order[place]]) + (place % 4 == 3 ? "\n" : " ")
        }
        text += (wide ? "RIP=" : "EIP=") + number(registers.instructionPointer)
        text += (wide ? " RFL=" : " EFL=") + hex(registers.flags & 0xffff_ffff, 8) + " [" + flagLetters(registers.flags)
        text += "] CPL=\(registers.privilegeLevel) II=\(registers.isInterruptInhibited ? 1 : 0)"
        text +=
            " A20=\(registers.isA20Enabled ? 1 : 0) SMM=\(registers.isSMM ? 1 : 0) HLT=\(registers.isHalted ? 1 : 0)\n"
        for place in 0..<6 {
            text += segment(segmentNames[place], registers.segments[place], registers, isSystem: false)
        }
        text += segment("LDT", registers.localDescriptorTable, registers, isSystem: true)
        text += segment("TR", registers.taskRegister, registers, isSystem: true)
        text +=
            "GDT=     " + number(registers.globalTable.base) + " " + hex(UInt64(registers.globalTable.limit), 8) + "\n"
        text += "IDT=     " + number(registers.interruptTable.base) + " "
        text += hex(UInt64(registers.interruptTable.limit), 8) + "\n"
        let control = registers.control
        text +=
            "CR0=" + hex(control.cr0 & 0xffff_ffff, 8) + " CR2=" + number(control.cr2) + " CR3=" + number(control.cr3)
        text += " CR4=" + hex(control.cr4 & 0xffff_ffff, 8) + "\n"
        for place in 0..<4 { text += "DR\(place)=" + hex(registers.breakpoints[place], 16) + " " }
        text += "\nDR6=" + hex(registers.debugStatus, 16) + " DR7=" + hex(registers.debugControl, 16) + "\n"
        text += "EFER=" + hex(registers.extendedFeatures, 16) + "\n"
        return text + floatingPoint(registers)
    }

    private static func floatingPoint(_ registers: RegisterDump) -> String {
        var text = "FCW=" + hex(UInt64(registers.x87Control), 4) + " FSW=" + hex(UInt64(registers.x87Status), 4)
        text += " [ST=\(registers.x87Status >> 11 & 7)] FTW=" + hex(UInt64(registers.x87Tags), 2)
        text += " MXCSR=" + hex(UInt64(registers.mxcsr), 8) + "\n"
        for place in 0..<8 {
            text += "FPR\(place)=" + hex(registers.x87[place].significand, 16) + " "
            text += hex(UInt64(registers.x87[place].exponent), 4) + (place % 2 == 1 ? "\n" : " ")
        }
        for place in 0..<(registers.isLongMode ? 16 : 8) {
            text += "XMM" + (place < 10 ? "0\(place)" : "\(place)") + "=" + hex(registers.vectors[place].high, 16) + " "
            text += hex(registers.vectors[place].low, 16) + (place % 2 == 1 ? "\n" : " ")
        }
        return text
    }

    /// D O S Z A P C, a dash for each that is clear.
    private static func flagLetters(_ flags: UInt64) -> String {
        let letters: [(UInt64, String)] = [(10, "D"), (11, "O"), (7, "S"), (6, "Z"), (4, "A"), (2, "P"), (0, "C")]
        return letters.map { flags >> $0.0 & 1 != 0 ? $0.1 : "-" }.joined()
    }

    private static func segment(
        _ name: String, _ segment: RegisterDump.Segment, _ registers: RegisterDump, isSystem: Bool
    ) -> String {
        let flags = segment.flags
        var text = left(name, 3) + "=" + hex(UInt64(segment.selector), 4) + " "
        text += hex(segment.base, registers.isLongMode ? 16 : 8) + " " + hex(UInt64(segment.limit), 8) + " "
        text += hex(UInt64(flags & 0x00ff_ff00), 8)
        // Bit 15 is P; in real and virtual-8086 mode the rest says nothing.
        let isProtected = registers.control.cr0 & 1 != 0 && registers.flags & 1 << 17 == 0
        guard isProtected, flags & 1 << 15 != 0 else { return text + "\n" }
        text += " DPL=\(flags >> 13 & 3) "
        guard flags & 1 << 12 != 0 else {
            return text + (isSystem ? systemType(flags >> 8 & 15) : "System") + "\n"
        }
        func letter(_ bit: UInt32, _ word: String) -> String { flags >> bit & 1 != 0 ? word : "-" }
        if flags & 1 << 11 != 0 {
            text += flags & 1 << 21 != 0 ? "CS64" : flags & 1 << 22 != 0 ? "CS32" : "CS16"
            return text + " [" + letter(10, "C") + letter(9, "R") + letter(8, "A") + "]\n"
        }
        text += flags & 1 << 22 != 0 || registers.isLongMode ? "DS  " : "DS16"
        return text + " [" + letter(10, "E") + letter(9, "W") + letter(8, "A") + "]\n"
    }

    /// Types of system descriptors (SDM volume 3, table 3-2).
    private static func systemType(_ type: UInt32) -> String {
        switch type {
        case 1: "TSS16-avl"
        case 2: "LDT"
        case 3: "TSS16-busy"
        case 9: "TSS64-avl"
        case 11: "TSS64-busy"
        default: "Type \(type)"
        }
    }

    /// A register's value by name: `rip`, `eax`, `al`, `cs`, `cs.base`, `cr3`, `eflags`.
    static func value(of name: String, _ registers: RegisterDump) -> UInt64? {
        let name = name.lowercased()
        switch name {
        case "rip": return registers.instructionPointer
        // A linear address, as QEMU has it: what `x/i $pc` reads.
        case "pc", "eip": return registers.instructionPointer &+ registers.segments[1].base
        case "rflags", "eflags": return registers.flags
        case "cr0": return registers.control.cr0
        case "cr2": return registers.control.cr2
        case "cr3": return registers.control.cr3
        case "cr4": return registers.control.cr4
        case "efer": return registers.extendedFeatures
        default: break
        }
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        if let first = parts.first, let place = segmentNames.firstIndex(of: first.uppercased()) {
            let segment = registers.segments[place]
            switch parts.count > 1 ? parts[1] : "" {
            case "": return UInt64(segment.selector)
            case "base": return segment.base
            case "limit": return UInt64(segment.limit)
            default: return nil
            }
        }
        for (place, long) in names64.enumerated() {
            let long = long.lowercased().trimmed
            if name == long { return registers.general[order[place]] }
            if place < 8, name == "e" + long.dropFirst() { return registers.general[order[place]] & 0xffff_ffff }
            if place < 8, name == String(long.dropFirst()) { return registers.general[order[place]] & 0xffff }
            if place >= 8, name == long + "d" { return registers.general[order[place]] & 0xffff_ffff }
        }
        return nil
    }
}

extension String {
    fileprivate var trimmed: String { String(filter { $0 != " " }) }
}
