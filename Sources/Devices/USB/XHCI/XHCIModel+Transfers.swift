// Transfers. eXtensible Host Controller Interface 1.1, 4.10 and 4.11.
extension XHCIModel {
    /// Blocks of one transfer at most.
    private static let blockLimit = 4096
    /// Transfers of an endpoint in one turn, and about as many bytes.
    private static let transferLimit = 32
    private static let byteLimit = 1 << 20
    /// Bytes for a device at a time.
    private static let outputLimit = 16 << 10
    private static let inputLimit = 64 << 10

    /// Does what doorbells and devices ask for. True where there is more.
    mutating func run(_ memory: some USBMemory) -> Bool {
        var hasMore = runCommands(memory)
        let work = rung
        rung = []
        for key in work where isRunning {
            if runEndpoint(Int(key >> 8), Int(key & 0xFF), memory) {
                if !rung.contains(key) { rung.append(key) }
                hasMore = true
            }
        }
        return hasMore
    }

    /// Works on the ring of an endpoint. True where more may be done at once.
    private mutating func runEndpoint(_ slot: Int, _ index: Int, _ memory: some USBMemory) -> Bool {
        guard slots.indices.contains(slot), var endpoint = slots[slot].endpoints[index] else { return false }
        if endpoint.state == .stopped {
            endpoint.state = .running
            slots[slot].endpoints[index] = endpoint
            writeContext(slot, index, memory)
        }
        guard endpoint.state == .running else { return false }
        var moved = 0
        for _ in 0..<Self.transferLimit {
            guard let current = slots[slot].endpoints[index], current.state == .running else { return false }
            if isFull(slots[slot].interrupter) {
                waiting.insert(UInt16(slot) << 8 | UInt16(index))
                return false
            }
            var (place, cycle) = (current.dequeue, current.cycle)
            guard let blocks = gather(&place, &cycle, memory) else { return false }
            switch transfer(blocks, slot, index, current, memory) {
            case .waits(let progress):
                slots[slot].endpoints[index]?.progress = progress
                waiting.insert(UInt16(slot) << 8 | UInt16(index))
                return false
            case .ended(let count):
                slots[slot].endpoints[index]?.progress = nil
                slots[slot].endpoints[index]?.dequeue = place
                slots[slot].endpoints[index]?.cycle = cycle
                moved += count
                if moved >= Self.byteLimit { return true }
            case .failed(let state):
                slots[slot].endpoints[index]?.progress = nil
                slots[slot].endpoints[index]?.state = state
                writeContext(slot, index, memory)
                return false
            }
        }
        return true
    }

    /// The blocks of the next transfer, all of them; nil where they are not all there.
    private func gather(_ place: inout UInt64, _ cycle: inout Bool, _ memory: some USBMemory) -> [TRB]? {
        var blocks: [TRB] = []
        while blocks.count < Self.blockLimit {
            guard let block = fetch(&place, &cycle, memory) else { return nil }
            blocks.append(block)
            if !block.isChained { return blocks }
        }
        return blocks
    }

    private enum Outcome {
        case waits(Int?)
        case ended(Int)
        case failed(Endpoint.State)
    }
    private static func carries(_ block: TRB) -> Bool {
        block.type == Kind.normal || block.type == Kind.data || block.type == Kind.isochronous
    }

