internal import HostOS
internal import JSON
internal import Synchronization

/// A machine's monitor, from the client's side. Commands wait for their answers, so only workers use them; events and
/// answers come in on the loop.
final class QMPClient: Sendable {
    struct Event: Sendable {
        let name: String
        let seconds: Int64
        let microseconds: UInt32
        let data: JSONValue?
    }

    /// What is told from the loop's thread.
    struct Handlers: Sendable {
        let event: @Sendable (Event) -> Void
        /// The machine has closed its monitor, or broken the protocol.
        let close: @Sendable () -> Void
        /// An image is about to be opened for the machine, to be written too or only read. On the command's thread.
        var opening: (@Sendable (String, Bool) throws(LibvirtError) -> Void)?
    }

    private final class Waiting: Sendable {
        let bell = Bell()
        let answer = Mutex<JSONValue?>(nil)
    }

    private struct State {
        var stream = JSONStream(limits: JSONLimits(size: 32 << 20, depth: 512, singleQuotes: false))
        var source: EventSource?
        var waiting: [String: Waiting] = [:]
        var next = 1
        var closed = false
        let greeting = Waiting()
    }

    /// How long a command may take. What may take longer is a job with an event at its end.
    static let patience: UInt64 = 60_000_000_000

    private let socket: Descriptor
    private let handlers: Handlers
    /// Whether the machine may open no images itself: then those that join it are opened here.
    let opensImages: Bool
    private let state = Mutex(State())

    /// Takes a connected socket, in non-blocking mode.
    init(_ socket: Descriptor, loop: EventLoop, handlers: Handlers, opensImages: Bool = false) throws(HostError) {
        self.socket = socket
        self.opensImages = opensImages
        self.handlers = handlers
        let source = try loop.add(socket, EventLoop.Events.read) { [self] _ in receive() }
        state.withLock { $0.source = source }
    }

    var isClosed: Bool { state.withLock { $0.closed } }

    func close() {
        let (source, waiting) = state.withLock { state -> (EventSource?, [Waiting]) in
            defer {
                state.closed = true
                state.source = nil
                state.waiting = [:]
            }
            return (state.source, Array(state.waiting.values) + [state.greeting])
        }
        source?.remove()
        // A machine serves one monitor at a time: whoever comes next must not wait until this object goes.
        Socket.shutDown(socket)
        for waiter in waiting { waiter.bell.ring() }
    }

    // MARK: - Commands

    /// Waits for the greeting and leaves negotiation. Once.
    func negotiate() throws(LibvirtError) {
        let greeting = state.withLock { $0.greeting }
        guard wait(greeting) != nil else {
            throw LibvirtError.internalError("QEMU unexpectedly closed the monitor")
        }
        try execute("qmp_capabilities")
    }

    /// What a command returns; `passing`: what goes with it, for `getfd`. The machine's refusal is an error with its words.
    @discardableResult
    func execute(
        _ command: String, _ arguments: JSONObject? = nil, passing descriptor: Descriptor? = nil
    ) throws(LibvirtError) -> JSONValue {
        var object = JSONObject()
        object["execute"] = .string(command)
        var arguments = arguments
        var sets: [Int64] = []
        // The node has copies of its own.
        defer { for set in sets { _ = try? execute("remove-fd", ["fdset-id": .number(set)]) } }
        if opensImages, command == "blockdev-add", let given = arguments { arguments = try handImage(given, &sets) }
        if let arguments { object["arguments"] = .object(arguments) }
        let answer = try ask(object, passing: descriptor)
        if let result = answer["return"] { return result }
        let words = answer["error"]?["desc"]?.stringValue ?? "no reason given"
        throw LibvirtError.internalError("unable to execute QEMU command '\(command)': \(words)")
    }

