import CEngine
import LocalAPIC
import TestSupport

/// One local APIC with its memory.
@safe final class TestAPIC {
    private let memory: UnsafeMutablePointer<apus_local_apic>
    let apic: APIC

    init(id: UInt32 = 0, bootProcessor: Bool = true, enabled: Bool = true, x2: Bool = false) {
        unsafe memory = UnsafeMutablePointer<apus_local_apic>.allocate(capacity: 1)
        unsafe memory.initialize(to: apus_local_apic())
        unsafe apic = APIC(memory)
        apic.reset(id: id, bootProcessor: bootProcessor)
        if x2 { _ = apic.writeBase(apic.base | APICBase.extended, physicalBits: 40, offersX2APIC: true) }
        guard enabled else { return }
        if x2 {
            _ = apic.writeMSR(0x80F, value: 0x1FF, now: 0, tsc: 0)
        } else {
            _ = apic.write(offset: APICRegister.spurious, value: 0x1FF, now: 0, tsc: 0)
        }
    }
    deinit { unsafe memory.deallocate() }

    /// Fills the state with bytes of `generator`.
    func scramble(_ generator: inout SplitMix64) {
        unsafe memory.withMemoryRebound(to: UInt8.self, capacity: MemoryLayout<apus_local_apic>.size) { bytes in
            for index in 0..<MemoryLayout<apus_local_apic>.size {
                unsafe bytes[index] = UInt8(truncatingIfNeeded: generator.next())
            }
        }
    }

    func write(_ offset: UInt32, _ value: UInt32, now: UInt64 = 0, tsc: UInt64 = 0) -> APIC.Effect {
        apic.write(offset: offset, value: value, now: now, tsc: tsc)
    }
    func read(_ offset: UInt32, now: UInt64 = 0) -> UInt32 { apic.read(offset: offset, now: now) }
    /// What the error register collected.
    var errors: UInt32 {
        _ = write(APICRegister.errorStatus, 0)
        return read(APICRegister.errorStatus)
    }
}
