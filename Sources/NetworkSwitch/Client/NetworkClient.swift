public import DomainModel
internal import HostOS
public import JSON
internal import Network
internal import Synchronization

/// Starts, finds and steers the processes of networks. Any thread; calls wait for the process's answer.
///
/// A process outlives whoever started it: a daemon that comes back calls `running` and goes on with `call`.
public struct NetworkClient: Sendable {
    /// Where the processes are.
    public let paths: NetworkPaths
    /// The program that is the process: `apus`.
    public let program: String
    /// Milliseconds that a start may take.
    private static let patience: Int32 = 60_000
    /// Milliseconds that an answer may take, and the next ones of a process that has just given none.
    private static let (answer, shortAnswer): (Int32, Int32) = (10_000, 200)
    /// Processes that gave no answer, until when little is expected of them.
    private final class Silent: Sendable {
        let until = Mutex<[String: UInt64]>([:])
    }
    private let silent = Silent()

    /// A client of processes below `paths`. `program` is the `apus` that `start` runs.
    public init(paths: NetworkPaths, program: String) {
        self.paths = paths
        self.program = program
    }

    /// Starts a network's process and returns once machines can connect. Nothing happens if it runs.
    ///
    /// - Parameter onHost: as root, a bridge of the host's kernel instead of our own switch.
    public func start(_ network: VirtualNetwork, onHost: Bool = false) throws(NetworkError) {
        _ = try NetworkPlan(network)
        try start(name: network.name, xml: network.xml(), onHost: onHost)
    }

    private func start(name: String, xml: String, onHost: Bool) throws(NetworkError) {
        guard NetworkPaths.isName(name) else { throw NetworkError("'\(name)' is no name of a network") }
        guard !isRunning(name) else { return }
        cleanUp(name)
        do {
            try HostFolder.make(paths.run, permissions: 0o700)
            try HostFolder.make(paths.state, permissions: 0o700)
            try HostFolder.make(paths.folder(name), permissions: 0o700)
            try HostFile.replace(paths.definition(name), with: Array(xml.utf8))
            guard let line = try Self.line(spawn(name, onHost: onHost)) else {
                throw NetworkError("network '\(name)' does not start: its process says nothing")
            }
            guard line == "ready" else {
                throw NetworkError("network '\(name)' does not start: \(line.isEmpty ? "its process ended" : line)")
            }
        } catch let error as NetworkError {
            throw error
        } catch {
            throw NetworkError("network '\(name)' does not start: \(error)")
        }
    }

