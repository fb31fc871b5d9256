internal import CLinux
internal import HostOS
internal import Synchronization
internal import SystemPackage

/// How interrupts reach KVM's local APICs: messages, and numbered lines (GSIs) that stand for messages. Any thread.
///
/// The lines below `controllerPins` are those of the IOAPIC. KVM tells of the end of a level-triggered interrupt only
/// where one of these lines has its message, so `signal` enters each such message there.
public final class InterruptRoutes: Sendable {
    /// Lines of the IOAPIC.
    public static let controllerPins = 24

    struct Message: Equatable, Sendable {
        var address: UInt64
        var data: UInt32
        var isLevelTriggered: Bool { data & 0x8000 != 0 }
    }
    private struct State: Sendable {
        /// By line.
        var table: [UInt32: Message] = [:]
        /// The IOAPIC line to be given away next.
        var nextPin: UInt32 = 0
    }
    private let control: Control
    private let limit: Int
    private let state = Mutex(State())

    /// The controllers' own lines, which every table has to have where they are KVM's.
    private let fixed: [(line: UInt32, chip: Int32, pin: UInt32)]

    init(_ machine: KVMVirtualMachine, hasKernelControllers: Bool) {
        control = machine.control
        fixed = hasKernelControllers ? Self.controllerRoutes : []
        limit = min(max(machine.device.capability(KVM_CAP_IRQ_ROUTING), 64), 4096)
    }

    /// As PCs are wired: 0 to 15 end at the PICs too, and 0 at input 2 of the IOAPIC.
    private static let controllerRoutes: [(line: UInt32, chip: Int32, pin: UInt32)] = {
        var routes: [(line: UInt32, chip: Int32, pin: UInt32)] = []
        for line in UInt32(0)..<UInt32(controllerPins) {
            if line < 8, line != 2 { routes.append((line, KVM_IRQCHIP_PIC_MASTER, line)) }
            if 8..<16 ~= line { routes.append((line, KVM_IRQCHIP_PIC_SLAVE, line - 8)) }
            if line != 2 { routes.append((line, KVM_IRQCHIP_IOAPIC, line == 0 ? 2 : line)) }
        }
        return routes
    }()

    /// Sends a message now. Writes to anywhere but the processors' window are none (SDM volume 3, 11.11.1).
    func signal(address: UInt64, data: UInt32) {
        guard address & ~0xF_FFFF == 0xFEE0_0000 else { return }
        let message = Message(address: address, data: data)
        if message.isLevelTriggered, fixed.isEmpty { announce(message) }
        var msi = kvm_msi()
        (msi.address_lo, msi.address_hi) = Self.split(address)
        msi.data = data
        // KVM answers 0 where the destination takes no interrupts, which is the guest's business.
        try? control.send(APUS_KVM_SIGNAL_MSI, msi, "send an interrupt")
    }

    /// A line that stands for a message, for `attach`.
    public func add(address: UInt64, data: UInt32) throws(KVMError) -> UInt32 {
        try state.withLock { (state) throws(KVMError) in
            let lines = UInt32(Self.controllerPins)..<UInt32(limit)
            guard let line = lines.first(where: { state.table[$0] == nil }) else {
                throw KVMError.failed(HostError("route more than \(limit) interrupts", .noSpace))
            }
            state.table[line] = Message(address: address, data: data)
            do throws(KVMError) { try write(state.table) } catch {
                state.table[line] = nil
                throw error
            }
            return line
        }
    }

    /// Gives a line another message: the guest programmed its table anew.
    public func update(_ line: UInt32, address: UInt64, data: UInt32) throws(KVMError) {
        try state.withLock { (state) throws(KVMError) in
            state.table[line] = Message(address: address, data: data)
            try write(state.table)
        }
    }

    /// Takes a line away.
    public func remove(_ line: UInt32) throws(KVMError) {
        try state.withLock { (state) throws(KVMError) in
            state.table[line] = nil
            try write(state.table)
        }
    }

    /// Makes KVM send a line's message whenever the eventfd is written (KVM_IRQFD).
    public func attach(eventDescriptor: Int32, line: UInt32) throws(KVMError) {
        try assign(eventDescriptor, line, flags: 0)
    }

    /// Undoes `attach`.
    public func detach(eventDescriptor: Int32, line: UInt32) throws(KVMError) {
        try assign(eventDescriptor, line, flags: UInt32(KVM_IRQFD_FLAG_DEASSIGN))
    }

    private func assign(_ descriptor: Int32, _ line: UInt32, flags: UInt32) throws(KVMError) {
        var request = kvm_irqfd()
        request.fd = UInt32(bitPattern: descriptor)
        request.gsi = line
        request.flags = flags
        try KVMError.wrapping { () throws(HostError) in
            try control.send(APUS_KVM_IRQFD, request, "bind an eventfd to interrupt \(line)")
        }
    }

    /// Has KVM report the end of a message that a saved machine has in service.
    public func expectEnd(address: UInt64, data: UInt32) {
        let message = Message(address: address, data: data)
        if message.isLevelTriggered, fixed.isEmpty { announce(message) }
    }

    /// Has KVM report the end of a level-triggered message.
    private func announce(_ message: Message) {
        state.withLock { state in
            guard !(0..<UInt32(Self.controllerPins)).contains(where: { state.table[$0] == message }) else { return }
            state.table[state.nextPin] = message
            state.nextPin = (state.nextPin + 1) % UInt32(Self.controllerPins)
            try? write(state.table)
        }
    }

    /// KVM_SET_GSI_ROUTING: the whole table at once (a header of 8 bytes, entries of 48).
    private func write(_ table: [UInt32: Message]) throws(KVMError) {
        let entrySize = 48
        var bytes = [UInt8](repeating: 0, count: 8 + (table.count + fixed.count) * entrySize)
        bytes.put(UInt32(table.count + fixed.count), at: 0)
        for (index, (line, message)) in table.sorted(by: { $0.key < $1.key }).enumerated() {
            let start = 8 + index * entrySize
            let (low, high) = Self.split(message.address)
            bytes.put(line, at: start)
            bytes.put(UInt32(KVM_IRQ_ROUTING_MSI), at: start + 4)
            bytes.put(low, at: start + 16)
            bytes.put(high, at: start + 20)
            bytes.put(message.data, at: start + 24)
        }
        for (index, route) in fixed.enumerated() {
            let start = 8 + (table.count + index) * entrySize
            bytes.put(route.line, at: start)
            bytes.put(UInt32(KVM_IRQ_ROUTING_IRQCHIP), at: start + 4)
            bytes.put(UInt32(route.chip), at: start + 16)
            bytes.put(route.pin, at: start + 20)
        }
        try KVMError.wrapping { () throws(HostError) in
            _ = try control.exchange(APUS_KVM_SET_GSI_ROUTING, bytes: &bytes, "route interrupts")
        }
    }

    /// The address as KVM takes it: bits 14:8 of the destination, which guests write into bits 11:5, go up.
    private static func split(_ address: UInt64) -> (low: UInt32, high: UInt32) {
        let low = UInt32(truncatingIfNeeded: address)
        let extended = low >> 5 & 0x7F
        return extended == 0
            ? (low, UInt32(truncatingIfNeeded: address >> 32)) : (low & ~0xFE0, extended << 8)
    }
}
