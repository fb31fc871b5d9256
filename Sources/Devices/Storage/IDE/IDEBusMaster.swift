internal import GuestMemory

/// One channel's bus master: moves a drive's bytes to and from the guest memory that a table of regions names.
/// Intel 290550 (82371SB), 2.8; Programming Interface for Bus Master IDE Controller 1.0.
struct IDEBusMaster: Equatable {
    enum Command {
        static let start: UInt8 = 1 << 0
        static let writesMemory: UInt8 = 1 << 3
    }
    enum Status {
        static let active: UInt8 = 1 << 0
        static let error: UInt8 = 1 << 1
        static let interrupt: UInt8 = 1 << 2
        static let capable: UInt8 = 3 << 5
    }
    /// How a movement ended.
    enum Outcome: Equatable {
        case done
        /// The table has no more regions.
        case exhausted
        /// A region, or the table, is not in memory.
        case fault
    }
    /// A table lies within 64 KiB.
    static let mostEntries = 8192

    var command: UInt8 = 0
    var status: UInt8 = 0
    /// The table.
    var table: UInt32 = 0
    // The region that is in use.
    var entries = 0
    var address: UInt32 = 0
    var left = 0
    var isLast = false

    var isActive: Bool { status & Status.active != 0 }

    func read(_ offset: UInt64) -> UInt8 {
        switch offset {
        case 0: command
        case 2: status
        case 4...7: UInt8(truncatingIfNeeded: table >> UInt32((offset - 4) * 8))
        default: 0
        }
    }

    /// A driver's write of a byte. Returns true where the master has just started.
    mutating func write(_ offset: UInt64, _ value: UInt8) -> Bool {
        switch offset {
        case 0:
            let wasStarted = command & Command.start != 0
            command = value & (Command.start | Command.writesMemory)
            if value & Command.start == 0 {
                status &= ~Status.active
                return false
            }
            guard !wasStarted else { return false }
            status |= Status.active
            entries = 0
            left = 0
            isLast = false
            return true
        case 2:
            status = status & ~(value & (Status.error | Status.interrupt))
            status = status & ~Status.capable | value & Status.capable
        case 4...7:
            let shift = UInt32((offset - 4) * 8)
            table = (table & ~(0xFF << shift) | UInt32(value) << shift) & ~3
        default: break
        }
        return false
    }

    /// Ends activity without a word: the drive was reset.
    mutating func stop() {
        command &= ~Command.start
        status &= ~Status.active
    }

    /// The drive has no more: the master is active on as long as there are regions left.
    mutating func driveFinished() {
        if left == 0 && isLast { status &= ~Status.active }
    }

    /// Brings the next piece of at most `count` bytes in reach.
    private mutating func next(_ count: Int, _ memory: AddressSpace) -> Result<(GuestPhysical, Int), Failure> {
        if left == 0 {
            guard !isLast, entries < Self.mostEntries else { return .failure(.exhausted) }
            // The table wraps within its 64 KiB rather than to leave them.
            let place = table & 0xFFFF_0000 | (table &+ UInt32(entries * 8)) & 0xFFFF
            guard let entry = try? memory.load(GuestPhysical(UInt64(place)), as: UInt64.self) else {
                return .failure(.fault)
            }
            entries += 1
            address = UInt32(truncatingIfNeeded: entry) & ~1
            left = Int(entry >> 32 & 0xFFFE)
            if left == 0 { left = 0x1_0000 }
            isLast = entry >> 63 != 0
        }
        let part = min(left, count)
        let start = GuestPhysical(UInt64(address))
        address = address &+ UInt32(part)
        left -= part
        return .success((start, part))
    }
    private enum Failure: Error { case exhausted, fault }

    private mutating func end(_ failure: Failure) -> Outcome {
        status &= ~Status.active
        guard failure == .fault else { return .exhausted }
        status |= Status.error
        return .fault
    }

    /// Puts the drive's bytes into memory.
    mutating func store(_ bytes: UnsafeRawBufferPointer, _ memory: AddressSpace) -> Outcome {
        var done = 0
        while done < bytes.count {
            switch next(bytes.count - done, memory) {
            case .failure(let failure): return end(failure)
            case .success(let (address, count)):
                // SAFETY: a piece is at most what is left.
                let piece = unsafe UnsafeRawBufferPointer(rebasing: bytes[done..<done + count])
                guard unsafe (try? memory.write(address, from: piece)) != nil else { return end(.fault) }
                done += count
            }
        }
        return .done
    }

    /// Fills a buffer for the drive from memory.
    mutating func load(_ bytes: UnsafeMutableRawBufferPointer, _ memory: AddressSpace) -> Outcome {
        var done = 0
        while done < bytes.count {
            switch next(bytes.count - done, memory) {
            case .failure(let failure): return end(failure)
            case .success(let (address, count)):
                // SAFETY: a piece is at most what is left.
                let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[done..<done + count])
                guard unsafe (try? memory.read(address, into: piece)) != nil else { return end(.fault) }
                done += count
            }
        }
        return .done
    }
}
