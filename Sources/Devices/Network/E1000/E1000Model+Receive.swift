internal import GuestMemory

// Frames from outside. SDM 3.2.
extension E1000Model {
    private typealias Register = E1000Register
    /// Bits of a descriptor's status. SDM 3.2.3.1.
    private enum Status {
        static let done: UInt64 = 1 << 0
        static let endOfPacket: UInt64 = 1 << 1
        static let isVLAN: UInt64 = 1 << 3
        static let inexact: UInt64 = 1 << 7
    }

    /// Whether a frame would be stored now.
    package var canReceive: Bool {
        hasLink && self[Register.receiveControl] & E1000ReceiveControl.enable != 0 && freeDescriptors > 0
    }

    /// Descriptors between head and tail; none where either lies outside of the ring.
    private var freeDescriptors: UInt32 {
        let count = self[Register.receiveLength] / descriptorSize
        let (head, tail) = (self[Register.receiveHead], self[Register.receiveTail])
        guard head < count, tail < count else { return 0 }
        return tail >= head ? tail - head : tail + count - head
    }

    /// Bytes of one buffer. SDM 13.4.22.
    var bufferSize: Int {
        let control = self[Register.receiveControl]
        let code = Int(control >> 16 & 3)
        if control & E1000ReceiveControl.sizeExtension != 0 && code > 0 { return 32768 >> code }
        return 2048 >> code
    }

    /// Stores a frame, or drops it where no filter wants it. Returns false where there are too few buffers: the frame
    /// then may come again.
    package mutating func receive(_ frame: UnsafeRawBufferPointer, _ now: UInt64) -> Bool {
        let control = self[Register.receiveControl]
        guard hasLink || isLoopback, control & E1000ReceiveControl.enable != 0, frame.count >= 14 else { return true }
        let tag = unsafe vlanTag(of: frame)
        let most = control & E1000ReceiveControl.longPackets != 0 ? Self.mostBytes - 4 : tag == nil ? 1518 : 1522
        guard frame.count <= most else {
            count(E1000Statistic.oversized)
            return true
        }
        guard let match = unsafe filter(frame, tag: tag) else { return true }

        var status: UInt64 = match == .inexact ? Status.inexact : 0
        var special: UInt64 = 0
        let stripsTag = tag != nil && self[Register.control] & E1000Control.vlanMode != 0
        if let tag, stripsTag {
            status |= Status.isVLAN
            special = UInt64(tag)
        }
        let stored = max(60, frame.count) - (stripsTag ? 4 : 0)
        let total = stored + (control & E1000ReceiveControl.stripCRC != 0 ? 0 : 4)
        let size = hasExtendedDescriptors ? extendedRoom : bufferSize
        guard size > 0 else { return true }
        guard Int(freeDescriptors) >= (total + size - 1) / size else {
            count(E1000Statistic.noBuffers)
            count(E1000Statistic.missed)
            causes |= E1000Cause.receiveOverrun
            return false
        }
        scratch.removeAll(keepingCapacity: true)
        if stripsTag {
            unsafe scratch.append(contentsOf: frame[..<12])
            unsafe scratch.append(contentsOf: frame[16...])
        } else {
            unsafe scratch.append(contentsOf: frame)
        }
        // The end of a short frame, and a check sequence that nobody computes.
        scratch.append(contentsOf: repeatElement(0, count: total - scratch.count))
        if hasExtendedDescriptors {
            storeExtended(status: status, special: special)
        } else {
            store(size, status: status, special: special)
        }
        unsafe countReceived(frame.count, isMulticast: frame[0] & 1 != 0, isBroadcast: match == .broadcast)

        if self[Register.receiveDelay] & 0xFFFF == 0 {
            causes |= E1000Cause.receiveTimer
        } else {
            receiveDelay.note(now, last: self[Register.receiveDelay], first: self[Register.receiveAbsoluteDelay])
        }
        // A half, a quarter or an eighth of the ring is left.
        let shift = min(control >> 8 & 3, 2) + 1
        if freeDescriptors * descriptorSize <= self[Register.receiveLength] >> shift { causes |= E1000Cause.receiveThreshold }
        return true
    }