    /// Starts a network's process, by a shell that ends at once: it is nobody's child, as it outlives who starts it.
    /// Returns what it writes.
    private func spawn(_ name: String, onHost: Bool) throws(HostError) -> Descriptor {
        let (input, output) = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let shell = try HostProcess.spawn(
            "/bin/sh",
            arguments: ["sh", "-c", "\"$@\" &", "sh"]
                + [program, "network", "serve", "--run", paths.run, "--state", paths.state]
                + (onHost ? ["--host"] : []) + [name],
            environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"], descriptors: [null, output, null])
        _ = shell.waitForEnd(milliseconds: Self.patience)
        shell.reap()
        return input
    }

    /// The first line that comes from a descriptor before all who write to it have ended; nil: none came in time.
    private static func line(_ input: Descriptor) throws -> String? {
        var bytes: [UInt8] = []
        let end = HostClock.monotonic + UInt64(patience) * 1_000_000
        while !bytes.contains(10) {
            guard HostClock.monotonic < end else { return nil }
            let events = input.wait(for: [.read], milliseconds: 100)
            if events.contains(.read) {
                let more = try input.readAvailable(limit: 4096)
                if more.isEmpty { break }
                bytes += more
            } else if events.contains(.hangUp) {
                // All who could write have ended, and said nothing.
                break
            }
        }
        return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
    }

    /// Ends a network and removes what it made on the host, and its leases. Nothing happens if it does not run.
    public func stop(_ name: String) throws(NetworkError) {
        let number = processID(of: name)
        if number != nil { _ = try? call(name, "stop") }
        if let number, let process = try? HostProcess(number: number) {
            if !process.waitForEnd(milliseconds: 10_000) { process.kill() }
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
        }
        cleanUp(name)
        if NetworkPaths.isName(name), number == nil || !isRunning(name) {
            for file in [paths.leases(name), paths.leases6(name)] { try? HostFile.remove(file) }
        }
    }

    /// Removes what a network's process that was killed has left.
    public func cleanUp(_ name: String) {
        guard NetworkPaths.isName(name), !isRunning(name) else { return }
        HostTraces(paths: paths).remove(name)
        HostFile.removeTree(paths.folder(name))
    }

    /// Removes what all processes that were killed have left: bridges and rules of the host, sockets.
    public func cleanUpAll() {
        let folders = (try? HostFolder.names(in: paths.run)) ?? []
        for name in Set(folders + HostTraces(paths: paths).names) { cleanUp(name) }
    }

    /// Whether a network's process runs.
    public func isRunning(_ name: String) -> Bool {
        guard NetworkPaths.isName(name), let address = try? SocketAddress.unix(paths.control(name)) else {
            return false
        }
        // One that more wait for than it takes is there, too.
        do throws(HostError) { return try Socket.connect(address).rawValue >= 0 } catch {
            return "\(error.errno)" == HostError.text(11)  // EAGAIN
        }
    }

    /// The number of a network's process; nil if there is none. The kernel tells it: a process that somebody has stopped
    /// keeps nobody waiting here.
    public func processID(of name: String) -> Int32? {
        guard NetworkPaths.isName(name), let address = try? SocketAddress.unix(paths.control(name)),
            let socket = try? Socket.connect(address)
        else { return nil }
        return (try? PeerCredentials(of: socket)).flatMap { $0.processID > 0 ? $0.processID : nil }
    }

    /// The networks whose processes run, by name.
    public var running: [String] {
        ((try? HostFolder.names(in: paths.run)) ?? []).filter(isRunning)
    }

    /// The definition of a network that runs.
    public func definition(_ name: String) -> VirtualNetwork? {
        guard NetworkPaths.isName(name), let bytes = try? HostFile.contents(paths.definition(name), limit: 4 << 20)
        else {
            return nil
        }
        return try? VirtualNetwork(xml: String(decoding: bytes, as: UTF8.self))
    }

    // MARK: - Commands

    /// Has a network's process do something; docs/networks.md lists the commands.
    @discardableResult
    public func call(_ name: String, _ command: String, _ arguments: JSONObject = [:]) throws(NetworkError) -> JSONValue
    {
        do {
            let socket = try Socket.connect(try SocketAddress.unix(paths.control(name)))
            var request = arguments
            request["command"] = .string(command)
            try socket.writeAll(Array((JSONValue.object(request).description + "\n").utf8))
            var bytes: [UInt8] = []
            while !bytes.contains(10) {
                guard socket.wait(for: [.read], milliseconds: patience(name)).contains(.read) else {
                    silent.until.withLock { $0[name] = HostClock.monotonic + 30_000_000_000 }
                    throw NetworkError("network '\(name)' does not answer")
                }
                let more = try socket.readAvailable(limit: 1 << 16)
                guard !more.isEmpty, bytes.count < 64 << 20 else { throw NetworkError("network '\(name)' has ended") }
                bytes += more
            }
            let answer = try JSONReader.parse(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self))
            if let words = answer["error"]?.stringValue { throw NetworkError(words) }
            guard let value = answer["return"] else { throw NetworkError("network '\(name)' gives no answer") }
            return value
        } catch let error as NetworkError {
            throw error
        } catch {
            throw NetworkError("network '\(name)' is not active (\(error))")
        }
    }

    private func patience(_ name: String) -> Int32 {
        silent.until.withLock { list in
            guard let end = list[name] else { return Self.answer }
            if HostClock.monotonic < end { return Self.shortAnswer }
            list[name] = nil
            return Self.answer
        }
    }

    /// Makes a port for a machine; the path of the socket for its `-netdev stream`.
    public func addPort(_ name: String, _ settings: PortSettings) throws(NetworkError) -> String {
        let answer = try call(name, "port-add", ["port": .object(settings.json)])
        guard let path = answer["socket"]?.stringValue else { throw NetworkError("network '\(name)' gives no socket") }
        return path
    }

    /// Ends a port.
    public func removePort(_ name: String, _ port: String) throws(NetworkError) {
        try call(name, "port-remove", ["name": .string(port)])
    }

    /// The leases of a network: of its process, or of its file while it does not run.
    public func leases(_ name: String) -> [DHCPLease] {
        guard NetworkPaths.isName(name) else { return [] }
        let now = NetworkServices.now
        return LeaseFile<DHCPLease>(path: paths.leases(name)).read().filter { $0.expiry == 0 || $0.expiry > now }
    }

    /// The leases of a network's IPv6.
    public func leases6(_ name: String) -> [DHCPv6Lease] {
        guard NetworkPaths.isName(name) else { return [] }
        let now = NetworkServices.now
        return LeaseFile<DHCPv6Lease>(path: paths.leases6(name)).read().filter { $0.expiry == 0 || $0.expiry > now }
    }

    /// Changes the names and fixed addresses of a network that runs (`net-update`).
    public func update(_ network: VirtualNetwork) throws(NetworkError) {
        try call(network.name, "update", ["xml": .string(network.xml())])
    }
}
