internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// The agent inside a guest, over the channel that its machine has for it. A connection for each question.
enum GuestAgent {
    private static let channel = "org.qemu.guest_agent.0"
    /// How long an agent that hangs keeps a call waiting.
    private static let patience: UInt64 = 5_000_000_000

    private static func unresponsive(_ words: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.agentUnresponsive, message: "Guest agent is not responding: \(words)", detail: words)
    }

    /// An error where a machine has no agent that could be asked.
    static func check(_ domain: Domain) throws(LibvirtError) { _ = try path(domain) }

    private static func path(_ domain: Domain) throws(LibvirtError) -> String {
        _ = try domain.running()
        let channels = DomainFigures.devices(domain.state.withLock { $0.current }, "channel")
        guard let found = channels.first(where: { $0.child("target")?["name"] == channel }) else {
            throw LibvirtError(
                code: VirErrorNumber.argumentUnsupported,
                message: "argument unsupported: QEMU guest agent is not configured",
                detail: "QEMU guest agent is not configured")
        }
        if found.child("target")?["state"] == "disconnected" {
            throw unresponsive("QEMU guest agent is not connected")
        }
        guard let path = found.child("source")?["path"] else {
            throw unresponsive("QEMU guest agent's channel has no socket")
        }
        return path
    }

    /// Asks, and returns the whole answer. `seconds` nil: the usual patience.
    static func ask(_ domain: Domain, _ question: JSONObject, seconds: Int32? = nil) throws(LibvirtError) -> JSONValue {
        guard let answer = try ask(domain, question, seconds: seconds, answers: true) else {
            throw unresponsive("it has gone")
        }
        return answer
    }

    /// `answers` false: nil where it says nothing within a second, or goes.
    private static func ask(
        _ domain: Domain, _ question: JSONObject, seconds: Int32? = nil, answers: Bool
    ) throws(LibvirtError) -> JSONValue? {
        let path = try path(domain)
        let socket: Descriptor
        do throws(HostError) { socket = try Socket.connect(SocketAddress.unix(path)) } catch {
            throw unresponsive("\(error)")
        }
        let wait = seconds.map { UInt64(max(0, $0)) * 1_000_000_000 } ?? patience
        var deadline = HostClock.monotonic + wait
        var stream = JSONStream(limits: JSONLimits(size: 16 << 20, depth: 128, singleQuotes: false))
        var waiting: [JSONValue] = []
        func send(_ object: JSONObject) throws(LibvirtError) {
            do throws(HostError) { try socket.writeAll(JSONWriter.write(.object(object)) + [10]) } catch {
                throw unresponsive("\(error)")
            }
        }
        func next() throws(LibvirtError) -> JSONValue {
            while true {
                if !waiting.isEmpty { return waiting.removeFirst() }
                let now = HostClock.monotonic
                guard now < deadline else { throw unresponsive("Guest agent not available for now") }
                _ = socket.wait(for: [.read], milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
                guard let bytes = try? socket.readAvailable(limit: 1 << 16) else { throw unresponsive("it has gone") }
                if bytes.isEmpty, socket.wait(for: [.read, .peerClosed], milliseconds: 0) != [] {
                    throw unresponsive("it has gone")
                }
                for item in stream.feed(bytes) { if case .success(let value) = item { waiting.append(value) } }
            }
        }
        // What an earlier question left on the way is passed over.
        let number = Int64(HostClock.monotonic & 0x7FFF_FFFF)
        try send(["execute": "guest-sync", "arguments": .object(["id": .number(number)])])
        while try next()["return"]?.int64Value != number {}
        try send(question)
        guard !answers else { return try next() }
        deadline = HostClock.monotonic + 1_000_000_000
        return try? next()
    }

    /// Whether an agent is there to be asked.
    static func isConnected(_ domain: Domain) -> Bool {
        let channels = DomainFigures.devices(domain.state.withLock { $0.current }, "channel")
        return channels.contains {
            $0.child("target")?["name"] == channel && $0.child("target")?["state"] == "connected"
        }
    }

    /// Has the guest end or begin anew. Where it does it does not answer.
    static func end(_ domain: Domain, mode: String) throws(LibvirtError) {
        let question: JSONObject = [
            "execute": "guest-shutdown", "arguments": .object(["mode": .string(mode)]),
        ]
        guard let answer = try ask(domain, question, answers: false), answer["return"] == nil else { return }
        let words = answer["error"]?["desc"]?.stringValue ?? "no reason given"
        throw LibvirtError.internalError("unable to execute QEMU agent command 'guest-shutdown': \(words)")
    }

    /// What a command returns.
    @discardableResult
    static func execute(
        _ domain: Domain, _ command: String, _ arguments: JSONObject? = nil
    ) throws(LibvirtError) -> JSONValue {
        var question: JSONObject = ["execute": .string(command)]
        if let arguments { question["arguments"] = .object(arguments) }
        let seconds = domain.state.withLock { $0.agentPatience }
        let answer = try ask(domain, question, seconds: seconds == -2 ? 3600 : seconds < 0 ? nil : seconds)
        if let result = answer["return"] { return result }
        let words = answer["error"]?["desc"]?.stringValue ?? "no reason given"
        throw LibvirtError.internalError("unable to execute QEMU agent command '\(command)': \(words)")
    }

    static func interfaces(_ domain: Domain) throws(LibvirtError) -> [RemoteDomainInterface] {
        try (execute(domain, "guest-network-get-interfaces").arrayValue ?? []).prefix(2048).map { entry in
            let addresses = (entry["ip-addresses"]?.arrayValue ?? []).prefix(2048).map { address in
                RemoteDomainIPAddr(
                    type: address["ip-address-type"]?.stringValue == "ipv6" ? VirIPAddrType.ipv6 : VirIPAddrType.ipv4,
                    addr: address["ip-address"]?.stringValue ?? "",
                    prefix: UInt32(clamping: address["prefix"]?.int64Value ?? 0))
            }
            return RemoteDomainInterface(
                name: entry["name"]?.stringValue ?? "", hwaddr: entry["hardware-address"]?.stringValue,
                addrs: Array(addresses))
        }
    }
}