    /// Puts the frame in `scratch` into buffers, of which there are enough.
    private mutating func store(_ size: Int, status: UInt64, special: UInt64) {
        let count = self[Register.receiveLength] / 16
        let base = UInt64(self[Register.receiveBaseHigh]) << 32 | UInt64(self[Register.receiveBaseLow])
        let memory = memory
        var position = 0
        while position < scratch.count {
            let head = self[Register.receiveHead]
            let descriptor = GuestPhysical(base &+ UInt64(head) * 16)
            let part = min(size, scratch.count - position)
            // Where buffer or descriptor are no memory the bytes are lost, as on a bus on which nobody answers.
            if let buffer = try? memory.load(descriptor, as: UInt64.self) {
                unsafe scratch.withUnsafeBytes { bytes in
                    // SAFETY: `part` bytes are left from `position` on.
                    unsafe try? memory.write(
                        GuestPhysical(buffer),
                        from: UnsafeRawBufferPointer(rebasing: bytes[position..<position + part]))
                }
            }
            position += part
            var result = UInt64(part) | (status | Status.done) << 32 | special << 48
            if position == scratch.count { result |= Status.endOfPacket << 32 }
            try? memory.store(descriptor + 8, result)
            self[Register.receiveHead] = head + 1 < count ? head + 1 : 0
        }
    }

    // MARK: Filters

    private enum Match { case exact, inexact, broadcast }

    /// The VLAN tag of a frame that has one.
    private func vlanTag(of frame: UnsafeRawBufferPointer) -> UInt16? {
        let type = self[Register.vlanEtherType] & 0xFFFF
        guard frame.count >= 18, unsafe UInt32(frame[12]) << 8 | UInt32(frame[13]) == type else { return nil }
        return unsafe UInt16(frame[14]) << 8 | UInt16(frame[15])
    }

    /// Whether and why a frame passes. SDM 3.2.1.
    private func filter(_ frame: UnsafeRawBufferPointer, tag: UInt16?) -> Match? {
        let control = self[Register.receiveControl]
        if let tag, control & E1000ReceiveControl.vlanFilter != 0 {
            let id = UInt32(tag & 0xFFF)
            guard self[Register.vlanTable + (id >> 5) * 4] >> (id & 31) & 1 != 0 else { return nil }
        }
        let destination = (0..<6).reduce(UInt64(0)) { unsafe $0 | UInt64(frame[$1]) << UInt64($1 * 8) }
        for index in UInt32(0)..<16 {
            let high = self[Register.receiveAddress + index * 8 + 4]
            guard high & Self.addressValid != 0 else { continue }
            let address = UInt64(high & 0xFFFF) << 32 | UInt64(self[Register.receiveAddress + index * 8])
            if address == destination { return .exact }
        }
        if destination == 0xFFFF_FFFF_FFFF {
            return control & E1000ReceiveControl.acceptBroadcast != 0 ? .broadcast : promiscuous(control, true)
        }
        if destination & 1 != 0 {
            // 12 of the last 16 bits of the address, at one of four places. SDM 13.5.1.
            let shift: [UInt64] = [4, 3, 2, 0]
            let hash = UInt32((destination >> 32) >> shift[Int(control >> 12 & 3)] & 0xFFF)
            if self[Register.multicastTable + (hash >> 5) * 4] >> (hash & 31) & 1 != 0 { return .inexact }
            return promiscuous(control, true)
        }
        return promiscuous(control, false)
    }
    private func promiscuous(_ control: UInt32, _ isMulticast: Bool) -> Match? {
        let bit =
            isMulticast ? E1000ReceiveControl.multicastPromiscuous : E1000ReceiveControl.unicastPromiscuous
        return control & bit != 0 ? .inexact : nil
    }
}
