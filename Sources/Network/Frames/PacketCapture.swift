public import HostOS
internal import Synchronization

/// A file of captured frames that Wireshark and tcpdump read: pcap, with microseconds and link type Ethernet. Any
/// thread. A disk that is full ends the capture, not the network.
public final class PacketCapture: Sendable {
    private struct State: ~Copyable {
        let file: Descriptor
        var bytes: [UInt8] = []
        var hasEnded = false
    }
    private let limit: Int
    private let state: Mutex<State>

    /// Makes or empties the file. Of longer frames than `limit` bytes the first so many are kept.
    public init(_ path: String, limit: Int = 65536) throws(HostError) {
        let file = try HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
        self.limit = max(14, min(limit, 1 << 18))
        var head: [UInt8] = []
        let words: [UInt32] = [0xA1B2_C3D4, 0x0004_0002, 0, 0, UInt32(self.limit), 1]
        for word in words { PacketCapture.append(&head, word) }
        try file.writeAll(head)
        state = Mutex(State(file: file))
    }

    /// Adds a frame, with the host's time.
    public func add(_ frame: UnsafeRawBufferPointer) {
        let now = HostClock.realtime
        let kept = min(frame.count, limit)
        state.withLock { state in
            guard !state.hasEnded else { return }
            state.bytes.removeAll(keepingCapacity: true)
            PacketCapture.append(&state.bytes, UInt32(truncatingIfNeeded: now / 1_000_000_000))
            PacketCapture.append(&state.bytes, UInt32(now % 1_000_000_000 / 1000))
            PacketCapture.append(&state.bytes, UInt32(kept))
            PacketCapture.append(&state.bytes, UInt32(clamping: frame.count))
            // SAFETY: a frame lives through the call, and no more of it is taken than it has.
            unsafe state.bytes.append(contentsOf: frame[..<kept])
            do { try state.file.writeAll(state.bytes) } catch { state.hasEnded = true }
        }
    }

    private static func append(_ bytes: inout [UInt8], _ word: UInt32) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
    }
}
