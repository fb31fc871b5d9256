internal import Network

/// Keeps out frames by which a machine would pass for another (libvirt's `clean-traffic`). A pure value.
package struct PortGuard {
    let filter: PortFilter
    private let address: HardwareAddress?
    private let given: Set<IPv4Address>
    /// The address that DHCP gave, or the first that was used, where none was given.
    private(set) var learned: IPv4Address?
    /// Rules of the owner's own; nil: none.
    private var rules: PortRules?

    package init(_ settings: PortSettings) {
        // Rules that cannot be read were refused with the port.
        rules = settings.rules.isEmpty ? nil : try? PortRules(settings.rules)
        filter = settings.filter
        address = settings.address
        given = Set(settings.ipAddresses)
    }

    /// Notes the address that the DHCP server gave.
    mutating func setLease(_ address: IPv4Address) { if given.isEmpty { learned = address } }

    /// Whether a frame for the machine may pass. Of 14 bytes or more.
    package mutating func admits(_ frame: UnsafeRawBufferPointer, now: UInt64) -> Bool {
        guard rules != nil else { return true }
        return unsafe obeys(frame, fromMachine: false, now)
    }

    private mutating func obeys(_ frame: UnsafeRawBufferPointer, fromMachine: Bool, _ now: UInt64) -> Bool {
        guard var own = rules.take() else { return true }
        // What the machine was given counts; where nothing was, the first address that it shows.
        var shown = learned
        let known = given
        let passes = unsafe own.passes(frame, fromMachine: fromMachine, now: now) { bytes in
            guard bytes.count == 4 else { return false }
            let address = IPv4Address(rawValue: bytes.reduce(0) { $0 << 8 | UInt32($1) })
            if !known.isEmpty { return known.contains(address) }
            if let shown { return shown == address }
            guard fromMachine, address.rawValue != 0 else { return false }
            shown = address
            return true
        }
        learned = shown
        rules = own
        return passes
    }

    /// Whether a frame of the machine's may pass. Of 14 bytes or more.
    package mutating func passes(_ frame: UnsafeRawBufferPointer, now: UInt64 = 0) -> Bool {
        // The rules remember what they accept: they see nothing that does not pass.
        guard filter.isEmpty || (unsafe passesFilter(frame)) else { return false }
        return rules == nil || (unsafe obeys(frame, fromMachine: true, now))
    }

    private mutating func passesFilter(_ frame: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: the frame has 14 bytes or more, and what lies behind is compared with its count before it is read.
        let source = unsafe HardwareAddress(frame, at: 6)
        if filter.contains(PortFilter.noMACSpoofing), let address, source != address { return false }
        let destination = unsafe HardwareAddress(frame, at: 0)
        let type = unsafe UInt16(frame[12]) << 8 | UInt16(frame[13])
        if filter.contains(PortFilter.noMACBroadcast), destination == HardwareAddress.broadcast, type != 0x0806 {
            return false
        }
        switch type {
        case 0x0800: return unsafe passesIPv4(frame)
        case 0x0806: return unsafe passesARP(frame, source)
        // What a machine that has moved sends (QEMU's self announcement).
        case 0x8035: return true
        default: return !filter.contains(PortFilter.noOtherL2Traffic)
        }
    }

    private mutating func isOwn(_ address: IPv4Address) -> Bool {
        if !given.isEmpty { return given.contains(address) }
        if let learned { return learned == address }
        learned = address
        return true
    }

    private mutating func passesIPv4(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard frame.count >= 34 else { return filter.isDisjoint(with: [.noIPSpoofing, .noIPMulticast]) }
        if filter.contains(PortFilter.noIPMulticast), unsafe frame[30] >> 4 == 14 { return false }
        guard filter.contains(PortFilter.noIPSpoofing) else { return true }
        let source = unsafe PacketBytes.ipv4(frame, 26)
        // A machine that has no address yet asks for one.
        if source.rawValue == 0 {
            let header = unsafe Int(frame[14] & 15) * 4
            return unsafe frame[23] == 17 && frame.count >= 14 + header + 8
                && PacketBytes.word(frame, 14 + header + 2) == 67
        }
        return isOwn(source)
    }

    private mutating func passesARP(_ frame: UnsafeRawBufferPointer, _ source: HardwareAddress) -> Bool {
        guard filter.contains(PortFilter.noARPSpoofing) else { return true }
        guard frame.count >= 42 else { return false }
        let sender = unsafe HardwareAddress(frame, at: 22)
        guard sender == source, address == nil || sender == address else { return false }
        let own = unsafe PacketBytes.ipv4(frame, 28)
        // A probe for an address that may be taken (RFC 5227) tells none.
        return own.rawValue == 0 || isOwn(own)
    }
}

/// Fields of packets in the order of the network. The caller has checked that they are there.
enum PacketBytes {
    static func word(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt16 {
        unsafe UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
    }
    static func ipv4(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> IPv4Address {
        IPv4Address(rawValue: unsafe UInt32(word(bytes, place)) << 16 | UInt32(word(bytes, place + 2)))
    }
}
