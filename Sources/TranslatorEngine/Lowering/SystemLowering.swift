internal import CEngine
internal import X86

// Instructions for system software.

extension Lowering {
    func lowerSystem(_ i: Instruction, _ op: inout apus_op) -> Continuation? {
        let a = i.operands.0
        let b = i.operands.1
        let memory: UInt8 = a.kind == .memory ? 0x80 : 0
        op.imm = UInt64(bitPattern: i.immediate)
        switch i.mnemonic {
        case .hlt: op.handler = hlt
        case .rsm: op.handler = rsm
        case .cli:
            op.handler = cli
            return .next
        case .sti:
            op.handler = sti
            return .next
        case .clts: op.handler = clts
        case .stac, .clac:
            op.extra = i.mnemonic == .stac ? 1 : 0
            op.handler = setAccess
            return .next
        case .in, .out:
            let accumulator = i.mnemonic == .in ? a : b
            let port = i.mnemonic == .in ? b : a
            op.extra = UInt8(log2(accumulator.size)) | (port.kind == .immediate ? 0 : 4)
            op.imm &= 0xff
            op.handler = i.mnemonic == .in ? portIn : portOut
            return .next
        case .cpuid: op.handler = cpuidInstruction
        case .rdtsc, .rdtscp:
            op.extra = i.mnemonic == .rdtscp ? 1 : 0
            op.handler = rdtsc
            return .next
        case .rdpmc: op.handler = rdpmc
        case .rdpid:
            op.dst = register(a)
            op.handler = rdpid
            return .next
        case .rdrand, .rdseed:
            op.dst = register(a)
            op.extra = UInt8(log2(a.size)) | (i.mnemonic == .rdseed ? 8 : 0)
            op.handler = random
            return .next
        case .vmcall, .vmmcall: op.handler = hypercall
        case .rdmsr: op.handler = rdmsr
        case .wrmsr: op.handler = wrmsr
        case .xgetbv: op.handler = xgetbv
        case .xsetbv: op.handler = xsetbv
        case .rdpkru, .wrpkru: op.handler = i.mnemonic == .rdpkru ? rdpkru : wrpkru
        case .lgdt, .lidt:
            op.extra = (i.mnemonic == .lidt ? 1 : 0) | (i.operandSize == 2 ? 2 : 0)
            op.handler = loadTable
        case .sgdt, .sidt:
            op.extra = i.mnemonic == .sidt ? 1 : 0
            op.handler = storeTable
        case .lldt, .ltr:
            op.src = register(a)
            op.extra = memory
            op.handler = i.mnemonic == .ltr ? ltr : lldt
        case .sldt, .str:
            op.dst = register(a)
            op.extra = memory | (i.mnemonic == .str ? 1 : 0)
            op.imm = UInt64(a.size)
            op.handler = storeSelector
        case .smsw:
            op.dst = register(a)
            op.extra = memory != 0 ? 0 : UInt8(a.size)
            op.handler = smsw
        case .lmsw:
            op.src = register(a)
            op.extra = memory
            op.handler = lmsw
        case .lar, .lsl:
            op.dst = register(a)
            op.src = register(b)
            op.extra = (b.kind == .memory ? 0x80 : 0) | (i.mnemonic == .lsl ? 1 : 0)
            op.imm = UInt64(a.size)
            op.handler = examineSegment
        case .verr, .verw:
            op.src = register(a)
            op.extra = memory | (i.mnemonic == .verw ? 1 : 0)
            op.handler = verifySegment
        case .arpl:
            op.dst = register(a)
            op.src = register(b)
            op.extra = memory
            op.handler = arpl
        case .lds, .les, .lss, .lfs, .lgs:
            let segments: [Mnemonic: UInt8] = [.lds: 3, .les: 0, .lss: 2, .lfs: 4, .lgs: 5]
            op.dst = register(a)
            op.extra = segments[i.mnemonic] ?? 3
            op.imm = UInt64(a.size)
            op.handler = loadFarPointer
        case .invlpg: op.handler = invlpg
        case .invpcid:
            op.dst = register(a)
            op.handler = TranslatorEngine.invpcid
        case .invd, .wbinvd, .wbnoinvd: op.handler = cacheControl
        case .swapgs:
            op.handler = swapgs
            return .next
        case .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase:
            let writes = i.mnemonic == .wrfsbase || i.mnemonic == .wrgsbase
            op.extra = i.mnemonic == .rdfsbase || i.mnemonic == .wrfsbase ? 4 : 5
            op.dst = register(a)
            op.src = register(a)
            op.imm = UInt64(a.size)
            op.handler = writes ? writeBase : readBase
            return .next
        case .pause:
            op.handler = pauseInstruction
            return .cut
        default: return nil
        }
        return .cut
    }
}
