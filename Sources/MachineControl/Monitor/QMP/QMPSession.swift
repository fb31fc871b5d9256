public import HostOS
internal import JSON
public import Machine

/// One client of a QMP monitor: bytes in, bytes out.
///
/// Confined to the thread that owns the connection. Events come from the machine's threads; `wake` is called there
/// when some wait, and the owner then sends what `pendingEvents` returns. A reply never overtakes the events that its
/// command caused.
public final class QMPSession {
    private let context: QMPContext
    private let pretty: Bool
    private let queue: MachineEventQueue
    private var stream = JSONStream(limits: .monitor)
    private var isNegotiated = false
    private var subscription: EventSubscription?

    /// A client of a machine. `wake` is called on any thread when events wait; it must not call the session.
    /// `takeDescriptor` gives the oldest of the descriptors that the client passed along with its bytes, `now` the host's
    /// monotonic time in nanoseconds.
    public init(
        machine: any MachineOperations, pretty: Bool = false,
        takeDescriptor: @escaping @Sendable () -> Descriptor? = { nil },
        now: @escaping @Sendable () -> UInt64 = { HostClock.monotonic }, wake: @escaping @Sendable () -> Void = {}
    ) {
        context = QMPContext(
            machine: machine, human: HMPInterpreter(machine: machine), takeDescriptor: takeDescriptor,
            named: NamedDescriptors())
        self.pretty = pretty
        queue = MachineEventQueue(now: now, wake: wake)
    }

    deinit { close() }

    /// Starts anew for a client that just connected: the greeting.
    public func open() -> [UInt8] {
        close()
        isNegotiated = false
        stream = JSONStream(limits: .monitor)
        let queue = queue
        queue.clear()
        subscription = context.machine.subscribe { queue.push($0) }
        return line(["QMP": ["version": QMPCommandTable.versionValue, "capabilities": []]])
    }

    /// The client is gone.
    public func close() {
        if let subscription { context.machine.unsubscribe(subscription) }
        subscription = nil
        context.named.removeAll()
    }

    /// What to send in answer to some bytes.
    public func receive(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        for item in stream.feed(bytes) {
            let reply: JSONValue
            switch item {
            case .success(let request): reply = answer(request)
            case .failure(let error): reply = failure(.generic("JSON parse error, \(error)"), id: nil)
            }
            output += pendingEvents()
            output += line(reply)
        }
        return output
    }

    /// When `pendingEvents` may have more although `wake` was not called, by the host's monotonic clock; nil: never.
    public var eventDeadline: UInt64? { queue.deadline }

    /// The events that wait; none before the negotiation is done.
    public func pendingEvents() -> [UInt8] {
        let events = queue.drain()
        guard isNegotiated else { return [] }
        return events.flatMap { line(QMPEvents.value($0)) }
    }

    private func line(_ value: JSONValue) -> [UInt8] {
        var bytes = JSONWriter.write(value, pretty: pretty)
        if pretty {
            // Terminals in raw mode want both characters at each line's end.
            bytes = bytes.flatMap { $0 == 0x0a ? [0x0d, 0x0a] : [$0] }
        }
        return bytes + [0x0d, 0x0a]
    }

    private func failure(_ error: MonitorError, id: JSONValue?) -> JSONValue {
        var object: JSONObject = [:]
        if let id { object["id"] = id }
        object["error"] = ["class": .string(error.className), "desc": .string(error.text)]
        return .object(object)
    }

    private func answer(_ request: JSONValue) -> JSONValue {
        let id = request["id"]
        do throws(MonitorError) {
            var object: JSONObject = ["return": try execute(request)]
            if let id { object["id"] = id }
            return .object(object)
        } catch { return failure(error, id: id) }
    }

    private func execute(_ request: JSONValue) throws(MonitorError) -> JSONValue {
        guard case .object(let request) = request else { throw .generic("QMP input must be a JSON object") }
        for name in request.names where name != "execute" && name != "arguments" && name != "id" {
            throw .generic("QMP input member '\(printable(name))' is unexpected")
        }
        guard let execute = request["execute"] else { throw .generic("QMP input lacks member 'execute'") }
        guard let name = execute.stringValue else { throw .generic("QMP input member 'execute' must be a string") }
        let arguments: JSONObject
        switch request["arguments"] {
        case nil: arguments = JSONObject()
        case .object(let object): arguments = object
        default: throw .generic("QMP input member 'arguments' must be an object")
        }
        if !isNegotiated { return try negotiate(name, arguments) }
        guard let command = QMPCommandTable.byName[name] else {
            throw .commandNotFound("The command \(printable(name)) has not been found")
        }
        try command.check(arguments)
        return try command.handler(context, arguments)
    }

    private func negotiate(_ name: String, _ arguments: JSONObject) throws(MonitorError) -> JSONValue {
        guard name == "qmp_capabilities", let command = QMPCommandTable.byName[name] else {
            throw .commandNotFound("Expecting capabilities negotiation with 'qmp_capabilities'")
        }
        try command.check(arguments)
        if let wanted = arguments["enable"]?.arrayValue?.first?.stringValue {
            throw .generic("This monitor does not offer capability '\(printable(wanted))'")
        }
        isNegotiated = true
        // What happened before is not the client's to know.
        queue.clear()
        return [:]
    }
}
