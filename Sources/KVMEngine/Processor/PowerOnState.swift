internal import CEngine
internal import CLinux
internal import HostOS
internal import X86

/// What a processor is after power-on (Intel SDM volume 3, 10.1.1), and the shape of its XSAVE image.
struct PowerOnState: Sendable {
    /// The neutral state.
    let state: apus_x86_state
    /// KVM's local APIC as it was made; nil where it has none.
    private let localAPIC: kvm_lapic_state?
    private let apicBase: UInt64
    /// Bytes of the XSAVE image.
    let xsaveSize: Int
    let components: UInt64
    let pkruOffset: Int?
    /// All model-specific registers that KVM saves, its paravirtual ones among them: a guest that left a page for KVM
    /// to write must not find it written after a reset.
    private let registers: [(number: UInt32, value: UInt64)]
    /// No nested guest, in KVM's form; nil where KVM nests none.
    private let nested: [UInt8]?

    /// Counters that go on, with what hangs on them, and Hyper-V's registers, which no guest is offered.
    private static func isKept(_ number: UInt32) -> Bool {
        [0x10, 0x3B, 0x6E0].contains(number) || (0x4000_0000...0x4000_01FF).contains(number)
    }

    init(
        _ control: Control, _ device: KVMDevice, signature: UInt32, hasLocalAPIC: Bool
    ) throws(HostError) {
        if hasLocalAPIC {
            var apic = kvm_lapic_state()
            try control.exchange(APUS_KVM_GET_LAPIC, &apic, "read the local APIC")
            localAPIC = apic
        } else {
            localAPIC = nil
        }
        var special = kvm_sregs()
        try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
        apicBase = special.apic_base
        xsaveSize = max(4096, device.capability(KVM_CAP_XSAVE2))
        let supported = device.supportedCPUID(leaf: 0xD, subleaf: 0)
        components = UInt64(supported.eax) | UInt64(supported.edx) << 32
        pkruOffset =
            components >> 9 & 1 != 0 ? Int(device.supportedCPUID(leaf: 0xD, subleaf: 9).ebx) : nil
        let numbers = device.registers.filter { !Self.isKept($0) }.sorted()
        registers = zip(numbers, RegisterExchange.read(numbers, control)).compactMap { number, value in
            value.map { (number, $0) }
        }
        nested = Self.readNested(control, size: device.capability(KVM_CAP_NESTED_STATE))
        var state = Self.registers(signature: signature)
        RegisterExchange.read(into: &state, control)
        self.state = state
    }

    /// Resets what is not in the neutral state.
    func restore(_ control: Control, apicBase base: UInt64?) throws(HostError) {
        if var nested {
            // Refused where the guest was never offered it.
            _ = try? control.exchange(APUS_KVM_SET_NESTED_STATE, bytes: &nested, "leave the nested guest")
        }
        RegisterExchange.write(registers, control)
        var special = kvm_sregs()
        try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
        special.apic_base = base ?? apicBase
        special.cr8 = 0
        try control.exchange(APUS_KVM_SET_SREGS, &special, "reset special registers")
        if let localAPIC { try control.send(APUS_KVM_SET_LAPIC, localAPIC, "reset the local APIC") }
    }

    private static func readNested(_ control: Control, size: Int) -> [UInt8]? {
        guard size >= 128 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.put(UInt32(size), at: 4)
        guard (try? control.exchange(APUS_KVM_GET_NESTED_STATE, bytes: &bytes, "read nested state")) != nil else {
            return nil
        }
        return bytes
    }

    private static func registers(signature: UInt32) -> apus_x86_state {
        var s = apus_x86_state()
        let data = apus_x86_segment(base: 0, limit: 0xFFFF, selector: 0, attributes: 0x93)
        s.segment = (
            data, apus_x86_segment(base: 0xFFFF_0000, limit: 0xFFFF, selector: 0xF000, attributes: 0x9B), data, data,
            data, data, apus_x86_segment(base: 0, limit: 0xFFFF, selector: 0, attributes: 0x82),
            apus_x86_segment(base: 0, limit: 0xFFFF, selector: 0, attributes: 0x8B)
        )
        s.gdtr = apus_x86_table(base: 0, limit: 0xFFFF, reserved: 0)
        s.idtr = apus_x86_table(base: 0, limit: 0xFFFF, reserved: 0)
        s.gpr.2 = UInt64(signature)
        s.rip = 0xFFF0
        s.rflags = 2
        s.cr0 = 0x6000_0010
        s.xcr0 = 1
        s.dr.6 = 0xFFFF_0FF0
        s.dr.7 = 0x400
        s.pat = 0x0007_0406_0007_0406
        s.misc_enable = 1
        s.fx.0 = 0x7F  // the control word, 037FH
        s.fx.1 = 0x03
        s.fx.24 = 0x80  // MXCSR, 1F80H
        s.fx.25 = 0x1F
        return s
    }
}
