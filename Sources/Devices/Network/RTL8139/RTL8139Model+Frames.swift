internal import GuestMemory

// Frames on their way. Data sheet, chapters 5 and 8.
extension RTL8139Model {
    private var isPlusReceiving: Bool { word(Register.plusCommand) & 2 != 0 }
    private var isPlusSending: Bool { word(Register.plusCommand) & 1 != 0 }
    private var isReceiving: Bool { self[Register.command] & Command.receive != 0 }

    // MARK: Sending

    package mutating func transmit(_ now: UInt64, into frames: inout CardFrames) -> Bool {
        guard self[Register.command] & Command.transmit != 0 else { return false }
        if isPlusSending { return transmitPlus(into: &frames) }
        for _ in 0..<4 {
            let status = dword(Register.transmitStatus + nextDescriptor * 4)
            guard status & 1 << 13 == 0 else { break }
            let count = Int(status & 0x1FFF)
            let address = GuestPhysical(UInt64(dword(Register.transmitAddress + nextDescriptor * 4)))
            var result = status | 1 << 13
            if count <= 1792, let frame = try? memory.bytes(address, count: count) {
                send(frame, into: &frames)
                result |= 1 << 15
                causes |= Cause.sent
            } else {
                // Aborted: too long, or not in memory.
                result |= 1 << 30
                causes |= Cause.sendFailed
            }
            set(Register.transmitStatus + nextDescriptor * 4, result)
            nextDescriptor = (nextDescriptor + 1) & 3
        }
        return false
    }

    private func send(_ frame: [UInt8], into frames: inout CardFrames) {
        guard frame.count >= 14, frame.count <= Ethernet.mostBytes else { return }
        frames.append(frame.count < 60 ? frame + [UInt8](repeating: 0, count: 60 - frame.count) : frame)
    }

    private enum Descriptor {
        static let own: UInt32 = 1 << 31
        static let endOfRing: UInt32 = 1 << 30
        static let first: UInt32 = 1 << 29
        static let last: UInt32 = 1 << 28
        static let largeSend: UInt32 = 1 << 27
        static let tag: UInt32 = 1 << 17
    }
    /// Descriptors that one turn takes: as many as a ring may have.
    private static let turn = 64

    private mutating func transmitPlus(into frames: inout CardFrames) -> Bool {
        let base = qword(Register.transmitAddress)
        for _ in 0..<Self.turn {
            let place = GuestPhysical(base &+ UInt64(plusTransmit * 16))
            guard let flags = try? memory.load(place, as: UInt32.self), flags & Descriptor.own != 0,
                let options = try? memory.load(place + 4, as: UInt32.self),
                let address = try? memory.load(place + 8, as: UInt64.self)
            else { return false }
            if flags & Descriptor.first != 0 {
                packet = []
                packetOptions = UInt64(flags) | UInt64(options) << 32
            }
            let count = Int(flags & 0xFFFF)
            if packet.count + count <= Self.mostPacket, let bytes = try? memory.bytes(GuestPhysical(address), count: count)
            {
                packet += bytes
            }
            if flags & Descriptor.last != 0 { finishPacket(into: &frames) }
            // It gives the descriptor back with all cleared that counts errors and collisions in a status.
            try? memory.store(place, flags & ~(Descriptor.own | 0x0FFF_0000))
            plusTransmit = flags & Descriptor.endOfRing != 0 ? 0 : (plusTransmit + 1) & 63
            if frames.bytes.count >= CardFrames.limit { return true }
        }
        return true
    }

    private mutating func finishPacket(into frames: inout CardFrames) {
        let flags = UInt32(truncatingIfNeeded: packetOptions)
        let options = UInt32(truncatingIfNeeded: packetOptions >> 32)
        var frame: [UInt8] = []
        swap(&frame, &packet)
        causes |= Cause.sent
        guard frame.count >= 14 else { return }
        let headerAt = 14
        if flags & Descriptor.largeSend != 0 {
            cut(frame, size: Int(flags >> 16 & 0x7FF), into: &frames)
            return
        }
        if flags & 7 << 16 != 0, frame.count >= headerAt + 20, frame[12] == 8, frame[13] == 0 {
            let header = Int(frame[headerAt] & 15) * 4
            if flags & 1 << 18 != 0 { Self.sum(&frame, headerAt, headerAt + header, at: headerAt + 10, pseudo: nil) }
            let isUDP = frame[headerAt + 9] == 17
            if flags & 3 << 16 != 0, isUDP || frame[headerAt + 9] == 6 {
                let pseudo = (headerAt, header)
                Self.sum(&frame, headerAt + header, frame.count, at: headerAt + header + (isUDP ? 6 : 16), pseudo: pseudo)
            }
        }
        if options & Descriptor.tag != 0 {
            frame.insert(contentsOf: [0x81, 0, UInt8(options & 0xFF), UInt8(options >> 8 & 0xFF)], at: 12)
        }
        send(frame, into: &frames)
    }

