extension XHCIModel {
    /// A device slot (4.5) and its endpoints.
    struct Slot: Sendable {
        var isEnabled = false
        var isAddressed = false
        /// The device context.
        var context: UInt64 = 0
        /// The root port, from 1 on, and the way from there.
        var port = 0
        var route: UInt32 = 0
        var interrupter = 0
        /// By device context index; the first is none.
        var endpoints = [Endpoint?](repeating: nil, count: 32)
    }
    /// An endpoint (4.8).
    struct Endpoint: Sendable {
        enum State: UInt32 {
            case disabled = 0
            case running = 1
            case halted = 2
            case stopped = 3
            case error = 4
        }
        enum Kind {
            static let control: UInt8 = 4
        }
        /// Isochronous, bulk and interrupt, out 1 to 3 and in 5 to 7; control 4.
        var kind: UInt8
        var maxPacket: Int
        var dequeue: UInt64
        var cycle: Bool
        var state = State.running
        /// Bytes that have moved of the transfer at the head; nil where none has begun.
        var progress: Int?
        var isInput: Bool { kind > Kind.control }
    }
    /// A transfer request block. 6.4.
    struct TRB {
        var address: UInt64
        var parameter: UInt64
        var status: UInt32
        var control: UInt32
        var type: UInt32 { control >> 10 & 0x3F }
        var isChained: Bool { control & 0x10 != 0 }
        var tells: Bool { control & 0x20 != 0 }
        var tellsShort: Bool { control & 4 != 0 }
        var isImmediate: Bool { control & 0x40 != 0 }
        var length: Int { Int(status & 0x1_FFFF) }
        var interrupter: Int { Int(status >> 22) }
    }
    enum Kind {
        static let normal: UInt32 = 1
        static let setup: UInt32 = 2
        static let data: UInt32 = 3
        static let status: UInt32 = 4
        static let isochronous: UInt32 = 5
        static let link: UInt32 = 6
        static let eventData: UInt32 = 7
        static let noOperation: UInt32 = 8
    }
    /// Commands of one turn.
    private static let commandLimit = 64
    private static let linkLimit = 32

    /// The block at a place where it is the controller's, links followed. Nil where there is none.
    func fetch(_ place: inout UInt64, _ cycle: inout Bool, _ memory: some USBMemory) -> TRB? {
        for _ in 0..<Self.linkLimit {
            guard let words = memory.words(place, count: 4), (words[3] & 1 != 0) == cycle else { return nil }
            let block = TRB(
                address: place, parameter: UInt64(words[1]) << 32 | UInt64(words[0]), status: words[2],
                control: words[3])
            guard block.type == Kind.link else {
                place = place &+ 16
                return block
            }
            place = block.parameter & ~15
            if block.control & 2 != 0 { cycle.toggle() }
        }
        return nil
    }

    /// Does commands that are there. True where more may be there.
    mutating func runCommands(_ memory: some USBMemory) -> Bool {
        for _ in 0..<Self.commandLimit {
            guard isRunning, isCommandRingRunning, !isFull(0),
                let block = fetch(&commandDequeue, &commandCycle, memory)
            else { return false }
            var slot = Int(block.control >> 24)
            var event = Event(type: 33, parameter: block.address, status: 0)
            var code: UInt32
            switch block.type {
            case 9: (code, slot) = enableSlot()
            case 23: (code, slot) = (Completion.success, 0)
            case 49 where layout.isNEC:
                // NEC's: the version of its firmware.
                event.type = 48
                event.status = 0x3025
                code = Completion.success
            case 10...17:
                guard 1...layout.slots ~= slot, slots[slot].isEnabled else {
                    code = Completion.slotNotEnabled
                    break
                }
                code = perform(block, slot, memory)
            default: code = Completion.trbError
            }
            event.status |= code << 24
            event.control = UInt32(slot) << 24
            post(event, to: 0, memory)
        }
        return true
    }

