internal import CEngine
internal import DeviceModel
internal import GuestMemory
internal import Synchronization

// What monitors see of interrupts and addresses.
extension VirtualMachine {
    public func localAPIC(of processor: Int) throws(MachineError) -> LocalAPICStatus {
        let now = board.clock.now
        let saved = try control.withLock { _ throws(MachineError) -> SavedProcessor? in
            try group.whileParked { threads throws(MachineError) in
                let thread = threads.first { $0.index == processor }
                return try (thread as? any SavableThread)?.savable?.save(now: now)
            }
        }
        guard let saved else { throw .noProcessor(processor) }
        return LocalAPICStatus(saved.apic, now: now)
    }

    public var interruptControllers: InterruptControllerStatus {
        var status = InterruptControllerStatus()
        for device in board.devices {
            switch device.stateName {
            case "i8259":
                let chips = (try? device.exportState().list("chips", count: 2)) ?? []
                status.legacy = chips.map(InterruptControllerStatus.Legacy.init)
            case "ioapic": status.take(device.exportState())
            case "kvm-irqchip": if let bytes = try? device.exportState().bytes("chips") { status.takeKVM(bytes) }
            default: break
            }
        }
        return status
    }

    public func physicalAddress(_ linear: UInt64, processor: Int) throws(MachineError) -> UInt64? {
        PageTables(try processorState(processor), memory: board.memory).physical(linear)
    }

    public func hostAddress(_ physical: UInt64) -> (address: UInt, block: String)? {
        guard let range = board.memory.view.range(at: GuestPhysical(physical)) else { return nil }
        let offset = Int(range.offset) + Int(physical - range.start.rawValue)
        // SAFETY: nothing is read there: the address is a number for people and debuggers.
        return (unsafe UInt(bitPattern: range.block.base) + UInt(offset), range.block.name)
    }

    public func setBootOrder(_ order: String) throws(MachineError) {
        guard let devices = board.bootDevices else {
            throw .notSupported("no function defined to set boot device list for this architecture")
        }
        devices.set(BoardBuilder.bootDevices(order))
    }
}

extension LocalAPICStatus {
    fileprivate init(_ apic: apus_local_apic, now: UInt64) {
        self.init()
        func words(_ tuple: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)) -> [UInt32] {
            [tuple.0, tuple.1, tuple.2, tuple.3, tuple.4, tuple.5, tuple.6, tuple.7]
        }
        requests = words(apic.irr)
        inService = words(apic.isr)
        levels = words(apic.tmr)
        vectors = [apic.lvt.3, apic.lvt.4, apic.lvt.2, apic.lvt.5, apic.lvt.1, apic.lvt.0]
        spurious = apic.svr
        command = (apic.icr_low, apic.icr_high)
        errors = apic.esr
        taskPriority = apic.tpr
        logical = (apic.ldr, apic.dfr)
        isX2 = apic.base & 0x400 != 0
        // A tick of the timer is a nanosecond, times the divider.
        let divide = apic.timer_divide
        let shift = ((divide & 3 | divide >> 1 & 4) + 1) & 7
        let left = apic.timer_deadline_ns > now ? (apic.timer_deadline_ns - now) >> UInt64(shift) : 0
        let isOneShotOrPeriodic = apic.lvt.0 & 0x60000 != 0x40000
        timer = (divide, apic.timer_initial, isOneShotOrPeriodic ? UInt32(clamping: left) : 0)
    }
}

extension InterruptControllerStatus.Legacy {
    fileprivate init(_ state: DeviceState) {
        self.init()
        requests = (try? state.integer("irr")) ?? 0
        mask = (try? state.integer("imr")) ?? 0
        inService = (try? state.integer("isr")) ?? 0
        highest = (try? state.integer("highest")) ?? 0
        base = (try? state.integer("base")) ?? 0
        readsInService = (try? state.bool("reads-isr")) ?? false
        levels = (try? state.integer("elcr")) ?? 0
        isNested = (try? state.bool("special-fully-nested")) ?? false
    }
}

extension InterruptControllerStatus {
    fileprivate mutating func take(_ state: DeviceState) {
        id = (try? state.integer("id")) ?? 0
        select = (try? state.integer("select")) ?? 0
        let bytes = (try? state.bytes("entries")) ?? []
        entries = stride(from: 0, to: bytes.count / 8 * 8, by: 8).map { Self.word(bytes, $0, 8) }
        let lines: UInt32 = (try? state.integer("lines")) ?? 0
        let edges: UInt32 = (try? state.integer("edges")) ?? 0
        for (number, entry) in entries.enumerated() where number < 32 {
            // A level-triggered input asks as long as its line is up, another until it is told.
            let asks = entry & 0x8000 != 0 ? lines : edges
            requests |= asks & 1 << UInt32(number)
        }
    }

    private static func word(_ bytes: [UInt8], _ place: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { sum, byte in
            place + byte < bytes.count ? sum | UInt64(bytes[place + byte]) << UInt64(8 * byte) : sum
        }
    }

    /// KVM's three chips, each `struct kvm_irqchip`: a number, padding, and 512 bytes of state (KVM's API, 4.26).
    fileprivate mutating func takeKVM(_ bytes: [UInt8]) {
        let size = 520
        guard bytes.count >= size * 3 else { return }
        for chip in 0..<2 {
            let state = bytes[(chip * size + 8)...].prefix(16).map { $0 }
            var one = Legacy()
            // struct kvm_pic_state.
            (one.requests, one.mask, one.inService) = (state[1], state[2], state[3])
            (one.highest, one.base) = (Int(state[4]), state[5])
            (one.readsInService, one.isNested, one.levels) = (state[6] != 0, state[12] != 0, state[14])
            legacy.append(one)
        }
        // struct kvm_ioapic_state.
        let start = 2 * size + 8
        select = UInt8(truncatingIfNeeded: Self.word(bytes, start + 8, 4))
        id = UInt8(truncatingIfNeeded: Self.word(bytes, start + 12, 4))
        requests = UInt32(truncatingIfNeeded: Self.word(bytes, start + 16, 4))
        entries = (0..<24).map { Self.word(bytes, start + 24 + $0 * 8, 8) }
    }
}
