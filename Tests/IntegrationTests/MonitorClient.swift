import Foundation
import Glibc

/// A client of a machine's QMP socket.
final class MonitorClient {
    private let socket: Int32
    private var pending = Data()
    /// The greeting.
    private(set) var greeting: [String: Any] = [:]
    /// Events that came while answers were waited for.
    private(set) var events: [[String: Any]] = []

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// Connects, waiting until the socket is there, and negotiates.
    init(path: String, seconds: Double = 60) throws {
        socket = try Self.connect(path, seconds: seconds)
        greeting = try message(seconds: 60)
        guard let facts = greeting["QMP"] as? [String: Any], facts["version"] != nil else {
            throw Failed(description: "no greeting")
        }
        try execute("qmp_capabilities")
    }

    deinit { close(socket) }

    /// A connection to a Unix socket.
    static func connect(_ path: String, seconds: Double) throws -> Int32 {
        let end = Date().addingTimeInterval(seconds)
        while true {
            let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            // SAFETY: the copy ends before the field does, which was zero; the address lives through the call, its
            // length is its own, and all socket addresses begin alike.
            let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe withUnsafeMutableBytes(of: &pointer.pointee.sun_path) { field in
                    unsafe field.copyBytes(from: bytes.prefix(field.count - 1))
                }
                return unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    unsafe Glibc.connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if status == 0 { return descriptor }
            close(descriptor)
            guard Date() < end else { throw Failed(description: "no connection to \(path)") }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// Runs a command and returns what it returns; an error of the machine's is thrown.
    @discardableResult
    func execute(_ command: String, _ arguments: [String: Any] = [:]) throws -> Any {
        let answer = try reply(command, arguments)
        if let value = answer["return"] { return value }
        let error = answer["error"] as? [String: Any]
        throw Failed(description: "\(command): \(error?["desc"] ?? answer)")
    }

    /// Runs a command that must fail: the error's words.
    func failure(_ command: String, _ arguments: [String: Any] = [:]) throws -> String {
        let answer = try reply(command, arguments)
        return (answer["error"] as? [String: Any])?["desc"] as? String ?? "no error: \(answer)"
    }

    /// Runs a command; its whole reply.
    func reply(_ command: String, _ arguments: [String: Any] = [:], seconds: Double = 60) throws -> [String: Any] {
        var request: [String: Any] = ["execute": command]
        if !arguments.isEmpty { request["arguments"] = arguments }
        try send(String(decoding: JSONSerialization.data(withJSONObject: request), as: UTF8.self) + "\n")
        while true {
            let answer = try message(seconds: seconds)
            guard answer["event"] != nil else { return answer }
            events.append(answer)
        }
    }

    /// Sends text as it is.
    func send(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            // SAFETY: the buffer lives through the call.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failed(description: "the monitor does not listen") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// The text that a line of the human monitor gives.
    func human(_ line: String) throws -> String {
        (try execute("human-monitor-command", ["command-line": line]) as? String ?? "").replacingOccurrences(
            of: "\r\n", with: "\n")
    }

    /// Waits for an event of a name, among those that came and those to come, and returns its data; those before it
    /// stay known.
    @discardableResult
    func wait(forEvent name: String, seconds: Double = 90) throws -> [String: Any] {
        try wait(forOneOf: [name], seconds: seconds)
    }

    /// Waits as `wait(forEvent:)` does, for the first event that has one of the names.
    @discardableResult
    func wait(forOneOf names: [String], seconds: Double = 90) throws -> [String: Any] {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if let place = events.firstIndex(where: { names.contains($0["event"] as? String ?? "") }) {
                return events.remove(at: place)["data"] as? [String: Any] ?? [:]
            }
            let next = try message(seconds: max(0.1, end.timeIntervalSinceNow))
            if next["event"] != nil { events.append(next) }
        }
    }

    /// The next message.
    private func message(seconds: Double) throws -> [String: Any] {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if let newline = pending.firstIndex(of: 10) {
                let line = pending[pending.startIndex..<newline]
                pending = Data(pending[(newline + 1)...])
                guard let value = try JSONSerialization.jsonObject(with: line) as? [String: Any] else {
                    throw Failed(description: "not an object: \(String(decoding: line, as: UTF8.self))")
                }
                return value
            }
            var wanted = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&wanted, 1, Int32(max(0, end.timeIntervalSinceNow) * 1000) + 1) > 0 else {
                throw Failed(description: "no message in \(Int(seconds)) s")
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = unsafe recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { throw Failed(description: "the machine closed the monitor") }
            pending += buffer[..<count]
        }
    }
}
