extension Tables {
    /// Opcodes after 0F 38 of general and system instructions (SDM volume 2, table A-4).
    static let map38: [Row] = [
        Row(0x82, When.x66, Form.mem, Mnemonic.invpcid, O.Gm, O.Mdq, A.r, S.m, T.none, F.invpcid, C.system),
        Row(0xf0, When.xF2, Form.any, Mnemonic.crc32, O.Gy, O.Eb, A.rw, S.b, T.none, F.sse42, C.integer),
        Row(0xf0, When.noRep, Form.mem, Mnemonic.movbe, O.Gv, O.Mv, A.w, S.v, T.none, F.movbe, C.integer),
        Row(0xf1, When.xF2, Form.any, Mnemonic.crc32, O.Gy, O.Ev, A.rw, S.v, T.none, F.sse42, C.integer),
        Row(0xf1, When.noRep, Form.mem, Mnemonic.movbe, O.Mv, O.Gv, A.w, S.v, T.none, F.movbe, C.integer),
        Row(0xf6, When.x66, Form.any, Mnemonic.adcx, O.Gy, O.Ey, A.rw, S.y, T.none, F.adx, C.integer),
        Row(0xf6, When.xF3, Form.any, Mnemonic.adox, O.Gy, O.Ey, A.rw, S.y, T.none, F.adx, C.integer),
    ]
}
