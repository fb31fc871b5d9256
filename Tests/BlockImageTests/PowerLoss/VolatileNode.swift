import BlockImage
import CLinux
import Synchronization
import TestSupport

/// A file in memory, on a disk with a cache: what was written since the last flush may be lost when the power fails,
/// write by write or sector by sector, and what is not lost may come in any order.
final class VolatileNode: Resizable, SparseMappable {
    private struct Pending {
        var offset: Int
        /// nil: zeroes.
        var bytes: [UInt8]?
        var count: Int
    }

    private struct State {
        /// What the disk holds for sure.
        var durable: [UInt8]
        /// What a reader sees.
        var current: [UInt8]
        var pending: [Pending] = []
        /// Modifying requests and flushes so far.
        var operations = 0
        var powerOffAt: Int?
        var isOff = false
    }

    let nodeName = "volatile"
    let driverName = "file"
    let filename = "volatile"
    let isReadOnly = false
    let logicalBlockSize = 512
    var growsWithZeroes: Bool { true }
    var children: [BlockChild] { [] }
    var sizeInBytes: UInt64 { state.withLock { UInt64(($0.current.count + 511) / 512 * 512) } }
    private let state: Mutex<State>

    init(_ bytes: [UInt8] = []) { state = Mutex(State(durable: bytes, current: bytes)) }

    /// The power fails at the modifying request or flush of this number from now on: it has begun, and no answer comes.
    func failPower(after count: Int) { state.withLock { $0.powerOffAt = $0.operations + count } }
    var isOff: Bool { state.withLock { $0.isOff } }
    var operations: Int { state.withLock { $0.operations } }
    var bytes: [UInt8] { state.withLock { $0.current } }

    /// What the disk holds after the power has come back: what was flushed, and some of what was not.
    func afterPowerLoss(_ numbers: inout SplitMix64) -> [UInt8] {
        var (result, pending) = state.withLock { ($0.durable, $0.pending) }
        let way = numbers.next() % 6
        // The order of the host's requests says nothing about that of the disk's.
        if way != 1 { pending.shuffle(using: &numbers) }
        if way == 4, !pending.isEmpty { pending.remove(at: Int(numbers.next() % UInt64(pending.count))) }
        for write in pending {
            switch way {
            case 0: continue
            case 1, 4: VolatileNode.apply(write, to: &result)
            case 2: if numbers.next() % 2 == 0 { VolatileNode.apply(write, to: &result) }
            default:
                // A disk writes whole sectors. Long stretches of one request mostly share their fate.
                var at = 0
                while at < write.count {
                    let inSector = (write.offset + at) % 512
                    let wanted = numbers.next() % 4 == 0 ? 512 : 512 * (1 + Int(numbers.next() % 16))
                    let count = min(wanted - inSector, write.count - at)
                    if numbers.next() % 2 == 0 {
                        let part = Pending(
                            offset: write.offset + at, bytes: write.bytes.map { Array($0[at..<at + count]) },
                            count: count)
                        VolatileNode.apply(part, to: &result)
                    }
                    at += count
                }
            }
        }
        return result
    }

    private static func apply(_ write: Pending, to bytes: inout [UInt8]) {
        if bytes.count < write.offset + write.count {
            bytes += [UInt8](repeating: 0, count: write.offset + write.count - bytes.count)
        }
        if let new = write.bytes {
            bytes.replaceSubrange(write.offset..<write.offset + write.count, with: new)
        } else {
            for index in write.offset..<write.offset + write.count { bytes[index] = 0 }
        }
    }

    func submit(_ request: BlockRequest) {
        // Everything the tests do waits for its answer on the calling thread.
        request.completion(carryOut(request))
    }

    func carryOut(_ request: BlockRequest) -> Int32 {
        state.withLock { state in
            guard !state.isOff else { return EIO }
            let (offset, count) = (Int(request.offset), Int(request.length))
            var write: Pending?
            switch request.operation {
            case .read:
                var at = offset
                for segment in request.segments {
                    let there = max(0, min(segment.count, state.current.count - at))
                    // SAFETY: the segment is the caller's; the copied part lies inside both.
                    if there > 0 {
                        unsafe state.current.withUnsafeBytes {
                            unsafe segment.pointer.copyMemory(from: $0.baseAddress! + at, byteCount: there)
                        }
                    }
                    if there < segment.count { unsafe memset(segment.pointer + there, 0, segment.count - there) }
                    at += segment.count
                }
                return 0
            case .flush: break
            case .write:
                var bytes: [UInt8] = []
                bytes.reserveCapacity(count)
                for segment in request.segments {
                    // SAFETY: the segment is the caller's, and valid over the call.
                    unsafe bytes += UnsafeRawBufferPointer(start: segment.pointer, count: segment.count)
                }
                write = Pending(offset: offset, bytes: bytes, count: count)
            case .writeZeroes: write = Pending(offset: offset, bytes: nil, count: count)
            case .discard:
                let end = min(offset + count, state.current.count)
                write = Pending(offset: offset, bytes: nil, count: max(0, end - offset))
            }
            state.operations += 1
            if let write {
                state.pending.append(write)
                VolatileNode.apply(write, to: &state.current)
            }
            if state.operations == state.powerOffAt {
                state.isOff = true
                return EIO
            }
            if write == nil || request.forceUnitAccess {
                for write in state.pending { VolatileNode.apply(write, to: &state.durable) }
                state.pending = []
            }
            return 0
        }
    }

    func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        state.withLock { state in
            guard !state.isOff else { return }
            let size = Int(size)
            if size < state.current.count {
                state.current.removeSubrange(size...)
                state.pending.removeAll { $0.offset + $0.count > size }
                if size < state.durable.count { state.durable.removeSubrange(size...) }
            } else {
                state.current += [UInt8](repeating: 0, count: size - state.current.count)
            }
        }
    }

    func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        [BlockExtent(offset: offset, length: length, isAllocated: true, isZero: false, hostOffset: offset)]
    }

    func allocatedBytes() throws(BlockError) -> UInt64 { sizeInBytes }
    func schedule(_ work: @escaping @Sendable () -> Void) { work() }
    func drain() {}
    func close() {}
}
