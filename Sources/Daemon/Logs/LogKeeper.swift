internal import DomainModel
internal import HostOS

/// `apus keep-logs`: the process that keeps logs small while machines run, whether or not a daemon is there. Daemons start
/// it; it ends after the last machine.
public enum LogKeeper {
    private static let pause: UInt64 = 1_000_000_000
    /// Looks without a machine after which it ends.
    private static let patience = 10

    /// Runs it: folders of what runs, and of the machines' logs.
    public static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count == 2, let running = arguments.first, let logs = arguments.last else { return 2 }
        HostThread.nameCurrent("apus-logs")
        guard let lock = try? PIDFile(file(running)) else { return 0 }
        var state = State()
        let bell = Bell()
        while state.idle < patience {
            look(running, logs, &state)
            bell.wait(nanoseconds: pause)
        }
        lock.remove()
        return 0
    }

    private struct State {
        var idle = 0
        /// Logs that definitions name, by the file of the machine's state and that file's time.
        var named: [String: (time: Int64, paths: [String])] = [:]
    }

    static func file(_ running: String) -> String { running + "/logs.pid" }

    private static func look(_ running: String, _ logs: String, _ state: inout State) {
        let names = (try? HostFolder.names(in: running)) ?? []
        let machines = names.filter { $0.hasSuffix(".xml") }
        state.idle = machines.isEmpty ? state.idle + 1 : 0
        state.named = state.named.filter { machines.contains($0.key) }
        for name in machines {
            guard let time = (try? HostFile.details("\(running)/\(name)"))?.modified else { continue }
            let mark = time.seconds << 30 | time.nanoseconds
            if state.named[name]?.time != mark { state.named[name] = (mark, paths("\(running)/\(name)")) }
            for path in state.named[name]?.paths ?? [] { RotatedLog.turn(path) }
            RotatedLog.turn("\(logs)/\(name.dropLast(4)).log")
        }
        for name in names where HostFile.status("\(running)/\(name)").kind == .folder {
            ConsoleLog.trim("\(running)/\(name)")
        }
    }

    /// The logs that a machine's document names.
    private static func paths(_ document: String) -> [String] {
        guard let bytes = try? HostFile.contents(document, limit: 16 << 20),
            let tree = try? XMLReader.parse(bytes: bytes, document: document)
        else { return [] }
        return (tree.at("domain", "devices")?.children ?? []).compactMap { $0.child("log")?["file"] }
            .filter { $0.hasPrefix("/") }
    }

    /// Starts it where it does not run, by a shell that ends at once: it outlives the daemon.
    static func start(program: String, _ paths: DaemonPaths) {
        let text = HostDescription.trim(HostDescription.text(file(paths.running)))
        if let number = Int32(text), HostDescription.text("/proc/\(number)/cmdline").contains("keep-logs") { return }
        guard let null = try? HostFile.open("/dev/null", .readWrite),
            let shell = try? HostProcess.spawn(
                "/bin/sh",
                arguments: ["sh", "-c", "\"$@\" &", "sh", program, "keep-logs", paths.running, paths.machineLogs],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"], descriptors: [null, null, null])
        else { return }
        _ = shell.waitForEnd(milliseconds: 10_000)
        shell.reap()
    }
}