    private mutating func perform(_ block: TRB, _ slot: Int, _ memory: some USBMemory) -> UInt32 {
        let endpoint = Int(block.control >> 16 & 31)
        switch block.type {
        case 10:
            disable(slot)
            return Completion.success
        case 11: return address(slot, block.parameter & ~15, isBlocked: block.control & 0x200 != 0, memory)
        case 12: return configure(slot, block.parameter & ~15, removes: block.control & 0x200 != 0, memory)
        case 13: return evaluate(slot, block.parameter & ~15, memory)
        case 14:
            return change(slot, endpoint, from: [.halted], memory) { $0.state = .stopped }
        case 15:
            let code = change(slot, endpoint, from: [.running], memory) { _ in }
            guard code == Completion.success else { return code }
            tellStopped(slot, endpoint, memory)
            return change(slot, endpoint, from: [.running], memory) { $0.state = .stopped }
        case 16:
            return change(slot, endpoint, from: [.stopped, .error], memory) { one in
                one.dequeue = block.parameter & ~15
                one.cycle = block.parameter & 1 != 0
                one.progress = nil
            }
        case 17: return resetDevice(slot, memory)
        default: return Completion.trbError
        }
    }

    // MARK: Slots

    private mutating func enableSlot() -> (UInt32, Int) {
        guard let free = slots.indices.dropFirst().first(where: { !slots[$0].isEnabled }) else {
            return (Completion.noSlots, 0)
        }
        slots[free] = Slot()
        slots[free].isEnabled = true
        return (Completion.success, free)
    }

    private mutating func disable(_ slot: Int) {
        slots[slot] = Slot()
        forget(slot, 1...31)
    }
    /// Nothing is done any more for endpoints.
    private mutating func forget(_ slot: Int, _ endpoints: ClosedRange<Int>) {
        func isMeant(_ key: UInt16) -> Bool { Int(key >> 8) == slot && endpoints.contains(Int(key & 0xFF)) }
        rung.removeAll(where: isMeant)
        waiting = waiting.filter { !isMeant($0) }
    }

    /// The device of a slot.
    func device(_ slot: Int) -> USBPeripheral? {
        let one = slots[slot]
        guard 1...ports.count ~= one.port, ports[one.port - 1].status & Port.enabled != 0 else { return nil }
        return ports[one.port - 1].device?.find(route: one.route)
    }

    private mutating func address(
        _ slot: Int, _ input: UInt64, isBlocked: Bool, _ memory: some USBMemory
    ) -> UInt32 {
        guard let control = memory.words(input, count: 2), let words = memory.words(input &+ 32, count: 16),
            let entry = memory.words(contexts &+ UInt64(slot) * 8, count: 2)
        else { return Completion.trbError }
        guard control[0] == 0, control[1] & 3 == 3 else { return Completion.trbError }
        let output = UInt64(entry[1]) << 32 | UInt64(entry[0] & ~0x3F)
        slots[slot].port = Int(words[1] >> 16 & 0xFF)
        slots[slot].route = words[0] & 0xF_FFFF
        slots[slot].interrupter = Int(words[2] >> 22)
        slots[slot].context = output
        guard let device = device(slot) else { return Completion.transactionError }
        if slots.indices.contains(where: {
            $0 != slot && slots[$0].isAddressed && slots[$0].port == slots[slot].port
                && slots[$0].route == slots[slot].route
        }) {
            return Completion.trbError
        }
        // What is kept of the device's state goes with the addresses that it has.
        if !isBlocked { device.setAddress(UInt8(truncatingIfNeeded: slot)) }
        slots[slot].isAddressed = true
        slots[slot].endpoints = [Endpoint?](repeating: nil, count: 32)
        forget(slot, 1...31)
        var context = Array(words[0..<8])
        context[3] = isBlocked ? 1 << 27 : 2 << 27 | UInt32(slot)
        memory.store(output, words: context)
        enable(slot, 1, Array(words[8..<16]), memory)
        return Completion.success
    }

    private mutating func configure(
        _ slot: Int, _ input: UInt64, removes: Bool, _ memory: some USBMemory
    ) -> UInt32 {
        guard slots[slot].isAddressed, var context = memory.words(slots[slot].context, count: 8) else {
            return Completion.contextState
        }
        if removes {
            for index in 2...31 { disable(slot, index, memory) }
            context[0] = context[0] & 0x07FF_FFFF | 1 << 27
            context[3] = context[3] & 0x07FF_FFFF | 2 << 27
            memory.store(slots[slot].context, words: context)
            return Completion.success
        }
        guard let control = memory.words(input, count: 2), let words = memory.words(input &+ 32, count: 8) else {
            return Completion.trbError
        }
        guard control[0] & 3 == 0, control[1] & 3 == 1 else { return Completion.trbError }
        for index in 2...31 {
            let bit = UInt32(1) << UInt32(index)
            if control[0] & bit != 0 { disable(slot, index, memory) }
            guard control[1] & bit != 0 else { continue }
            guard let endpoint = memory.words(input &+ UInt64(32 + index * 32), count: 8) else {
                return Completion.trbError
            }
            disable(slot, index, memory)
            enable(slot, index, endpoint, memory)
        }
        context[0] = context[0] & 0x07FF_FFFF | words[0] & 0xF800_0000
        context[3] = context[3] & 0x07FF_FFFF | 3 << 27
        memory.store(slots[slot].context, words: context)
        return Completion.success
    }

