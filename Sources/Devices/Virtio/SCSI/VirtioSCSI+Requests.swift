internal import BlockImage
internal import HostOS
internal import Synchronization
internal import VirtQueue

// Commands and task management. virtio 1.2, 5.6.6.1 and 5.6.6.2.
extension VirtioSCSI {
    private enum Response {
        static let ok: UInt8 = 0
        static let badTarget: UInt8 = 3
        static let failure: UInt8 = 9
    }
    private enum Status {
        static let good: UInt8 = 0
        static let checkCondition: UInt8 = 2
    }
    private static let batch = 64

    /// Takes commands from all queues until there are none. The worker's thread.
    func perform() {
        var hasMore = true
        while hasMore {
            hasMore = false
            let count = state.withLock { $0.queues.count }
            var work: [@Sendable () -> Void] = []
            for index in 0..<count where index != 1 {
                if state.withLock({ take(index, &$0, &work) }) { hasMore = true }
            }
            for item in work { item() }
        }
        noteTrays()
    }

    /// Takes a batch from a queue. True where more may wait.
    private func take(_ index: Int, _ state: inout State, _ work: inout [@Sendable () -> Void]) -> Bool {
        guard state.queues.indices.contains(index), let queue = state.queues[index], let makeChain = state.makeChain,
            let interrupt = state.interrupt, !state.isPaused, !state.isStopping
        else { return false }
        var taken = 0
        do throws(VirtQueueError) {
            queue.disableNotifications()
            repeat {
                while taken < Self.batch {
                    let chain = makeChain()
                    guard try queue.pop(into: chain) else { break }
                    taken += 1
                    if index == 0 {
                        queue.push(chain, written: control(chain, &state))
                    } else {
                        start(chain, index, &state, &work)
                    }
                }
            } while taken < Self.batch && queue.enableNotifications()
        } catch {
            interrupt.setNeedsReset()
        }
        if queue.needsInterrupt() { interrupt.signalQueue(index) }
        return taken >= Self.batch
    }

    /// Where a command goes: the single level form of an address, with the flat or peripheral form of a unit.
    private func unitKey(_ bytes: [UInt8]) -> Key? {
        guard bytes.count >= 4, bytes[0] == 1 else { return nil }
        return Key(target: bytes[1], lun: UInt16(bytes[2] & 0x3F) << 8 | UInt16(bytes[3]))
    }

    private func control(_ chain: DescriptorChain, _ state: inout State) -> Int {
        guard let type = chain.load(at: 0, as: UInt32.self) else { return 0 }
        guard type == 0 else {
            // Asynchronous notifications: none is offered.
            chain.store(at: 0, UInt32(0))
            chain.store(at: 4, Response.ok)
            return 5
        }
        let function = chain.load(at: 4, as: UInt32.self) ?? 0
        let address = unitKey(chain.bytes(at: 8, count: 8))
        guard let address, state.units.keys.contains(where: { $0.target == address.target }) else {
            chain.store(at: 0, Response.badTarget)
            return 1
        }
        // I_T nexus reset and logical unit reset leave a unit attention; commands under way end as they do.
        if function == 4 || function == 5 {
            for unit in state.units.keys where unit.target == address.target && (function == 4 || unit == address) {
                state.units[unit]?.attention = IDEDrive.Sense(key: 6, code: 0x29)
            }
        }
        chain.store(at: 0, Response.ok)
        return 1
    }

