import X86

/// Where decoder and objdump disagree for a reason.
enum KnownDifferences {
    /// Instructions, or undocumented aliases of them, that processors run and objdump calls bad.
    static let weDecode: Set<Mnemonic> = [
        .salc,
        // D9 D8, DC D0, DC D8, DD C8, DE D0, DF C8, DF D0, DF D8.
        .fstp, .fcom, .fcomp, .fxch,
        // After 66. And before bad x87 instructions, which objdump joins with it.
        .wbinvd, .wait,
    ]

    /// True where a decoded instruction's text differs from objdump's in spelling only.
    static func isOnlySpelling(
        _ instruction: Instruction, _ ours: String, _ line: Objdump.Line, _ theirs: String, _ code: CodeSize
    ) -> Bool {
        let name = theirs.prefix { $0 != " " }
        // Outside 64-bit mode objdump does not wrap branch targets at 64 KiB.
        if instruction.operands.0.kind == .relative && code != .bits64 { return ours.prefix { $0 != " " } == name }
        // An absolute address is printed signed where the SIB byte has a scale.
        if line.text.contains("(,%eiz") || line.text.contains("(,%riz") { return ours.prefix { $0 != " " } == name }
        // Hints of extensions that are not decoded, which processors without them run as no-operations.
        if instruction.mnemonic == .nop { return ["bnd", "rdssp", "cldemote"].contains(where: name.hasPrefix) }
        // REX.W does not widen what is moved to a general register.
        if instruction.prefixes.contains(.wide) && name.contains("movmsk") { return true }
        // With REX.B, F3 90 exchanges R8.
        return instruction.mnemonic == .xchg && name == "pause"
    }

    /// True where objdump prints an instruction that the decoder is right or free to call undefined.
    static func weDoNot(_ line: Objdump.Line, _ text: String, _ code: CodeSize) -> Bool {
        // LOCK where it is not allowed, other prefixes that make an opcode undefined and that objdump passes over.
        if ["lock ", "repz ", "repnz ", "data16 "].contains(where: line.text.contains) { return true }
        // Control, debug and test registers that do not exist.
        if text.hasPrefix("mov ") && ["%cr", "%db", "%tr"].contains(where: text.contains) { return true }
        // Segment registers that do not exist or cannot be loaded, operands marked bad.
        if text.contains("%?") || text.contains("(bad)") || (text.hasPrefix("mov ") && text.hasSuffix(",%cs")) {
            return true
        }
        let opcode = line.bytes.first { !isPrefix($0, code) } ?? 0
        // EVEX, and XOP.
        if opcode == 0x62 || opcode == 0x8f { return true }
        // 3DNow!
        if let start = line.bytes.firstIndex(of: 0x0f), line.bytes.dropFirst(start + 1).first == 0x0f { return true }
        // VEX after REX.
        if line.text.contains("rex") && (opcode == 0xc4 || opcode == 0xc5) { return true }
        let name = text.prefix { $0 != " " }
        if name.hasPrefix("rdfs") || name.hasPrefix("rdgs") || name.hasPrefix("wrfs") || name.hasPrefix("wrgs") {
            return code != .bits64
        }
        return isOfUndecodedExtension(String(name))
    }

    private static func isOfUndecodedExtension(_ name: String) -> Bool {
        // FMA4 has no digits in its names.
        if name.hasPrefix("vfm") || name.hasPrefix("vfn") { return !name.contains(where: \.isNumber) }
        if name.hasPrefix("cmp") && name.hasSuffix("xadd") { return true }
        return extensions.contains { name.hasPrefix($0) }
    }

    /// The extensions that are not decoded, by the beginnings of their names.
    private static let extensions = [
        // AVX-512 masks, the VEX forms of its later instructions, VZEROUPPER with a prefix
        "k", "{vex}", "vzero", "vpdp", "vpmadd52", "vbcstne", "vcvtne", "vpermil2",
        // AMX
        "tile", "tdp", "ldtilecfg", "sttilecfg",
        // TSX, CET, key locker, user interrupts, remote atomics
        "xabort", "xbegin", "xend", "xtest", "incssp", "saveprevssp", "rstorssp", "setssbsy", "clrssbsy", "wrss",
        "wruss", "aesenc", "aesdec", "encodekey", "loadiwkey", "stui", "clui", "testui", "uiret", "senduipi", "aadd",
        "aand", "aor", "axor",
        // VMX, SVM, SGX, SNP, TDX
        "vmread", "vmwrite", "vmptr", "vmclear", "vmxo", "vmlaunch", "vmresume", "vmfunc", "vmrun", "vmload",
        "vmsave", "vmgexit", "invept", "invvpid", "invlpga", "invlpgb", "tlbsync", "stgi", "clgi", "skinit", "encl",
        "pconfig", "psmash", "pvalidate", "rmp", "seam", "tdcall",
        // Waiting, direct stores, tracing and other small ones
        "umonitor", "umwait", "tpause", "monitorx", "mwaitx", "mcommit", "clzero", "rdpru", "movdir", "enqcmd",
        "ptwrite", "hreset", "xsusldtrk", "xresldtrk", "rdmsrlist", "wrmsrlist", "wrmsrns",
        // 3DNow!, SSE4a, PadLock, 80287
        "femms", "extrq", "insertq", "movntss", "movntsd", "xstore", "xcrypt", "xsha", "montmul", "frstpm",
    ]

    private static func isPrefix(_ byte: UInt8, _ code: CodeSize) -> Bool {
        switch byte {
        case 0x26, 0x2e, 0x36, 0x3e, 0x64...0x67, 0xf0, 0xf2, 0xf3: true
        case 0x40...0x4f: code == .bits64
        default: false
        }
    }
}
