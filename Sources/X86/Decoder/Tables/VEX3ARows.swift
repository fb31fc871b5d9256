extension Tables {
    /// Opcodes of VEX map 3 (0F 3A).
    static let vex3A: [Row] = [
        Row(0x00, When.x66W1L1, Form.any, Mnemonic.vpermq, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x01, When.x66W1L1, Form.any, Mnemonic.vpermpd, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x02, When.x66W0, Form.any, Mnemonic.vpblendd, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x04, When.x66W0, Form.any, Mnemonic.vpermilps, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x05, When.x66W0, Form.any, Mnemonic.vpermilpd, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x06, When.x66W0L1, Form.any, Mnemonic.vperm2f128, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x08, When.x66, Form.any, Mnemonic.vroundps, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x09, When.x66, Form.any, Mnemonic.vroundpd, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x0a, When.x66, Form.any, Mnemonic.vroundss, O.Vdq, O.Hdq, O.Wd, O.Ib, A.w, S.dq, T.none, F.avx, C.avx),
        Row(0x0b, When.x66, Form.any, Mnemonic.vroundsd, O.Vdq, O.Hdq, O.Wq, O.Ib, A.w, S.dq, T.none, F.avx, C.avx),
        Row(0x0c, When.x66, Form.any, Mnemonic.vblendps, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x0d, When.x66, Form.any, Mnemonic.vblendpd, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x0e, When.x66L0, Form.any, Mnemonic.vpblendw, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x0e, When.x66L1, Form.any, Mnemonic.vpblendw, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x0f, When.x66L0, Form.any, Mnemonic.vpalignr, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x0f, When.x66L1, Form.any, Mnemonic.vpalignr, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x14, When.x66L0, Form.any, Mnemonic.vpextrb, O.EdMb, O.Vdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x15, When.x66L0, Form.any, Mnemonic.vpextrw, O.EdMw, O.Vdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x16, When.x66LongW1L0, Form.any, Mnemonic.vpextrq, O.Ey, O.Vdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x16, When.x66L0, Form.any, Mnemonic.vpextrd, O.Ey, O.Vdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x17, When.x66L0, Form.any, Mnemonic.vextractps, O.Ed, O.Vdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(
            0x18, When.x66W0L1, Form.any, Mnemonic.vinsertf128,
            O.Vx, O.Hx, O.Wdq, O.Ib, A.w, S.x, T.none, F.avx, C.avx
        ),
        Row(0x19, When.x66W0L1, Form.any, Mnemonic.vextractf128, O.Wdq, O.Vx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x1d, When.x66W0, Form.any, Mnemonic.vcvtps2ph, O.Wx2, O.Vx, O.Ib, A.w, S.x, T.none, F.f16c, C.avx),
        Row(0x20, When.x66L0, Form.any, Mnemonic.vpinsrb, O.Vdq, O.Hdq, O.EdMb, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(
            0x21, When.x66L0, Form.any, Mnemonic.vinsertps,
            O.Vdq, O.Hdq, O.WdqMd, O.Ib, A.w, S.x, T.none, F.avx, C.avx
        ),
        Row(
            0x22, When.x66LongW1L0, Form.any, Mnemonic.vpinsrq,
            O.Vdq, O.Hdq, O.Ey, O.Ib, A.w, S.x, T.none, F.avx, C.avx
        ),
        Row(0x22, When.x66L0, Form.any, Mnemonic.vpinsrd, O.Vdq, O.Hdq, O.Ey, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(
            0x38, When.x66W0L1, Form.any, Mnemonic.vinserti128,
            O.Vx, O.Hx, O.Wdq, O.Ib, A.w, S.x, T.none, F.avx2, C.avx
        ),
        Row(0x39, When.x66W0L1, Form.any, Mnemonic.vextracti128, O.Wdq, O.Vx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x40, When.x66, Form.any, Mnemonic.vdpps, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x41, When.x66L0, Form.any, Mnemonic.vdppd, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x42, When.x66L0, Form.any, Mnemonic.vmpsadbw, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x42, When.x66L1, Form.any, Mnemonic.vmpsadbw, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x44, When.x66L0, Form.any, Mnemonic.vpclmulqdq, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.pclmul, C.avx),
        Row(
            0x44, When.x66L1, Form.any, Mnemonic.vpclmulqdq,
            O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.vpclmul, C.avx
        ),
        Row(0x46, When.x66W0L1, Form.any, Mnemonic.vperm2i128, O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x4a, When.x66W0, Form.any, Mnemonic.vblendvps, O.Vx, O.Hx, O.Wx, O.Lx, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x4b, When.x66W0, Form.any, Mnemonic.vblendvpd, O.Vx, O.Hx, O.Wx, O.Lx, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x4c, When.x66W0L0, Form.any, Mnemonic.vpblendvb, O.Vx, O.Hx, O.Wx, O.Lx, A.w, S.x, T.none, F.avx, C.avx),
        Row(0x4c, When.x66W0L1, Form.any, Mnemonic.vpblendvb, O.Vx, O.Hx, O.Wx, O.Lx, A.w, S.x, T.none, F.avx2, C.avx),
        Row(0x60, When.x66L0, Form.any, Mnemonic.vpcmpestrm, O.Vx, O.Wx, O.Ib, A.r, S.x, T.none, F.avx, C.avx),
        Row(0x61, When.x66L0, Form.any, Mnemonic.vpcmpestri, O.Vx, O.Wx, O.Ib, A.r, S.x, T.none, F.avx, C.avx),
        Row(0x62, When.x66L0, Form.any, Mnemonic.vpcmpistrm, O.Vx, O.Wx, O.Ib, A.r, S.x, T.none, F.avx, C.avx),
        Row(0x63, When.x66L0, Form.any, Mnemonic.vpcmpistri, O.Vx, O.Wx, O.Ib, A.r, S.x, T.none, F.avx, C.avx),
        Row(
            0xce, When.x66W1, Form.any, Mnemonic.vgf2p8affineqb,
            O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.gfni, C.avx
        ),
        Row(
            0xcf, When.x66W1, Form.any, Mnemonic.vgf2p8affineinvqb,
            O.Vx, O.Hx, O.Wx, O.Ib, A.w, S.x, T.none, F.gfni, C.avx
        ),
        Row(0xdf, When.x66L0, Form.any, Mnemonic.vaeskeygenassist, O.Vx, O.Wx, O.Ib, A.w, S.x, T.none, F.aes, C.avx),
        Row(0xf0, When.xF2L0, Form.any, Mnemonic.rorx, O.Gy, O.Ey, O.Ib, A.w, S.y, T.none, F.bmi2, C.bmi),
    ]
}
