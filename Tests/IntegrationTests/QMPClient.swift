import Foundation
import Glibc
import Testing

/// A client of a machine's QMP socket.
final class QMPClient {
    private let descriptor: Int32
    private var received = Data()
    /// The greeting.
    private(set) var greeting: [String: Any] = [:]
    /// Events that came before the replies so far.
    private(set) var events: [[String: Any]] = []

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Connects to a socket that the machine is about to make, and negotiates.
    init(path: String, seconds: Double = 60) throws {
        let end = Date().addingTimeInterval(seconds)
        var made: Int32 = -1
        while made < 0 {
            made = Self.connect(path)
            guard made < 0 else { break }
            guard Date() < end else { throw Failure(description: "nobody listens at \(path)") }
            Thread.sleep(forTimeInterval: 0.05)
        }
        descriptor = made
        greeting = try next(before: end)
        _ = try run("qmp_capabilities")
    }
    deinit { close(descriptor) }

    private static func connect(_ path: String) -> Int32 {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the path is cut to what the structure holds, whose last byte stays 0.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { buffer in
            unsafe buffer.copyBytes(from: path.utf8.prefix(buffer.count - 1))
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // SAFETY: the structure outlives the call and is of the size that is said.
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.connect(socket, $0, size) }
        }
        if status == 0 { return socket }
        close(socket)
        return -1
    }

    private func next(before end: Date) throws -> [String: Any] {
        while true {
            if let place = received.firstIndex(of: 0x0A) {
                let line = received[..<place]
                received = Data(received[(place + 1)...])
                guard let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] else {
                    continue
                }
                return object
            }
            guard Date() < end else { throw Failure(description: "no answer of the monitor") }
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // SAFETY: the structure outlives the call.
            guard unsafe poll(&request, 1, 200) > 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 65536)
            let count = unsafe read(descriptor, &bytes, bytes.count)
            guard count > 0 else { throw Failure(description: "the monitor has hung up") }
            received.append(contentsOf: bytes[..<count])
        }
    }

    /// Runs a command; its whole reply.
    func reply(_ command: String, _ arguments: [String: Any] = [:], seconds: Double = 60) throws -> [String: Any] {
        var object: [String: Any] = ["execute": command]
        if !arguments.isEmpty { object["arguments"] = arguments }
        try send(String(decoding: JSONSerialization.data(withJSONObject: object), as: UTF8.self) + "\n")
        let end = Date().addingTimeInterval(seconds)
        while true {
            let answer = try next(before: end)
            guard answer["event"] != nil else { return answer }
            events.append(answer)
        }
    }

    /// Sends bytes as they are.
    func send(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "the monitor does not listen") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Runs a command that must succeed; what it returns.
    @discardableResult
    func run(_ command: String, _ arguments: [String: Any] = [:]) throws -> Any {
        let answer = try reply(command, arguments)
        guard let value = answer["return"] else { throw Failure(description: "\(command): \(answer)") }
        return value
    }

    /// Runs a command that must fail: the error's words.
    func failure(_ command: String, _ arguments: [String: Any] = [:]) throws -> String {
        let answer = try reply(command, arguments)
        return (answer["error"] as? [String: Any])?["desc"] as? String ?? "no error: \(answer)"
    }

    /// Runs a line of the monitor for people.
    func human(_ line: String) throws -> String {
        (try run("human-monitor-command", ["command-line": line]) as? String ?? "").replacingOccurrences(
            of: "\r\n", with: "\n")
    }

    /// Waits for an event, among those that came already too; it and all before it are then forgotten.
    func event(_ name: String, seconds: Double = 90) throws -> [String: Any] {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if let place = events.firstIndex(where: { $0["event"] as? String == name }) {
                let found = events[place]
                events.removeFirst(place + 1)
                return found["data"] as? [String: Any] ?? [:]
            }
            let answer = try next(before: end)
            if answer["event"] != nil { events.append(answer) }
        }
    }
}

/// A folder of one test, which goes with it.
final class ScratchFolder {
    let path: String
    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A file of bytes in it.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let place = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: place))
        return place
    }
}
