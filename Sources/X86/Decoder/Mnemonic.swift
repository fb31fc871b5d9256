/// The operations of the x86 instruction set, by the manual's names in lower case.
///
/// Conditional families (Jcc, SETcc, CMOVcc) are one case each; their condition is the low four bits of
/// `Encoding.opcode`.
public enum Mnemonic: UInt16, Sendable, CaseIterable {
    case invalid = 0

    // Arithmetic and logic
    case add, or, adc, sbb, and, sub, xor, cmp, test
    case inc, dec, neg, not
    case mul, imul, div, idiv
    case rol, ror, rcl, rcr, shl, shr, sar, shld, shrd
    case bt, bts, btr, btc, bsf, bsr, tzcnt, lzcnt, popcnt, bswap
    case daa, das, aaa, aas, aam, aad
    case crc32, adcx, adox

    // Moves
    case mov, movzx, movsx, movsxd, movbe, lea, xchg, cmpxchg, cmpxchg8b, cmpxchg16b, xadd
    case push, pop, pusha, popa, pushf, popf, enter, leave
    case cbw, cwd  // CBW/CWDE/CDQE and CWD/CDQ/CQO by operand size
    case lahf, sahf, salc, xlat, cmov, set
    case movnti

    // Strings
    case movs, cmps, scas, lods, stos, ins, outs

    // Control
    case jmp, jcc, call, ret, jcxz, loop, loope, loopne  // near; JCXZ by address size
    case jmpFar, callFar, retFar, iret
    case int3, int, into, icebp, ud0, ud1, ud2, bound
    case syscall, sysret, sysenter, sysexit

    // Flags
    case clc, stc, cmc, cld, std, cli, sti, clac, stac

    // System
    case nop, pause, hlt, wait, cpuid, rdtsc, rdtscp, rdpmc, rdmsr, wrmsr, rdpid
    case `in`, out
    case lgdt, sgdt, lidt, sidt, lldt, sldt, ltr, str, lmsw, smsw, lar, lsl, verr, verw, arpl
    case clts, invd, wbinvd, wbnoinvd, invlpg, invpcid, swapgs, rsm
    case xgetbv, xsetbv, rdpkru, wrpkru, monitor, mwait, vmcall, vmmcall
    case rdfsbase, rdgsbase, wrfsbase, wrgsbase
    case lds, les, lss, lfs, lgs
    case rdrand, rdseed, serialize, getsec
    case lfence, mfence, sfence, clflush, clflushopt, clwb, prefetch, prefetchw, endbr32, endbr64

    // Saved state
    case fxsave, fxrstor, xsave, xsavec, xsaveopt, xsaves, xrstor, xrstors, ldmxcsr, stmxcsr, vldmxcsr, vstmxcsr
    case emms

    // x87
    case fadd, fmul, fcom, fcomp, fsub, fsubr, fdiv, fdivr, fld, fst, fstp, fldenv, fldcw, fnstenv, fnstcw, fxch
    case fnop, fchs, fabs, ftst, fxam, fld1, fldl2t, fldl2e, fldpi, fldlg2, fldln2, fldz, f2xm1, fyl2x, fptan, fpatan
    case fxtract, fprem1, fdecstp, fincstp, fprem, fyl2xp1, fsqrt, fsincos, frndint, fscale, fsin, fcos, fiadd, fimul
    case ficom, ficomp, fisub, fisubr, fidiv, fidivr, fcmovb, fcmove, fcmovbe, fcmovu, fucompp, fild, fisttp, fist
    case fistp, fcmovnb, fcmovne, fcmovnbe, fcmovnu, fneni, fndisi, fnclex, fninit, fnsetpm, fucomi, fcomi, frstor
    case fnsave, fnstsw, ffree, fucom, fucomp, faddp, fmulp, fcompp, fsubrp, fsubp, fdivrp, fdivp, fbld, fbstp
    case ffreep, fucomip, fcomip

