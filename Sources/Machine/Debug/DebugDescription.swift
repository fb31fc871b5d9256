// The target description as XML (GDB's manual, "Target Description Format").

enum DebugDescription {
    /// The file of that name.
    static func file(_ name: String) -> String? { name == "target.xml" ? text : nil }

    private static let text: String = {
        var text = """
            <?xml version="1.0"?>
            <!DOCTYPE target SYSTEM "gdb-target.dtd">
            <target version="1.0">
            <architecture>i386:x86-64</architecture>

            """
        var feature = ""
        for (number, register) in DebugRegister.all.enumerated() {
            if register.feature != feature {
                if !feature.isEmpty { text += "</feature>\n" }
                feature = register.feature
                text += "<feature name=\"\(feature)\">\n" + (types[feature.split(separator: ".").last ?? ""] ?? "")
            }
            text += "<reg name=\"\(register.name)\" bitsize=\"\(register.size * 8)\" type=\"\(register.type)\""
            text += " regnum=\"\(number)\"\(group(register))/>\n"
        }
        return text + "</feature>\n</target>\n"
    }()

    private static func group(_ register: DebugRegister) -> String {
        switch register.kind {
        case .x87Control: " group=\"float\""
        case .mxcsr: " group=\"vector\""
        case .kernelGSBase, .control, .efer, .debug: " group=\"system\""
        default: ""
        }
    }

    private static func flags(_ id: String, size: Int, _ fields: [(String, Int)]) -> String {
        "<flags id=\"\(id)\" size=\"\(size)\">\n"
            + fields.map { "<field name=\"\($0.0)\" start=\"\($0.1)\" end=\"\($0.1)\"/>\n" }.joined() + "</flags>\n"
    }

    /// Types by the last word of their feature's name.
    private static let types: [Substring: String] = [
        "core": flags(
            "x86_eflags", size: 4,
            [
                ("CF", 0), ("", 1), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10),
                ("OF", 11), ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20), ("ID", 21),
            ]),
        "sse": """
        <vector id="v8i8" type="int8" count="16"/>
        <vector id="v8i16" type="int16" count="8"/>
        <vector id="v4i32" type="int32" count="4"/>
        <vector id="v2i64" type="int64" count="2"/>
        <vector id="v4f" type="ieee_single" count="4"/>
        <vector id="v2d" type="ieee_double" count="2"/>
        <union id="vec128">
        <field name="v4_float" type="v4f"/>
        <field name="v2_double" type="v2d"/>
        <field name="v16_int8" type="v8i8"/>
        <field name="v8_int16" type="v8i16"/>
        <field name="v4_int32" type="v4i32"/>
        <field name="v2_int64" type="v2i64"/>
        <field name="uint128" type="uint128"/>
        </union>

        """
            + flags(
                "x86_mxcsr", size: 4,
                [
                    ("IE", 0), ("DE", 1), ("ZE", 2), ("OE", 3), ("UE", 4), ("PE", 5), ("DAZ", 6), ("IM", 7), ("DM", 8),
                    ("ZM", 9), ("OM", 10), ("UM", 11), ("PM", 12), ("FZ", 15),
                ]),
        "system": flags(
            "x86_cr0", size: 8,
            [
                ("PE", 0), ("MP", 1), ("EM", 2), ("TS", 3), ("ET", 4), ("NE", 5), ("WP", 16), ("AM", 18), ("NW", 29),
                ("CD", 30), ("PG", 31),
            ])
            + flags(
                "x86_cr4", size: 8,
                [
                    ("VME", 0), ("PVI", 1), ("TSD", 2), ("DE", 3), ("PSE", 4), ("PAE", 5), ("MCE", 6), ("PGE", 7),
                    ("PCE", 8), ("OSFXSR", 9), ("OSXMMEXCPT", 10), ("UMIP", 11), ("LA57", 12), ("FSGSBASE", 16),
                    ("PCIDE", 17), ("OSXSAVE", 18), ("SMEP", 20), ("SMAP", 21), ("PKE", 22),
                ])
            + flags("x86_efer", size: 8, [("SCE", 0), ("LME", 8), ("LMA", 10), ("NXE", 11), ("FFXSR", 14)]),
    ]
}
