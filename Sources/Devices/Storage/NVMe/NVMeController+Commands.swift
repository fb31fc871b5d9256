internal import BlockImage
internal import GuestMemory
internal import HostOS
internal import Synchronization

// Commands. NVM Express 1.3, chapters 5 and 6.
extension NVMeController {
    /// A command of 64 bytes.
    struct Command {
        let bytes: [UInt8]
        let queue: UInt16
        let life: UInt64
        /// Among the namespace's commands that are under way; 0: none of them.
        var number: UInt64 = 0
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[index * 4 + $1]) << UInt32($1 * 8) }
        }
        func wide(_ index: Int) -> UInt64 { UInt64(word(index)) | UInt64(word(index + 1)) << 32 }
        var opcode: UInt8 { bytes[0] }
        var id: UInt16 { UInt16(truncatingIfNeeded: word(0) >> 16) }
        var namespace: UInt32 { word(1) }
    }
    /// Status codes with their type (4.6.1).
    enum Status {
        static let success: UInt16 = 0
        static let invalidOpcode: UInt16 = 0x001
        static let invalidField: UInt16 = 0x002
        static let dataError: UInt16 = 0x004
        static let internalError: UInt16 = 0x006
        static let invalidNamespace: UInt16 = 0x00B
        static let outOfRange: UInt16 = 0x080
        static let invalidQueue: UInt16 = 0x101
        static let invalidQueueSize: UInt16 = 0x102
        static let noSuchCompletion: UInt16 = 0x100
        static let invalidVector: UInt16 = 0x108
        static let invalidLogPage: UInt16 = 0x109
        static let invalidDeletion: UInt16 = 0x10C
        static let tooManyEvents: UInt16 = 0x105
        static let writeToReadOnly: UInt16 = 0x182
        static let unrecovered: UInt16 = 0x281
        static let writeFault: UInt16 = 0x280
    }
    /// Data of one command at most: 2^7 pages.
    private static let transferPages = 128
    private static let eventLimit = 4

    /// Takes all commands that are there. The worker's thread.
    func takeCommands() {
        while true {
            let taken = state.withLock { state -> (UInt16, UInt64, UInt64)? in
                guard !state.isPaused, let (queue, address) = state.model.takeCommand() else { return nil }
                state.inFlight += 1
                return (queue, address, state.life)
            }
            guard let (queue, address, life) = taken else { return }
            guard let bytes = try? memory.bytes(GuestPhysical(address), count: 64) else {
                // A queue where there is no memory ends the controller.
                state.withLock { state in
                    state.model.status |= NVMeModel.fatal
                    state.inFlight -= 1
                }
                idle.ring()
                continue
            }
            let command = Command(bytes: bytes, queue: queue, life: life)
            if queue == 0 { admin(command) } else { perform(command) }
        }
    }

    func end(_ command: Command, _ status: UInt16, result: UInt32 = 0) {
        if command.number != 0 { state.withLock { _ = $0.active.removeValue(forKey: command.number) } }
        finish(
            NVMeModel.Entry(queue: command.queue, command: command.id, status: status, result: result),
            life: command.life)
    }

    /// The pieces of memory that a command's physical region pages name (4.3); nil where they cannot be read.
    private func scatter(_ command: Command, count: Int) -> GuestScatter? {
        let page = state.withLock { $0.model.pageSize }
        let (first, second) = (command.wide(6), command.wide(8))
        var result = GuestScatter()
        let offset = Int(first % UInt64(page))
        var left = count
        func add(_ address: UInt64, _ room: Int) {
            let run = min(room, left)
            result.segments.append(GuestSegment(address: address, count: run))
            left -= run
        }
        add(first, page - offset)
        guard left > 0 else { return result }
        if left <= page {
            add(second & ~UInt64(page - 1), page)
            return result
        }
        var list = second
        while left > 0 {
            // The last entry of a page of the list leads to the next one, where there is more to come.
            let room = (page - Int(list % UInt64(page))) / 8
            let needed = (left + page - 1) / page
            let entries = min(room, needed)
            guard entries > 0, let bytes = try? memory.bytes(GuestPhysical(list), count: entries * 8) else {
                return nil
            }
            func entry(_ index: Int) -> UInt64 {
                (0..<8).reduce(0) { $0 | UInt64(bytes[index * 8 + $1]) << UInt64($1 * 8) }
            }
            let isChained = needed > room
            for index in 0..<(isChained ? entries - 1 : entries) { add(entry(index) & ~UInt64(page - 1), page) }
            if isChained { list = entry(entries - 1) & ~7 }
            if isChained, entries < 2 { return nil }
        }
        return result
    }

    private func answer(_ command: Command, _ bytes: [UInt8], count: Int) {
        guard let scatter = scatter(command, count: max(min(count, bytes.count), 1)),
            scatter.write(Array(bytes.prefix(count)), to: memory)
        else { return end(command, Status.dataError) }
        end(command, Status.success)
    }

    // MARK: The namespace

    func perform(_ taken: Command) {
        let command = state.withLock { state in
            state.nextNumber += 1
            var command = taken
            command.number = state.nextNumber
            state.active[command.number] = command
            return command
        }
        if command.opcode == 0x00, command.namespace == 0xFFFF_FFFF { return flush(command) }
        guard command.namespace == 1 else { return end(command, Status.invalidNamespace) }
        switch command.opcode {
        case 0x00: flush(command)
        case 0x01, 0x02: move(command, isWrite: command.opcode == 1)
        case 0x08: zero(command)
        case 0x09: manage(command)
        default: end(command, Status.invalidOpcode)
        }
    }

    private func flush(_ command: Command) {
        backend.submit(
            BlockRequest(operation: .flush) { [self] error in
                end(command, error == 0 ? Status.success : Status.internalError)
            })
    }

    private func range(_ command: Command) -> (offset: UInt64, count: Int)? {
        let (lba, count) = (command.wide(10), UInt64(command.word(12) & 0xFFFF) + 1)
        guard lba <= blocks, count <= blocks - lba else { return nil }
        return (lba * UInt64(properties.blockSize), Int(count) * properties.blockSize)
    }

    private func move(_ command: Command, isWrite: Bool) {
        guard let (offset, count) = range(command) else { return end(command, Status.outOfRange) }
        guard !isWrite || !backend.isReadOnly else { return end(command, Status.writeToReadOnly) }
        guard count <= Self.transferPages * 4096, let scatter = scatter(command, count: count) else {
            return end(command, Status.invalidField)
        }
        let isForced = command.word(12) >> 30 & 1 != 0 || !state.withLock { $0.cachesWrites }
        BlockTransfer.start(
            backend, isWrite: isWrite, offset: offset, count: count, scatter: scatter, memory: memory,
            forceUnitAccess: isWrite && isForced
        ) { [self] error in
            switch error {
            case 0: end(command, Status.success)
            case BlockTransfer.badAddress: end(command, Status.dataError)
            default: end(command, isWrite ? Status.writeFault : Status.unrecovered)
            }
        }
        backend.poll()
    }

    private func zero(_ command: Command) {
        guard let (offset, count) = range(command) else { return end(command, Status.outOfRange) }
        guard !backend.isReadOnly else { return end(command, Status.writeToReadOnly) }
        let mayUnmap = command.word(12) >> 25 & 1 != 0
        backend.submit(
            BlockRequest(operation: .writeZeroes(mayUnmap: mayUnmap), offset: offset, length: UInt64(count)) {
                [self] error in end(command, error == 0 ? Status.success : Status.writeFault)
            })
    }

    /// DATASET MANAGEMENT: of what it may say, deallocation is done.
    private func manage(_ command: Command) {
        let count = Int(command.word(10) & 0xFF) + 1
        guard command.word(11) & 4 != 0 else { return end(command, Status.success) }
        guard !backend.isReadOnly else { return end(command, Status.writeToReadOnly) }
        guard let scatter = scatter(command, count: count * 16), let bytes = scatter.read(count * 16, from: memory)
        else { return end(command, Status.dataError) }
        var ranges: [(UInt64, UInt64)] = []
        for index in 0..<count {
            func number(_ place: Int, _ size: Int) -> UInt64 {
                (0..<size).reduce(0) { $0 | UInt64(bytes[index * 16 + place + $1]) << UInt64($1 * 8) }
            }
            let (length, lba) = (number(4, 4), number(8, 8))
            guard lba <= blocks, length <= blocks - lba else { return end(command, Status.outOfRange) }
            let size = UInt64(properties.blockSize)
            if length > 0 { ranges.append((lba * size, length * size)) }
        }
        discard(ranges, 0, command)
    }
    private func discard(_ ranges: [(UInt64, UInt64)], _ index: Int, _ command: Command) {
        guard index < ranges.count else { return end(command, Status.success) }
        backend.submit(
            BlockRequest(operation: .discard, offset: ranges[index].0, length: ranges[index].1) { [self] _ in
                discard(ranges, index + 1, command)
            })
    }

    // MARK: Administration

    private func admin(_ command: Command) {
        switch command.opcode {
        case 0x00, 0x04: end(command, delete(command, isCompletion: command.opcode == 4))
        case 0x01, 0x05: end(command, create(command, isCompletion: command.opcode == 5))
        case 0x02: logPage(command)
        case 0x06: identify(command)
        // Nothing is aborted: what is under way ends by itself.
        case 0x08: end(command, Status.success, result: 1)
        case 0x09, 0x0A: feature(command, isSet: command.opcode == 9)
        case 0x0C:
            let isHeld = state.withLock { state -> Bool in
                guard state.waiting < Self.eventLimit else { return false }
                state.waiting += 1
                state.inFlight -= 1
                return true
            }
            if isHeld { idle.ring() } else { end(command, Status.tooManyEvents) }
        default: end(command, Status.invalidOpcode)
        }
    }

    private func create(_ command: Command, isCompletion: Bool) -> UInt16 {
        let id = UInt16(truncatingIfNeeded: command.word(10))
        let size = command.word(10) >> 16 + 1
        let other = UInt16(truncatingIfNeeded: command.word(11) >> 16)
        let base = command.wide(6)
        return state.withLock { state in
            let isTaken = isCompletion ? state.model.completions[id] != nil : state.model.submissions[id] != nil
            guard id > 0, id <= NVMeModel.queueLimit, !isTaken else { return Status.invalidQueue }
            guard size >= 2, size <= NVMeModel.entryLimit else { return Status.invalidQueueSize }
            guard command.word(11) & 1 != 0, base & 0xFFF == 0 else { return Status.invalidField }
            if isCompletion {
                guard other <= NVMeModel.queueLimit else { return Status.invalidVector }
                state.model.completions[id] = NVMeModel.Completion(
                    base: base, size: size, vector: other, interrupts: command.word(11) & 2 != 0)
            } else {
                guard other > 0, state.model.completions[other] != nil else { return Status.noSuchCompletion }
                state.model.submissions[id] = NVMeModel.Submission(base: base, size: size, completion: other)
            }
            return Status.success
        }
    }

    private func delete(_ command: Command, isCompletion: Bool) -> UInt16 {
        let id = UInt16(truncatingIfNeeded: command.word(10))
        return state.withLock { state in
            guard id > 0 else { return Status.invalidQueue }
            if isCompletion {
                guard state.model.completions[id] != nil else { return Status.invalidQueue }
                guard !state.model.submissions.values.contains(where: { $0.completion == id }) else {
                    return Status.invalidDeletion
                }
                state.model.completions[id] = nil
                return Status.success
            }
            return state.model.submissions.removeValue(forKey: id) == nil ? Status.invalidQueue : Status.success
        }
    }

    private func feature(_ command: Command, isSet: Bool) {
        let (number, value) = (UInt8(truncatingIfNeeded: command.word(10)), command.word(11))
        switch number {
        case 0x07:
            let most = UInt32(NVMeModel.queueLimit - 1)
            let count = isSet ? min(value & 0xFFFF, most) | min(value >> 16, most) << 16 : most | most << 16
            end(command, Status.success, result: count)
        case 0x06:
            let now = state.withLock { state in
                if isSet { state.cachesWrites = value & 1 != 0 }
                return state.cachesWrites
            }
            guard isSet, !now else { return end(command, Status.success, result: now ? 1 : 0) }
            flush(command)
        case 0x01, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0A, 0x0B:
            let now = state.withLock { state in
                if isSet { state.features[number] = value }
                return state.features[number] ?? (number == 0x04 ? 0x157 : 0)
            }
            end(command, Status.success, result: isSet ? 0 : now)
        default: end(command, Status.invalidField)
        }
    }

    private func logPage(_ command: Command) {
        let count = (Int(command.word(10) >> 16) + 1) * 4
        var page = [UInt8](repeating: 0, count: 512)
        switch command.word(10) & 0xFF {
        case 0x01: break
        case 0x02:
            // 50 °C, all spare there, none used up.
            page.replaceSubrange(1..<3, with: [0x43, 0x01])
            page[3] = 100
            page[4] = 10
        case 0x03:
            page[0] = 1
            page.replaceSubrange(8..<16, with: Array("1.0     ".utf8))
        default: return end(command, Status.invalidLogPage)
        }
        answer(command, page, count: min(count, 512))
    }

    private func identify(_ command: Command) {
        switch command.word(10) & 0xFF {
        case 0x00:
            guard command.namespace == 1 || command.namespace == 0xFFFF_FFFF else {
                return end(command, Status.invalidNamespace)
            }
            answer(command, namespaceIdentity, count: 4096)
        case 0x01: answer(command, controllerIdentity, count: 4096)
        case 0x02: answer(command, (command.namespace < 1 ? [1, 0, 0, 0] : []) + padding(4092), count: 4096)
        case 0x03:
            guard command.namespace == 1 else { return end(command, Status.invalidNamespace) }
            answer(command, [1, 8, 0, 0] + extendedIdentifier + padding(4084), count: 4096)
        default: end(command, Status.invalidField)
        }
    }
}
