import CEngine
import Execution
import GuestMemory
import TranslatorEngine
import X86

/// Runs user cases on the software engine: a guest in long mode whose exception handlers write their vector to the
/// port of that number.
final class UserGuest {
    let machine: GuestMachine
    private var cpu: SoftwareProcessor { machine.cpu }

    // Physical addresses; the system's pages appear at `high` + physical.
    private static let high: UInt64 = 0xffff_c000_0000_0000
    private static let code: UInt64 = 0x10_0000
    private static let data: UInt64 = 0x20_0000
    private static let idt: UInt64 = 0x1_0000
    private static let gdt: UInt64 = 0x1_1000
    private static let tss: UInt64 = 0x1_2000
    private static let handlers: UInt64 = 0x1_3000
    private static let stackTop: UInt64 = 0x1_6000
    private static let pml4: UInt64 = 0x1000
    private var nextTable: UInt64 = 0x2000
    private let initial: apus_x86_state

    /// Whether cases run three times each: their accesses then find pages that they met before.
    private let repeats: Bool

    /// A guest whose code is translated after `threshold` executions, and for the hottest tier after `promotion` more.
    init(
        threshold: UInt64? = nil, promotion: Int32? = nil, change: (inout SoftwareEngineRequest) -> Void = { _ in }
    ) throws {
        repeats = promotion != nil
        machine = try GuestMachine(threshold: threshold) { request in
            if let promotion { request.translationPromotion = promotion }
            change(&request)
        }
        var state = machine.cpu.state
        state.cr0 = 0x8001_0033
        state.cr4 = 0x6a0 | 0x600
        state.cr3 = Self.pml4
        state.efer = 0xd01
        if machine.model.has("xsave") {
            state.cr4 |= 0x4_0000
            state.xcr0 = machine.model.has("avx") ? 7 : 3
        }
        state.segment.1 = apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: 0x33, attributes: 0xafb)
        state.segment.2 = apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: 0x2b, attributes: 0xcf3)
        for path in [\apus_x86_state.segment.0, \.segment.3, \.segment.4, \.segment.5] {
            state[keyPath: path] = apus_x86_segment(base: 0, limit: 0, selector: 0, attributes: 0)
        }
        state.segment.6 = apus_x86_segment(base: 0, limit: 0, selector: 0, attributes: 0)
        state.segment.7 = apus_x86_segment(base: Self.high + Self.tss, limit: 0x67, selector: 0x40, attributes: 0x8b)
        state.gdtr = apus_x86_table(base: Self.high + Self.gdt, limit: 0x4f, reserved: 0)
        state.idtr = apus_x86_table(base: Self.high + Self.idt, limit: 0xfff, reserved: 0)
        state.halted = 0
        initial = state
        for page in stride(from: UInt64(0), to: 0x2_0000, by: 4096) { map(Self.high + page, page, user: false) }
        for page in stride(from: UInt64(0), to: UInt64(UserCase.codeCount), by: 4096) {
            map(UserCase.codeBase + page, Self.code + page, user: true)
        }
        for page in stride(from: UInt64(0), to: UInt64(UserCase.dataCount), by: 4096) {
            map(UserCase.dataBase + page, Self.data + page, user: true)
        }
        machine.write64(Self.gdt + 0x10, 0x00af_9b00_0000_ffff)
        machine.write64(Self.gdt + 0x18, 0x00cf_9300_0000_ffff)
        machine.write64(Self.gdt + 0x28, 0x00cf_f300_0000_ffff)
        machine.write64(Self.gdt + 0x30, 0x00af_fb00_0000_ffff)
        machine.write64(Self.tss + 4, Self.high + Self.stackTop)
        // No map of ports.
        machine.write(Self.tss + 102, [0xff, 0xff])
        for vector in UInt64(0)..<256 {
            let handler = Self.high + Self.handlers + vector * 16
            let level: UInt64 = vector == 3 || vector == 4 ? 0xee00 : 0x8e00
            machine.write64(
                Self.idt + vector * 16,
                handler & 0xffff | 0x10 << 16 | level << 32 | (handler >> 16 & 0xffff) << 48)
            machine.write64(Self.idt + vector * 16 + 8, handler >> 32)
            machine.write(Self.handlers + vector * 16, [0xe6, UInt8(vector), 0xeb, 0xfc])
        }
    }

    /// Maps a page; the system's code is not the guest's to change.
    func map(_ linear: UInt64, _ physical: UInt64, user: Bool) {
        let bits: UInt64 = user ? 7 : 3
        var table = Self.pml4
        for shift in [39, 30, 21] as [UInt64] {
            let entry = table + (linear >> shift & 511) * 8
            if machine.read64(entry) == 0 {
                machine.write64(entry, nextTable | 7)
                nextTable += 4096
            }
            table = machine.read64(entry) & ~0xfff
        }
        machine.write64(table + (linear >> 12 & 511) * 8, physical | bits)
    }

    /// Runs a case from its data to its exception.
    func run(_ item: UserCase, data: [UInt8]) -> UserOutcome {
        var page = [UInt8](repeating: 0xcc, count: UserCase.codeCount)
        page.replaceSubrange(item.start..<item.start + item.code.count, with: item.code)
        machine.write(Self.code, page)
        if repeats {
            for _ in 0..<2 { _ = runOnce(item, data: data) }
            // A case may have written to its code.
            if (try? machine.memory.bytes(GuestPhysical(Self.code), count: page.count)) != page { machine.write(Self.code, page) }
        }
        return runOnce(item, data: data)
    }

    /// Runs what lies at a linear address, with a case's registers.
    func runOnce(_ item: UserCase, at place: UInt64? = nil, data: [UInt8]) -> UserOutcome {
        machine.write(Self.data, data)
        var state = initial
        unsafe withUnsafeMutableBytes(of: &state.gpr) { registers in
            for number in 0..<16 { unsafe registers.storeBytes(of: item.gpr[number], toByteOffset: number * 8, as: UInt64.self) }
        }
        if item.isNarrow {
            state.segment.1 = apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: 0x23, attributes: 0xcfb)
            state.segment.0 = state.segment.2
            state.segment.3 = state.segment.2
        }
        state.rip = place ?? UserCase.codeBase + UInt64(item.start)
        state.rflags = item.flags | 0x202
        cpu.state = state
        var result = UserOutcome()
        let exit = cpu.run()
        guard case .portWrite(let port, 1, _) = exit else {
            result.vector = exit == .interrupted ? 255 : 256
            return result
        }
        // Ends the handler's OUT.
        cpu.kick()
        _ = cpu.run()
        let end = cpu.state
        let hasError = [8, 10, 11, 12, 13, 14, 17].contains(port)
        let frame = Self.stackTop - 40
        result.vector = UInt64(port)
        result.error = hasError ? machine.read64(frame - 8) : 0
        result.rip = machine.read64(frame)
        result.flags = machine.read64(frame + 16)
        result.address = port == 14 ? end.cr2 : 0
        unsafe withUnsafeBytes(of: end.gpr) { registers in
            for number in 0..<16 { unsafe result.gpr[number] = registers.load(fromByteOffset: number * 8, as: UInt64.self) }
        }
        result.gpr[4] = machine.read64(frame + 24)
        // 32-bit code has eight registers of 32 bits.
        if item.isNarrow { for number in 8..<16 { result.gpr[number] = 0 } }
        result.data = (try? machine.memory.bytes(GuestPhysical(Self.data), count: UserCase.dataCount)) ?? []
        return result
    }

    /// Whether the model lacks what an instruction needs.
    func lacks(_ instruction: Instruction) -> Bool {
        switch instruction.featureRequired {
        case .base: false
        default: SoftwareProcessor.decoderFeatures(machine.model) >> UInt64(instruction.featureRequired.rawValue) & 1 == 0
        }
    }

    /// Makes a case that runs on end with vector 255. Any thread.
    func interrupt() { cpu.kick() }
}
