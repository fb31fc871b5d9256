public import Network

/// A bridge over a card of the host, as the host's own network configuration has it.
public struct BridgeConfiguration: Sendable, Equatable {
    /// Who configures the host's network.
    public enum Style: String, CaseIterable, Sendable {
        /// Debian's /etc/network/interfaces.
        case ifupdown
        /// NetworkManager's key files.
        case networkManager = "networkmanager"
        /// Ubuntu's netplan.
        case netplan
        /// systemd-networkd.
        case networkd = "systemd-networkd"
        /// RHEL's network-scripts.
        case ifcfg
    }
    public var bridge: String
    public var nic: String
    /// The host's address and prefix; nil: by DHCP.
    public var address: (address: IPv4Address, prefixLength: Int)?
    public var gateway: IPv4Address?
    public var nameServers: [IPv4Address] = []
    /// The card's hardware address, which the bridge is to have: networks know the host by it. Nil: unknown.
    public var hardware: HardwareAddress?

    /// A bridge that gets its address by DHCP.
    public init(bridge: String, nic: String) {
        self.bridge = bridge
        self.nic = nic
    }

    public static func == (left: BridgeConfiguration, right: BridgeConfiguration) -> Bool {
        left.bridge == right.bridge && left.nic == right.nic && left.address?.address == right.address?.address
            && left.address?.prefixLength == right.address?.prefixLength && left.gateway == right.gateway
            && left.nameServers == right.nameServers && left.hardware == right.hardware
    }

    private var mask: String {
        let length = address?.prefixLength ?? 24
        return "\(IPv4Address(rawValue: length <= 0 ? 0 : ~(length >= 32 ? 0 : UInt32.max >> UInt32(length))))"
    }
    private var place: String { address.map { "\($0.address)/\($0.prefixLength)" } ?? "" }
    private var servers: [String] { nameServers.map { "\($0)" } }

    /// The files, by path below the host's root, with what is to be in them.
    public func files(_ style: Style) -> [(path: String, text: String)] {
        switch style {
        case .ifupdown: return [("/etc/network/interfaces.d/\(bridge)", ifupdown)]
        case .networkManager:
            let folder = "/etc/NetworkManager/system-connections"
            return [("\(folder)/\(bridge).nmconnection", keyFile), ("\(folder)/\(nic).nmconnection", portKeyFile)]
        case .netplan: return [("/etc/netplan/60-\(bridge).yaml", netplan)]
        case .networkd:
            let folder = "/etc/systemd/network"
            return [
                ("\(folder)/60-\(bridge).netdev", "[NetDev]\nName=\(bridge)\nKind=bridge\nMACAddress=none\n"),
                // udev would give it an address of its own.
                ("\(folder)/60-\(bridge).link", "[Match]\nOriginalName=\(bridge)\n\n[Link]\nMACAddressPolicy=none\n"),
                ("\(folder)/60-\(nic).network", "[Match]\nName=\(nic)\n\n[Network]\nBridge=\(bridge)\n"),
                ("\(folder)/61-\(bridge).network", networkd),
            ]
        case .ifcfg:
            let folder = "/etc/sysconfig/network-scripts"
            return [("\(folder)/ifcfg-\(bridge)", ifcfg), ("\(folder)/ifcfg-\(nic)", portIfcfg)]
        }
    }

    /// What the host's own file says against it, read below a root; empty: nothing.
    public static func conflicts(_ style: Style, nic: String, interfaces text: String) -> [String] {
        guard style == .ifupdown else { return [] }
        var notes: [String] = []
        let lines = text.split(separator: "\n").map { $0.split(whereSeparator: { $0 == " " || $0 == "\t" }) }
        if !lines.contains(where: { $0.first?.hasPrefix("source") == true && $0.last?.contains("interfaces.d") == true }
        ) {
            notes.append(
                "'/etc/network/interfaces' does not read interfaces.d: add 'source /etc/network/interfaces.d/*'")
        }
        if lines.contains(where: { $0.count > 1 && $0[0] == "iface" && $0[1] == nic }) {
            notes.append("'/etc/network/interfaces' configures '\(nic)' too: take that away")
        }
        return notes
    }

