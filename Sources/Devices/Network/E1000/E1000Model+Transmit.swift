internal import DeviceModel
internal import GuestMemory

/// The packet that is being gathered from descriptors, and the contexts in force. SDM 3.3 and 3.4.
struct E1000Transmission: Equatable {
    var packet: [UInt8] = []
    /// A part of the packet could not be read, or it is too long: nothing goes out.
    var isBad = false
    var isStarted = false
    /// Options of the first data descriptor.
    var insertsIP = false
    var insertsTransport = false
    var segments = false
    var vlanTag: UInt16?
    /// Start and place of a legacy descriptor's checksum.
    var legacyChecksum: (start: Int, place: Int)?
    /// The context of packets that are not cut, and the one of those that are.
    var checksumContext = E1000Context()
    var segmentContext = E1000Context()

    /// The longest packet to be cut.
    static let mostBytes = 256 << 10

    mutating func endPacket() {
        packet.removeAll(keepingCapacity: true)
        isBad = false
        isStarted = false
        insertsIP = false
        insertsTransport = false
        segments = false
        vlanTag = nil
        legacyChecksum = nil
    }

    static func == (a: E1000Transmission, b: E1000Transmission) -> Bool {
        a.packet == b.packet && a.isBad == b.isBad && a.isStarted == b.isStarted && a.insertsIP == b.insertsIP
            && a.insertsTransport == b.insertsTransport && a.segments == b.segments && a.vlanTag == b.vlanTag
            && a.legacyChecksum?.start == b.legacyChecksum?.start
            && a.legacyChecksum?.place == b.legacyChecksum?.place && a.checksumContext == b.checksumContext
            && a.segmentContext == b.segmentContext
    }
}

extension E1000Model {
    private typealias Register = E1000Register
    /// Bits of a descriptor's second word. SDM 3.3.3.
    private enum Bit {
        static let endOfPacket: UInt64 = 1 << 24
        static let insertChecksum: UInt64 = 1 << 26
        static let segmentation: UInt64 = 1 << 26
        static let report: UInt64 = 3 << 27
        static let extended: UInt64 = 1 << 29
        static let vlan: UInt64 = 1 << 30
        static let interruptDelay: UInt64 = 1 << 31
        static let insertIP: UInt64 = 1 << 40
        static let insertTransport: UInt64 = 1 << 41
    }
    private enum Kind {
        static let context: UInt64 = 0
        static let data: UInt64 = 1
    }
    /// Descriptors that one turn takes.
    private static let turn = 256

    /// Takes descriptors up to the tail and puts the frames that they make into `frames`. Returns true where there
    /// may be more.
    package mutating func transmit(_ now: UInt64, into frames: inout CardFrames) -> Bool {
        let count = self[Register.transmitLength] / 16
        guard self[Register.transmitControl] & E1000TransmitControl.enable != 0, count > 0 else { return false }
        let base = UInt64(self[Register.transmitBaseHigh]) << 32 | UInt64(self[Register.transmitBaseLow])
        var done = 0
        var reported: UInt64 = 0
        var isDelayed = true
        while true {
            let head = self[Register.transmitHead]
            let tail = self[Register.transmitTail]
            guard head < count, tail < count, head != tail else { break }
            if done == Self.turn || frames.bytes.count >= CardFrames.limit { break }
            done += 1
            let address = GuestPhysical(base &+ UInt64(head) * 16)
            let first = (try? memory.load(address, as: UInt64.self)) ?? 0
            let second = (try? memory.load(address + 8, as: UInt64.self)) ?? 0
            take(first, second, into: &frames)
            if second & Bit.report != 0 {
                reported += 1
                if second & Bit.interruptDelay == 0 { isDelayed = false }
                let status = UInt8(truncatingIfNeeded: second >> 32) & 0xF0 | 1
                try? memory.store(address + 12, status)
            }
            self[Register.transmitHead] = head + 1 < count ? head + 1 : 0
        }
        guard done > 0 else { return false }
        if reported > 0 {
            if isDelayed, self[Register.transmitDelay] != 0 {
                transmitDelay.note(
                    now, last: self[Register.transmitDelay], first: self[Register.transmitAbsoluteDelay])
            } else {
                transmitDelay = Delay()
                causes |= E1000Cause.transmitWritten
            }
        }
        let head = self[Register.transmitHead]
        let isEmpty = head == self[Register.transmitTail]
        if isEmpty { causes |= E1000Cause.transmitQueueEmpty }
        return !isEmpty && self[Register.transmitTail] < count
    }

