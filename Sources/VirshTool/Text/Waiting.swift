internal import CLinux
internal import HostOS

/// Waiting for several descriptors at once.
enum Waiting {
    /// Which of them have something to read, or an end to tell. All false: the time is over.
    static func forAny(_ descriptors: [Descriptor], milliseconds: Int32) -> [Bool] {
        var requests = descriptors.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        // SAFETY: the array has as many structures as are told, and outlives the call.
        let count = unsafe apus_poll(&requests, UInt(requests.count), milliseconds)
        return requests.map { count > 0 && $0.revents != 0 }
    }
}