    /// The Internet checksum of a range, put at a place that is first cleared; `pseudo` names the IPv4 header whose
    /// pseudo header is part of it.
    private static func sum(
        _ frame: inout [UInt8], _ start: Int, _ end: Int, at place: Int, pseudo: (start: Int, count: Int)?
    ) {
        guard start < end, end <= frame.count, place >= start, place + 1 < end else { return }
        frame[place] = 0
        frame[place + 1] = 0
        var sum: UInt64 = 0
        func add(_ range: Range<Int>) {
            for index in range { sum &+= UInt64(frame[index]) << ((index - range.lowerBound) % 2 == 0 ? 8 : 0) }
        }
        add(start..<end)
        if let pseudo {
            add(pseudo.start + 12..<pseudo.start + 20)
            let length = Int(frame[pseudo.start + 2]) << 8 | Int(frame[pseudo.start + 3])
            sum &+= UInt64(frame[pseudo.start + 9]) &+ UInt64(max(length - pseudo.count, 0))
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        frame[place] = UInt8(truncatingIfNeeded: ~sum >> 8)
        frame[place + 1] = UInt8(truncatingIfNeeded: ~sum)
    }

    /// A TCP packet over IPv4 in pieces of `size` bytes of data.
    private func cut(_ frame: [UInt8], size: Int, into frames: inout CardFrames) {
        guard size > 0, frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[23] == 6 else { return }
        let ip = Int(frame[14] & 15) * 4
        let transport = 14 + ip
        guard ip >= 20, transport + 20 <= frame.count else { return }
        let header = transport + Int(frame[transport + 12] >> 4) * 4
        guard header <= frame.count, header >= transport + 20 else { return }
        let sequence = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(frame[transport + 4 + $1]) }
        let identification = UInt16(frame[18]) << 8 | UInt16(frame[19])
        var position = header
        var index = 0
        while position < frame.count, index < 4096 {
            let count = min(size, frame.count - position)
            var piece = Array(frame[..<header]) + frame[position..<position + count]
            func put(_ place: Int, _ value: UInt16) {
                piece[place] = UInt8(value >> 8)
                piece[place + 1] = UInt8(value & 0xFF)
            }
            put(16, UInt16(truncatingIfNeeded: piece.count - 14))
            put(18, identification &+ UInt16(truncatingIfNeeded: index))
            let number = sequence &+ UInt32(truncatingIfNeeded: position - header)
            put(transport + 4, UInt16(truncatingIfNeeded: number >> 16))
            put(transport + 6, UInt16(truncatingIfNeeded: number))
            if position + count < frame.count { piece[transport + 13] &= ~0x09 }
            Self.sum(&piece, 14, transport, at: 24, pseudo: nil)
            Self.sum(&piece, transport, piece.count, at: transport + 16, pseudo: (14, ip))
            send(piece, into: &frames)
            position += count
            index += 1
        }
    }

    // MARK: Receiving

    /// Bytes of the receive ring.
    private var ringSize: Int { 8192 << Int(dword(Register.receiveConfiguration) >> 11 & 3) }
    private var readPlace: Int { (Int(word(Register.readPointer)) + 16) % ringSize }
    var isBufferEmpty: Bool { Int(word(Register.writePointer)) % ringSize == readPlace }
    private var freeBytes: Int {
        let place = Int(word(Register.writePointer)) % ringSize
        return place == readPlace ? ringSize : (readPlace - place + ringSize) % ringSize
    }

    package var canReceive: Bool {
        guard hasLink || isLoopback, isReceiving else { return false }
        if isPlusReceiving { return plusBuffer != nil }
        return freeBytes >= 1514 + 8 + 4
    }

    /// The rings of the C+ mode are in memory alone.
    package var refillsSilently: Bool { hasLink && isReceiving && isPlusReceiving }

    /// The next descriptor of the C+ mode's ring where it is the card's.
    private var plusBuffer: (place: GuestPhysical, flags: UInt32)? {
        let place = GuestPhysical(qword(Register.plusReceive) &+ UInt64(plusReceive * 16))
        guard let flags = try? memory.load(place, as: UInt32.self), flags & Descriptor.own != 0 else { return nil }
        return (place, flags)
    }