    // MMX and SSE
    case movups, movupd, movss, movsd, movlps, movhlps, movlpd, movsldup, movddup, unpcklps, unpcklpd, unpckhps
    case unpckhpd, movhps, movlhps, movhpd, movshdup, movaps, movapd, cvtpi2ps, cvtpi2pd, cvtsi2ss, cvtsi2sd, movntps
    case movntpd, cvttps2pi, cvttpd2pi, cvttss2si, cvttsd2si, cvtps2pi, cvtpd2pi, cvtss2si, cvtsd2si, ucomiss
    case ucomisd, comiss, comisd, movmskps, movmskpd, sqrtps, sqrtpd, sqrtss, sqrtsd, rsqrtps, rsqrtss, rcpps, rcpss
    case andps, andpd, andnps, andnpd, orps, orpd, xorps, xorpd, addps, addpd, addss, addsd, mulps, mulpd, mulss
    case mulsd, cvtps2pd, cvtpd2ps, cvtss2sd, cvtsd2ss, cvtdq2ps, cvtps2dq, cvttps2dq, subps, subpd, subss, subsd
    case minps, minpd, minss, minsd, divps, divpd, divss, divsd, maxps, maxpd, maxss, maxsd, punpcklbw, punpcklwd
    case punpckldq, packsswb, pcmpgtb, pcmpgtw, pcmpgtd, packuswb, punpckhbw, punpckhwd, punpckhdq, packssdw
    case punpcklqdq, punpckhqdq, movq, movd, movdqa, movdqu, pshufw, pshufd, pshufhw, pshuflw, psrlw, psraw, psllw
    case psrld, psrad, pslld, psrlq, psrldq, psllq, pslldq, pcmpeqb, pcmpeqw, pcmpeqd, haddpd, haddps, hsubpd, hsubps
    case cmpps, cmppd, cmpss, cmpsd, pinsrw, pextrw, shufps, shufpd, addsubpd, addsubps, paddq, pmullw, movq2dq
    case movdq2q, pmovmskb, psubusb, psubusw, pminub, pand, paddusb, paddusw, pmaxub, pandn, pavgb, pavgw, pmulhuw
    case pmulhw, cvttpd2dq, cvtpd2dq, cvtdq2pd, movntq, movntdq, psubsb, psubsw, pminsw, por, paddsb, paddsw, pmaxsw
    case pxor, lddqu, pmuludq, pmaddwd, psadbw, maskmovq, maskmovdqu, psubb, psubw, psubd, psubq, paddb, paddw, paddd
    case pshufb, phaddw, phaddd, phaddsw, pmaddubsw, phsubw, phsubd, phsubsw, psignb, psignw, psignd, pmulhrsw
    case pblendvb, blendvps, blendvpd, ptest, pabsb, pabsw, pabsd, pmovsxbw, pmovsxbd, pmovsxbq, pmovsxwd, pmovsxwq
    case pmovsxdq, pmuldq, pcmpeqq, movntdqa, packusdw, pmovzxbw, pmovzxbd, pmovzxbq, pmovzxwd, pmovzxwq, pmovzxdq
    case pcmpgtq, pminsb, pminsd, pminuw, pminud, pmaxsb, pmaxsd, pmaxuw, pmaxud, pmulld, phminposuw, sha1nexte
    case sha1msg1, sha1msg2, sha256rnds2, sha256msg1, sha256msg2, gf2p8mulb, aesimc, aesenc, aesenclast, aesdec
    case aesdeclast, roundps, roundpd, roundss, roundsd, blendps, blendpd, pblendw, palignr, pextrb, pextrq, pextrd
    case extractps, pinsrb, insertps, pinsrq, pinsrd, dpps, dppd, mpsadbw, pclmulqdq, pcmpestrm, pcmpestri, pcmpistrm
    case pcmpistri, sha1rnds4, gf2p8affineqb, gf2p8affineinvqb, aeskeygenassist