    private mutating func transfer(
        _ blocks: [TRB], _ slot: Int, _ index: Int, _ endpoint: Endpoint, _ memory: some USBMemory
    ) -> Outcome {
        let first = blocks[0]
        let number = UInt8(index / 2)
        guard let device = device(slot) else {
            tell(blocks, slot, index, moved: 0, Completion.transactionError, memory)
            return .failed(.halted)
        }
        if endpoint.kind == Endpoint.Kind.control {
            switch first.type {
            case Kind.setup:
                guard first.isImmediate, first.length == 8 else { return bad(blocks, slot, index, memory) }
                let bytes = (0..<8).map { UInt8(truncatingIfNeeded: first.parameter >> UInt64($0 * 8)) }
                return single(blocks, slot, index, device.transact(.setup, endpoint: 0, output: bytes), memory)
            case Kind.status:
                let isInput = first.control & 0x1_0000 != 0
                return single(
                    blocks, slot, index, device.transact(isInput ? .input : .output, endpoint: number), memory)
            case Kind.data:
                return move(
                    blocks, slot, index, endpoint, device, isInput: first.control & 0x1_0000 != 0, memory)
            case Kind.noOperation, Kind.eventData:
                tell(blocks, slot, index, moved: 0, Completion.success, memory)
                return .ended(0)
            default: return bad(blocks, slot, index, memory)
            }
        }
        switch first.type {
        case Kind.normal, Kind.isochronous:
            return move(blocks, slot, index, endpoint, device, isInput: endpoint.isInput, memory)
        case Kind.noOperation, Kind.eventData:
            tell(blocks, slot, index, moved: 0, Completion.success, memory)
            return .ended(0)
        default: return bad(blocks, slot, index, memory)
        }
    }

    private mutating func bad(_ blocks: [TRB], _ slot: Int, _ index: Int, _ memory: some USBMemory) -> Outcome {
        tell(blocks, slot, index, moved: 0, Completion.trbError, memory)
        return .failed(.error)
    }

    /// A transaction without data.
    private mutating func single(
        _ blocks: [TRB], _ slot: Int, _ index: Int, _ result: USBResult, _ memory: some USBMemory
    ) -> Outcome {
        switch result {
        case .done:
            tell(blocks, slot, index, moved: 0, Completion.success, memory)
            return .ended(0)
        case .notReady: return .waits(nil)
        case .stall, .silence: return fail(blocks, slot, index, moved: 0, result, memory)
        }
    }

    private mutating func fail(
        _ blocks: [TRB], _ slot: Int, _ index: Int, moved: Int, _ result: USBResult, _ memory: some USBMemory
    ) -> Outcome {
        tell(
            blocks, slot, index, moved: moved, result == .stall ? Completion.stall : Completion.transactionError, memory
        )
        return .failed(.halted)
    }

    /// Data to or from the buffers of a transfer.
    private mutating func move(
        _ blocks: [TRB], _ slot: Int, _ index: Int, _ endpoint: Endpoint, _ device: USBPeripheral, isInput: Bool,
        _ memory: some USBMemory
    ) -> Outcome {
        let total = blocks.reduce(0) { Self.carries($1) ? $0 + $1.length : $0 }
        let number = UInt8(index / 2)
        var moved = min(endpoint.progress ?? 0, total)
        var turn = 0
        while true {
            let room = total - moved
            if isInput {
                switch device.transact(.input, endpoint: number, limit: min(room, Self.inputLimit)) {
                case .done(let bytes):
                    guard scatter(blocks, at: moved, bytes, memory) else {
                        tell(blocks, slot, index, moved: moved, Completion.dataBufferError, memory)
                        return .failed(.error)
                    }
                    moved += bytes.count
                    turn += bytes.count
                    let isShort = bytes.count % endpoint.maxPacket != 0 || bytes.isEmpty
                    if isShort || moved >= total {
                        tell(blocks, slot, index, moved: moved, Completion.success, memory)
                        return .ended(turn)
                    }
                case .notReady: return .waits(moved)
                case let result: return fail(blocks, slot, index, moved: moved, result, memory)
                }
            } else {
                guard let bytes = collect(blocks, at: moved, count: min(room, Self.outputLimit), memory) else {
                    tell(blocks, slot, index, moved: moved, Completion.dataBufferError, memory)
                    return .failed(.error)
                }
                switch device.transact(.output, endpoint: number, output: bytes) {
                case .done:
                    moved += bytes.count
                    turn += bytes.count
                    if moved >= total {
                        tell(blocks, slot, index, moved: moved, Completion.success, memory)
                        return .ended(turn)
                    }
                case .notReady: return .waits(moved)
                case let result: return fail(blocks, slot, index, moved: moved, result, memory)
                }
            }
        }
    }

