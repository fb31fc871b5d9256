internal import CLinux
internal import SystemPackage

/// Sockets that take frames or datagrams whole. All are in non-blocking mode.
public enum PacketSocket {
    /// A socket that takes all frames of an interface and sends frames there (packet(7)). Needs CAP_NET_RAW.
    public static func open(interface: String, promiscuous: Bool) throws(HostError) -> Descriptor {
        // SAFETY: the C string lives for the call.
        let raw = unsafe interface.withCString { unsafe apus_packet_socket($0, promiscuous ? 1 : 0) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "open interface '\(interface)'") }
        return Descriptor(owning: raw)
    }

    /// A UDP socket of an IPv4 group and port; `local` is the address of the interface, nil for any.
    public static func multicast(
        group: UInt32, port: UInt16, local: UInt32?
    ) throws(HostError) -> (socket: Descriptor, group: SocketAddress) {
        let address = SocketAddress.ipv4(group, port: port)
        let raw = apus_socket(AF_INET, 1)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make a socket for \(address)") }
        let socket = Descriptor(owning: raw)
        try socket.setNonBlocking()
        _ = apus_socket_option(raw, SOL_SOCKET, SO_REUSEADDR, 1)
        guard unsafe apus_bind(raw, address.bytes, UInt32(address.bytes.count)) == 0,
            apus_join_group(raw, group.bigEndian, (local ?? 0).bigEndian) == 0
        else { throw HostError(reason: apus_errno(), "join group \(address)") }
        return (socket, address)
    }

    /// Sends a datagram to an address; whether it went.
    public static func send(
        _ socket: Descriptor, _ bytes: UnsafeRawBufferPointer, to address: SocketAddress
    ) -> Descriptor.Transfer {
        guard let base = bytes.baseAddress else { return Descriptor.Transfer.moved(0) }
        // SAFETY: the buffer and the address live for the call.
        let result = unsafe apus_send_to(
            socket.rawValue, base, bytes.count, address.bytes, UInt32(address.bytes.count))
        return Descriptor.transfer(result, zeroIsEnd: false)
    }

    /// Receives a datagram and says who sent it.
    public static func receive(
        _ socket: Descriptor, into buffer: UnsafeMutableRawBufferPointer
    ) -> (Descriptor.Transfer, SocketAddress) {
        var address = [UInt8](repeating: 0, count: 128)
        var length: UInt32 = 128
        // SAFETY: the buffer is the caller's, the address has room for `length` bytes.
        let result = unsafe apus_receive_from(socket.rawValue, buffer.baseAddress, buffer.count, &address, &length)
        let sender = SocketAddress(internet: Array(address.prefix(Int(min(length, 128)))))
        return (Descriptor.transfer(result, zeroIsEnd: false), sender)
    }

    /// Sends two pieces of a stream or one datagram of both, as far as there is room.
    public static func send(
        _ socket: Descriptor, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Descriptor.Transfer {
        // SAFETY: the buffers are the caller's and live for the call.
        Descriptor.transfer(
            unsafe apus_send_pair(
                socket.rawValue, first.baseAddress, first.count, second.baseAddress, second.count), zeroIsEnd: false)
    }

    /// Writes two pieces as one frame.
    public static func write(
        _ descriptor: Descriptor, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Descriptor.Transfer {
        // SAFETY: the buffers are the caller's and live for the call.
        Descriptor.transfer(
            unsafe apus_write_pair(
                descriptor.rawValue, first.baseAddress, first.count, second.baseAddress, second.count),
            zeroIsEnd: false)
    }

    /// Has a UDP socket take what is sent to a group of IPv6, of 16 bytes, by an interface.
    public static func join(_ socket: Descriptor, group: [UInt8], interface name: String) throws(HostError) {
        guard group.count == 16 else { throw HostError(reason: EINVAL, "join a group") }
        // SAFETY: the C string and the 16 bytes live for the call.
        guard unsafe name.withCString({ unsafe apus_join_group6(socket.rawValue, group, $0) }) == 0 else {
            throw HostError(reason: apus_errno(), "join a group by interface '\(name)'")
        }
    }

    /// Keeps a socket to one interface (SO_BINDTODEVICE).
    public static func bind(_ socket: Descriptor, toInterface name: String) throws(HostError) {
        // SAFETY: the C string lives for the call.
        guard unsafe name.withCString({ unsafe apus_bind_device(socket.rawValue, $0) }) == 0 else {
            throw HostError(reason: apus_errno(), "bind to interface '\(name)'")
        }
    }
}

/// The descriptors of the whole process.
public enum ProcessDescriptors {
    /// Closes all but the three standard ones: what a process that is to live long was started with by accident. Only
    /// before anything of the process's own is open.
    public static func closeInherited() { apus_close_from(3) }
}

extension SocketAddress {
    /// An IPv4 address as a number (10.0.2.15 is 0x0A00020F) and a port.
    public static func ipv4(_ address: UInt32, port: UInt16) -> SocketAddress {
        let bytes =
            [UInt8(AF_INET), 0, UInt8(port >> 8), UInt8(port & 255)]
            + [24, 16, 8, 0].map { UInt8(address >> UInt32($0) & 255) } + [UInt8](repeating: 0, count: 8)
        return SocketAddress(internet: bytes)
    }

    /// An IPv6 address of 16 bytes and a port.
    public static func ipv6(_ address: [UInt8], port: UInt16) -> SocketAddress {
        let head = [UInt8(AF_INET6), 0, UInt8(port >> 8), UInt8(port & 255), 0, 0, 0, 0]
        return SocketAddress(internet: head + address.prefix(16) + [0, 0, 0, 0])
    }

    /// The IPv4 address as a number; nil for other families.
    public var ipv4: UInt32? {
        guard family == AF_INET, bytes.count >= 8 else { return nil }
        return bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
