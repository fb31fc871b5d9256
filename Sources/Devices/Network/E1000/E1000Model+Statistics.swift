/// The counters, which are cleared by reading. SDM 13.7.
enum E1000Statistic {
    static let missed: UInt32 = 0x4010
    static let received64: UInt32 = 0x405C
    static let goodReceived: UInt32 = 0x4074
    static let broadcastReceived: UInt32 = 0x4078
    static let multicastReceived: UInt32 = 0x407C
    static let goodSent: UInt32 = 0x4080
    static let goodOctetsReceived: UInt32 = 0x4088
    static let goodOctetsSent: UInt32 = 0x4090
    static let noBuffers: UInt32 = 0x40A0
    static let oversized: UInt32 = 0x40AC
    static let octetsReceived: UInt32 = 0x40C0
    static let octetsSent: UInt32 = 0x40C8
    static let packetsReceived: UInt32 = 0x40D0
    static let packetsSent: UInt32 = 0x40D4
    static let sent64: UInt32 = 0x40D8
    static let multicastSent: UInt32 = 0x40F0
    static let broadcastSent: UInt32 = 0x40F4
    static let segmentationContexts: UInt32 = 0x40F8
}

extension E1000Model {
    static let firstStatistic: UInt32 = 0x4000
    static let lastStatistic: UInt32 = 0x40FC

    /// Reads a counter and clears it. One of 64 bits clears as a whole with its high half.
    mutating func takeStatistic(_ offset: UInt32) -> UInt32 {
        let value = self[offset]
        switch offset {
        case E1000Statistic.goodOctetsReceived, E1000Statistic.goodOctetsSent, E1000Statistic.octetsReceived,
            E1000Statistic.octetsSent:
            break
        case E1000Statistic.goodOctetsReceived + 4, E1000Statistic.goodOctetsSent + 4,
            E1000Statistic.octetsReceived + 4, E1000Statistic.octetsSent + 4:
            self[offset - 4] = 0
            self[offset] = 0
        default: self[offset] = 0
        }
        return value
    }

    /// Adds one; counters stop at their highest value.
    mutating func count(_ offset: UInt32) {
        if self[offset] != UInt32.max { self[offset] += 1 }
    }
    private mutating func countOctets(_ offset: UInt32, _ octets: Int) {
        let before = UInt64(self[offset + 4]) << 32 | UInt64(self[offset])
        let (sum, overflow) = before.addingReportingOverflow(UInt64(octets))
        let after = overflow ? UInt64.max : sum
        self[offset] = UInt32(truncatingIfNeeded: after)
        self[offset + 4] = UInt32(truncatingIfNeeded: after >> 32)
    }
    /// Six counters by length, from 64 bytes to 1024 and more; lengths with the check sequence.
    private static func bucket(_ octets: Int) -> UInt32 {
        switch octets {
        case ...64: 0
        case ...127: 4
        case ...255: 8
        case ...511: 12
        case ...1023: 16
        default: 20
        }
    }

    mutating func countSent(_ octets: Int, isMulticast: Bool, isBroadcast: Bool) {
        let octets = octets + 4
        count(E1000Statistic.packetsSent)
        count(E1000Statistic.goodSent)
        countOctets(E1000Statistic.octetsSent, octets)
        countOctets(E1000Statistic.goodOctetsSent, octets)
        count(E1000Statistic.sent64 + Self.bucket(octets))
        if isBroadcast {
            count(E1000Statistic.broadcastSent)
        } else if isMulticast {
            count(E1000Statistic.multicastSent)
        }
    }

    mutating func countReceived(_ octets: Int, isMulticast: Bool, isBroadcast: Bool) {
        let octets = octets + 4
        count(E1000Statistic.packetsReceived)
        count(E1000Statistic.goodReceived)
        countOctets(E1000Statistic.octetsReceived, octets)
        countOctets(E1000Statistic.goodOctetsReceived, octets)
        count(E1000Statistic.received64 + Self.bucket(octets))
        if isBroadcast {
            count(E1000Statistic.broadcastReceived)
        } else if isMulticast {
            count(E1000Statistic.multicastReceived)
        }
    }
}
