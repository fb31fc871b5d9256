import Foundation

/// Whole machines that are saved, restored, moved and forked. A guest that stands: what is timed is the machine's work.
extension Bench {
    func states() {
        guard options.wants("state", .state) || Self.stateRows.contains(where: { options.wants($0, .state) }) else {
            return
        }
        var times: [String: Times] = [:]
        var resumes: [Double] = []
        for round in 0..<options.rounds {
            var found: [Side: [String: Double]] = [:]
            for side in order(round) {
                do { found[side] = try measureState(side) } catch { print("state, \(side.rawValue): \(error)") }
            }
            if let seconds = found[.apus]?["resume"] { resumes.append(seconds * 1000) }
            guard let peer = found[.peer], let apus = found[.apus] else { continue }
            for row in Self.stateRows {
                times[row, default: Times()].peer.append(peer[row] ?? .nan)
                times[row, default: Times()].apus.append(apus[row] ?? .nan)
            }
        }
        for row in Self.stateRows { if let found = times[row] { Table.row(row, found, goal: 1) } }
        if !resumes.isEmpty {
            print("resume from a file, to the first instruction: \(Table.milliseconds(resumes)) (goal 50)")
        }
        for memory in ["anonymous", "shared"] {
            do { try forks(memory) } catch { print("fork, \(memory) memory: \(error)") }
        }
    }

    private static let stateRows = [
        "save by exec", "restore by exec", "save to a file", "restore from a file", "migrate, total",
        "migrate, downtime",
    ]

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// A machine with its monitor.
    private func startState(
        _ side: Side, _ name: String, _ more: [String] = []
    ) throws -> (machine: Machine, monitor: Monitor) {
        let accelerator = side == .peer ? "tcg,thread=multi" : "tcg"
        let program = side == .peer ? options.peer : options.program
        try? FileManager.default.removeItem(atPath: path(name))
        let machine = try Machine(
            Options.path(of: program) ?? program,
            [
                "-accel", accelerator, "-cpu", options.processor, "-m", "\(options.memory)", "-display", "none",
                "-serial", "stdio", "-monitor", "none", "-nic", "none", "-qmp",
                "unix:\(path(name)),server=on,wait=off", "-kernel", options.kernel, "-initrd", options.initramfs,
                "-append", "console=ttyS0 quiet panic=-1 rdinit=/bench/init",
            ] + more)
        return (machine, try Monitor(path(name), limit: options.limit))
    }

    private func measureState(_ side: Side) throws -> [String: Double] {
        var found: [String: Double] = [:]
        let (state, socket) = (path("state"), path("road"))
        let (source, monitor) = try startState(side, "one")
        _ = try source.wait(for: "Apus: ready for work", limit: options.limit)
        // Half of its memory is written.
        _ = try source.run("work copy 50", limit: options.limit)
        try monitor.execute("migrate-set-parameters", ["max-bandwidth": 1 << 40])
        for (row, address) in [("save by exec", "exec:cat >\(state).pipe"), ("save to a file", "file:\(state)")] {
            // QEMU 7.2 has no files.
            if side == .peer, address.hasPrefix("file:") { continue }
            try monitor.execute("stop")
            found[row] = try monitor.migrate(address)
            try monitor.execute("cont")
        }
        for (row, address) in [
            ("restore by exec", "exec:cat \(state).pipe"), ("restore from a file", "file:\(state)"),
        ] {
            if side == .peer, address.hasPrefix("file:") { continue }
            let began = ContinuousClock().now
            let (machine, other) = try startState(side, "two", ["-incoming", address])
            try other.runOnceThere()
            found[row] = (ContinuousClock().now - began) / .seconds(1)
            machine.end()
        }
        if side == .apus {
            // A program that is there already, from the word to the guest's first instruction.
            let (machine, other) = try startState(side, "waiting", ["-incoming", "defer"])
            let began = ContinuousClock().now
            try other.execute("migrate-incoming", ["uri": "file:\(state)"])
            try other.runOnceThere()
            try other.wait(for: "RESUME", limit: options.limit)
            found["resume"] = (ContinuousClock().now - began) / .seconds(1)
            machine.end()
        }
        let (target, other) = try startState(side, "three", ["-incoming", "defer"])
        try other.execute("migrate-incoming", ["uri": "unix:\(socket)"])
        found["migrate, total"] = try monitor.migrate("unix:\(socket)")
        let known = try monitor.execute("query-migrate")
        found["migrate, downtime"] = Double(known["downtime"] as? Int ?? 0) / 1000
        source.end()
        target.end()
        for file in [state, "\(state).pipe", socket] { try? FileManager.default.removeItem(atPath: file) }
        return found
    }

    // MARK: Forks