    private func start(_ chain: DescriptorChain, _ index: Int, _ state: inout State, _ work: inout [@Sendable () -> Void]) {
        guard chain.readableCount >= Self.requestHeader, chain.writableCount >= Self.responseHeader else {
            state.interrupt?.setNeedsReset()
            state.queues[index]?.stop()
            return
        }
        let head = chain.bytes(at: 0, count: Self.requestHeader)
        let cdb = Array(head[19...])
        guard let key = unitKey(head), state.units.keys.contains(where: { $0.target == key.target }) else {
            return answer(chain, index, &state, response: Response.badTarget)
        }
        if cdb[0] == 0xA0 { return reportLuns(chain, index, key, cdb, &state) }
        guard var unit = state.units[key] else {
            if cdb[0] == 0x12 {
                // Nobody is at that number of the target. SPC-4, 6.6.2.
                let bytes = [0x7F, 0, 5, 0x12, 31, 0, 0, 2] + [UInt8](repeating: 0x20, count: 28)
                return answerData(chain, index, &state, Array(bytes.prefix(Int(cdb[3]) << 8 | Int(cdb[4]))))
            }
            return answer(chain, index, &state, sense: SCSIUnit.noUnit)
        }
        if let attention = unit.attention, cdb[0] != 0x12, cdb[0] != 0x03 {
            state.units[key]?.attention = nil
            return answer(chain, index, &state, sense: attention)
        }
        let action = unit.model.perform(cdb)
        state.units[key] = unit
        carryOut(action, chain, index, key, unit, &state, &work)
    }

    private func reportLuns(
        _ chain: DescriptorChain, _ index: Int, _ key: Key, _ cdb: [UInt8], _ state: inout State
    ) {
        var luns = Set(state.units.keys.filter { $0.target == key.target }.map(\.lun))
        luns.insert(0)
        var bytes = (0..<4).reversed().map { UInt8(truncatingIfNeeded: luns.count * 8 >> ($0 * 8)) } + [0, 0, 0, 0]
        for lun in luns.sorted() {
            bytes += lun < 256 ? [0, UInt8(lun)] : [0x40 | UInt8(lun >> 8), UInt8(lun & 0xFF)]
            bytes += [0, 0, 0, 0, 0, 0]
        }
        let allocated = cdb[6..<10].reduce(0) { $0 << 8 | Int($1) }
        answerData(chain, index, &state, Array(bytes.prefix(allocated)))
    }

    /// What becomes of a command: an answer at once, or work for an image.
    private func carryOut(
        _ action: SCSIAnswer, _ chain: DescriptorChain, _ index: Int, _ key: Key, _ unit: Unit,
        _ state: inout State, _ work: inout [@Sendable () -> Void]
    ) {
        let outCount = chain.readableCount - Self.requestHeader
        switch action {
        case .done: answer(chain, index, &state)
        case .failed(let sense): answer(chain, index, &state, sense: sense)
        case .data(let bytes): answerData(chain, index, &state, bytes)
        case .read(let offset, let count):
            guard let backend = unit.backend else { return answer(chain, index, &state, sense: Self.noMedium) }
            let room = min(count, chain.writableCount - Self.responseHeader)
            var segments: [BlockSegment] = []
            // SAFETY: the chain hands out pieces of guest memory that it has checked, and is kept until the request ends.
            let found = unsafe chain.forEachWritable(from: Self.responseHeader, count: room) { pointer, count in
                unsafe segments.append(BlockSegment(pointer: pointer, count: count))
            }
            guard found == room, room % 512 == 0 else {
                return answer(chain, index, &state, response: Response.failure)
            }
            submit(
                backend, .read, offset, room, segments, chain, index, &state, &work, written: room,
                residual: count - room)
        case .write(let offset, let count, let isForced):
            guard let backend = unit.backend else { return answer(chain, index, &state, sense: Self.noMedium) }
            var segments: [BlockSegment] = []
            let found = unsafe chain.forEachReadable(from: Self.requestHeader, count: count) { pointer, count in
                unsafe segments.append(BlockSegment(pointer: pointer, count: count))
            }
            guard found == count else { return answer(chain, index, &state, response: Response.failure) }
            submit(backend, .write, offset, count, segments, chain, index, &state, &work, isForced: isForced)
        case .flush:
            guard let backend = unit.backend else { return answer(chain, index, &state) }
            submit(backend, .flush, 0, 0, [], chain, index, &state, &work)
        case .unmap(let count):
            let bytes = chain.bytes(at: Self.requestHeader, count: min(count, outCount))
            guard let ranges = unit.model.ranges(bytes) else {
                return answer(chain, index, &state, sense: SCSIUnit.outOfRange)
            }
            guard let backend = unit.backend, !ranges.isEmpty else { return answer(chain, index, &state) }
            state.inFlight += 1
            work.append { [self] in discard(ranges[...], backend, chain, index) }
        case .writeSame(let offset, let length, let unmaps):
            let size = unit.model.properties.blockSize
            let block = chain.bytes(at: Self.requestHeader, count: size)
            guard block.allSatisfy({ $0 == 0 }), let backend = unit.backend else {
                // Only zeroes are spread: whoever wants other bytes writes them.
                return answer(chain, index, &state, sense: SCSIUnit.illegalField)
            }
            submit(
                backend, .writeZeroes(mayUnmap: unmaps), offset, Int(clamping: length), [], chain, index, &state, &work)
        case .modeSelect(let count, let isLong):
            let bytes = chain.bytes(at: Self.requestHeader, count: min(count, outCount))
            let isGood = state.units[key]?.model.select(bytes, isLong: isLong) ?? false
            answer(chain, index, &state, sense: isGood ? nil : IDEDrive.Sense(key: 5, code: 0x26))
        }
    }

