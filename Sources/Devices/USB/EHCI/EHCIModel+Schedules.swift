// The two schedules. Enhanced Host Controller Interface 1.0, 3 and 4.
extension EHCIModel {
    /// Heads and elements that are looked at in a turn of a schedule.
    private static let visitLimit = 256
    private static let byteLimit = 1 << 20

    private enum Link {
        static let end: UInt32 = 1
        static func address(_ link: UInt32) -> UInt32 { link & ~0x1F }
        static func kind(_ link: UInt32) -> UInt32 { link >> 1 & 3 }
        static let isochronous: UInt32 = 0
        static let head: UInt32 = 1
        static let split: UInt32 = 2
        static let frame: UInt32 = 3
    }

    /// Does the work of `frames` frames.
    mutating func run(frames: Int, _ memory: some USBMemory) {
        guard isRunning else { return }
        for _ in 0..<min(frames, 16) {
            if command & Command.periodic != 0 { runPeriodic(memory) }
            let last = frame
            frame = (frame &+ 8) & 0x3FFF
            if (last ^ frame) & 0x2000 != 0 { status |= Status.rollover }
        }
        runAsynchronous(memory)
    }

    /// Does the work of the asynchronous schedule.
    mutating func runAsynchronous(_ memory: some USBMemory) {
        guard isRunning else { return }
        if command & Command.asynchronous != 0 { runRing(memory) }
        if command & Command.doorbell != 0 {
            command &= ~Command.doorbell
            status |= Status.advance
        }
        status |= due
        due = 0
    }

    private mutating func runPeriodic(_ memory: some USBMemory) {
        guard var link = memory.word(periodicBase &+ (frame >> 3 & 0x3FF) * 4) else { return stopByError() }
        var (visits, bytes) = (0, 0)
        while link & Link.end == 0, visits < Self.visitLimit {
            visits += 1
            let address = Link.address(link)
            switch Link.kind(link) {
            case Link.head:
                guard let words = memory.words(UInt64(address), count: 12) else { return stopByError() }
                // Heads without a microframe are no interrupt's.
                if words[2] & 0xFF != 0 { _ = runHead(address, memory, &bytes) }
                link = words[0]
            default:
                guard let next = memory.word(address) else { return stopByError() }
                link = next
            }
        }
        status |= due
        due = 0
    }

    private mutating func stopByError() {
        status |= Status.systemError | Status.halted
        command &= ~Command.run
    }

    private mutating func runRing(_ memory: some USBMemory) {
        var address = asynchronousAddress & ~0x1F
        let first = address
        guard address != 0 else { return }
        var (visits, bytes) = (0, 0)
        var hasMoved = false
        while visits < Self.visitLimit, bytes < Self.byteLimit {
            visits += 1
            guard let link = memory.word(address) else { return stopByError() }
            if runHead(address, memory, &bytes) { hasMoved = true }
            guard isRunning else { return }
            guard link & Link.end == 0, Link.kind(link) == Link.head else { break }
            address = Link.address(link)
            if address == first {
                if !hasMoved { break }
                hasMoved = false
            }
        }
        asynchronousAddress = address
    }

    private enum Token {
        static let active: UInt32 = 0x80
        static let halted: UInt32 = 0x40
        static let bufferError: UInt32 = 0x20
        static let transactionError: UInt32 = 0x08
        static let completes: UInt32 = 0x8000
    }
    /// Elements of a head in one visit.
    private static let elementLimit = 64

    /// Works on the queue of a head. True where anything moved. 4.10.
    private mutating func runHead(_ address: UInt32, _ memory: some USBMemory, _ bytes: inout Int) -> Bool {
        guard var head = memory.words(UInt64(address), count: 12) else {
            stopByError()
            return false
        }
        var hasMoved = false
        for _ in 0..<Self.elementLimit where bytes < Self.byteLimit {
            if head[6] & Token.active == 0 {
                // Halted queues wait for their driver; else the next element becomes the overlay.
                guard head[6] & Token.halted == 0 else { return hasMoved }
                // After a short packet the alternate one, where there is one.
                let left = head[6] >> 16 & 0x7FFF
                var next = left != 0 && head[5] & Link.end == 0 ? head[5] : head[4]
                if next & Link.end != 0 { return hasMoved }
                next = Link.address(next)
                guard let element = memory.words(UInt64(next), count: 8) else {
                    stopByError()
                    return hasMoved
                }
                guard element[2] & Token.active != 0 else { return hasMoved }
                let toggle = head[1] & 0x4000 != 0 ? element[2] & 0x8000_0000 : head[6] & 0x8000_0000
                head[3] = next
                head[4] = element[0]
                // The counter of refusals is in the alternate link.
                head[5] = element[1]
                head[6] = element[2] & 0x7FFF_FFFF | toggle
                for index in 0..<5 { head[7 + index] = element[3 + index] }
            }
            let result = execute(&head, memory, &bytes)
            memory.store(UInt64(address) + 12, words: Array(head[3...]))
            guard result != .waits else { return hasMoved }
            hasMoved = true
            // What the overlay says is the element's result.
            memory.store(UInt64(head[3]) + 8, words: [head[6], head[7]])
            if head[6] & Token.completes != 0 || result == .ended(isShort: true) { due |= Status.interrupt }
            if head[6] & Token.halted != 0 {
                due |= Status.error
                return true
            }
        }
        return hasMoved
    }

