import Foundation

/// A TCP socket on the host's loopback device.
final class LoopbackSocket: Sendable {
    private let descriptor: Int32

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// One that listens on a port of the kernel's choice.
    static func listening() throws -> LoopbackSocket {
        let socket = try make()
        let status = unsafe socket.withAddress(port: 0) { unsafe bind(socket.descriptor, $0, $1) }
        guard status == 0, listen(socket.descriptor, 16) == 0 else { throw Failed(description: "cannot listen") }
        return socket
    }

    /// A connection to a port, tried until it is there.
    static func connected(to port: Int, seconds: Double = 60) throws -> LoopbackSocket {
        let end = Date().addingTimeInterval(seconds)
        while true {
            let socket = try make()
            let status = unsafe socket.withAddress(port: port) { unsafe connect(socket.descriptor, $0, $1) }
            if status == 0 { return socket }
            guard Date() < end else { throw Failed(description: "no connection to port \(port)") }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// A port that nobody listens on: it was the kernel's choice a moment ago.
    static func freePort() throws -> Int { try listening().port }

    deinit { Glibc.close(descriptor) }

    /// The port that it is bound to.
    var port: Int {
        var address = sockaddr_in()
        var count = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the address and its length live through the call; all socket addresses begin alike.
        _ = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(descriptor, $0, &count) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// The next connection, nil once `close` was called.
    func accepted() -> LoopbackSocket? {
        let connection = accept(descriptor, nil, nil)
        return connection < 0 ? nil : LoopbackSocket(descriptor: connection)
    }

    /// Ends both directions, and the wait of whoever is in `accepted` or `read`.
    func close() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Sends everything; false where the other end is gone.
    @discardableResult
    func write(_ data: Data) -> Bool {
        var rest = data[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// What comes next, nil at the end and where nothing comes.
    func read(seconds: Double = 60) -> Data? { HostBytes.read(descriptor, seconds: seconds) }

    private static func make() throws -> LoopbackSocket {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failed(description: "no socket") }
        return LoopbackSocket(descriptor: descriptor)
    }

    private func withAddress(
        port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        // SAFETY: the address lives through the call, its length is its own, and all socket addresses begin alike.
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// Bytes of descriptors that may have none for a while.
enum HostBytes {
    /// What comes next, nil at the end and where nothing comes.
    static func read(_ descriptor: Int32, seconds: Double) -> Data? {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&wanted, 1, Int32(seconds * 1000)) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        return count > 0 ? Data(buffer[..<count]) : nil
    }

    /// Reads until a text has come, and returns all, without carriage returns; what came where it does not.
    static func text(until wanted: String, seconds: Double = 60, _ next: (Double) -> Data?) -> String {
        let end = Date().addingTimeInterval(seconds)
        var data = Data()
        var text: String { String(decoding: data, as: UTF8.self) }
        while !text.contains(wanted), Date() < end {
            guard let more = next(max(0.1, end.timeIntervalSinceNow)) else { break }
            // With its carriage return, a line's end would be one character that is no line feed.
            data += more.filter { $0 != 0x0D }
        }
        return text
    }
}
