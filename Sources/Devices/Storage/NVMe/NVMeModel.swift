/// Registers and queues of an NVMe controller (NVM Express 1.3): no lock, no memory, no images.
package struct NVMeModel: Sendable {
    /// Offsets of the registers (3.1).
    enum Register {
        static let capabilities: UInt64 = 0x00
        static let version: UInt64 = 0x08
        static let maskSet: UInt64 = 0x0C
        static let maskClear: UInt64 = 0x10
        static let configuration: UInt64 = 0x14
        static let status: UInt64 = 0x1C
        static let adminSizes: UInt64 = 0x24
        static let adminSubmission: UInt64 = 0x28
        static let adminCompletion: UInt64 = 0x30
        static let doorbells: UInt64 = 0x1000
    }
    package struct Submission: Equatable, Sendable {
        var base: UInt64
        var size: UInt32
        var head: UInt32 = 0
        var tail: UInt32 = 0
        var completion: UInt16
    }
    package struct Completion: Equatable, Sendable {
        var base: UInt64
        var size: UInt32
        var head: UInt32 = 0
        var tail: UInt32 = 0
        var phase = true
        var vector: UInt16
        var interrupts: Bool
        /// Entries that found no room: head and id of the queue, command, status and result.
        var waiting: [Entry] = []
    }
    package struct Entry: Equatable, Sendable {
        var queue: UInt16
        var command: UInt16
        var status: UInt16
        var result: UInt32
    }
    package enum Effect: Equatable, Sendable {
        case none
        /// The driver switched the controller on or off: what is under way is void.
        case restarted
        /// A submission queue may have commands.
        case work
        /// A completion queue has room again.
        case room(UInt16)
    }
    /// I/O queues of each kind, beside the admin queue.
    package static let queueLimit: UInt16 = 64
    /// Entries of a queue at most.
    static let entryLimit: UInt32 = 2048
    static let ready: UInt32 = 1
    static let fatal: UInt32 = 2

    var configuration: UInt32 = 0
    var status: UInt32 = 0
    var mask: UInt32 = 0
    var adminSizes: UInt32 = 0
    var adminSubmission: UInt64 = 0
    var adminCompletion: UInt64 = 0
    package var submissions: [UInt16: Submission] = [:]
    package var completions: [UInt16: Completion] = [:]

    package init() {}

    /// Bytes of a memory page.
    var pageSize: Int { 4096 << Int(min(configuration >> 7 & 15, 4)) }
    var isReady: Bool { status & Self.ready != 0 }

    private var capabilities: UInt64 {
        // 2048 contiguous entries, 7.5 s to get ready, the NVM command set, pages up to 64 KiB.
        UInt64(Self.entryLimit - 1) | 1 << 16 | 15 << 24 | 1 << 37 | 4 << 52
    }

    private func wide(_ offset: UInt64) -> UInt64 {
        switch offset {
        case Register.capabilities: capabilities
        case Register.version: 0x0001_0300 | UInt64(mask) << 32
        case Register.maskClear: UInt64(mask) | UInt64(configuration) << 32
        case 0x18: UInt64(status) << 32
        case 0x20: UInt64(adminSizes) << 32
        case Register.adminSubmission: adminSubmission
        case Register.adminCompletion: adminCompletion
        default: 0
        }
    }

    package func read(_ offset: UInt64, size: Int) -> UInt64 {
        guard offset < Register.doorbells else { return 0 }
        return wide(offset & ~7) >> (8 * (offset & 7))
    }

    package mutating func write(_ offset: UInt64, _ value: UInt64, size: Int) -> Effect {
        let low = UInt32(truncatingIfNeeded: value)
        switch offset {
        case Register.maskSet: mask |= low
        case Register.maskClear: mask &= ~low
        case Register.configuration: return configure(low)
        case Register.adminSizes: adminSizes = low & 0x0FFF_0FFF
        case Register.adminSubmission: set(&adminSubmission, value, size)
        case Register.adminSubmission + 4: adminSubmission = adminSubmission & 0xFFFF_FFFF | UInt64(low) << 32
        case Register.adminCompletion: set(&adminCompletion, value, size)
        case Register.adminCompletion + 4: adminCompletion = adminCompletion & 0xFFFF_FFFF | UInt64(low) << 32
        case Register.doorbells...: return ring((offset - Register.doorbells) / 4, low)
        default: break
        }
        return .none
    }
    private func set(_ register: inout UInt64, _ value: UInt64, _ size: Int) {
        register = size == 8 ? value & ~0xFFF : register & ~0xFFFF_FFFF | value & 0xFFFF_F000
    }

    private mutating func configure(_ value: UInt32) -> Effect {
        let before = configuration
        configuration = value
        var effect = Effect.none
        if value & 1 != 0, before & 1 == 0 {
            enable()
            effect = .restarted
        } else if value & 1 == 0, before & 1 != 0 {
            submissions = [:]
            completions = [:]
            status = 0
            effect = .restarted
        }
        // A shutdown is complete as soon as it is asked for.
        if value >> 14 & 3 != 0 { status = status & ~0xC | 8 } else { status &= ~0xC }
        return effect
    }

    private mutating func enable() {
        let (submission, completion) = ((adminSizes & 0xFFF) + 1, (adminSizes >> 16 & 0xFFF) + 1)
        guard adminSubmission != 0, adminCompletion != 0, configuration >> 4 & 7 == 0, configuration >> 7 & 15 <= 4,
            submission >= 2, completion >= 2
        else {
            status |= Self.fatal
            return
        }
        submissions = [0: Submission(base: adminSubmission, size: submission, completion: 0)]
        completions = [0: Completion(base: adminCompletion, size: completion, vector: 0, interrupts: true)]
        status = Self.ready
    }

    private mutating func ring(_ number: UInt64, _ value: UInt32) -> Effect {
        guard isReady, number < UInt64(Self.queueLimit + 1) * 2 else { return .none }
        let queue = UInt16(number / 2)
        if number & 1 == 0 {
            guard let found = submissions[queue], value < found.size else { return .none }
            submissions[queue]?.tail = value
            return .work
        }
        guard let found = completions[queue], value < found.size else { return .none }
        completions[queue]?.head = value
        return .room(queue)
    }

    /// The next command of any queue, in turn: its queue and address.
    package mutating func takeCommand() -> (queue: UInt16, address: UInt64)? {
        for queue in submissions.keys.sorted() {
            guard var found = submissions[queue], found.head != found.tail else { continue }
            let address = found.base &+ UInt64(found.head) * 64
            found.head = (found.head + 1) % found.size
            submissions[queue] = found
            return (queue, address)
        }
        return nil
    }

    /// Gives an answer a place in its completion queue: address and bytes to be written, and the vector to be raised.
    package mutating func place(_ entry: Entry) -> (address: UInt64, bytes: [UInt8], vector: UInt16?)? {
        guard let submission = submissions[entry.queue], var queue = completions[submission.completion] else {
            return nil
        }
        let next = (queue.tail + 1) % queue.size
        guard next != queue.head else {
            if queue.waiting.count < Int(Self.entryLimit) { completions[submission.completion]?.waiting.append(entry) }
            return nil
        }
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, entry.result)
        VirtioConfiguration.append(&bytes, UInt32(0))
        VirtioConfiguration.append(&bytes, UInt16(truncatingIfNeeded: submission.head))
        VirtioConfiguration.append(&bytes, entry.queue)
        VirtioConfiguration.append(&bytes, entry.command)
        VirtioConfiguration.append(&bytes, entry.status << 1 | (queue.phase ? 1 : 0))
        let address = queue.base &+ UInt64(queue.tail) * 16
        queue.tail = next
        if next == 0 { queue.phase.toggle() }
        completions[submission.completion] = queue
        return (address, bytes, queue.interrupts ? queue.vector : nil)
    }

    /// Whether the pin is to be high: some queue that interrupts has entries that were not taken.
    package var pin: Bool {
        completions.values.contains { queue in
            queue.interrupts && queue.head != queue.tail && mask >> UInt32(min(queue.vector, 31)) & 1 == 0
        }
    }
}
