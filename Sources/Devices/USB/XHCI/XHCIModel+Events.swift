// Events and their rings. eXtensible Host Controller Interface 1.1, 4.9.4.
extension XHCIModel {
    /// An event. 6.4.2.
    struct Event {
        var type: UInt32
        var parameter: UInt64
        var status: UInt32
        /// Slot, endpoint and flags as they are in the last word.
        var control: UInt32 = 0
        /// Whether it interrupts.
        var isQuiet = false
    }

    mutating func loadSegment(_ index: Int, _ memory: some USBMemory) {
        var one = interrupters[index]
        defer { interrupters[index] = one }
        (one.start, one.size, one.index, one.cycle, one.isFull) = (0, 0, 0, true, false)
        guard one.tableSize > 0, one.table != 0, let words = memory.words(one.table, count: 4) else { return }
        let size = Int(words[2] & 0xFFFF)
        guard 16...4096 ~= size else {
            status |= Status.controllerError
            return
        }
        one.start = UInt64(words[1]) << 32 | UInt64(words[0] & ~0x3F)
        one.size = size
    }

    /// Room is there again: those who could not tell go on.
    mutating func moveDequeue(_ index: Int, _ memory: some USBMemory) {
        guard interrupters[index].isFull else { return }
        interrupters[index].isFull = false
        wake(memory)
    }

    /// Whether an event more would find no room.
    func isFull(_ index: Int) -> Bool { interrupters.indices.contains(index) && interrupters[index].isFull }

    /// Puts an event into a ring. 4.9.4.
    mutating func post(_ event: Event, to wanted: Int, _ memory: some USBMemory) {
        let index = interrupters.indices.contains(wanted) ? wanted : 0
        var one = interrupters[index]
        guard one.size > 0 else { return }
        let offset = one.dequeue & ~15 &- one.start
        guard offset < UInt64(one.size) * 16 else {
            status |= Status.controllerError
            return
        }
        let place = Int(offset / 16)
        if (one.index + 1) % one.size == place { return interrupters[index].isFull = true }
        var event = event
        if (one.index + 2) % one.size == place {
            // The last free place tells that there is none.
            event = Event(type: 37, parameter: 0, status: Completion.eventRingFull << 24)
            one.isFull = true
        }
        let address = one.start &+ UInt64(one.index) * 16
        let control = event.control | event.type << 10 | (one.cycle ? 1 : 0)
        memory.store(
            address,
            words: [
                UInt32(truncatingIfNeeded: event.parameter), UInt32(truncatingIfNeeded: event.parameter >> 32),
                event.status,
            ])
        // The word with the cycle bit last.
        memory.store(address &+ 12, control)
        one.index += 1
        if one.index == one.size {
            one.index = 0
            one.cycle.toggle()
        }
        if !event.isQuiet {
            let wasBusy = one.dequeue & Interrupter.busy != 0
            one.dequeue |= Interrupter.busy
            one.management |= Interrupter.pending
            status |= Status.event
            if !wasBusy, one.management & Interrupter.enabled != 0, command & Command.interrupts != 0 {
                messages.append(index)
            }
        }
        interrupters[index] = one
    }

    /// A message has been sent for it: nothing is pending then (5.5.2.1).
    mutating func messageSent(_ index: Int) { interrupters[index].management &= ~Interrupter.pending }
}

/// Codes of completion. 6.4.5.
enum Completion {
    static let success: UInt32 = 1
    static let dataBufferError: UInt32 = 2
    static let transactionError: UInt32 = 4
    static let trbError: UInt32 = 5
    static let stall: UInt32 = 6
    static let noSlots: UInt32 = 9
    static let slotNotEnabled: UInt32 = 11
    static let endpointNotEnabled: UInt32 = 12
    static let shortPacket: UInt32 = 13
    static let parameterError: UInt32 = 17
    static let contextState: UInt32 = 19
    static let eventRingFull: UInt32 = 21
    static let ringStopped: UInt32 = 24
    static let stopped: UInt32 = 26
}