    private enum Outcome: Equatable {
        case waits
        case ended(isShort: Bool)
    }

    /// Does the transfer that is in the overlay.
    private mutating func execute(_ head: inout [UInt32], _ memory: some USBMemory, _ sum: inout Int) -> Outcome {
        var token = head[6]
        var left = Int(token >> 16 & 0x7FFF)
        let maxPacket = max(Int(head[1] >> 16 & 0x7FF), 1)
        let endpoint = UInt8(head[1] >> 8 & 15)
        let address = UInt8(head[1] & 0x7F)
        var device: USBPeripheral?
        for port in ports where device == nil && port.status & PortBit.enabled != 0 {
            device = port.device?.find(address: address)
        }
        var page = Int(token >> 12 & 7)
        func end(_ bits: UInt32) -> Outcome {
            token = token & ~(Token.active | 0x7FFF_7000) | bits | UInt32(left) << 16 | UInt32(page) << 12
            head[6] = token
            return .ended(isShort: false)
        }
        guard let device else { return end(Token.halted | Token.transactionError) }
        guard left <= 0x5000 else { return end(Token.halted | Token.bufferError) }
        let kind = token >> 8 & 3
        var offset = head[7] & 0xFFF
        func pieces(_ count: Int) -> [(UInt64, Int)]? {
            var (at, in_, todo) = (page, Int(offset), count)
            var result: [(UInt64, Int)] = []
            while todo > 0 {
                guard at < 5 else { return nil }
                let run = min(0x1000 - in_, todo)
                result.append((UInt64(head[7 + at] & ~0xFFF) + UInt64(in_), run))
                todo -= run
                in_ = 0
                at += 1
            }
            return result
        }
        func advance(_ count: Int) {
            let place = Int(offset) + count
            page = min(page + place / 0x1000, 7)
            offset = UInt32(place % 0x1000)
            head[7] = head[7] & ~0xFFF | offset
            left -= count
            sum += count
            if (count + maxPacket - 1) / maxPacket & 1 == 1 || count == 0 { token ^= 0x8000_0000 }
        }
        func wait() -> Outcome {
            token = token & ~0x7FFF_7000 | UInt32(left) << 16 | UInt32(page) << 12
            head[6] = token
            return .waits
        }
        repeat {
            let room = left
            if kind == 1 {
                switch device.transact(.input, endpoint: endpoint, limit: room) {
                case .done(let bytes):
                    guard let places = pieces(bytes.count) else { return end(Token.halted | Token.bufferError) }
                    var done = 0
                    for (at, run) in places {
                        memory.store(at, Array(bytes[done..<done + run]))
                        done += run
                    }
                    advance(bytes.count)
                    if bytes.count % maxPacket != 0 || bytes.isEmpty {
                        let isShort = left > 0
                        _ = end(0)
                        return .ended(isShort: isShort)
                    }
                case .notReady: return wait()
                case .stall: return end(Token.halted)
                case .silence: return end(Token.halted | Token.transactionError)
                }
            } else {
                let count = min(room, 16 << 10)
                guard let places = pieces(count) else { return end(Token.halted | Token.bufferError) }
                var bytes: [UInt8] = []
                for (at, run) in places {
                    guard let part = memory.bytes(at, count: run) else { return end(Token.halted | Token.bufferError) }
                    bytes += part
                }
                switch device.transact(kind == 2 ? .setup : .output, endpoint: endpoint, output: bytes) {
                case .done: advance(count)
                case .notReady: return wait()
                case .stall: return end(Token.halted)
                case .silence: return end(Token.halted | Token.transactionError)
                }
            }
        } while left > 0
        return end(0)
    }
}
