extension Tables {
    /// Opcodes after 0F 3A of MMX and SSE (SDM volume 2, table A-5).
    static let vector3A: [Row] = [
        Row(0x08, When.x66, Form.any, Mnemonic.roundps, O.Vx, O.Wx, O.Ib, A.w, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x09, When.x66, Form.any, Mnemonic.roundpd, O.Vx, O.Wx, O.Ib, A.w, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x0a, When.x66, Form.any, Mnemonic.roundss, O.Vd, O.Wd, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x0b, When.x66, Form.any, Mnemonic.roundsd, O.Vq, O.Wq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x0c, When.x66, Form.any, Mnemonic.blendps, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x0d, When.x66, Form.any, Mnemonic.blendpd, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x0e, When.x66, Form.any, Mnemonic.pblendw, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x0f, When.np, Form.any, Mnemonic.palignr, O.Pq, O.Qq, O.Ib, A.rw, S.q, T.none, F.ssse3, C.mmx),
        Row(0x0f, When.x66, Form.any, Mnemonic.palignr, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.ssse3, C.sse),
        Row(0x14, When.x66, Form.any, Mnemonic.pextrb, O.EdMb, O.Vdq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x15, When.x66, Form.any, Mnemonic.pextrw, O.EdMw, O.Vdq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x16, When.x66Wide, Form.any, Mnemonic.pextrq, O.Ey, O.Vdq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x16, When.x66, Form.any, Mnemonic.pextrd, O.Ey, O.Vdq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x17, When.x66, Form.any, Mnemonic.extractps, O.Ed, O.Vdq, O.Ib, A.w, S.dq, T.none, F.sse41, C.sse),
        Row(0x20, When.x66, Form.any, Mnemonic.pinsrb, O.Vdq, O.EdMb, O.Ib, A.rw, S.dq, T.none, F.sse41, C.sse),
        Row(0x21, When.x66, Form.any, Mnemonic.insertps, O.Vdq, O.WdqMd, O.Ib, A.rw, S.dq, T.none, F.sse41, C.sse),
        Row(0x22, When.x66Wide, Form.any, Mnemonic.pinsrq, O.Vdq, O.Ey, O.Ib, A.rw, S.dq, T.none, F.sse41, C.sse),
        Row(0x22, When.x66, Form.any, Mnemonic.pinsrd, O.Vdq, O.Ey, O.Ib, A.rw, S.dq, T.none, F.sse41, C.sse),
        Row(0x40, When.x66, Form.any, Mnemonic.dpps, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x41, When.x66, Form.any, Mnemonic.dppd, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x42, When.x66, Form.any, Mnemonic.mpsadbw, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sse41, C.sse),
        Row(0x44, When.x66, Form.any, Mnemonic.pclmulqdq, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.pclmul, C.sse),
        Row(0x60, When.x66, Form.any, Mnemonic.pcmpestrm, O.Vx, O.Wx, O.Ib, A.r, S.dq, T.none, F.sse42, C.sse),
        Row(0x61, When.x66, Form.any, Mnemonic.pcmpestri, O.Vx, O.Wx, O.Ib, A.r, S.dq, T.none, F.sse42, C.sse),
        Row(0x62, When.x66, Form.any, Mnemonic.pcmpistrm, O.Vx, O.Wx, O.Ib, A.r, S.dq, T.none, F.sse42, C.sse),
        Row(0x63, When.x66, Form.any, Mnemonic.pcmpistri, O.Vx, O.Wx, O.Ib, A.r, S.dq, T.none, F.sse42, C.sse),
        Row(0xcc, When.np, Form.any, Mnemonic.sha1rnds4, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.sha, C.sse),
        Row(0xce, When.x66, Form.any, Mnemonic.gf2p8affineqb, O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.gfni, C.sse),
        Row(
            0xcf, When.x66, Form.any, Mnemonic.gf2p8affineinvqb,
            O.Vx, O.Wx, O.Ib, A.rw, S.dq, T.aligned, F.gfni, C.sse
        ),
        Row(0xdf, When.x66, Form.any, Mnemonic.aeskeygenassist, O.Vx, O.Wx, O.Ib, A.w, S.dq, T.aligned, F.aes, C.sse),
    ]
}
