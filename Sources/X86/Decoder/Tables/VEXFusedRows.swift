extension Tables {
    /// Opcodes of VEX map 2 (0F 38), 90 to BF: gathers and fused multiply-add.
    static let vexFused: [Row] = [
        Row(
            0x90, When.x66W0, Form.mem, Mnemonic.vpgatherdd,
            O.Vx, O.Md, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x90, When.x66W1, Form.mem, Mnemonic.vpgatherdq,
            O.Vx, O.Mq, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x91, When.x66W0, Form.mem, Mnemonic.vpgatherqd,
            O.Vdq, O.Md, O.Hdq, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x91, When.x66W1, Form.mem, Mnemonic.vpgatherqq,
            O.Vx, O.Mq, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x92, When.x66W0, Form.mem, Mnemonic.vgatherdps,
            O.Vx, O.Md, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x92, When.x66W1, Form.mem, Mnemonic.vgatherdpd,
            O.Vx, O.Mq, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x93, When.x66W0, Form.mem, Mnemonic.vgatherqps,
            O.Vdq, O.Md, O.Hdq, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(
            0x93, When.x66W1, Form.mem, Mnemonic.vgatherqpd,
            O.Vx, O.Mq, O.Hx, A.gather, S.x, T.vectorIndex, F.avx2, C.avx
        ),
        Row(0x96, When.x66W0, Form.any, Mnemonic.vfmaddsub132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x96, When.x66W1, Form.any, Mnemonic.vfmaddsub132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x97, When.x66W0, Form.any, Mnemonic.vfmsubadd132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x97, When.x66W1, Form.any, Mnemonic.vfmsubadd132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x98, When.x66W0, Form.any, Mnemonic.vfmadd132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x98, When.x66W1, Form.any, Mnemonic.vfmadd132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x99, When.x66W0, Form.any, Mnemonic.vfmadd132ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x99, When.x66W1, Form.any, Mnemonic.vfmadd132sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9a, When.x66W0, Form.any, Mnemonic.vfmsub132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9a, When.x66W1, Form.any, Mnemonic.vfmsub132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9b, When.x66W0, Form.any, Mnemonic.vfmsub132ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9b, When.x66W1, Form.any, Mnemonic.vfmsub132sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9c, When.x66W0, Form.any, Mnemonic.vfnmadd132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9c, When.x66W1, Form.any, Mnemonic.vfnmadd132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9d, When.x66W0, Form.any, Mnemonic.vfnmadd132ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9d, When.x66W1, Form.any, Mnemonic.vfnmadd132sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9e, When.x66W0, Form.any, Mnemonic.vfnmsub132ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9e, When.x66W1, Form.any, Mnemonic.vfnmsub132pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0x9f, When.x66W0, Form.any, Mnemonic.vfnmsub132ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0x9f, When.x66W1, Form.any, Mnemonic.vfnmsub132sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xa6, When.x66W0, Form.any, Mnemonic.vfmaddsub213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa6, When.x66W1, Form.any, Mnemonic.vfmaddsub213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa7, When.x66W0, Form.any, Mnemonic.vfmsubadd213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa7, When.x66W1, Form.any, Mnemonic.vfmsubadd213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa8, When.x66W0, Form.any, Mnemonic.vfmadd213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa8, When.x66W1, Form.any, Mnemonic.vfmadd213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xa9, When.x66W0, Form.any, Mnemonic.vfmadd213ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xa9, When.x66W1, Form.any, Mnemonic.vfmadd213sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xaa, When.x66W0, Form.any, Mnemonic.vfmsub213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xaa, When.x66W1, Form.any, Mnemonic.vfmsub213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xab, When.x66W0, Form.any, Mnemonic.vfmsub213ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xab, When.x66W1, Form.any, Mnemonic.vfmsub213sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xac, When.x66W0, Form.any, Mnemonic.vfnmadd213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xac, When.x66W1, Form.any, Mnemonic.vfnmadd213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xad, When.x66W0, Form.any, Mnemonic.vfnmadd213ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xad, When.x66W1, Form.any, Mnemonic.vfnmadd213sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xae, When.x66W0, Form.any, Mnemonic.vfnmsub213ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xae, When.x66W1, Form.any, Mnemonic.vfnmsub213pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xaf, When.x66W0, Form.any, Mnemonic.vfnmsub213ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xaf, When.x66W1, Form.any, Mnemonic.vfnmsub213sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xb6, When.x66W0, Form.any, Mnemonic.vfmaddsub231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb6, When.x66W1, Form.any, Mnemonic.vfmaddsub231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb7, When.x66W0, Form.any, Mnemonic.vfmsubadd231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb7, When.x66W1, Form.any, Mnemonic.vfmsubadd231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb8, When.x66W0, Form.any, Mnemonic.vfmadd231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb8, When.x66W1, Form.any, Mnemonic.vfmadd231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xb9, When.x66W0, Form.any, Mnemonic.vfmadd231ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xb9, When.x66W1, Form.any, Mnemonic.vfmadd231sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xba, When.x66W0, Form.any, Mnemonic.vfmsub231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xba, When.x66W1, Form.any, Mnemonic.vfmsub231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xbb, When.x66W0, Form.any, Mnemonic.vfmsub231ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xbb, When.x66W1, Form.any, Mnemonic.vfmsub231sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xbc, When.x66W0, Form.any, Mnemonic.vfnmadd231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xbc, When.x66W1, Form.any, Mnemonic.vfnmadd231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xbd, When.x66W0, Form.any, Mnemonic.vfnmadd231ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xbd, When.x66W1, Form.any, Mnemonic.vfnmadd231sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xbe, When.x66W0, Form.any, Mnemonic.vfnmsub231ps, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xbe, When.x66W1, Form.any, Mnemonic.vfnmsub231pd, O.Vx, O.Hx, O.Wx, A.rw, S.x, T.none, F.fma, C.avx),
        Row(0xbf, When.x66W0, Form.any, Mnemonic.vfnmsub231ss, O.Vdq, O.Hdq, O.Wd, A.rw, S.dq, T.none, F.fma, C.avx),
        Row(0xbf, When.x66W1, Form.any, Mnemonic.vfnmsub231sd, O.Vdq, O.Hdq, O.Wq, A.rw, S.dq, T.none, F.fma, C.avx),
    ]
}