    // AVX, FMA and bit manipulation
    case vmovups, vmovupd, vmovss, vmovsd, vmovlps, vmovhlps, vmovlpd, vmovsldup, vmovddup, vunpcklps, vunpcklpd
    case vunpckhps, vunpckhpd, vmovhps, vmovlhps, vmovhpd, vmovshdup, vmovaps, vmovapd, vcvtsi2ss, vcvtsi2sd
    case vmovntps, vmovntpd, vcvttss2si, vcvttsd2si, vcvtss2si, vcvtsd2si, vucomiss, vucomisd, vcomiss, vcomisd
    case vmovmskps, vmovmskpd, vsqrtps, vsqrtpd, vsqrtss, vsqrtsd, vrsqrtps, vrsqrtss, vrcpps, vrcpss, vandps, vandpd
    case vandnps, vandnpd, vorps, vorpd, vxorps, vxorpd, vaddps, vaddpd, vaddss, vaddsd, vmulps, vmulpd, vmulss
    case vmulsd, vcvtps2pd, vcvtpd2ps, vcvtss2sd, vcvtsd2ss, vcvtdq2ps, vcvtps2dq, vcvttps2dq, vsubps, vsubpd, vsubss
    case vsubsd, vminps, vminpd, vminss, vminsd, vdivps, vdivpd, vdivss, vdivsd, vmaxps, vmaxpd, vmaxss, vmaxsd
    case vpunpcklbw, vpunpcklwd, vpunpckldq, vpacksswb, vpcmpgtb, vpcmpgtw, vpcmpgtd, vpackuswb, vpunpckhbw
    case vpunpckhwd, vpunpckhdq, vpackssdw, vpunpcklqdq, vpunpckhqdq, vmovq, vmovd, vmovdqa, vmovdqu, vpshufd
    case vpshufhw, vpshuflw, vpsrlw, vpsraw, vpsllw, vpsrld, vpsrad, vpslld, vpsrlq, vpsrldq, vpsllq, vpslldq
    case vpcmpeqb, vpcmpeqw, vpcmpeqd, vzeroupper, vzeroall, vhaddpd, vhaddps, vhsubpd, vhsubps, vcmpps, vcmppd
    case vcmpss, vcmpsd, vpinsrw, vpextrw, vshufps, vshufpd, vaddsubpd, vaddsubps, vpaddq, vpmullw, vpmovmskb
    case vpsubusb, vpsubusw, vpminub, vpand, vpaddusb, vpaddusw, vpmaxub, vpandn, vpavgb, vpavgw, vpmulhuw, vpmulhw
    case vcvttpd2dq, vcvtpd2dq, vcvtdq2pd, vmovntdq, vpsubsb, vpsubsw, vpminsw, vpor, vpaddsb, vpaddsw, vpmaxsw
    case vpxor, vlddqu, vpmuludq, vpmaddwd, vpsadbw, vmaskmovdqu, vpsubb, vpsubw, vpsubd, vpsubq, vpaddb, vpaddw
    case vpaddd, vpshufb, vphaddw, vphaddd, vphaddsw, vpmaddubsw, vphsubw, vphsubd, vphsubsw, vpsignb, vpsignw
    case vpsignd, vpmulhrsw, vpermilps, vpermilpd, vtestps, vtestpd, vcvtph2ps, vpermps, vptest, vbroadcastss
    case vbroadcastsd, vbroadcastf128, vpabsb, vpabsw, vpabsd, vpmovsxbw, vpmovsxbd, vpmovsxbq, vpmovsxwd, vpmovsxwq
    case vpmovsxdq, vpmuldq, vpcmpeqq, vmovntdqa, vpackusdw, vmaskmovps, vmaskmovpd, vpmovzxbw, vpmovzxbd, vpmovzxbq
    case vpmovzxwd, vpmovzxwq, vpmovzxdq, vpermd, vpcmpgtq, vpminsb, vpminsd, vpminuw, vpminud, vpmaxsb, vpmaxsd
    case vpmaxuw, vpmaxud, vpmulld, vphminposuw, vpsrlvd, vpsrlvq, vpsravd, vpsllvd, vpsllvq, vpbroadcastd
    case vpbroadcastq, vbroadcasti128, vpbroadcastb, vpbroadcastw, vpmaskmovd, vpmaskmovq, vpgatherdd, vpgatherdq
    case vpgatherqd, vpgatherqq, vgatherdps, vgatherdpd, vgatherqps, vgatherqpd, vfmaddsub132ps, vfmaddsub132pd
    case vfmsubadd132ps, vfmsubadd132pd, vfmadd132ps, vfmadd132pd, vfmadd132ss, vfmadd132sd, vfmsub132ps, vfmsub132pd
    case vfmsub132ss, vfmsub132sd, vfnmadd132ps, vfnmadd132pd, vfnmadd132ss, vfnmadd132sd, vfnmsub132ps, vfnmsub132pd
    case vfnmsub132ss, vfnmsub132sd, vfmaddsub213ps, vfmaddsub213pd, vfmsubadd213ps, vfmsubadd213pd, vfmadd213ps
    case vfmadd213pd, vfmadd213ss, vfmadd213sd, vfmsub213ps, vfmsub213pd, vfmsub213ss, vfmsub213sd, vfnmadd213ps
    case vfnmadd213pd, vfnmadd213ss, vfnmadd213sd, vfnmsub213ps, vfnmsub213pd, vfnmsub213ss, vfnmsub213sd
    case vfmaddsub231ps, vfmaddsub231pd, vfmsubadd231ps, vfmsubadd231pd, vfmadd231ps, vfmadd231pd, vfmadd231ss
    case vfmadd231sd, vfmsub231ps, vfmsub231pd, vfmsub231ss, vfmsub231sd, vfnmadd231ps, vfnmadd231pd, vfnmadd231ss
    case vfnmadd231sd, vfnmsub231ps, vfnmsub231pd, vfnmsub231ss, vfnmsub231sd, vgf2p8mulb, vaesimc, vaesenc
    case vaesenclast, vaesdec, vaesdeclast, andn, blsr, blsmsk, blsi, bzhi, pext, pdep, mulx, bextr, shlx, sarx, shrx
    case vpermq, vpermpd, vpblendd, vperm2f128, vroundps, vroundpd, vroundss, vroundsd, vblendps, vblendpd, vpblendw
    case vpalignr, vpextrb, vpextrq, vpextrd, vextractps, vinsertf128, vextractf128, vcvtps2ph, vpinsrb, vinsertps
    case vpinsrq, vpinsrd, vinserti128, vextracti128, vdpps, vdppd, vmpsadbw, vpclmulqdq, vperm2i128, vblendvps
    case vblendvpd, vpblendvb, vpcmpestrm, vpcmpestri, vpcmpistrm, vpcmpistri, vgf2p8affineqb, vgf2p8affineinvqb
    case vaeskeygenassist, rorx
}
