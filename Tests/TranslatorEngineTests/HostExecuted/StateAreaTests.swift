import CEngine
import Glibc
import TestSupport
import Testing
import TranslatorEngine

/// FXSAVE, FXRSTOR, XSAVE and XRSTOR against the host's own, with good and with hostile areas.
struct StateAreaTests {
    private static let base: UInt64 = 0x2d00  // the area crosses a page

    private static func randomize(_ random: inout SplitMix64, _ guest: TestProcessor, _ native: NativeProcessor) {
        for register in 0..<16 {
            let clear = random.chance(30)
            for lane in 0..<4 {
                let value = clear ? 0 : random.next()
                guest.setLane(register, lane, value)
                native.setLane(register, lane, value)
            }
        }
        let fcw = UInt16(random.below(64)) << 8 | 0x7f
        let control = (fcw & 0x1f7f, UInt16(truncatingIfNeeded: random.next()) & 0x7f7f)
        for value in [(control.0, 0), (control.1, 2), (UInt16(random.below(256)), 4)] {
            guest.setFX(value.0, at: value.1)
            native.setFX(value.0, at: value.1)
        }
        let mxcsr = UInt32(random.below(0x10000)) | 0x1f80
        guest.setFX(mxcsr, at: 24)
        native.setFX(mxcsr, at: 24)
        for index in 0..<8 {
            let (significand, exponent) = random.extended()
            for (value, offset) in [(significand, 32), (UInt64(exponent), 40)] {
                guest.setFX(value, at: offset + 16 * index)
                native.setFX(value, at: offset + 16 * index)
            }
        }
        for number in [6, 7] {
            guest[gpr: number] = base
            native.setGPR(number, native.memoryAddress)
        }
    }

    private static func fill(_ random: inout SplitMix64, _ guest: TestProcessor, _ native: NativeProcessor) {
        for index in 0..<1024 {
            let byte = UInt8(truncatingIfNeeded: random.next())
            guest.poke(base + UInt64(index), byte)
            native.setMemory(index, byte)
        }
    }

    private static func set(_ guest: TestProcessor, _ native: NativeProcessor, _ offset: Int, _ value: UInt64) {
        for byte in 0..<8 {
            let part = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            guest.poke(base + UInt64(offset + byte), part)
            native.setMemory(offset + byte, part)
        }
    }

    /// Bytes of the area that differ, but for the pointers of the last instruction, and MXCSR_MASK.
    private static func differing(_ guest: TestProcessor, _ native: NativeProcessor) -> [Int] {
        (0..<1024).filter { index in
            !(6..<24).contains(index) && !(28..<32).contains(index)
                && guest.peek(base + UInt64(index)) != native.memory(index)
        }
    }

    private static func stateDiffers(_ guest: TestProcessor, _ native: NativeProcessor) -> [String] {
        var found: [String] = []
        for register in 0..<16 {
            for lane in 0..<4 where guest.lane(register, lane) != native.lane(register, lane) {
                found.append("ymm\(register)[\(lane)]")
            }
        }
        if guest.fx(UInt16.self, at: 0) != native.fx(UInt16.self, at: 0) { found.append("FCW") }
        if guest.fx(UInt16.self, at: 2) != native.fx(UInt16.self, at: 2) { found.append("FSW") }
        if guest.fx(UInt8.self, at: 4) != native.fx(UInt8.self, at: 4) { found.append("FTW") }
        if guest.fx(UInt32.self, at: 24) != native.fx(UInt32.self, at: 24) { found.append("MXCSR") }
        for index in 0..<8 {
            let place = 32 + 16 * index
            if guest.fx(UInt64.self, at: place) != native.fx(UInt64.self, at: place)
                || guest.fx(UInt16.self, at: place + 8) != native.fx(UInt16.self, at: place + 8)
            {
                found.append("st\(index)")
            }
        }
        return found
    }

    private static let forms: [(String, [UInt8], saves: Bool)] = [
        ("fxsave64", [0x48, 0x0f, 0xae, 0x06], true), ("fxrstor64", [0x48, 0x0f, 0xae, 0x0e], false),
        ("fxsave", [0x0f, 0xae, 0x06], true), ("fxrstor", [0x0f, 0xae, 0x0e], false),
        ("xsave64", [0x48, 0x0f, 0xae, 0x26], true), ("xrstor64", [0x48, 0x0f, 0xae, 0x2e], false),
        ("xsavec64", [0x48, 0x0f, 0xc7, 0x26], true), ("xsaveopt64", [0x48, 0x0f, 0xae, 0x36], true),
    ]

