internal import DomainModel
internal import HostOS
internal import RPCWire

/// The host's own network interfaces, read from Linux. They are shown and not changed: who set them up keeps them.
enum HostInterfaces {
    struct Entry: Sendable {
        let name: String
        let mac: String
        let isActive: Bool
        var reference: RemoteInterface { RemoteInterface(name: name, mac: mac) }
    }

    private static func text(_ name: String, _ file: String) -> String {
        HostDescription.trim(HostDescription.text("/sys/class/net/\(name)/\(file)"))
    }

    /// All, by name.
    static var all: [Entry] {
        ((try? HostFolder.names(in: "/sys/class/net")) ?? []).sorted().map { name in
            Entry(name: name, mac: text(name, "address"), isActive: text(name, "operstate") == "up")
        }
    }

    static func find(name: String) throws(LibvirtError) -> Entry {
        if let entry = all.first(where: { $0.name == name }) { return entry }
        throw none("couldn't find interface named '\(name)'")
    }

    static func find(mac: String) throws(LibvirtError) -> Entry {
        let found = all.filter { $0.mac.lowercased() == mac.lowercased() }
        guard let entry = found.first else { throw none("couldn't find interface with MAC address '\(mac)'") }
        guard found.count == 1 else {
            throw LibvirtError(
                code: VirErrorNumber.multipleInterfaces, domain: VirErrorDomain.interface,
                message: "multiple matching interfaces found: multiple interfaces with matching MAC address",
                detail: "multiple interfaces with matching MAC address")
        }
        return entry
    }

    private static func none(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noInterface, domain: VirErrorDomain.interface,
            message: "Interface not found: " + detail, detail: detail)
    }

    static func document(_ entry: Entry) -> XMLTree {
        let folder = "/sys/class/net/\(entry.name)"
        let isBridge = HostFile.status(folder + "/bridge").kind == .folder
        let isBond = HostFile.status(folder + "/bonding").kind == .folder
        var tree = XMLTree.of(
            "interface", ["type": isBridge ? "bridge" : isBond ? "bond" : "ethernet", "name": entry.name])
        if let size = HostDescription.number(folder + "/mtu") { tree.append(.of("mtu", ["size": "\(size)"])) }
        if isBridge { tree.append(bridge(folder)) }
        if isBond { tree.append(bond(folder)) }
        if !isBridge, !isBond {
            tree.append(link(entry.name))
            tree.append(.of("mac", ["address": entry.mac]))
        }
        return tree
    }

    /// `<link>`: what speed and state the kernel tells of an interface.
    static func link(_ name: String) -> XMLTree {
        let state = text(name, "operstate")
        let speed = HostDescription.number("/sys/class/net/\(name)/speed").map { UInt32(truncatingIfNeeded: $0) }
        guard let speed, state == "up" else { return .of("link", ["state": state]) }
        return .of("link", ["speed": "\(speed)", "state": state])
    }

    private static func bridge(_ folder: String) -> XMLTree {
        let stp = HostDescription.number(folder + "/bridge/stp_state") ?? 0
        let delay = HostDescription.number(folder + "/bridge/forward_delay") ?? 0
        var bridge = XMLTree.of("bridge", ["stp": stp == 0 ? "off" : "on", "delay": "\(delay / 100)"])
        for port in ((try? HostFolder.names(in: folder + "/brif")) ?? []).sorted() {
            guard let entry = all.first(where: { $0.name == port }) else { continue }
            bridge.append(document(entry))
        }
        return bridge
    }

    private static func bond(_ folder: String) -> XMLTree {
        let mode = HostDescription.text(folder + "/bonding/mode").split(separator: " ").first.map(String.init)
        var bond = XMLTree.of("bond", ["mode": mode ?? "balance-rr"])
        for port in HostDescription.text(folder + "/bonding/slaves").split(whereSeparator: \.isWhitespace).sorted() {
            guard let entry = all.first(where: { $0.name == port }) else { continue }
            bond.append(document(entry))
        }
        return bond
    }
}
