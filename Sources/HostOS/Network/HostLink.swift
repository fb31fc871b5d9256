internal import CLinux
internal import SystemPackage

/// The host's network interfaces by name (netdevice(7)). Changes need CAP_NET_ADMIN. Any thread.
public enum HostLink {
    /// Whether there is an interface of a name.
    public static func exists(_ name: String) -> Bool {
        // SAFETY: the C string lives for the call.
        unsafe name.withCString { unsafe apus_link_index($0) } > 0
    }

    /// Whether this process may change interfaces: CAP_NET_ADMIN is among its effective capabilities.
    public static var mayChange: Bool {
        guard let bytes = try? HostFile.contents("/proc/self/status", limit: 1 << 16) else { return false }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.split(whereSeparator: { $0 == "\t" || $0 == " " }).last ?? ""
            return (UInt64(digits, radix: 16) ?? 0) >> 12 & 1 != 0
        }
        return false
    }

    /// Makes a bridge.
    public static func addBridge(_ name: String) throws(HostError) {
        try unsafe change("make bridge '\(name)'", name) { unsafe apus_bridge_add($0, $1) }
    }

    /// Removes a bridge, which must be down.
    public static func removeBridge(_ name: String) throws(HostError) {
        try unsafe change("remove bridge '\(name)'", name) { unsafe apus_bridge_remove($0, $1) }
    }

    /// Puts an interface into a bridge, or takes it out.
    public static func setMember(_ name: String, of bridge: String, _ joins: Bool) throws(HostError) {
        try unsafe change(
            "\(joins ? "add" : "take") interface '\(name)' \(joins ? "to" : "from") bridge '\(bridge)'", bridge
        ) {
            (socket, bridge) in
            unsafe name.withCString { unsafe apus_bridge_member(socket, bridge, $0, joins ? 1 : 0) }
        }
    }

    /// Switches an interface on or off.
    public static func setUp(_ name: String, _ up: Bool) throws(HostError) {
        try unsafe change("switch interface '\(name)' \(up ? "on" : "off")", name) {
            unsafe apus_link_up($0, $1, up ? 1 : 0)
        }
    }

    /// Sets an interface's hardware address of 6 bytes.
    public static func setHardwareAddress(_ name: String, _ address: [UInt8]) throws(HostError) {
        guard address.count == 6 else { throw HostError(reason: EINVAL, "set the address of interface '\(name)'") }
        try unsafe change("set the address of interface '\(name)'", name) { unsafe apus_link_hardware($0, $1, address) }
    }

    /// Sets the longest packet that an interface carries.
    public static func setMTU(_ name: String, _ mtu: Int) throws(HostError) {
        try unsafe change("set the MTU of interface '\(name)' to \(mtu)", name) {
            unsafe apus_link_mtu($0, $1, Int32(clamping: mtu))
        }
    }

    /// Gives an interface its IPv4 address and mask, as numbers.
    public static func setAddress(_ name: String, _ address: UInt32, mask: UInt32) throws(HostError) {
        try unsafe change("set the address of interface '\(name)'", name) {
            let first = unsafe apus_link_address($0, $1, 0, address.bigEndian)
            return unsafe first != 0 ? first : apus_link_address($0, $1, 1, mask.bigEndian)
        }
    }

    private static func change(
        _ operation: String, _ name: String, _ body: (Int32, UnsafePointer<CChar>) -> Int32
    ) throws(HostError) {
        guard !name.isEmpty, name.utf8.count < Int(IFNAMSIZ), !name.utf8.contains(0) else {
            throw HostError(reason: EINVAL, operation)
        }
        let raw = apus_link_socket()
        guard raw >= 0 else { throw HostError(reason: apus_errno(), operation) }
        let socket = Descriptor(owning: raw)
        // SAFETY: the C string lives for the call.
        guard unsafe name.withCString({ unsafe body(socket.rawValue, $0) }) == 0 else {
            throw HostError(reason: apus_errno(), operation)
        }
    }
}
