import Foundation

/// How long it takes out of a guest and back, on KVM on both sides: a multiboot kernel writes to ports and device
/// memory, with an exit to the machine's process or by an eventfd.
extension Bench {
    private static let accesses = 20_000
    private static let rows = [
        "port write", "port read", "memory write", "memory read", "port event", "memory event",
    ]

    func exits() {
        guard options.wants("exits", .exits) || Self.rows.contains(where: { options.wants($0, .exits) }) else { return }
        guard FileManager.default.isReadableFile(atPath: "/dev/kvm") else {
            print("exits: skipped, this user cannot open /dev/kvm")
            return
        }
        var times: [String: Times] = [:]
        do {
            // Both live at the same time, and the one that is not asked stands still.
            var machines: [Side: Machine] = [:]
            for side in Side.allCases {
                let machine = try startExits(side)
                _ = try machine.wait(for: "Apus: ready for work", limit: options.limit)
                machine.halt()
                machines[side] = machine
            }
            for round in 0..<options.rounds {
                var found: [Side: [String: Double]] = [:]
                for side in order(round) { found[side] = try machines[side].map { try measure($0) } }
                for row in Self.rows {
                    guard let peer = found[.peer]?[row], let apus = found[.apus]?[row] else { continue }
                    times[row, default: Times()].peer.append(peer)
                    times[row, default: Times()].apus.append(apus)
                }
            }
        } catch {
            print("exits: \(error)")
        }
        for row in Self.rows { if let found = times[row] { Table.exit("exits on KVM, \(row)", found, goal: 1) } }
    }

    private func startExits(_ side: Side) throws -> Machine {
        let program = side == .peer ? options.peer : options.program
        // What a nested KVM may refuse is left out for both.
        let arguments = [
            "-accel", "kvm", "-cpu", "max,-arch-capabilities", "-m", "64", "-display", "none", "-nodefaults", "-serial",
            "stdio", "-device", "pci-testdev", "-kernel", options.exits,
        ]
        return try Machine(Options.path(of: program) ?? program, arguments)
    }

    /// One round of all rows: seconds an access.
    private func measure(_ machine: Machine) throws -> [String: Double] {
        machine.go()
        defer { machine.halt() }
        try machine.send("")
        var result: [String: Double] = [:]
        var began: ContinuousClock.Instant?
        while result.count < Self.rows.count {
            let (text, at) = try machine.line(limit: options.limit)
            if text.hasPrefix("begin ") {
                began = at
            } else if text.hasPrefix("end "), let began {
                result[String(text.dropFirst(4))] = (at - began) / .seconds(1) / Double(Self.accesses)
            }
        }
        return result
    }
}
