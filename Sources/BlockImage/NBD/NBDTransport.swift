internal import CLinux
internal import HostOS

/// What carries the bytes of a connection, without waiting.
protocol NBDTransport: AnyObject, Sendable {
    /// To poll.
    var descriptor: Int32 { get }
    /// Takes what is there, up to `count` bytes (not 0). One thread at a time.
    func receive(into base: UnsafeMutableRawPointer, count: Int) -> Descriptor.Transfer
    /// Hands over what fits of some pieces. One thread at a time, also while another receives.
    func send(_ pieces: [iovec]) -> Descriptor.Transfer
    /// Ends both directions, whoever is using them.
    func shutDown()
}

/// A socket as it is.
final class NBDSocket: NBDTransport {
    private let socket: Descriptor

    /// A connected stream socket in non-blocking mode.
    init(_ socket: Descriptor) {
        self.socket = socket
        Socket.setNoDelay(socket)
    }

    var descriptor: Int32 { socket.rawValue }

    func receive(into base: UnsafeMutableRawPointer, count: Int) -> Descriptor.Transfer {
        while true {
            // SAFETY: the caller's memory has room for the count.
            let result = unsafe recv(socket.rawValue, base, count, Int32(MSG_DONTWAIT))
            if result > 0 { return .moved(result) }
            if result == 0 { return .end }
            let reason = apus_errno()
            if reason == EINTR { continue }
            return reason == EAGAIN ? .wouldBlock : .failed(reason)
        }
    }

    func send(_ pieces: [iovec]) -> Descriptor.Transfer {
        while true {
            // SAFETY: the array and what its pieces point to live for the call; the kernel only reads them.
            let result = unsafe pieces.withUnsafeBufferPointer { list in
                var message = unsafe msghdr()
                unsafe message.msg_iov = UnsafeMutablePointer(mutating: list.baseAddress)
                unsafe message.msg_iovlen = list.count
                let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                return unsafe sendmsg(socket.rawValue, &message, flags)
            }
            if result >= 0 { return .moved(result) }
            let reason = apus_errno()
            if reason == EINTR { continue }
            return reason == EAGAIN ? .wouldBlock : .failed(reason)
        }
    }

    func shutDown() { Socket.shutDown(socket) }
}