    /// Puts bytes into the buffers from byte `start` on. False where a block may not have any.
    private func scatter(_ blocks: [TRB], at start: Int, _ bytes: [UInt8], _ memory: some USBMemory) -> Bool {
        var (skip, done) = (start, 0)
        for block in blocks where Self.carries(block) && done < bytes.count {
            if skip >= block.length {
                skip -= block.length
                continue
            }
            guard !block.isImmediate else { return false }
            let run = min(block.length - skip, bytes.count - done)
            memory.store(block.parameter &+ UInt64(skip), Array(bytes[done..<done + run]))
            done += run
            skip = 0
        }
        return true
    }

    /// Bytes of the buffers from byte `start` on; nil where some are no memory.
    private func collect(_ blocks: [TRB], at start: Int, count: Int, _ memory: some USBMemory) -> [UInt8]? {
        var skip = start
        var bytes: [UInt8] = []
        for block in blocks where Self.carries(block) && bytes.count < count {
            if skip >= block.length {
                skip -= block.length
                continue
            }
            let run = min(block.length - skip, count - bytes.count)
            if block.isImmediate {
                guard block.length <= 8 else { return nil }
                bytes += (skip..<skip + run).map { UInt8(truncatingIfNeeded: block.parameter >> UInt64($0 * 8)) }
            } else {
                guard let part = memory.bytes(block.parameter &+ UInt64(skip), count: run) else { return nil }
                bytes += part
            }
            skip = 0
        }
        return bytes
    }

    // MARK: Events

    /// Tells of a transfer's end where its blocks want that: at the end, where it came short, and at an error. 4.10.1.
    private mutating func tell(
        _ blocks: [TRB], _ slot: Int, _ index: Int, moved: Int, _ code: UInt32, _ memory: some USBMemory
    ) {
        var left = moved
        var sum = 0
        var isShort = false
        var hasToldShort = false
        for (place, block) in blocks.enumerated() {
            var rest = 0
            if Self.carries(block) {
                let part = min(block.length, left)
                left -= part
                sum += part
                rest = block.length - part
                if rest > 0, code == Completion.success { isShort = true }
            }
            let isError = code != Completion.success && (rest > 0 || place == blocks.count - 1)
            // What lies behind the block at which it came short is told of only where that block was not.
            let wants = block.tells || (isShort && block.tellsShort)
            guard isError || wants, !hasToldShort else { continue }
            let isEventData = block.type == Kind.eventData
            let result =
                isError ? code : code == Completion.success && isShort ? Completion.shortPacket : Completion.success
            var event = Event(
                type: 32, parameter: isEventData ? block.parameter : block.address,
                status: result << 24 | UInt32(isEventData ? sum : rest) & 0xFF_FFFF,
                control: UInt32(slot) << 24 | UInt32(index) << 16 | (isEventData ? 4 : 0))
            event.isQuiet = block.control & 0x200 != 0
            post(event, to: block.interrupter, memory)
            if isError { return }
            if isShort { hasToldShort = true }
        }
    }

    /// Tells of a transfer that has begun where an endpoint is stopped. 4.6.9.
    mutating func tellStopped(_ slot: Int, _ index: Int, _ memory: some USBMemory) {
        guard let endpoint = slots[slot].endpoints[index] else { return }
        let key = UInt16(slot) << 8 | UInt16(index)
        rung.removeAll { $0 == key }
        guard waiting.remove(key) != nil, let moved = endpoint.progress else { return }
        var (place, cycle) = (endpoint.dequeue, endpoint.cycle)
        guard let blocks = gather(&place, &cycle, memory) else { return }
        var left = moved
        for block in blocks where Self.carries(block) {
            if left >= block.length, block.isChained {
                left -= block.length
                continue
            }
            let rest = block.length - min(left, block.length)
            post(
                Event(
                    type: 32, parameter: block.address, status: Completion.stopped << 24 | UInt32(rest),
                    control: UInt32(slot) << 24 | UInt32(index) << 16), to: block.interrupter, memory)
            return
        }
    }
}
