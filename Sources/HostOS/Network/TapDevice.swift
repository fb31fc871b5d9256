internal import CLinux
internal import SystemPackage

/// One queue of a tap interface: each read and write is a frame (tun(4)). Any thread.
public final class TapDevice: Sendable {
    /// The descriptor, in non-blocking mode.
    public let descriptor: Descriptor
    /// The interface's name; empty for a descriptor that somebody else made.
    public let name: String
    /// Whether a `virtio_net_hdr` of 12 bytes goes before each frame.
    public let hasHeaders: Bool

    /// Opens an interface of a name, or of the first free one of a pattern (`tap%d`), making it where it is not there.
    /// An interface that this makes goes with the last descriptor.
    public init(name: String, hasHeaders wanted: Bool, hasManyQueues: Bool = false) throws(HostError) {
        guard name.utf8.count < Int(IFNAMSIZ), !name.utf8.contains(0) else {
            throw HostError(reason: ENAMETOOLONG, "open tap interface '\(name)'")
        }
        var buffer = Array(name.utf8CString) + [CChar](repeating: 0, count: 16)
        var headers: Int32 = wanted ? 1 : 0
        // SAFETY: the buffer has room for an interface's name, which the call may write.
        let raw = unsafe apus_open_tap(&buffer, hasManyQueues ? 1 : 0, &headers)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "open tap interface '\(name)'") }
        descriptor = Descriptor(owning: raw)
        self.name = String(decoding: buffer.prefix(16).prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        hasHeaders = headers != 0
    }

    /// Uses a descriptor that somebody else made: of a tap, or of anything that moves frames whole.
    public init(adopting descriptor: Descriptor) throws(HostError) {
        try descriptor.setNonBlocking()
        self.descriptor = descriptor
        name = ""
        hasHeaders = apus_tap_headers(descriptor.rawValue) == 1
    }

    /// What frames from the interface may leave to be done: `TUN_F_*` bits. False where the kernel will not.
    @discardableResult
    public func setOffloads(checksum: Bool, segments4: Bool, segments6: Bool) -> Bool {
        var flags: UInt32 = 0
        if checksum { flags |= 1 }
        if checksum, segments4 { flags |= 2 }
        if checksum, segments6 { flags |= 4 }
        return apus_tap_offload(descriptor.rawValue, flags) == 0
    }

    /// Makes the headers before frames 10 bytes long, as legacy drivers without merged buffers have them, or 12 again.
    @discardableResult
    public func setHeaderSize(_ bytes: Int32) -> Bool { apus_tap_header_size(descriptor.rawValue, bytes) == 0 }

    /// The most bytes that may wait in the kernel to be sent.
    public func setSendBuffer(_ bytes: Int32) { _ = apus_tap_send_buffer(descriptor.rawValue, bytes) }
}
