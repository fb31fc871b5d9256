import Foundation

/// A run: the same work in both machines in turn, row by row, so that what else the host does hits both alike.
final class Bench {
    let options: Options
    private let server: Server
    let folder: URL
    private var ratios: [Workload.Group: [Double]] = [:]

    /// Which of the two machines.
    enum Side: String, CaseIterable {
        case peer = "QEMU"
        case apus = "Apus"
    }

    init(_ options: Options) throws {
        self.options = options
        server = try Server()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-bench.\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func run() throws {
        introduce()
        Table.head()
        for processors in [1, 2] { boots(processors) }
        for processors in [1, 2] {
            try rows(Workload.all.filter { $0.group.processors == processors }, processors)
        }
        Table.mean("user code", ratios[.user] ?? [], goal: 2.5)
        Table.mean("system", ratios[.system] ?? [], goal: 1.3)
        firmware()
        motion()
        exits()
        states()
    }

    private func introduce() {
        let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
            .flatMap { $0.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) }
        print("Processor: \(model ?? "unknown"), \(ProcessInfo.processInfo.activeProcessorCount) used")
        print("Peer: \(options.peer) -accel tcg,thread=multi")
        print("Guests: -cpu \(options.processor), \(options.memory) MiB \(options.more.joined(separator: " "))")
        print("Medians of \(options.rounds) rounds; ratios are of speeds, above 1 Apus is faster\n")
    }

    // MARK: Machines

    private func start(_ side: Side, _ processors: Int, devices: Bool) throws -> Machine {
        let accelerator = side == .peer ? "tcg,thread=multi" : "tcg"
        var arguments = ["-accel", accelerator, "-cpu", options.processor, "-smp", "\(processors)"]
        arguments += ["-m", "\(options.memory)", "-display", "none", "-serial", "stdio", "-monitor", "none"]
        arguments += ["-no-reboot", "-kernel", options.kernel, "-initrd", options.initramfs]
        arguments += ["-append", "console=ttyS0 quiet panic=-1 rdinit=/bench/init"]
        if devices {
            let disk = folder.appendingPathComponent("\(side.rawValue).raw")
            // Written, not sparse: a hole is read faster than data.
            try Data(repeating: 0xa5, count: 64 << 20).write(to: disk)
            arguments += ["-drive", "file=\(disk.path),if=none,id=disk0,format=raw"]
            arguments += ["-device", "virtio-blk-pci,drive=disk0"]
            arguments += ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"]
        } else {
            arguments += ["-nic", "none"]
        }
        let program = side == .peer ? options.peer : options.program
        return try Machine(Options.path(of: program) ?? program, arguments + options.more)
    }

    /// The sides in the order of a round: the one that was second is first in the next.
    func order(_ round: Int) -> [Side] { round % 2 == 0 ? [.peer, .apus] : [.apus, .peer] }

    // MARK: Rows

    private func boots(_ processors: Int) {
        let name = "start to init, \(processors) vCPU\(processors == 1 ? "" : "s")"
        guard options.wants(name, .boot) else { return }
        var times = Times()
        var peaks: [Side: Int] = [:]
        for round in 0..<options.rounds {
            var found: [Side: Double] = [:]
            for side in order(round) {
                do {
                    let machine = try start(side, processors, devices: false)
                    let reached = try machine.wait(for: "Apus: init reached", limit: options.limit)
                    found[side] = (reached - machine.start) / .seconds(1)
                    peaks[side] = max(peaks[side] ?? 0, machine.peakMemory ?? 0)
                    machine.end()
                } catch {
                    times.trouble = "\(side.rawValue): \(error)"
                }
            }
            add(found, to: &times)
        }
        Table.row(name, times, goal: 1.5)
        Table.memory("  peak memory at init", peer: peaks[.peer], apus: peaks[.apus])
    }

    private func rows(_ rows: [Workload], _ processors: Int) throws {
        let wanted = rows.filter { options.wants($0.name, $0.group) }
        guard !wanted.isEmpty else { return }
        let devices = wanted.contains { $0.group == .disk || $0.group == .network }
        var machines: [Side: Machine] = [:]
        for row in wanted {
            var times = Times()
            var results: Set<String> = []
            for round in 0..<options.rounds {
                var found: [Side: Double] = [:]
                for side in order(round) {
                    do {
                        if machines[side] == nil {
                            let machine = try start(side, processors, devices: devices)
                            _ = try machine.wait(for: "Apus: ready for work", limit: options.limit)
                            machines[side] = machine
                        }
                        let line = row.line.replacingOccurrences(of: "PORT", with: "\(server.port)")
                        guard let (seconds, result) = try machines[side]?.run(line, limit: options.limit) else {
                            continue
                        }
                        found[side] = seconds
                        results.insert(result)
                    } catch {
                        // Nobody knows what state it is in: the next row gets a new one.
                        times.trouble = "\(side.rawValue): \(error)"
                        machines[side] = nil
                    }
                }
                add(found, to: &times)
                if times.trouble != nil { break }
            }
            if results.count > 1 { times.trouble = "the results differ: \(results.sorted().joined(separator: ", "))" }
            if let ratio = Table.row(row.name, times, goal: row.goal) { ratios[row.group, default: []].append(ratio) }
        }
        Table.memory(
            "  peak memory after this, \(processors) vCPU\(processors == 1 ? "" : "s")",
            peer: machines[.peer]?.peakMemory, apus: machines[.apus]?.peakMemory)
    }

    func add(_ found: [Side: Double], to times: inout Times) {
        guard let peer = found[.peer], let apus = found[.apus] else { return }
        times.peer.append(peer)
        times.apus.append(apus)
    }
}
