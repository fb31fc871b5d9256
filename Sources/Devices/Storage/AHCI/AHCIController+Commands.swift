internal import BlockImage
internal import GuestMemory
internal import HostOS
internal import Synchronization

// How commands are taken from a port's list, done and answered. Serial ATA AHCI 1.3.1, chapters 4 and 5.
extension AHCIController {
    /// A command that was taken.
    struct Taken {
        let port: Int
        let slot: Int
        /// The port's life that it belongs to.
        let life: UInt64
        let listBase: UInt64
        var header: UInt64 { listBase + UInt64(slot) * 32 }
    }
    /// How it ended.
    private enum Outcome {
        case done
        case failed(UInt8)
        /// The list, the FIS or the data lie where there is no memory.
        case fault
    }

    /// Takes all commands that are there. The worker's thread.
    func takeCommands() {
        while true {
            let taken = state.withLock { state -> Taken? in
                guard !state.isPaused else { return nil }
                for port in state.drives.indices {
                    guard let slot = state.model.ready(port).first else { continue }
                    state.model.ports[port].taken |= 1 << UInt32(slot)
                    state.inFlight[port] += 1
                    return Taken(
                        port: port, slot: slot, life: state.lives[port], listBase: state.model.ports[port].listBase)
                }
                return nil
            }
            guard let taken else { return }
            perform(taken)
        }
    }

