internal import HostOS
internal import RPCWire
internal import Synchronization
internal import SystemPackage

/// A machine's state that comes over the protocol itself. A thread of its own hands it to the machine.
///
/// The last piece is kept back until the source has said that its machine will not run any more: a machine that has
/// everything takes the disks' images, and the source must have let go of them.
final class TunnelStream: ServerStream {
    private struct State {
        var pieces: [[UInt8]] = []
        var size = 0
        /// No more comes.
        var isWhole = false
        /// The last piece may go too.
        var isReleased = false
        var isAbandoned = false
        var isFull = false
    }

    private let session: ClientSession
    private let output: Descriptor
    private let state = Mutex(State())
    private let bell = Bell()
    private static let (most, least) = (8 << 20, 1 << 20)

    /// - Parameter output: the writing end of a pipe, in non-blocking mode.
    init(_ session: ClientSession, _ output: Descriptor) {
        self.session = session
        self.output = output
    }

    func start() throws(HostError) { _ = try HostThread(name: "tunnel") { self.run() } }

    /// The source will not run its machine any more.
    func release() {
        state.withLock { $0.isReleased = true }
        bell.ring()
    }

    private func run() {
        while true {
            let (piece, isOver, hasRoom) = state.withLock { state -> ([UInt8]?, Bool, Bool) in
                if state.isAbandoned { return (nil, true, false) }
                let mayGo = state.pieces.count > 1 || state.isReleased
                guard let piece = state.pieces.first, mayGo else {
                    return (nil, state.pieces.isEmpty && state.isWhole && state.isReleased, false)
                }
                state.pieces.removeFirst()
                state.size -= piece.count
                let hasRoom = state.isFull && state.size < TunnelStream.least
                if hasRoom { state.isFull = false }
                return (piece, false, hasRoom)
            }
            if isOver { return }
            if hasRoom { session.changeLoad { $0.fullStreams -= 1 } }
            guard let piece else {
                bell.wait(nanoseconds: 1_000_000_000)
                continue
            }
            do throws(HostError) { try write(piece) } catch {
                // The machine has gone: whoever waits for it says why.
                return abandoned()
            }
        }
    }

    private func write(_ piece: [UInt8]) throws(HostError) {
        var offset = 0
        while offset < piece.count, !state.withLock({ $0.isAbandoned }) {
            let part = Array(piece[offset..<min(piece.count, offset + (1 << 16))])
            // SAFETY: the array lives for the call.
            switch unsafe part.withUnsafeBytes({ unsafe output.write($0) }) {
            case .moved(let count): offset += count
            case .wouldBlock: _ = output.wait(for: [.write], milliseconds: 200)
            case .end, .failed:
                throw HostError("write a machine's state", .brokenPipe)
            }
        }
    }

    func received(_ data: [UInt8]) {
        let isFull = state.withLock { state -> Bool in
            guard !state.isAbandoned, !data.isEmpty else { return false }
            state.pieces.append(data)
            state.size += data.count
            guard !state.isFull, state.size > TunnelStream.most else { return false }
            state.isFull = true
            return true
        }
        if isFull { session.changeLoad { $0.fullStreams += 1 } }
        bell.ring()
    }

    func receivedHole(_ length: Int64) { abandoned() }

    func clientFinished(_ whole: Bool) throws(LibvirtError) {
        guard whole else { return abandoned() }
        state.withLock { $0.isWhole = true }
        bell.ring()
    }

    func abandoned() {
        let wasFull = state.withLock { state -> Bool in
            defer {
                state.isAbandoned = true
                state.isFull = false
                state.pieces = []
                state.size = 0
            }
            return state.isFull
        }
        if wasFull { session.changeLoad { $0.fullStreams -= 1 } }
        bell.ring()
    }

    func drained() {}
}
