internal import CLinux
internal import HostOS
internal import Synchronization

/// PIC, IOAPIC and PIT of KVM: made, saved and set again in KVM's own form.
struct KernelControllerState: Sendable {
    /// The two 8259A and the IOAPIC (struct kvm_irqchip), then the 8254 (struct kvm_pit_state2).
    private var chips: [kvm_irqchip] = []
    private var pit = kvm_pit_state2()

    /// The numbers of the three controllers.
    private static let numbers = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC]

    /// Makes them; before any processor.
    init(making control: Control) throws(HostError) {
        try control.request(APUS_KVM_CREATE_IRQCHIP, "make interrupt controllers")
        var configuration = kvm_pit_config()
        // Port 61H is KVM's too, as far as the PIT is behind it.
        configuration.flags = UInt32(KVM_PIT_SPEAKER_DUMMY)
        try control.exchange(APUS_KVM_CREATE_PIT2, &configuration, "make a timer")
        try self.init(reading: control)
    }

    /// The state at this moment.
    init(reading control: Control) throws(HostError) {
        for number in Self.numbers {
            var chip = kvm_irqchip()
            chip.chip_id = UInt32(number)
            try control.exchange(APUS_KVM_GET_IRQCHIP, &chip, "read interrupt controller \(number)")
            chips.append(chip)
        }
        try control.exchange(APUS_KVM_GET_PIT2, &pit, "read the timer")
    }

    /// Sets them to this state.
    func write(_ control: Control) throws(HostError) {
        for chip in chips { try control.send(APUS_KVM_SET_IRQCHIP, chip, "set an interrupt controller") }
        try control.send(APUS_KVM_SET_PIT2, pit, "set the timer")
    }

    static let chipSize = MemoryLayout<kvm_irqchip>.size
    static let pitSize = MemoryLayout<kvm_pit_state2>.size

    /// The state in bytes, for a saved machine.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for chip in chips { unsafe withUnsafeBytes(of: chip) { unsafe bytes += Array($0) } }
        unsafe withUnsafeBytes(of: pit) { unsafe bytes += Array($0) }
        return bytes
    }

    /// A state from such bytes; nil where they are not as many.
    init?(bytes: [UInt8]) {
        guard bytes.count == Self.numbers.count * Self.chipSize + Self.pitSize else { return nil }
        for (index, number) in Self.numbers.enumerated() {
            var chip = kvm_irqchip()
            // SAFETY: plain bytes of the structure's size.
            unsafe withUnsafeMutableBytes(of: &chip) {
                unsafe $0.copyBytes(from: bytes[index * Self.chipSize..<(index + 1) * Self.chipSize])
            }
            chip.chip_id = UInt32(number)
            chips.append(chip)
        }
        // SAFETY: as above.
        unsafe withUnsafeMutableBytes(of: &pit) { unsafe $0.copyBytes(from: bytes.suffix(Self.pitSize)) }
    }
}

extension HardwareEngine {
    /// PIC, IOAPIC and PIT are KVM's.
    public var hasKernelControllers: Bool { controllers != nil }

    /// Sets a global interrupt of KVM's controllers. Any thread.
    public func setLine(_ line: Int, level: Bool) {
        guard controllers != nil, 0..<InterruptRoutes.controllerPins ~= line else { return }
        var request = kvm_irq_level()
        request.irq = UInt32(line)
        request.level = level ? 1 : 0
        try? machine.control.send(APUS_KVM_IRQ_LINE, request, "set interrupt \(line)")
    }

    /// Whether the PIT drives interrupt 0 and the RTC interrupt 8, or the HPET in their place.
    public func setLegacyReplacement(_ isOn: Bool) {
        guard controllers != nil else { return }
        var pit = kvm_pit_state2()
        guard (try? machine.control.exchange(APUS_KVM_GET_PIT2, &pit, "read the timer")) != nil else { return }
        pit.flags =
            isOn ? pit.flags | UInt32(KVM_PIT_FLAGS_HPET_LEGACY) : pit.flags & ~UInt32(KVM_PIT_FLAGS_HPET_LEGACY)
        try? machine.control.send(APUS_KVM_SET_PIT2, pit, "set the timer")
    }

    /// KVM's controllers as after power-on. While no processor runs.
    public func resetControllers() throws(KVMError) {
        guard let controllers else { return }
        standing.withLock { $0.pit = nil }
        try KVMError.wrapping { () throws(HostError) in try controllers.write(machine.control) }
    }

    /// The state of KVM's controllers in bytes. While no processor runs.
    public func controllerState() throws(KVMError) -> [UInt8] {
        guard controllers != nil else { return [] }
        return try KVMError.wrapping { () throws(HostError) in try KernelControllerState(reading: machine.control).bytes
        }
    }

    /// Sets such a state; false where it is none. While no processor runs.
    public func setControllerState(_ bytes: [UInt8]) throws(KVMError) -> Bool {
        guard controllers != nil, let state = KernelControllerState(bytes: bytes) else { return false }
        standing.withLock { $0.pit = nil }
        try KVMError.wrapping { () throws(HostError) in try state.write(machine.control) }
        return true
    }
}