    private var ifupdown: String {
        var lines = ["auto \(nic)", "iface \(nic) inet manual", "", "auto \(bridge)"]
        lines.append("iface \(bridge) inet \(address == nil ? "dhcp" : "static")")
        lines += ["    bridge_ports \(nic)", "    bridge_stp off", "    bridge_fd 0", "    bridge_hw \(nic)"]
        if address != nil { lines.append("    address \(place)") }
        if let gateway { lines.append("    gateway \(gateway)") }
        if !servers.isEmpty { lines.append("    dns-nameservers \(servers.joined(separator: " "))") }
        return lines.joined(separator: "\n") + "\n"
    }

    private var keyFile: String {
        var lines = ["[connection]", "id=\(bridge)", "type=bridge", "interface-name=\(bridge)", "autoconnect=true", ""]
        if let hardware { lines += ["[ethernet]", "cloned-mac-address=\("\(hardware)".uppercased())", ""] }
        lines += ["[bridge]", "stp=false", "", "[ipv4]"]
        if address != nil {
            lines += ["method=manual", "address1=\(place)\(gateway.map { ",\($0)" } ?? "")"]
            if !servers.isEmpty { lines.append("dns=\(servers.joined(separator: ";"));") }
        } else {
            lines.append("method=auto")
        }
        return (lines + ["", "[ipv6]", "method=auto", ""]).joined(separator: "\n")
    }

    private var portKeyFile: String {
        """
        [connection]
        id=\(nic)
        type=ethernet
        interface-name=\(nic)
        master=\(bridge)
        slave-type=bridge
        autoconnect=true
        autoconnect-priority=100

        """
    }

    private var netplan: String {
        var lines = [
            "network:", "  version: 2", "  ethernets:", "    \(nic):", "      dhcp4: false", "      dhcp6: false",
        ]
        lines += ["  bridges:", "    \(bridge):", "      interfaces: [\(nic)]", "      dhcp4: \(address == nil)"]
        if let hardware { lines.append("      macaddress: \(hardware)") }
        if address != nil { lines.append("      addresses: [\(place)]") }
        if let gateway { lines += ["      routes:", "        - to: default", "          via: \(gateway)"] }
        if !servers.isEmpty {
            lines += ["      nameservers:", "        addresses: [\(servers.joined(separator: ", "))]"]
        }
        lines += ["      parameters:", "        stp: false", "        forward-delay: 0"]
        return lines.joined(separator: "\n") + "\n"
    }

    private var networkd: String {
        var lines = ["[Match]", "Name=\(bridge)", "", "[Network]"]
        lines.append(address == nil ? "DHCP=ipv4" : "Address=\(place)")
        if let gateway { lines.append("Gateway=\(gateway)") }
        lines += servers.map { "DNS=\($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private var ifcfg: String {
        var lines = ["TYPE=\"Bridge\"", "BOOTPROTO=\"\(address == nil ? "dhcp" : "static")\""]
        lines += ["NAME=\"\(bridge)\"", "DEVICE=\"\(bridge)\"", "ONBOOT=\"yes\""]
        if let address { lines += ["IPADDR=\"\(address.address)\"", "NETMASK=\"\(mask)\""] }
        if let gateway { lines.append("GATEWAY=\"\(gateway)\"") }
        lines += servers.enumerated().map { "DNS\($0 + 1)=\"\($1)\"" }
        return lines.joined(separator: "\n") + "\n"
    }

    private var portIfcfg: String {
        "TYPE=\"Ethernet\"\nNAME=\"\(nic)\"\nDEVICE=\"\(nic)\"\nONBOOT=\"yes\"\nBRIDGE=\"\(bridge)\"\n"
    }
}