    private func perform(_ taken: Taken) {
        guard let header = try? memory.bytes(GuestPhysical(taken.header), count: 16) else {
            return finish(taken, .fault, queued: false)
        }
        func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32($1 * 8) }
        }
        let table = UInt64(word(header, 8) & ~0x7F) | UInt64(word(header, 12)) << 32
        guard let fis = try? memory.bytes(GuestPhysical(table), count: 0x50), fis[0] == 0x27 else {
            return finish(taken, .fault, queued: false)
        }
        guard fis[1] & 0x80 != 0 else { return control(taken, fis) }
        let entries = Int(word(header, 0) >> 16)
        var scatter = GuestScatter()
        if entries > 0 {
            guard let list = try? memory.bytes(GuestPhysical(table + 0x80), count: entries * 16) else {
                return finish(taken, .fault, queued: false)
            }
            scatter.segments = (0..<entries).map { entry in
                let address = UInt64(word(list, entry * 16)) | UInt64(word(list, entry * 16 + 4)) << 32
                return GuestSegment(address: address & ~1, count: Int(word(list, entry * 16 + 12) & 0x3F_FFFF | 1) + 1)
            }
        }
        let isQueued = IDEDrive.isQueued(fis[2])
        let (action, image) = state.withLock { state -> (ATAAction, (any BlockBackend)?) in
            guard state.drives[taken.port] != nil else { return (.failed(ATAError.aborted), nil) }
            let action = state.drives[taken.port]?.perform(fis: fis) ?? .done
            if !isQueued { state.model.ports[taken.port].taskFile |= 0x80 }
            return (action, state.backends[taken.port])
        }
        if case .packet = action { return performPacket(taken, Array(fis[0x40..<0x4C]), scatter, image) }
        carryOut(taken, action, scatter, image, queued: isQueued)
    }

    private func carryOut(
        _ taken: Taken, _ action: ATAAction, _ scatter: GuestScatter, _ image: (any BlockBackend)?, queued: Bool
    ) {
        switch action {
        case .done, .packet: finish(taken, .done, queued: queued)
        case .reset:
            state.withLock { $0.drives[taken.port]?.reset(powerOn: false) }
            finish(taken, .done, queued: false)
        case .failed(let error): finish(taken, .failed(error), queued: queued)
        case .data(let bytes):
            let count = min(bytes.count, scatter.count)
            let isThere = scatter.write(Array(bytes.prefix(count)), to: memory)
            finish(taken, isThere ? .done : .fault, queued: queued, moved: count, isPIO: true)
        case .read(let offset, let count): move(taken, image, false, offset, count, scatter, false, queued)
        case .write(let offset, let count, let isForced):
            move(taken, image, true, offset, count, scatter, isForced, queued)
        case .flush:
            guard let image else { return finish(taken, .done, queued: queued) }
            image.submit(
                BlockRequest(operation: .flush) { [self] error in
                    finish(taken, error == 0 ? .done : .failed(ATAError.aborted), queued: queued)
                })
        case .trim(let count):
            guard let image, let ranges = scatter.read(count, from: memory) else {
                return finish(taken, .fault, queued: queued)
            }
            trim(taken, image, ranges, 0)
        }
    }

    private func move(
        _ taken: Taken, _ image: (any BlockBackend)?, _ isWrite: Bool, _ offset: UInt64, _ count: Int,
        _ scatter: GuestScatter, _ isForced: Bool, _ queued: Bool
    ) {
        guard let image else { return finish(taken, .failed(ATAError.aborted), queued: queued) }
        // A list that is too short for the command is an overflow, which ends it. 6.1.9.
        guard scatter.count >= count else { return finish(taken, .fault, queued: queued) }
        BlockTransfer.start(
            image, isWrite: isWrite, offset: offset, count: count, scatter: scatter, memory: memory,
            forceUnitAccess: isForced
        ) { [self] error in
            switch error {
            case 0: finish(taken, .done, queued: queued, moved: count)
            case BlockTransfer.badAddress: finish(taken, .fault, queued: queued)
            default: finish(taken, .failed(isWrite ? ATAError.aborted : ATAError.uncorrectable), queued: queued)
            }
        }
        (image as? any BatchingBackend)?.poll()
    }

    /// Discards the ranges of DATA SET MANAGEMENT, eight bytes each, one after the other.
    private func trim(_ taken: Taken, _ image: any BlockBackend, _ ranges: [UInt8], _ first: Int) {
        var place = first
        while place + 8 <= ranges.count {
            let entry = (0..<8).reduce(UInt64(0)) { $0 | UInt64(ranges[place + $1]) << UInt64($1 * 8) }
            let (lba, count) = (entry & 0xFFFF_FFFF_FFFF, entry >> 48)
            place += 8
            guard count > 0 else { continue }
            guard lba <= image.sizeInBytes / 512, count <= image.sizeInBytes / 512 - lba else {
                return finish(taken, .failed(ATAError.noSector), queued: false)
            }
            let next = place
            image.submit(
                BlockRequest(operation: .discard, offset: lba * 512, length: count * 512) { [self] error in
                    // What cannot be discarded stays as it is.
                    _ = error
                    trim(taken, image, ranges, next)
                })
            return
        }
        finish(taken, .done, queued: false)
    }

    private func performPacket(
        _ taken: Taken, _ packet: [UInt8], _ scatter: GuestScatter, _ image: (any BlockBackend)?
    ) {
        let answer = state.withLock { $0.drives[taken.port]?.perform(packet: packet) ?? .done }
        noteTrays()
        switch answer {
        case .done: finishPacket(taken, nil)
        case .failed(let sense): finishPacket(taken, sense)
        case .data(let bytes):
            let count = min(bytes.count, scatter.count)
            let isThere = scatter.write(Array(bytes.prefix(count)), to: memory)
            finishPacket(taken, isThere ? nil : IDEDrive.Sense(key: 4), moved: count)
        case .blocks(let lba, let blocks):
            let count = min(blocks * 2048, scatter.count)
            guard let image else { return finishPacket(taken, IDEDrive.Sense(key: 2, code: 0x3A)) }
            BlockTransfer.start(
                image, isWrite: false, offset: lba * 2048, count: count, scatter: scatter, memory: memory
            ) { [self] error in
                finishPacket(taken, error == 0 ? nil : IDEDrive.Sense(key: 3, code: 0x11), moved: count)
            }
            (image as? any BatchingBackend)?.poll()
        }
    }
    private func finishPacket(_ taken: Taken, _ sense: IDEDrive.Sense?, moved: Int = 0) {
        state.withLock { state in
            state.drives[taken.port]?.sense = sense ?? IDEDrive.Sense()
            state.drives[taken.port]?.task.count.current = ATAReason.done
        }
        let outcome = sense.map { Outcome.failed($0.key << 4 | ATAError.aborted) } ?? .done
        finish(taken, outcome, queued: false, moved: moved)
    }

    /// A FIS of the device control register: the two halves of a software reset.
    private func control(_ taken: Taken, _ fis: [UInt8]) {
        let isReset = fis[15] & ATAControl.softwareReset != 0
        let ended = state.withLock { state in
            let ended = state.isResetting[taken.port] && !isReset
            state.isResetting[taken.port] = isReset
            if ended { state.drives[taken.port]?.reset(powerOn: false) }
            state.inFlight[taken.port] -= 1
            state.model.ports[taken.port].taken &= ~(1 << UInt32(taken.slot))
            if taken.life == state.lives[taken.port] {
                state.model.ports[taken.port].issue &= ~(1 << UInt32(taken.slot))
            }
            return ended
        }
        idle.ring()
        if ended { postSignature(taken.port) }
    }

    // MARK: Answers

    /// Stores the FIS that a device sends after its reset.
    func postSignature(_ port: Int) {
        let fis = state.withLock { state -> (UInt64, [UInt8])? in
            state.model.sign(port)
            guard let drive = state.drives[port] else { return nil }
            state.model.ports[port].taskFile = UInt32(drive.task.error) << 8 | UInt32(drive.task.status)
            guard state.model.receives(port) else { return nil }
            return (state.model.ports[port].fisBase, drive.registerFIS(type: 0x34, interrupts: false))
        }
        guard let (base, bytes) = fis else { return }
        try? memory.write(GuestPhysical(base + 0x40), bytes: bytes)
    }

    private func finish(_ taken: Taken, _ outcome: Outcome, queued: Bool, moved: Int = 0, isPIO: Bool = false) {
        let port = taken.port
        // What the driver finds in memory is there before it hears of it.
        let posted = state.withLock { state -> [(UInt64, [UInt8])] in
            guard taken.life == state.lives[port], var drive = state.drives[port] else { return [] }
            if case .failed(let error) = outcome {
                drive.task.status = ATAStatus.idle | ATAStatus.error
                drive.task.error = error
            } else {
                drive.task.status = ATAStatus.idle
                drive.task.error = 0
            }
            state.drives[port] = drive
            let moved = UInt32(clamping: moved)
            var writes = [
                (taken.header + 4, (0..<4).map { UInt8(truncatingIfNeeded: moved >> UInt32($0 * 8)) })
            ]
            guard state.model.receives(port) else { return writes }
            let base = state.model.ports[port].fisBase
            if queued {
                let bit = UInt32(1) << UInt32(taken.slot)
                let active = (0..<4).map { UInt8(truncatingIfNeeded: bit >> UInt32($0 * 8)) }
                writes.append((base + 0x58, [0xA1, 0x40, drive.task.status & 0x77, drive.task.error] + active))
            } else {
                if isPIO { writes.append((base + 0x20, drive.registerFIS(type: 0x5F, interrupts: true))) }
                writes.append((base + 0x40, drive.registerFIS(type: 0x34, interrupts: true)))
            }
            return writes
        }
        for (address, bytes) in posted { try? memory.write(GuestPhysical(address), bytes: bytes) }
        let hasMore = state.withLock { state -> Bool in
            let bit = UInt32(1) << UInt32(taken.slot)
            state.inFlight[port] -= 1
            state.model.ports[port].taken &= ~bit
            guard taken.life == state.lives[port] else { return true }
            var bits = queued ? AHCIModel.Interrupt.deviceBits : AHCIModel.Interrupt.register
            if isPIO { bits |= AHCIModel.Interrupt.pioSetup }
            switch outcome {
            case .done:
                state.model.ports[port].issue &= ~bit
                if queued { state.model.ports[port].active &= ~bit }
            case .failed:
                bits |= AHCIModel.Interrupt.taskFileError
                state.model.ports[port].isHalted = true
                if queued { state.model.ports[port].issue &= ~bit }
            case .fault:
                bits = AHCIModel.Interrupt.busFatal
                state.model.ports[port].isHalted = true
            }
            if let drive = state.drives[port], !queued || drive.task.error != 0 {
                state.model.ports[port].taskFile = UInt32(drive.task.error) << 8 | UInt32(drive.task.status)
            }
            let isNew = state.model.raise(port, bits)
            settle(state, isNew: isNew)
            return true
        }
        idle.ring()
        if hasMore { schedule() }
    }
}