    /// Opens the files of a node for a machine that may not, and gives it the descriptors: what the node is then called.
    ///
    /// An image that may be written is opened for that once and for all. QEMU would open it again for each change, and
    /// its locks would stay behind on the descriptor before.
    private func handImage(_ node: JSONObject, _ sets: inout [Int64]) throws(LibvirtError) -> JSONObject {
        var node = node
        if case .object(let below)? = node["file"] { node["file"] = .object(try handImage(below, &sets)) }
        guard let path = node["filename"]?.stringValue, path.hasPrefix("/"), !path.hasPrefix("/dev/fdset/"),
            ["file", "host_device", "host_cdrom"].contains(node["driver"]?.stringValue ?? "")
        else { return node }
        try handlers.opening?(path, node["read-only"] != true)
        let file: Descriptor
        do throws(HostError) {
            if node["read-only"] != true, let writable = try? HostFile.open(path, HostFile.Mode.readWrite) {
                file = writable
            } else {
                file = try HostFile.open(path, HostFile.Mode.read)
                node["read-only"] = true
            }
        } catch { throw LibvirtError.system("Could not open '\(path)': \(error)") }
        node["auto-read-only"] = nil
        let answer = try execute("add-fd", ["opaque": .string(path)], passing: file)
        guard let set = answer["fdset-id"]?.int64Value else {
            throw LibvirtError.internalError("the machine took no descriptor for '\(path)'")
        }
        sets.append(set)
        node["filename"] = .string("/dev/fdset/\(set)")
        return node
    }

    /// Sends an object and returns the whole answer, as `qemu-monitor-command` shows it.
    func ask(_ object: JSONObject, passing descriptor: Descriptor? = nil) throws(LibvirtError) -> JSONValue {
        let waiter = Waiting()
        let id = state.withLock { state -> String? in
            guard !state.closed else { return nil }
            let id = "libvirt-\(state.next)"
            state.next += 1
            state.waiting[id] = waiter
            return id
        }
        guard let id else { throw QMPClient.gone }
        var object = object
        object["id"] = .string(id)
        do throws(HostError) {
            let bytes = JSONWriter.write(.object(object)) + [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
            if let descriptor {
                try Socket.send(socket, bytes, passing: descriptor)
            } else {
                try socket.writeAll(bytes)
            }
        } catch {
            state.withLock { $0.waiting[id] = nil }
            throw QMPClient.gone
        }
        guard let answer = wait(waiter) else {
            let closed = state.withLock { state in
                state.waiting[id] = nil
                return state.closed
            }
            if closed { throw QMPClient.gone }
            throw LibvirtError.operationTimeout("the machine's monitor does not answer")
        }
        return answer
    }

    static let gone = LibvirtError.operationFailed("domain is no longer running")

    private func wait(_ waiter: Waiting) -> JSONValue? {
        let deadline = HostClock.monotonic + QMPClient.patience
        while true {
            if let answer = waiter.answer.withLock({ $0 }) { return answer }
            let now = HostClock.monotonic
            if now >= deadline || isClosed { return nil }
            waiter.bell.wait(nanoseconds: deadline - now)
        }
    }

    // MARK: - The loop's thread

    private func receive() {
        let bytes = (try? socket.readAvailable(limit: 1 << 16)) ?? []
        let ended = bytes.isEmpty && socket.wait(for: [.read, .peerClosed], milliseconds: 0) != []
        if ended { return end() }
        for item in state.withLock({ $0.stream.feed(bytes) }) {
            switch item {
            case .success(let value): handle(value)
            case .failure: return end()
            }
        }
    }

    private func end() {
        close()
        handlers.close()
    }

    private func handle(_ value: JSONValue) {
        if let name = value["event"]?.stringValue {
            let time = value["timestamp"]
            return handlers.event(
                Event(
                    name: name, seconds: time?["seconds"]?.int64Value ?? 0,
                    microseconds: UInt32(clamping: time?["microseconds"]?.int64Value ?? 0), data: value["data"]))
        }
        let waiter = state.withLock { state -> Waiting? in
            if value["QMP"] != nil { return state.greeting }
            return value["id"]?.stringValue.flatMap { state.waiting.removeValue(forKey: $0) }
        }
        waiter?.answer.withLock { $0 = value }
        waiter?.bell.ring()
    }
}
