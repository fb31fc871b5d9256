internal import Synchronization

/// The way from a back-end's thread to its receiver, which may have no room, or take less than a frame leaves to do.
/// `isOpen` and `deliver` are for the back-end's thread alone; the rest for any.
final class ReceiverGate: Sendable {
    fileprivate struct Pieces: ~Copyable {
        var queue = FrameQueue(capacity: 1 << 18)
        var frame = [UInt8](repeating: 0, count: FrameFinisher.mostBytes)
        var scratch = [UInt8](repeating: 0, count: FrameFinisher.mostBytes)
    }
    private let receiver = Mutex<(any FrameReceiver)?>(nil)
    private let pieces = Mutex<Pieces?>(nil)
    private let hasPieces = Atomic(false)
    private let waits = Atomic(false)

    func setReceiver(_ new: (any FrameReceiver)?) { receiver.withLock { $0 = new } }

    /// Whether the back-end has stopped for want of room; it is then to be woken, once.
    func takeWait() -> Bool { waits.exchange(false, ordering: .sequentiallyConsistent) }

    /// Whether one more frame may be delivered. If not, the back-end is woken when one may.
    func isOpen() -> Bool {
        guard let receiver = receiver.withLock({ $0 }) else { return true }
        if hasPieces.load(ordering: .relaxed), !drain(receiver) { return false }
        return hasRoom(receiver)
    }

    private func hasRoom(_ receiver: any FrameReceiver) -> Bool {
        if receiver.canReceive() { return true }
        waits.store(true, ordering: .sequentiallyConsistent)
        // Asked again after the note: room that came between the two would have woken nobody.
        guard receiver.canReceive() else { return false }
        waits.store(false, ordering: .sequentiallyConsistent)
        return true
    }

    func deliver(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) {
        guard let receiver = receiver.withLock({ $0 }) else { return }
        // SAFETY: a frame lives through the call that it is handed over by; the queue copies it.
        if offload.needed.isSubset(of: receiver.offloads) { return unsafe receiver.receive(frame, offload) }
        guard frame.count <= FrameFinisher.mostBytes else { return }
        pieces.withLock { pieces in
            if pieces == nil { pieces = Pieces() }
            unsafe pieces?.split(frame, offload)
        }
        hasPieces.store(true, ordering: .relaxed)
        _ = drain(receiver)
    }

    /// Gives the pieces of cut segments; whether none is left.
    private func drain(_ receiver: any FrameReceiver) -> Bool {
        var buffer = [UInt8](repeating: 0, count: FrameFinisher.mostBytes)
        while hasRoom(receiver) {
            let count = pieces.withLock { pieces in pieces?.takeFirst(&buffer) ?? 0 }
            guard count > 0 else {
                hasPieces.store(false, ordering: .relaxed)
                return true
            }
            unsafe buffer.withUnsafeBytes { unsafe receiver.receive(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        return false
    }
}

extension ReceiverGate.Pieces {
    fileprivate mutating func split(_ bytes: UnsafeRawBufferPointer, _ offload: FrameOffload) {
        // Out of the structure while the queue is changed.
        var (first, second) = ([UInt8](), [UInt8]())
        swap(&first, &frame)
        swap(&second, &scratch)
        unsafe first.withUnsafeMutableBytes { copy in
            unsafe copy.copyMemory(from: bytes)
            unsafe second.withUnsafeMutableBytes { scratch in
                _ = unsafe FrameFinisher.forEachPacket(
                    UnsafeMutableRawBufferPointer(rebasing: copy[..<bytes.count]), offload, scratch: scratch
                ) { _ = unsafe queue.push($0) }
            }
        }
        swap(&first, &frame)
        swap(&second, &scratch)
    }

    fileprivate mutating func takeFirst(_ buffer: inout [UInt8]) -> Int {
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe queue.copyFirst(into: $0) }
        queue.removeFirst()
        return count
    }
}
