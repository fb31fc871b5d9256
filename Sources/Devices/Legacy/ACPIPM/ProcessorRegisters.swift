/// The registers by which firmware looks at processors that come and go: a selector, the selected one's status, a command and
/// its data (QEMU, docs/specs/acpi_cpu_hotplug). A pure value.
///
/// Firmware looks, and ejects what the guest's ACPI methods have handed over to it; what it clears is left to those.
struct ProcessorRegisters: Sendable {
    /// What firmware is to know of.
    struct Events {
        var inserted: Set<Int>
        var leaving: Set<Int>
        /// Whom the guest has let go, and firmware is to eject.
        var handedOver: Set<Int>

        func contains(_ processor: Int) -> Bool {
            inserted.contains(processor) || leaving.contains(processor) || handedOver.contains(processor)
        }
    }
    /// What a write asks of the controller for a processor.
    enum Effect {
        case eject(Int)
        case handOver(Int)
    }
    /// Ports.
    static let count: UInt64 = 12
    private enum Offset {
        static let selector: UInt64 = 0
        static let status: UInt64 = 4
        static let command: UInt64 = 5
        static let data: UInt64 = 8
    }
    private enum Command {
        /// Selects the next processor of which there is an event, and gives the selector.
        static let pending: UInt8 = 0
        static let identifier: UInt8 = 3
    }
    private enum Status {
        static let isThere: UInt8 = 1
        static let inserted: UInt8 = 2
        static let leaving: UInt8 = 4
        /// Only written.
        static let eject: UInt8 = 8
        static let handedOver: UInt8 = 16
    }

    private let apicIDs: [UInt32]
    /// What firmware has selected, and its last command: all that a saved state needs of them.
    var selector: UInt32 = 0
    var command: UInt8 = 0

    init(apicIDs: [UInt32]) { self.apicIDs = apicIDs }

    mutating func reset() { (selector, command) = (0, 0) }

    func read(_ offset: UInt64, present: Set<Int>, events: Events) -> UInt8 {
        let processor = Int(selector)
        guard apicIDs.indices.contains(processor) else { return 0 }
        switch offset {
        case Offset.status:
            return (present.contains(processor) ? Status.isThere : 0)
                | (events.inserted.contains(processor) ? Status.inserted : 0)
                | (events.leaving.contains(processor) ? Status.leaving : 0)
                | (events.handedOver.contains(processor) ? Status.handedOver : 0)
        case Offset.data..<Offset.data + 4:
            let word = command == Command.pending ? selector : command == Command.identifier ? apicIDs[processor] : 0
            return UInt8(truncatingIfNeeded: word >> (8 * UInt32(offset - Offset.data)))
        default: return 0
        }
    }

    mutating func write(_ offset: UInt64, _ byte: UInt8, events: Events) -> Effect? {
        switch offset {
        case Offset.status:
            // The lowest of what is asked for counts.
            guard byte & (Status.inserted | Status.leaving) == 0, apicIDs.indices.contains(Int(selector)) else { break }
            if byte & Status.eject != 0 { return .eject(Int(selector)) }
            if byte & Status.handedOver != 0 { return .handOver(Int(selector)) }
        case Offset.selector..<Offset.selector + 4:
            let shift = 8 * UInt32(offset - Offset.selector)
            selector = selector & ~(0xFF << shift) | UInt32(byte) << shift
        case Offset.command:
            command = byte
            guard byte == Command.pending, apicIDs.indices.contains(Int(selector)) else { break }
            let order = (0..<apicIDs.count).map { (Int(selector) + $0) % apicIDs.count }
            if let next = order.first(where: { events.contains($0) }) { selector = UInt32(next) }
        default: break
        }
        return nil
    }
}
