/// The registers of an I/O APIC (Intel 82093AA; the EOI register of version 0x20): no lock, no wires.
///
/// Lines carry "asserted", whatever the polarity: the polarity bit of an entry is kept and means nothing here.
struct IOAPIC82093: Sendable {
    static let inputs = 24
    static let version: UInt32 = 0x20

    enum Entry {
        static let logical: UInt64 = 1 << 11
        static let remoteIRR: UInt64 = 1 << 14
        static let level: UInt64 = 1 << 15
        static let masked: UInt64 = 1 << 16
        static let deliveryStatus: UInt64 = 1 << 12
        /// What software may write; bits 49 to 55 are the extended destination.
        static let writable: UInt64 = 0xFFFE_0000_0001_AFFF
    }

    /// A message to the local APICs.
    struct Message: Equatable, Sendable {
        var address: UInt64
        var data: UInt32
    }

    var id: UInt8 = 0
    var select: UInt8 = 0
    var entries = [UInt64](repeating: Entry.masked, count: IOAPIC82093.inputs)
    /// The wires, one bit each.
    var lines: UInt32 = 0
    /// Edges that came while their entry was masked.
    var edges: UInt32 = 0
    /// How often in a row each input's interrupt ended with its line still up.
    private var endsInRow = [UInt16](repeating: 0, count: IOAPIC82093.inputs)
    /// Inputs that ask again a moment later.
    private(set) var delayed: UInt32 = 0
    /// Whether somebody calls `askAgain` that moment later.
    var mayDelay = false
    /// Ends in a row after which a line waits for a moment. The chip takes its time from an end to the next message, in
    /// which a processor gets on; here none passes, and a handler that leaves its cause to what it has interrupted
    /// would never let that go on.
    static let mostEndsInRow: UInt16 = 1000

    /// The message of an entry: as a device's MSI, with the extended destination in address bits 5 to 11.
    static func message(_ entry: UInt64) -> Message {
        let destination = entry >> 56
        let extended = entry >> 49 & 0x7F
        var address = 0xFEE0_0000 | destination << 12 | extended << 5
        if entry & Entry.logical != 0 { address |= 1 << 2 }
        // Lowest priority is asked for by the redirection hint.
        if entry >> 8 & 7 == 1 { address |= 1 << 3 }
        var data = UInt32(truncatingIfNeeded: entry & 0x7FF)
        if entry & Entry.level != 0 { data |= 1 << 15 | 1 << 14 }
        return Message(address: address, data: data)
    }

    /// Messages that entry `number` has to send now.
    private mutating func service(_ number: Int) -> Message? {
        let entry = entries[number]
        let bit = UInt32(1) << UInt32(number)
        guard entry & Entry.masked == 0 else { return nil }
        if entry & Entry.level != 0 {
            guard lines & bit != 0, entry & Entry.remoteIRR == 0, delayed & bit == 0 else { return nil }
            entries[number] |= Entry.remoteIRR
        } else {
            guard edges & bit != 0 else { return nil }
            edges &= ~bit
        }
        return Self.message(entry)
    }

    /// Asserts or releases input 0 to 23.
    mutating func setLine(_ line: Int, level: Bool) -> Message? {
        guard 0..<Self.inputs ~= line else { return nil }
        let bit = UInt32(1) << UInt32(line)
        let rising = level && lines & bit == 0
        if level {
            lines |= bit
        } else {
            // An edge behind a mask is not kept for longer than its line is up.
            lines &= ~bit
            edges &= ~bit
            delayed &= ~bit
        }
        if rising && entries[line] & Entry.level == 0 { edges |= bit }
        return service(line)
    }

    /// A local APIC ended the level-triggered interrupt `vector`: lines that are still asserted ask again.
    mutating func endOfInterrupt(vector: UInt8) -> [Message] {
        var messages: [Message] = []
        for number in 0..<Self.inputs {
            let entry = entries[number]
            guard entry & (Entry.level | Entry.remoteIRR) == Entry.level | Entry.remoteIRR,
                UInt8(truncatingIfNeeded: entry) == vector
            else { continue }
            entries[number] &= ~Entry.remoteIRR
            let bit = UInt32(1) << UInt32(number)
            endsInRow[number] = lines & bit == 0 ? 0 : endsInRow[number] &+ 1
            if mayDelay, endsInRow[number] >= Self.mostEndsInRow {
                endsInRow[number] = 0
                delayed |= bit
            }
            if let message = service(number) { messages.append(message) }
        }
        return messages
    }

    /// The moment is over.
    mutating func askAgain() -> [Message] {
        delayed = 0
        return (0..<Self.inputs).compactMap { service($0) }
    }

    /// True where an entry waits for the end of `vector`: such an end must come here.
    func awaitsEnd(of vector: UInt8) -> Bool {
        entries.contains { $0 & Entry.level != 0 && UInt8(truncatingIfNeeded: $0) == vector }
    }

    /// The register that IOWIN shows.
    func readWindow() -> UInt32 {
        switch select {
        case 0x00, 0x02: return UInt32(id) << 24
        case 0x01: return Self.version | UInt32(Self.inputs - 1) << 16
        case 0x10..<UInt8(0x10 + 2 * Self.inputs):
            let entry = entries[Int(select - 0x10) / 2]
            return UInt32(truncatingIfNeeded: select & 1 == 0 ? entry : entry >> 32)
        default: return 0
        }
    }

    mutating func writeWindow(_ value: UInt32) -> Message? {
        switch select {
        case 0x00: id = UInt8(value >> 24 & 0x0F)
        case 0x10..<UInt8(0x10 + 2 * Self.inputs):
            let number = Int(select - 0x10) / 2
            let old = entries[number]
            let new =
                select & 1 == 0
                ? old & ~0xFFFF_FFFF | UInt64(value) : old & 0xFFFF_FFFF | UInt64(value) << 32
            var entry = new & Entry.writable | old & Entry.remoteIRR
            // An entry made edge-triggered forgets the end that it waited for: old kernels end interrupts so.
            if entry & Entry.level == 0 { entry &= ~Entry.remoteIRR }
            if entry & Entry.level != 0 { edges &= ~(1 << UInt32(number)) }
            entries[number] = entry
            return service(number)
        default: break
        }
        return nil
    }
}