    /// From the command to the child's first instruction, and what eight children take that do nothing.
    private func forks(_ memory: String) throws {
        let more =
            memory == "shared"
            ? [
                "-object", "memory-backend-memfd,id=ram,size=\(options.memory)M,share=on", "-machine",
                "memory-backend=ram",
            ] : []
        var (first, later): ([Double], [Double]) = ([], [])
        var share = 0.0
        for round in 0..<max(1, options.rounds / 2) {
            let (parent, monitor) = try startState(.apus, "parent", more)
            _ = try parent.wait(for: "Apus: ready for work", limit: options.limit)
            let before = Self.memory(parent)
            for turn in 0..<2 {
                var children: [(machine: Machine, monitor: Monitor)] = []
                for number in 0..<(turn == 1 && round == 0 ? 8 : 1) {
                    children.append(
                        try startState(
                            .apus, "child\(number)", more + ["-incoming", "unix:\(path("door\(number)"))"]))
                }
                let began = ContinuousClock().now
                try monitor.execute(
                    "x-fork", ["children": children.indices.map { "unix:\(path("door\($0)"))" }])
                try children[0].monitor.wait(for: "RESUME", limit: options.limit)
                let taken = (ContinuousClock().now - began) / .milliseconds(1)
                if turn == 0 { first.append(taken) } else if children.count == 1 { later.append(taken) }
                while (try monitor.execute("query-migrate"))["status"] as? String != "completed" {}
                if children.count == 8 {
                    Thread.sleep(forTimeInterval: 2)
                    share = Double(children.reduce(0) { $0 + Self.memory($1.machine) }) / Double(before)
                }
                for child in children { child.machine.end() }
            }
            parent.end()
        }
        let words = later.isEmpty ? "" : ", later \(Table.milliseconds(later))"
        print("fork, \(memory) memory, to the child's first instruction: \(Table.milliseconds(first))\(words)")
        print("  memory of 8 idle children over the parent's: \(String(format: "%.2f", share)) (goal 1.30)")
    }

    /// What a process takes of the host's memory in KiB, common pages shared among those who have them.
    private static func memory(_ machine: Machine) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(machine.number)/smaps_rollup", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("Pss:") }.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }
}

extension Table {
    static func milliseconds(_ values: [Double]) -> String {
        median(values).map { String(format: "%.1f ms", $0) } ?? "-"
    }
}

/// A client of a machine's QMP socket, which waits for each answer.
private final class Monitor {
    private let socket: Int32
    private var pending = Data()
    private var events: [String] = []

    init(_ path: String, limit: Double) throws {
        let end = Date().addingTimeInterval(limit)
        while true {
            let descriptor = Foundation.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8.prefix(107)) }
            let status = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if status == 0 {
                socket = descriptor
                break
            }
            close(descriptor)
            guard Date() < end else { throw Machine.Failed(description: "no monitor at \(path)") }
            usleep(500)
        }
        _ = try message(limit)
        try execute("qmp_capabilities")
    }
    deinit { close(socket) }

    private func message(_ limit: Double) throws -> [String: Any] {
        while true {
            if let end = pending.firstIndex(of: 10) {
                let line = pending[..<end]
                pending = Data(pending[(end + 1)...])
                return try JSONSerialization.jsonObject(with: line) as? [String: Any] ?? [:]
            }
            var wanted = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&wanted, 1, Int32(limit * 1000)) > 0 else {
                throw Machine.Failed(description: "the monitor says nothing")
            }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = unsafe recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { throw Machine.Failed(description: "the machine ended") }
            pending += buffer[..<count]
        }
    }

    @discardableResult
    func execute(_ command: String, _ arguments: [String: Any] = [:]) throws -> [String: Any] {
        let request: [String: Any] = ["execute": command, "arguments": arguments]
        var bytes = [UInt8](try JSONSerialization.data(withJSONObject: request)) + [10]
        let count = bytes.count
        guard unsafe send(socket, &bytes, count, Int32(MSG_NOSIGNAL)) == count else {
            throw Machine.Failed(description: "the machine ended")
        }
        while true {
            let answer = try message(60)
            if let event = answer["event"] as? String {
                events.append(event)
                continue
            }
            if let error = answer["error"] as? [String: Any] {
                throw Machine.Failed(description: "\(command): \(error["desc"] ?? "")")
            }
            return answer["return"] as? [String: Any] ?? [:]
        }
    }

    /// Waits for an event.
    func wait(for event: String, limit: Double) throws {
        while true {
            if let place = events.firstIndex(of: event) {
                events.remove(at: place)
                return
            }
            if let next = (try message(limit))["event"] as? String { events.append(next) }
        }
    }

    /// Waits until a state that comes in is there, and has the machine run: QEMU's stands as the one that it was.
    func runOnceThere() throws {
        while (try execute("query-status"))["status"] as? String == "inmigrate" { usleep(1000) }
        try execute("cont")
    }

    /// Sends the machine to an address, and gives the seconds.
    func migrate(_ address: String) throws -> Double {
        let began = ContinuousClock().now
        try execute("migrate", ["uri": address])
        while true {
            let known = try execute("query-migrate")
            switch known["status"] as? String {
            case "completed": return (ContinuousClock().now - began) / .seconds(1)
            case "failed", "cancelled":
                throw Machine.Failed(description: "migrate: \(known["error-desc"] ?? "")")
            default: usleep(1000)
            }
        }
    }
}
