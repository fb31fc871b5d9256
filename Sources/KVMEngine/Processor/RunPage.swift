internal import CLinux
internal import HostOS
internal import SystemPackage

/// The page that KVM shares with a processor's thread: why KVM_RUN came back, and the data of an access.
///
/// For the processor's thread; `requestExit` is for any.
@safe final class RunPage: @unchecked Sendable {
    // The kernel writes the page during KVM_RUN, on the processor's thread; other threads only set one byte of it.
    private let mapping: Mapping
    /// Where the ring of writes that are kept back begins, in the third page; nil where the mapping is smaller. Asked
    /// for once: it is looked at after each exit.
    private let ringOffset: Int?

    init(_ descriptor: Descriptor, size: Int) throws(HostError) {
        mapping = try Mapping.shared(descriptor.file, count: size)
        let page = HostFacts.pageSize
        ringOffset = size >= 3 * page ? 2 * page : nil
    }

    private var base: UnsafeMutableRawPointer { mapping.base }

    // SAFETY: every accessor reads or writes fields of the structure that the mapping begins with; KVM gives no
    // smaller page.

    /// Why KVM_RUN came back (KVM_EXIT_*).
    var reason: UInt32 { unsafe apus_kvm_reason(base) }
    /// The processor can take an interrupt of the 8259A now.
    var takesInterrupt: Bool { unsafe apus_kvm_takes_interrupt(base) != 0 }
    /// RFLAGS.IF at the last exit.
    var interruptFlag: Bool { unsafe apus_kvm_interrupt_flag(base) != 0 }
    /// CR8, in and out, where the local APIC is not KVM's.
    var taskPriority: UInt64 {
        get { unsafe apus_kvm_cr8(base) }
        set { unsafe apus_kvm_set_cr8(base, newValue) }
    }
    /// IA32_APIC_BASE at the last exit.
    var apicBase: UInt64 { unsafe apus_kvm_apic_base(base) }
    /// Asks for an exit as soon as the processor can take one.
    func requestWindow(_ on: Bool) { unsafe apus_kvm_request_window(base, on ? 1 : 0) }
    /// Makes KVM_RUN return at its start. Any thread.
    func requestExit(_ on: Bool) { unsafe apus_kvm_immediate_exit(base, on ? 1 : 0) }
    /// Takes such a wish back, which is rare. One that comes at the same time may stay: the next KVM_RUN ends at once.
    func clearExitRequest() { unsafe apus_kvm_clear_immediate_exit(base) }
    var io: apus_kvm_io { unsafe apus_kvm_get_io(base) }
    var mmio: apus_kvm_mmio { unsafe apus_kvm_get_mmio(base) }
    var eoiVector: UInt8 { unsafe apus_kvm_eoi_vector(base) }
    var systemEvent: UInt32 { unsafe apus_kvm_system_event(base) }
    var hardwareReason: UInt64 { unsafe apus_kvm_hardware_reason(base) }
    var suberror: UInt32 { unsafe apus_kvm_suberror(base) }
    var errorWords: [UInt64] {
        (0..<min(unsafe apus_kvm_error_count(base), 16)).map { unsafe apus_kvm_error_word(base, $0) }
    }
    var debug: apus_kvm_debug { unsafe apus_kvm_get_debug(base) }
    var modelSpecificRegister: UInt32 { unsafe apus_kvm_msr_index(base) }
    var modelSpecificValue: UInt64 { unsafe apus_kvm_msr_value(base) }
    func answerModelSpecificRegister(_ value: UInt64) { unsafe apus_kvm_msr_answer(base, value) }
    func refuseModelSpecificRegister() { unsafe apus_kvm_msr_refuse(base) }

    /// Whether a write is kept back. Any thread.
    var keepsWrites: Bool {
        guard let ringOffset else { return false }
        // SAFETY: the ring's page lies in the mapping.
        return unsafe apus_kvm_coalesced_any(base + ringOffset) != 0
    }

    /// The oldest write of the ring of writes that are kept back: its page is the third. One thread at a time.
    func takeCoalesced() -> CoalescedWrite? {
        guard let ringOffset else { return nil }
        // SAFETY: the page lies in the mapping.
        let ring = unsafe base + ringOffset
        var entry = apus_kvm_coalesced()
        guard unsafe apus_kvm_coalesced_any(ring) != 0, unsafe apus_kvm_coalesced_take(ring, &entry) != 0 else {
            return nil
        }
        return CoalescedWrite(
            isPort: entry.is_port != 0, address: entry.address, size: Int(entry.length), value: entry.value)
    }

    /// A little-endian value of 1, 2, 4 or 8 bytes in the page; 0 where it does not lie in it.
    func load(_ offset: Int, size: Int) -> UInt64 {
        guard offset >= 0, size >= 0, offset <= mapping.count - size else { return 0 }
        // SAFETY: the range was checked.
        let place = unsafe UnsafeRawPointer(base) + offset
        return switch size {
        case 1: UInt64(unsafe place.load(as: UInt8.self))
        case 2: UInt64(unsafe place.loadUnaligned(as: UInt16.self))
        case 4: UInt64(unsafe place.loadUnaligned(as: UInt32.self))
        default: unsafe place.loadUnaligned(as: UInt64.self)
        }
    }

    /// Writes such a value.
    func store(_ value: UInt64, _ offset: Int, size: Int) {
        guard offset >= 0, size >= 0, offset <= mapping.count - size else { return }
        // SAFETY: the range was checked.
        let place = unsafe base + offset
        switch size {
        case 1: unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: unsafe place.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: unsafe place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        default: unsafe place.storeBytes(of: value, as: UInt64.self)
        }
    }
}