    private enum Match { case own, multicast, broadcast, promiscuous }
    private func match(_ frame: UnsafeRawBufferPointer) -> Match? {
        let accepted = dword(Register.receiveConfiguration)
        // SAFETY: a frame has at least its header, and lives over the call.
        let destination = unsafe [UInt8](frame[..<6])
        if accepted & 1 != 0 {
            return destination == [UInt8](repeating: 0xFF, count: 6)
                ? .broadcast : destination[0] & 1 != 0 ? .multicast : Array(bytes[..<6]) == destination ? .own : .promiscuous
        }
        if destination == [UInt8](repeating: 0xFF, count: 6) { return accepted & 8 != 0 ? .broadcast : nil }
        if destination[0] & 1 != 0 {
            let bit = Ethernet.multicastHash(destination)
            return accepted & 4 != 0 && self[Register.multicast + bit / 8] >> UInt8(bit & 7) & 1 != 0 ? .multicast : nil
        }
        return accepted & 2 != 0 && Array(bytes[..<6]) == destination ? .own : nil
    }

    package mutating func receive(_ frame: UnsafeRawBufferPointer, _ now: UInt64) -> Bool {
        guard hasLink || isLoopback, isReceiving, frame.count >= 14, frame.count <= 4096,
            let match = unsafe match(frame)
        else { return true }
        var bytes = unsafe [UInt8](frame)
        if bytes.count < 60 { bytes += [UInt8](repeating: 0, count: 60 - bytes.count) }
        return isPlusReceiving ? receivePlus(bytes, match) : receiveRing(bytes, match)
    }

    private mutating func receiveRing(_ frame: [UInt8], _ match: Match) -> Bool {
        let size = ringSize
        let total = (4 + frame.count + 4 + 3) & ~3
        guard freeBytes > total else {
            causes |= Cause.overflow
            set(Register.missed, (dword(Register.missed) + 1) & 0xFF_FFFF)
            return false
        }
        var status: UInt16 = 1
        switch match {
        case .own: status |= 1 << 14
        case .multicast: status |= 1 << 15
        case .broadcast: status |= 1 << 13
        case .promiscuous: break
        }
        let length = UInt16(frame.count + 4)
        let bytes =
            [UInt8(status & 0xFF), UInt8(status >> 8), UInt8(length & 0xFF), UInt8(length >> 8)] + frame
            + Ethernet.checkSequence(frame)
        let base = UInt64(dword(Register.receiveBuffer))
        let place = Int(word(Register.writePointer)) % size
        // With the wrap bit a packet goes on behind the ring's end. 5.7; not with the largest ring.
        let goesOn = dword(Register.receiveConfiguration) & 0x80 != 0 && size < 65536
        let first = goesOn ? bytes.count : min(bytes.count, size - place)
        try? memory.write(GuestPhysical(base + UInt64(place)), bytes: Array(bytes[..<first]))
        if first < bytes.count { try? memory.write(GuestPhysical(base), bytes: Array(bytes[first...])) }
        set(Register.writePointer, UInt16(truncatingIfNeeded: (place + total) % size))
        causes |= Cause.received
        return true
    }

    private mutating func receivePlus(_ frame: [UInt8], _ match: Match) -> Bool {
        guard let (place, flags) = plusBuffer, let options = try? memory.load(place + 4, as: UInt32.self),
            let address = try? memory.load(place + 8, as: UInt64.self)
        else {
            causes |= Cause.overflow
            set(Register.missed, (dword(Register.missed) + 1) & 0xFF_FFFF)
            return false
        }
        var frame = frame
        var tag = options & ~0x1FFFF
        if word(Register.plusCommand) & 0x40 != 0, frame.count >= 18, frame[12] == 0x81, frame[13] == 0 {
            tag |= 1 << 16 | UInt32(frame[14]) | UInt32(frame[15]) << 8
            frame.removeSubrange(12..<16)
        }
        let bytes = frame + Ethernet.checkSequence(frame)
        let isTooLong = bytes.count > Int(flags & 0x1FFF)
        if !isTooLong { try? memory.write(GuestPhysical(address), bytes: bytes) }
        var result = flags & Descriptor.endOfRing | Descriptor.first | Descriptor.last
        result |= UInt32(isTooLong ? 0 : bytes.count)
        // An error summary with a watchdog time-out, as for all that is too long.
        if isTooLong { result |= 1 << 22 | 1 << 21 }
        switch match {
        case .own: result |= 1 << 26
        case .multicast: result |= 1 << 27
        case .broadcast: result |= 1 << 25
        case .promiscuous: break
        }
        try? memory.store(place + 4, tag)
        try? memory.store(place, result)
        plusReceive = flags & Descriptor.endOfRing != 0 ? 0 : (plusReceive + 1) & 63
        causes |= Cause.received
        return true
    }
}