    private mutating func evaluate(_ slot: Int, _ input: UInt64, _ memory: some USBMemory) -> UInt32 {
        guard slots[slot].isAddressed, var context = memory.words(slots[slot].context, count: 16) else {
            return Completion.contextState
        }
        guard let control = memory.words(input, count: 2), let words = memory.words(input &+ 32, count: 16) else {
            return Completion.trbError
        }
        if control[1] & 1 != 0 {
            context[1] = context[1] & ~0xFFFF | words[1] & 0xFFFF
            context[2] = context[2] & 0x3F_FFFF | words[2] & 0xFFC0_0000
            slots[slot].interrupter = Int(words[2] >> 22)
        }
        if control[1] & 2 != 0 {
            context[9] = context[9] & 0xFFFF | words[9] & 0xFFFF_0000
            slots[slot].endpoints[1]?.maxPacket = Int(words[9] >> 16)
        }
        memory.store(slots[slot].context, words: context)
        return Completion.success
    }

    private mutating func resetDevice(_ slot: Int, _ memory: some USBMemory) -> UInt32 {
        guard slots[slot].isAddressed, var context = memory.words(slots[slot].context, count: 8) else {
            return Completion.contextState
        }
        for index in 2...31 { disable(slot, index, memory) }
        context[0] = context[0] & 0x07FF_FFFF | 1 << 27
        context[3] = 1 << 27
        memory.store(slots[slot].context, words: context)
        return Completion.success
    }

    // MARK: Endpoints

    private mutating func enable(_ slot: Int, _ index: Int, _ words: [UInt32], _ memory: some USBMemory) {
        let endpoint = Endpoint(
            kind: UInt8(words[1] >> 3 & 7), maxPacket: max(Int(words[1] >> 16), 1),
            dequeue: UInt64(words[3]) << 32 | UInt64(words[2] & ~15), cycle: words[2] & 1 != 0)
        slots[slot].endpoints[index] = endpoint
        var context = words
        context[0] = words[0] & ~7 | Endpoint.State.running.rawValue
        memory.store(slots[slot].context &+ UInt64(index * 32), words: context)
    }

    private mutating func disable(_ slot: Int, _ index: Int, _ memory: some USBMemory) {
        guard slots[slot].endpoints[index] != nil else { return }
        slots[slot].endpoints[index] = nil
        forget(slot, index...index)
        let address = slots[slot].context &+ UInt64(index * 32)
        if let word = memory.word(address) { memory.store(address, word & ~7) }
    }

    private mutating func change(
        _ slot: Int, _ index: Int, from states: [Endpoint.State], _ memory: some USBMemory,
        _ body: (inout Endpoint) -> Void
    ) -> UInt32 {
        guard index > 0, var endpoint = slots[slot].endpoints[index] else { return Completion.endpointNotEnabled }
        guard states.contains(endpoint.state) else { return Completion.contextState }
        body(&endpoint)
        slots[slot].endpoints[index] = endpoint
        writeContext(slot, index, memory)
        return Completion.success
    }

    /// Brings state and place of an endpoint's context up to date.
    func writeContext(_ slot: Int, _ index: Int, _ memory: some USBMemory) {
        guard let endpoint = slots[slot].endpoints[index] else { return }
        let address = slots[slot].context &+ UInt64(index * 32)
        guard let word = memory.word(address) else { return }
        memory.store(address, word & ~7 | endpoint.state.rawValue)
        memory.store(
            address &+ 8,
            words: [
                UInt32(truncatingIfNeeded: endpoint.dequeue) | (endpoint.cycle ? 1 : 0),
                UInt32(truncatingIfNeeded: endpoint.dequeue >> 32),
            ])
    }
}