    private static let noMedium = IDEDrive.Sense(key: 2, code: 0x3A)

    private func submit(
        _ backend: any BlockBackend, _ operation: BlockRequest.Operation, _ offset: UInt64, _ count: Int,
        _ segments: [BlockSegment], _ chain: DescriptorChain, _ index: Int, _ state: inout State,
        _ work: inout [@Sendable () -> Void], isForced: Bool = false, written: Int = 0, residual: Int = 0
    ) {
        state.inFlight += 1
        let request = BlockRequest(
            operation: operation, offset: offset, length: UInt64(count), segments: segments, forceUnitAccess: isForced
        ) { [self] error in
            complete(chain, index, error, written: written, residual: residual)
        }
        work.append {
            backend.submit(request)
            (backend as? any BatchingBackend)?.poll()
        }
    }

    /// Discards ranges one after the other; what cannot be discarded stays as it is.
    private func discard(
        _ ranges: ArraySlice<(offset: UInt64, length: UInt64)>, _ backend: any BlockBackend, _ chain: DescriptorChain,
        _ index: Int
    ) {
        guard let first = ranges.first else { return complete(chain, index, 0, written: 0, residual: 0) }
        let rest = Array(ranges.dropFirst())
        backend.submit(
            BlockRequest(operation: .discard, offset: first.offset, length: first.length) { [self] _ in
                discard(rest[...], backend, chain, index)
            })
    }

    // MARK: Answers

    private func complete(_ chain: DescriptorChain, _ index: Int, _ error: Int32, written: Int, residual: Int) {
        state.withLock { state in
            if written > 0 { chain.noteWritten(from: Self.responseHeader, count: written) }
            if error == 0 {
                answer(chain, index, &state, written: written, residual: residual)
            } else {
                answer(chain, index, &state, sense: IDEDrive.Sense(key: 3, code: written > 0 ? 0x11 : 0x0C))
            }
            state.inFlight -= 1
            if state.queues.indices.contains(index), let queue = state.queues[index], queue.needsInterrupt() {
                state.interrupt?.signalQueue(index)
            }
        }
        idle.ring()
    }

    private func answerData(_ chain: DescriptorChain, _ index: Int, _ state: inout State, _ bytes: [UInt8]) {
        let written = chain.write(at: Self.responseHeader, bytes: bytes)
        answer(chain, index, &state, written: written)
    }

    /// Fills in a command's response and gives its buffers back.
    private func answer(
        _ chain: DescriptorChain, _ index: Int, _ state: inout State, response: UInt8 = Response.ok,
        sense: IDEDrive.Sense? = nil, written: Int = 0, residual: Int = 0
    ) {
        var bytes: [UInt8] = []
        let detail = sense.map { SCSIUnit.bytes(of: $0) } ?? []
        VirtioConfiguration.append(&bytes, UInt32(detail.count))
        VirtioConfiguration.append(&bytes, UInt32(clamping: residual))
        bytes += [0, 0, sense == nil ? Status.good : Status.checkCondition, response]
        bytes += detail
        chain.write(at: 0, bytes: bytes)
        guard state.queues.indices.contains(index) else { return }
        state.queues[index]?.push(chain, written: Self.responseHeader + written)
    }
}
