internal import GuestMemory

// Frames on their way. AMD 19436, chapter "Buffer Management".
extension PCNetModel {
    /// A descriptor, whatever its style: the word that has OWN in its top bit, with the length below.
    private struct Descriptor {
        var place: GuestPhysical
        var status: UInt16
        var address: UInt32
        /// Bytes of the buffer.
        var count: Int
    }
    /// Bits of a descriptor's status.
    private enum Bit {
        static let own: UInt16 = 1 << 15
        static let error: UInt16 = 1 << 14
        static let bufferError: UInt16 = 1 << 10
        static let start: UInt16 = 1 << 9
        static let end: UInt16 = 1 << 8
        static let physical: UInt16 = 1 << 6
        static let logical: UInt16 = 1 << 5
        static let broadcast: UInt16 = 1 << 4
    }

    /// Entries of a ring: its length is kept as a negative number. 0 counts as the longest.
    private func length(_ register: Int) -> Int {
        let count = Int(0 &- csr[register])
        return count == 0 ? 65536 : count
    }

    private func descriptor(_ base: Int, _ index: Int) -> Descriptor? {
        let start = UInt64(csr[base]) | UInt64(csr[base + 1]) << 16
        let size: UInt64 = style == 0 ? 8 : 16
        let place = GuestPhysical((start + UInt64(index) * size) & 0xFFFF_FFFF)
        guard let bytes = try? memory.bytes(place, count: Int(size)) else { return nil }
        func word(_ place: Int) -> UInt16 { UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8 }
        func count(_ negative: UInt16) -> Int {
            let value = Int(0 &- (negative | 0xF000)) & 0x0FFF
            return value == 0 ? 4096 : value
        }
        if style == 0 {
            return Descriptor(
                place: place, status: word(2) & 0xFF00, address: UInt32(word(0)) | UInt32(word(2) & 0xFF) << 16,
                count: count(word(4)))
        }
        let address = style == 2 ? 0 : 8
        return Descriptor(
            place: place, status: word(6), address: UInt32(word(address)) | UInt32(word(address + 2)) << 16,
            count: count(word(4)))
    }

    /// Gives a descriptor back: what else it says, then its status.
    private func finish(_ descriptor: Descriptor, _ status: UInt16, message: UInt32) {
        let (messagePlace, statusPlace): (UInt64, UInt64) = style == 0 ? (6, 2) : style == 2 ? (8, 6) : (0, 6)
        if style == 0 {
            try? memory.store(descriptor.place + messagePlace, UInt16(truncatingIfNeeded: message))
            try? memory.store(
                descriptor.place + statusPlace, status & 0xFF00 | UInt16(truncatingIfNeeded: descriptor.address >> 16) & 0xFF)
        } else {
            try? memory.store(descriptor.place + messagePlace, message)
            try? memory.store(descriptor.place + statusPlace, status)
        }
    }

    // MARK: Sending

    package mutating func transmit(_ now: UInt64, into frames: inout CardFrames) -> Bool {
        guard csr[0] & Status.transmitterOn != 0, csr[5] & 1 == 0 else { return false }
        let count = length(78)
        // Never more than once around in one turn.
        for _ in 0..<min(count, 512) {
            if transmitIndex >= count { transmitIndex = 0 }
            guard let entry = descriptor(30, transmitIndex), entry.status & Bit.own != 0 else { return false }
            if entry.status & Bit.start != 0 { packet = [] }
            if var bytes = packet {
                packet = nil
                if bytes.count + entry.count <= Self.mostBytes,
                    let more = try? memory.bytes(GuestPhysical(UInt64(entry.address)), count: entry.count)
                {
                    bytes += more
                    packet = bytes
                }
            }
            if entry.status & Bit.end != 0 {
                if let bytes = packet, bytes.count >= 14 {
                    frames.append(
                        bytes.count < 60 && csr[4] & 0x0800 != 0
                            ? bytes + [UInt8](repeating: 0, count: 60 - bytes.count) : bytes)
                }
                packet = nil
                csr[0] |= Status.transmitted
            }
            finish(entry, entry.status & ~(Bit.own | 0x7C00), message: 0)
            transmitIndex = transmitIndex + 1 >= count ? 0 : transmitIndex + 1
            if frames.bytes.count >= CardFrames.limit { return true }
        }
        return true
    }

    // MARK: Receiving

    package var canReceive: Bool {
        guard hasLink || isLoopback, csr[0] & Status.receiverOn != 0, csr[5] & 1 == 0 else { return false }
        return descriptor(24, receiveIndex).map { $0.status & Bit.own != 0 } ?? false
    }

    package var refillsSilently: Bool { hasLink && csr[0] & Status.receiverOn != 0 && csr[5] & 1 == 0 }

    private func match(_ frame: UnsafeRawBufferPointer) -> UInt16? {
        // SAFETY: a frame has at least its header, and lives over the call.
        let destination = unsafe [UInt8](frame[..<6])
        let mode = csr[15]
        if destination == [UInt8](repeating: 0xFF, count: 6) {
            return mode & Mode.noBroadcast == 0 ? Bit.broadcast : mode & Mode.promiscuous != 0 ? 0 : nil
        }
        if destination[0] & 1 != 0 {
            let bit = Int(Ethernet.remainder(destination) >> 26)
            if csr[8 + bit / 16] >> UInt16(bit & 15) & 1 != 0 { return Bit.logical }
        } else if mode & Mode.noPhysical == 0,
            (0..<6).allSatisfy({ UInt8(truncatingIfNeeded: csr[12 + $0 / 2] >> UInt16($0 % 2 * 8)) == destination[$0] })
        {
            return Bit.physical
        }
        return mode & Mode.promiscuous != 0 ? 0 : nil
    }

    package mutating func receive(_ frame: UnsafeRawBufferPointer, _ now: UInt64) -> Bool {
        guard hasLink || isLoopback, csr[0] & Status.receiverOn != 0, frame.count >= 14,
            frame.count <= Self.mostBytes - 64, let match = unsafe match(frame)
        else { return true }
        var bytes = unsafe [UInt8](frame)
        if bytes.count < 60 { bytes += [UInt8](repeating: 0, count: 60 - bytes.count) }
        bytes += Ethernet.checkSequence(bytes)
        // Buffers for all of it, or none of it is stored.
        var entries: [Descriptor] = []
        let count = length(76)
        if receiveIndex >= count { receiveIndex = 0 }
        var (room, index) = (0, receiveIndex)
        while room < bytes.count, entries.count < min(count, 512) {
            guard let entry = descriptor(24, index), entry.status & Bit.own != 0 else { break }
            entries.append(entry)
            room += entry.count
            index = index + 1 >= count ? 0 : index + 1
        }
        guard room >= bytes.count else {
            csr[0] |= Status.missed
            csr[112] &+= 1
            return false
        }
        receiveIndex = index
        var done = 0
        for (number, entry) in entries.enumerated() {
            let part = min(entry.count, bytes.count - done)
            try? memory.write(GuestPhysical(UInt64(entry.address)), bytes: Array(bytes[done..<done + part]))
            done += part
            let isLast = done == bytes.count
            // A host's last word on a frame comes with its last buffer, of which it must not see the first too early.
            var status = number == 0 ? Bit.start : 0
            if isLast { status |= Bit.end | (style == 0 ? 0 : match) }
            finish(entry, status, message: isLast ? UInt32(bytes.count) : 0)
        }
        csr[0] |= Status.received
        return true
    }
}
