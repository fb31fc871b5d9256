internal import HostOS
internal import Network

/// Puts a bridge under the host's own address: the card becomes its port, addresses and routes move over, and all goes
/// back where the gateway does not answer any more. As root; the host is without network for a moment.
struct BridgeMove {
    let bridge: String
    let nic: String

    /// What the card has.
    struct Setup: Equatable {
        var addresses: [String] = []
        var routes: [[String]] = []
        /// Those of IPv6 that somebody has set: what routers told comes again by itself.
        var addresses6: [String] = []
        var routes6: [[String]] = []
        var gateway: IPv4Address?
        var address: [UInt8] = []
    }

    /// Reads addresses and routes of an interface.
    static func setup(of name: String) throws -> Setup {
        var setup = Setup()
        for line in try HostTools.run("ip", ["-4", "-o", "addr", "show", "dev", name]).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if let place = words.firstIndex(of: "inet"), place + 1 < words.count {
                setup.addresses.append(words[place + 1])
            }
        }
        for line in try HostTools.run("ip", ["-4", "route", "show", "dev", name]).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init).filter { $0 != "linkdown" }
            // Those of the addresses come with them.
            guard !words.contains("kernel"), !words.isEmpty else { continue }
            setup.routes.append(words)
            if words[0] == "default", let via = words.firstIndex(of: "via"), via + 1 < words.count {
                setup.gateway = IPv4Address(words[via + 1])
            }
        }
        let six = try HostTools.run("ip", ["-6", "-o", "addr", "show", "dev", name, "scope", "global"])
        for line in six.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard let place = words.firstIndex(of: "inet6"), place + 1 < words.count, !words.contains("dynamic") else {
                continue
            }
            setup.addresses6.append(words[place + 1])
        }
        for line in try HostTools.run("ip", ["-6", "route", "show", "dev", name]).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init).filter { $0 != "linkdown" }
            guard !words.contains("kernel"), !words.contains("ra"), !words.isEmpty else { continue }
            setup.routes6.append(words)
        }
        let words = try HostTools.run("ip", ["-o", "link", "show", "dev", name]).split(separator: " ").map(String.init)
        if let place = words.firstIndex(of: "link/ether"), place + 1 < words.count {
            setup.address = HardwareAddress(words[place + 1])?.bytes ?? []
        }
        return setup
    }

    /// Moves, and moves back after so many seconds without an answer of the gateway.
    func run(seconds: Int) throws {
        guard !HostLink.exists(bridge) else { throw NetworkError("interface '\(bridge)' is there already") }
        guard HostLink.exists(nic) else { throw NetworkError("there is no interface '\(nic)'") }
        let setup = try Self.setup(of: nic)
        // The terminal of whoever asked may hang on this very card.
        Signals.block([Signals.hangUp, Signals.terminate, Signals.interrupt])
        do {
            try HostLink.addBridge(bridge)
            if setup.address.count == 6 { try HostLink.setHardwareAddress(bridge, setup.address) }
            try HostLink.setMember(nic, of: bridge, true)
            try HostLink.setUp(bridge, true)
            try HostLink.setUp(nic, true)
            try HostTools.run("ip", ["-4", "addr", "flush", "dev", nic])
            try HostTools.run("ip", ["-6", "addr", "flush", "dev", nic, "scope", "global"])
            try Self.give(setup, to: bridge)
            guard let gateway = setup.gateway else { return }
            guard try answers(gateway, setup, seconds: seconds) else {
                throw NetworkError("gateway \(gateway) did not answer by '\(bridge)' in \(seconds) s: all is as it was")
            }
        } catch {
            try? HostLink.setMember(nic, of: bridge, false)
            if HostLink.exists(bridge) {
                try? HostLink.setUp(bridge, false)
                try? HostLink.removeBridge(bridge)
            }
            try? HostLink.setUp(nic, true)
            try? Self.give(setup, to: nic)
            throw error
        }
    }

    private static func give(_ setup: Setup, to name: String) throws {
        for address in setup.addresses {
            // It may still be there when this undoes.
            _ = try? HostTools.run("ip", ["addr", "add", address, "brd", "+", "dev", name])
        }
        for address in setup.addresses6 {
            _ = try? HostTools.run("ip", ["-6", "addr", "add", address, "dev", name, "nodad"])
        }
        for route in setup.routes6 { try HostTools.run("ip", ["-6", "route", "replace"] + route + ["dev", name]) }
        for route in setup.routes { try HostTools.run("ip", ["route", "replace"] + route + ["dev", name]) }
    }

    /// Asks for the gateway's hardware address until it says it.
    private func answers(_ gateway: IPv4Address, _ setup: Setup, seconds: Int) throws -> Bool {
        guard let own = setup.addresses.first.flatMap({ IPv4Address(String($0.split(separator: "/")[0])) }),
            setup.address.count == 6
        else { return false }
        let socket = try PacketSocket.open(interface: bridge, promiscuous: false)
        let mac = setup.address
        var request = [UInt8](repeating: 0xFF, count: 6) + mac + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + mac
        request += own.bytes + [0, 0, 0, 0, 0, 0] + gateway.bytes
        let end = HostClock.monotonic + UInt64(max(1, seconds)) * 1_000_000_000
        while HostClock.monotonic < end {
            // A bridge that is not up yet takes nothing.
            // SAFETY: the array lives for the call.
            _ = unsafe request.withUnsafeBytes { unsafe socket.write($0) }
            let pause = HostClock.monotonic + 500_000_000
            while HostClock.monotonic < pause {
                guard socket.wait(for: [.read], milliseconds: 100).contains(.read) else { continue }
                let frame = (try? socket.readAvailable(limit: 2048)) ?? []
                if frame.count >= 42, Array(frame[12..<14]) == [8, 6], Array(frame[20..<22]) == [0, 2],
                    Array(frame[28..<32]) == gateway.bytes
                {
                    return true
                }
            }
        }
        return false
    }
}
