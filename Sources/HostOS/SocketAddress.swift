internal import CLinux
internal import SystemPackage

/// Where a socket is or connects to: the bytes of a `sockaddr`, and how people write it.
public struct SocketAddress: Sendable, CustomStringConvertible {
    let bytes: [UInt8]
    /// `127.0.0.1:22`, `[::1]:22` or a path.
    public let description: String

    var family: Int32 {
        bytes.count < 2 ? 0 : Int32(UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
    }

    /// The TCP or UDP port; 0 for other families.
    public var port: UInt16 {
        guard family == AF_INET || family == AF_INET6, bytes.count >= 4 else { return 0 }
        return UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }

    /// Whether it is a Unix socket's.
    public var isUnix: Bool { family == AF_UNIX }
    /// The path of a Unix socket; nil for other families, and for one without a path.
    public var path: String? {
        guard isUnix else { return nil }
        let name = bytes.dropFirst(2).prefix { $0 != 0 }
        return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
    }

    /// The address of a Unix socket. A path of more than 107 bytes, an empty one, or one with a zero byte is an error.
    public static func unix(_ path: String) throws(HostError) -> SocketAddress {
        let name = Array(path.utf8)
        guard !name.isEmpty, !name.contains(0) else { throw HostError(reason: EINVAL, "use socket path '\(path)'") }
        // sun_path has 108 bytes with the final zero (unix(7)).
        guard name.count < 108 else { throw HostError(reason: ENAMETOOLONG, "use socket path '\(path)'") }
        return SocketAddress(bytes: [UInt8(AF_UNIX), 0] + name + [0], description: path)
    }

    /// Which families a name may resolve to.
    public enum Family: Sendable {
        /// Either.
        case any
        /// IPv4 only.
        case ipv4
        /// IPv6 only.
        case ipv6
    }

    /// The addresses of a host name or number and a port, best first. An empty host is any local address if
    /// `listening`, this host otherwise. May wait for a name server.
    public static func resolve(
        host: String, port: String, family: Family = Family.any, listening: Bool = false, datagram: Bool = false
    ) throws(HostError) -> [SocketAddress] {
        let wanted: Int32 =
            switch family {
            case .any: 0
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            }
        var list: UnsafeMutablePointer<addrinfo>?
        // SAFETY: the strings live for the call; the list is freed below and its members are read before.
        let status = unsafe host.withCString { hostName in
            unsafe (port.isEmpty ? "0" : port).withCString { service in
                unsafe apus_resolve(
                    host.isEmpty ? nil : hostName, service, wanted, datagram ? 1 : 0, listening ? 1 : 0, &list)
            }
        }
        guard status == 0 else {
            let text = unsafe String(cString: gai_strerror(status))
            throw HostError(reason: EADDRNOTAVAIL, "resolve '\(host):\(port)' (\(text))")
        }
        defer { unsafe freeaddrinfo(list) }
        var result: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            if let address = unsafe entry.pointee.ai_addr {
                let raw = unsafe UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
                result.append(unsafe SocketAddress(internet: Array(raw)))
            }
            unsafe next = entry.pointee.ai_next
        }
        return result
    }

    private init(bytes: [UInt8], description: String) {
        self.bytes = bytes
        self.description = description
    }

    /// Describes the bytes of a `sockaddr` of the kernel's or the resolver's.
    init(internet bytes: [UInt8]) {
        let family = bytes.count < 2 ? 0 : Int32(UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
        let port = bytes.count < 4 ? 0 : UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        if family == AF_INET, bytes.count >= 8 {
            self.init(bytes: bytes, description: "\(bytes[4]).\(bytes[5]).\(bytes[6]).\(bytes[7]):\(port)")
        } else if family == AF_INET6, bytes.count >= 24 {
            var text = [CChar](repeating: 0, count: 64)
            // SAFETY: the address has 16 bytes from 8 on, the text room for any IPv6 address.
            unsafe bytes.withUnsafeBytes { raw in
                if let base = raw.baseAddress { _ = unsafe inet_ntop(AF_INET6, base + 8, &text, 64) }
            }
            let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            self.init(bytes: bytes, description: "[\(name)]:\(port)")
        } else {
            self.init(bytes: bytes, description: "an unnamed address")
        }
    }
}
