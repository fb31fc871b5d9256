internal import CLinux

/// Connected descriptors.
public enum DescriptorPair {
    /// A pipe: what is written to `output` is read from `input`.
    public static func pipe() throws(HostError) -> (input: Descriptor, output: Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        // SAFETY: a tuple of two Int32 has the layout of int[2].
        let status = unsafe withUnsafeMutableBytes(of: &ends) {
            unsafe apus_pipe($0.bindMemory(to: Int32.self).baseAddress)
        }
        guard status == 0 else { throw HostError(reason: apus_errno(), "make a pipe") }
        return (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
    }

    /// Two Unix stream sockets that are connected with each other.
    public static func sockets() throws(HostError) -> (Descriptor, Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        // SAFETY: a tuple of two Int32 has the layout of int[2].
        let status = unsafe withUnsafeMutableBytes(of: &ends) {
            unsafe apus_socketpair($0.bindMemory(to: Int32.self).baseAddress)
        }
        guard status == 0 else { throw HostError(reason: apus_errno(), "make a socket pair") }
        return (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
    }
}

/// An eventfd: a counter that a descriptor stands for, to wake whoever polls it. Any thread.
public final class EventCounter: Sendable {
    /// Readable while the counter is not 0; in non-blocking mode.
    public let descriptor: Descriptor

    /// A counter of 0.
    public init() throws(HostError) {
        let raw = apus_eventfd()
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make an eventfd") }
        descriptor = Descriptor(owning: raw)
    }

    /// Adds one.
    public func signal() {
        var one: UInt64 = 1
        // SAFETY: eight bytes on this stack.
        _ = unsafe apus_write(descriptor.rawValue, &one, 8)
    }

    /// Takes the counter back to 0 and returns what it was.
    @discardableResult
    public func take() -> UInt64 {
        var count: UInt64 = 0
        // SAFETY: eight bytes on this stack.
        return unsafe apus_read(descriptor.rawValue, &count, 8) == 8 ? count : 0
    }
}