    /// Whether frames come straight back instead of going out.
    package var isLoopback: Bool {
        phy.isLoopback || self[Register.receiveControl] & E1000ReceiveControl.loopback != 0
    }

    /// One descriptor.
    private mutating func take(_ first: UInt64, _ second: UInt64, into frames: inout CardFrames) {
        let isExtended = second & Bit.extended != 0
        let kind = second >> 20 & 15
        if isExtended && kind == Kind.context {
            let context = E1000Context(first, second)
            if second & Bit.segmentation != 0 {
                transmission.segmentContext = context
                count(E1000Statistic.segmentationContexts)
            } else {
                transmission.checksumContext = context
            }
            return
        }
        if isExtended && kind != Kind.data { return }
        if !transmission.isStarted {
            transmission.isStarted = true
            if isExtended {
                transmission.segments = second & Bit.segmentation != 0
                transmission.insertsIP = second & Bit.insertIP != 0
                transmission.insertsTransport = second & Bit.insertTransport != 0
            }
        }
        if second & Bit.vlan != 0, self[Register.control] & E1000Control.vlanMode != 0 {
            transmission.vlanTag = UInt16(truncatingIfNeeded: second >> 48)
        }
        if !isExtended, second & Bit.insertChecksum != 0 {
            transmission.legacyChecksum = (Int(second >> 40 & 0xFF), Int(second >> 16 & 0xFF))
        }
        gather(GuestPhysical(first), count: Int(second & (isExtended ? 0xF_FFFF : 0xFFFF)))
        guard second & Bit.endOfPacket != 0 else { return }
        finishPacket(into: &frames)
        transmission.endPacket()
    }

    /// Appends guest memory to the packet.
    private mutating func gather(_ address: GuestPhysical, count: Int) {
        let limit = transmission.segments ? E1000Transmission.mostBytes : Self.mostBytes
        let start = transmission.packet.count
        guard count > 0, !transmission.isBad else { return }
        guard count <= limit - start else {
            transmission.isBad = true
            return
        }
        transmission.packet.append(contentsOf: repeatElement(0, count: count))
        let memory = memory
        let isRead = unsafe transmission.packet.withUnsafeMutableBytes { buffer in
            // SAFETY: the packet has just grown by `count` bytes.
            unsafe (try? memory.read(address, into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]))) != nil
        }
        if !isRead { transmission.isBad = true }
    }

    private mutating func finishPacket(into frames: inout CardFrames) {
        guard !transmission.isBad, transmission.packet.count >= 14 else { return }
        var packet: [UInt8] = []
        swap(&packet, &transmission.packet)
        if transmission.segments {
            let (context, ip, transport) = (
                transmission.segmentContext, transmission.insertsIP, transmission.insertsTransport
            )
            E1000Offload.segment(packet, context, ip: ip, transport: transport) { finishFrame(&$0, into: &frames) }
        } else {
            if let checksum = transmission.legacyChecksum {
                E1000Offload.insertChecksum(&packet, start: checksum.start, end: 0, place: checksum.place)
            }
            E1000Offload.insertChecksums(
                &packet, transmission.checksumContext, ip: transmission.insertsIP,
                transport: transmission.insertsTransport)
            finishFrame(&packet, into: &frames)
        }
        swap(&packet, &transmission.packet)
    }

    private mutating func finishFrame(_ frame: inout [UInt8], into frames: inout CardFrames) {
        if let tag = transmission.vlanTag {
            let type = self[Register.vlanEtherType]
            frame.insert(
                contentsOf: [
                    UInt8(type >> 8 & 0xFF), UInt8(type & 0xFF), UInt8(tag >> 8), UInt8(tag & 0xFF),
                ], at: 12)
        }
        guard frame.count >= 14, frame.count <= Self.mostBytes else { return }
        if frame.count < 60, self[Register.transmitControl] & E1000TransmitControl.padShort != 0 {
            frame.append(contentsOf: repeatElement(0, count: 60 - frame.count))
        }
        let isBroadcast = frame[..<6].allSatisfy { $0 == 0xFF }
        countSent(frame.count, isMulticast: frame[0] & 1 != 0, isBroadcast: isBroadcast)
        frames.bytes.append(contentsOf: frame)
        frames.ends.append(frames.bytes.count)
    }
}
