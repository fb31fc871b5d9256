public import HostOS

/// A machine's card on a card of the host: a `macvtap` of the kernel. As root.
public enum MacVTap {
    /// Makes the interface and opens it; it stays until `remove`, whatever becomes of the descriptor.
    ///
    /// - Parameters:
    ///   - name: of the new interface.
    ///   - link: the host's card.
    ///   - mode: `bridge`, `vepa`, `private` or `passthrough`.
    ///   - owner: what `all` finds it by.
    public static func open(
        _ name: String, on link: String, mode: String, address: HardwareAddress, mtu: Int?, owner: String
    ) throws(NetworkError) -> Descriptor {
        guard ["bridge", "vepa", "private", "passthrough"].contains(mode) else {
            throw NetworkError("'\(mode)' is no mode of macvtap")
        }
        for text in [name, link] where !isName(text) { throw NetworkError("'\(text)' is no name of an interface") }
        guard HostLink.exists(link) else { throw NetworkError("there is no interface '\(link)'") }
        // passthru is the kernel's word.
        let word = mode == "passthrough" ? "passthru" : mode
        do {
            try HostTools.run(
                "ip",
                ["link", "add", "link", link, "name", name] + (mtu.map { ["mtu", "\($0)"] } ?? []) + ["type", "macvtap", "mode", word])
            do {
                try HostTools.run("ip", ["link", "set", "dev", name, "alias", owner])
                // In passthrough the card of the host gets it too.
                try HostTools.run("ip", ["link", "set", "dev", name, "address", "\(address)"])
                try HostTools.run("ip", ["link", "set", "dev", name, "up"])
                let index = try HostFile.contents("/sys/class/net/\(name)/ifindex", limit: 64)
                let number = String(decoding: index.prefix { $0 != 10 }, as: UTF8.self)
                return try HostFile.open("/dev/tap\(number)", .readWrite)
            } catch {
                remove(name)
                throw error
            }
        } catch {
            throw NetworkError("\(error)")
        }
    }

    /// Removes one; nothing happens where there is none.
    public static func remove(_ name: String) {
        guard isName(name), HostLink.exists(name), isMacVTap(name) else { return }
        _ = try? HostTools.run("ip", ["link", "del", "dev", name])
    }

    /// Those that an owner has made.
    public static func all(of owner: String) -> [String] {
        ((try? HostFolder.names(in: "/sys/class/net")) ?? []).filter { name in
            guard isMacVTap(name), let bytes = try? HostFile.contents("/sys/class/net/\(name)/ifalias", limit: 512)
            else { return false }
            return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self) == owner
        }
    }

    private static func isMacVTap(_ name: String) -> Bool {
        HostFile.status("/sys/class/net/\(name)/macvtap").kind == .folder
    }

    private static func isName(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && !text.utf8.contains(0x2F) && !text.hasPrefix(".") && !text.hasPrefix("-")
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
