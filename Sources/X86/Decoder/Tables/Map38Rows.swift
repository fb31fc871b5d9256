extension Tables {
    /// Opcodes after 0F 38 (SDM volume 2, table A-4).
    static let map38: [Row] = [
        Row(0x82, 1, When.x66, Form.mem, Mnemonic.invpcid, OperandCode.Gm, OperandCode.Mdq, OperandCode.none, OperandCode.none, AccessPattern.r, SizeRule.m, Trait.none, Feature.invpcid, Category.system),
        Row(0xf0, 1, When.xF2, Form.any, Mnemonic.crc32, OperandCode.Gy, OperandCode.Eb, OperandCode.none, OperandCode.none, AccessPattern.rw, SizeRule.b, Trait.none, Feature.sse42, Category.integer),
        Row(0xf0, 1, When.noRep, Form.mem, Mnemonic.movbe, OperandCode.Gv, OperandCode.Mv, OperandCode.none, OperandCode.none, AccessPattern.w, SizeRule.v, Trait.none, Feature.movbe, Category.integer),
        Row(0xf1, 1, When.xF2, Form.any, Mnemonic.crc32, OperandCode.Gy, OperandCode.Ev, OperandCode.none, OperandCode.none, AccessPattern.rw, SizeRule.v, Trait.none, Feature.sse42, Category.integer),
        Row(0xf1, 1, When.noRep, Form.mem, Mnemonic.movbe, OperandCode.Mv, OperandCode.Gv, OperandCode.none, OperandCode.none, AccessPattern.w, SizeRule.v, Trait.none, Feature.movbe, Category.integer),
        Row(0xf6, 1, When.x66, Form.any, Mnemonic.adcx, OperandCode.Gy, OperandCode.Ey, OperandCode.none, OperandCode.none, AccessPattern.rw, SizeRule.y, Trait.none, Feature.adx, Category.integer),
        Row(0xf6, 1, When.xF3, Form.any, Mnemonic.adox, OperandCode.Gy, OperandCode.Ey, OperandCode.none, OperandCode.none, AccessPattern.rw, SizeRule.y, Trait.none, Feature.adx, Category.integer),
    ]
}
