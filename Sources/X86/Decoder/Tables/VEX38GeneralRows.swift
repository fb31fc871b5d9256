extension Tables {
    /// Opcodes of VEX map 2 (0F 38), from C0 on: cryptography and general registers.
    static let vex38General: [Row] = [
        Row(0xcf, When.x66W0, Form.any, Mnemonic.vgf2p8mulb, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.gfni, C.avx),
        Row(0xdb, When.x66L0, Form.any, Mnemonic.vaesimc, O.Vx, O.Wx, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xdc, When.x66L0, Form.any, Mnemonic.vaesenc, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xdc, When.x66L1, Form.any, Mnemonic.vaesenc, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.vaes, C.avx),
        Row(0xdd, When.x66L0, Form.any, Mnemonic.vaesenclast, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xdd, When.x66L1, Form.any, Mnemonic.vaesenclast, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.vaes, C.avx),
        Row(0xde, When.x66L0, Form.any, Mnemonic.vaesdec, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xde, When.x66L1, Form.any, Mnemonic.vaesdec, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.vaes, C.avx),
        Row(0xdf, When.x66L0, Form.any, Mnemonic.vaesdeclast, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xdf, When.x66L1, Form.any, Mnemonic.vaesdeclast, O.Vx, O.Hx, O.Wx, A.w, S.x, T.none, F.vaes, C.avx),
        Row(0xf2, When.npL0, Form.any, Mnemonic.andn, O.Gy, O.By, O.Ey, A.w, S.y, T.none, F.bmi1, C.bmi),
        Row(0xf3, When.npL0, Form.n1, Mnemonic.blsr, O.By, O.Ey, A.w, S.y, T.none, F.bmi1, C.bmi),
        Row(0xf3, When.npL0, Form.n2, Mnemonic.blsmsk, O.By, O.Ey, A.w, S.y, T.none, F.bmi1, C.bmi),
        Row(0xf3, When.npL0, Form.n3, Mnemonic.blsi, O.By, O.Ey, A.w, S.y, T.none, F.bmi1, C.bmi),
        Row(0xf5, When.npL0, Form.any, Mnemonic.bzhi, O.Gy, O.Ey, O.By, A.w, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf5, When.xF3L0, Form.any, Mnemonic.pext, O.Gy, O.By, O.Ey, A.w, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf5, When.xF2L0, Form.any, Mnemonic.pdep, O.Gy, O.By, O.Ey, A.w, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf6, When.xF2L0, Form.any, Mnemonic.mulx, O.Gy, O.By, O.Ey, A.ww, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf7, When.npL0, Form.any, Mnemonic.bextr, O.Gy, O.Ey, O.By, A.w, S.y, T.none, F.bmi1, C.bmi),
        Row(0xf7, When.x66L0, Form.any, Mnemonic.shlx, O.Gy, O.Ey, O.By, A.w, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf7, When.xF3L0, Form.any, Mnemonic.sarx, O.Gy, O.Ey, O.By, A.w, S.y, T.none, F.bmi2, C.bmi),
        Row(0xf7, When.xF2L0, Form.any, Mnemonic.shrx, O.Gy, O.Ey, O.By, A.w, S.y, T.none, F.bmi2, C.bmi),
    ]
}
