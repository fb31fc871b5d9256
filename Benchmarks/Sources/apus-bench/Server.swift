import Foundation
import Glibc

/// The host's end of the network rows: a server on the loopback device that receives, sends, or sends back.
///
/// A request is a letter (`r` the guest receives, `s` it sends, `t` bytes go to and fro) and a count of bytes, 64 bits,
/// little endian. Every connection has a thread of its own.
struct Server {
    let port: UInt16

    init() throws(Machine.Failed) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the address lives through the calls, its length is its own, and all socket addresses begin alike.
        let bound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(listener, address, length) == 0 && listen(listener, 8) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard listener >= 0, bound else { throw Machine.Failed(description: "The benchmark's server cannot listen") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { continue }
                Thread.detachNewThread {
                    Self.serve(connection)
                    close(connection)
                }
            }
        }
    }

    private static func serve(_ connection: Int32) {
        var one: Int32 = 1
        unsafe setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        var data = [UInt8](repeating: 0x5a, count: 64 << 10)
        var request: [UInt8] = []
        while request.count < 9 {
            let count = unsafe recv(connection, &data, 9 - request.count, 0)
            guard count > 0 else { return }
            request += data[..<count]
        }
        var left = request[1...].reversed().reduce(0) { $0 << 8 | Int(truncatingIfNeeded: $1) }
        data = [UInt8](repeating: 0x5a, count: 64 << 10)
        switch request[0] {
        case UInt8(ascii: "r"):
            while left > 0 {
                let count = unsafe send(connection, &data, min(left, data.count), Int32(MSG_NOSIGNAL))
                guard count > 0 else { return }
                left -= count
            }
            // The guest closes first, so that nothing on the way is lost.
            _ = unsafe recv(connection, &data, 1, 0)
        case UInt8(ascii: "s"):
            while left > 0 {
                let count = unsafe recv(connection, &data, min(left, data.count), 0)
                guard count > 0 else { return }
                left -= count
            }
            _ = unsafe send(connection, [1], 1, Int32(MSG_NOSIGNAL))
        case UInt8(ascii: "t"):
            while left > 0 {
                let count = unsafe recv(connection, &data, data.count, 0)
                guard count > 0, unsafe send(connection, &data, count, Int32(MSG_NOSIGNAL)) == count else {
                    return
                }
                left -= count
            }
        default: return
        }
    }
}
