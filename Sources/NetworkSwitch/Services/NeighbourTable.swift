/// The addresses that machines told their neighbours, the latest first. Bounded for each port, so that one which makes up
/// neighbours hides none behind another.
package struct NeighbourTable<Address: Equatable & Sendable>: Sendable {
    /// Machines behind a port of a switch; a bridge of the host is one port for us.
    package static var usualLimit: Int { 64 }
    /// All ports together.
    private static var limit: Int { 16384 }

    private let depth: Int
    private let portLimit: Int
    private var ports: [Int: [HardwareAddress: [Address]]] = [:]
    private var count = 0

    /// - Parameters:
    ///   - depth: addresses of one machine.
    ///   - portLimit: machines of one port.
    package init(depth: Int, portLimit: Int) {
        self.depth = depth
        self.portLimit = portLimit
    }

    /// Notes an address. True: the machine has not told it before.
    package mutating func note(_ hardware: HardwareAddress, _ address: Address, _ port: Int) -> Bool {
        let known = ports[port]?[hardware]
        if known?.first == address { return false }
        if known == nil {
            guard count < Self.limit, (ports[port]?.count ?? 0) < portLimit else { return false }
            count += 1
        }
        let others = (known ?? []).filter { $0 != address }
        ports[port, default: [:]][hardware] = [address] + others.prefix(depth - 1)
        return others.count == known?.count ?? 0
    }

    /// What machines behind all ports told.
    package var all: [HardwareAddress: [Address]] {
        var result: [HardwareAddress: [Address]] = [:]
        for port in ports.keys.sorted() { result.merge(ports[port] ?? [:]) { first, second in first + second } }
        return result
    }

    /// A port has gone.
    package mutating func forget(port: Int) { count -= ports.removeValue(forKey: port)?.count ?? 0 }
}