    @Test func areasAreTheHosts() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        let native = try NativeProcessor()
        var random = SplitMix64(state: 7)
        var faults = 0
        for _ in 0..<4000 {
            let (name, bytes, _) = Self.forms[Int(random.below(UInt64(Self.forms.count)))]
            Self.randomize(&random, guest, native)
            Self.fill(&random, guest, native)
            let mask = random.below(8)
            for (number, value) in [(0, mask), (2, 0 as UInt64)] {
                guest[gpr: number] = value
                native.setGPR(number, value)
            }
            // MXCSR and header: mostly good.
            let mxcsr = random.chance(10) ? random.next() & 0xffff_ffff : random.below(0x10000) | 0x1f80
            Self.set(guest, native, 24, mxcsr)
            for offset in stride(from: 512, to: 576, by: 8) { Self.set(guest, native, offset, 0) }
            let compacted = random.chance(40)
            var components = random.below(8)
            var compaction = compacted ? components | random.below(8) | 1 << 63 : 0
            if random.chance(10) { components |= 1 << (10 + random.below(6)) }
            if random.chance(10) { compaction |= 1 << random.below(64) & ~0x602e0 }
            if random.chance(5) { compaction &= ~(1 << 63) }
            Self.set(guest, native, 512, components)
            Self.set(guest, native, 520, compaction)
            if random.chance(5) {
                let word = Int(random.below(compacted ? 6 : 1))
                Self.set(guest, native, 528 + 8 * word, 1 << random.below(64))
            }
            // An exception of the x87 state that is not masked waits: not part of this test.
            var image: UInt64 = 0
            for byte in 0..<8 { image |= UInt64(guest.peek(Self.base + UInt64(byte))) << UInt64(8 * byte) }
            Self.set(guest, native, 0, image & 0x00ff_7f7f_1f7f | 0x7f)
            for index in 0..<8 {
                var high: UInt64 = 0
                for byte in 0..<2 {
                    high |= UInt64(guest.peek(Self.base + UInt64(40 + 16 * index + byte))) << UInt64(8 * byte)
                }
                Self.set(guest, native, 40 + 16 * index, high)
            }
            let outcome = guest.execute(bytes)
            let signal = native.run(bytes)
            if signal != 0 { faults += 1 }
            #expect(outcome == (signal == 0 ? .done : .fault(13, error: 0)), "\(name) \(signal)")
            #expect(Self.differing(guest, native).isEmpty, "\(name) of \(mask), \(components)")
            // Where MXCSR of a compacted area faults, the host has loaded other parts already; the guest has not.
            if signal == 0 || !compacted {
                let different = Self.stateDiffers(guest, native)
                #expect(different.isEmpty, "\(name) of \(mask), \(components), \(compaction) \(different)")
            }
        }
        #expect(faults > 50)
    }

    @Test func environmentsAreTheHosts() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        let native = try NativeProcessor()
        var random = SplitMix64(state: 8)
        let forms: [[UInt8]] = [
            [0xd9, 0x36], [0xd9, 0x26], [0xdd, 0x36], [0xdd, 0x26], [0x66, 0xd9, 0x36], [0x66, 0xd9, 0x26],
            [0x66, 0xdd, 0x36], [0x66, 0xdd, 0x26],
        ]
        for _ in 0..<2000 {
            let bytes = forms[Int(random.below(8))]
            Self.randomize(&random, guest, native)
            Self.fill(&random, guest, native)
            #expect(guest.execute(bytes) == .done)
            #expect(native.run(bytes) == 0)
            #expect(Self.stateDiffers(guest, native).isEmpty, "\(bytes)")
            let narrow = bytes[0] == 0x66
            let pointers = narrow ? 6..<14 : 12..<28
            let different = (0..<128).filter {
                !pointers.contains($0) && guest.peek(Self.base + UInt64($0)) != native.memory($0)
            }
            #expect(different.isEmpty, "\(bytes)")
        }
    }

    @Test func protectionKeysComeAndGo() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        unsafe guest.vcpu.pointee.s.xcr0 = 0x207
        unsafe guest.vcpu.pointee.s.pkru = 0x5555_5554
        guest[gpr: 6] = 0x2000
        guest[gpr: 0] = 0x200
        #expect(guest.execute([0x48, 0x0f, 0xae, 0x26]) == .done)
        #expect(guest.peek(0x2000 + 2688) == 0x54 && guest.peek(0x2201) == 2)
        unsafe guest.vcpu.pointee.s.pkru = 0
        #expect(guest.execute([0x48, 0x0f, 0xae, 0x2e]) == .done)
        #expect(unsafe guest.vcpu.pointee.s.pkru == 0x5555_5554)
        guest.poke(0x2201, 0)
        #expect(guest.execute([0x48, 0x0f, 0xae, 0x2e]) == .done)
        #expect(unsafe guest.vcpu.pointee.s.pkru == 0)
    }

    @Test func areaThatEndsOutsideOfRAMChangesNothing() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest.setLane(3, 0, 77)
        guest[gpr: 0] = 7
        // The end of RAM is followed by device memory: the instruction leaves for the machine.
        guest[gpr: 6] = UInt64(TestProcessor.ramCount) - 64
        #expect(guest.execute([0x48, 0x0f, 0xae, 0x2e]) == .exit(1))
        #expect(guest.lane(3, 0) == 77)
    }
}
