internal import CLinux
internal import HostOS
internal import Synchronization

/// The transmission phase with one client. Requests are taken on the client's thread as fast as they come and handed
/// down together; answers go out together, in the order in which the disk gives them.
final class NBDService: Sendable {
    private let export: NBDExport
    private let channel: NBDChannel
    private let isStructured: Bool
    private let contexts: [(name: String, number: UInt32)]
    private let size: UInt64
    private let inFlight = InFlight()
    /// Memory of the requests in flight.
    private let bytes = Atomic(0)

    /// Bounds of what one client can have under way.
    private static let maximumRequests = 256
    private static let maximumBytes = 64 << 20
    /// Runs in one answer to a block status.
    private static let maximumExtents = 8192

    private struct Request {
        var flags: UInt16
        var command: UInt16
        var handle: UInt64
        var offset: UInt64
        var length: Int
    }

    private let reader: Handover
    private struct Handover: @unchecked Sendable {
        // Sendable: used in `run` alone.
        let value: NBDReader
    }

    init(_ export: NBDExport, _ channel: NBDChannel, _ reader: NBDReader, isStructured: Bool, contexts: [String]) {
        self.export = export
        self.channel = channel
        self.isStructured = isStructured
        self.contexts = contexts.compactMap { name in
            export.contexts.firstIndex(of: name).map { (name, UInt32($0)) }
        }
        self.reader = Handover(value: reader)
        size = export.node.sizeInBytes
    }

    /// Serves until the client goes; on its thread.
    func run() {
        let reader = reader.value
        let batching = export.backend as? any BatchingBackend
        var isBatch = false
        func endBatch() {
            guard isBatch else { return }
            isBatch = false
            batching?.endBatch()
            batching?.poll()
        }
        reader.beforeWaiting = endBatch
        do throws(NBDFailure) {
            while true {
                while !hasRoom {
                    endBatch()
                    _ = channel.wait(receives: false, unless: { hasRoom })
                }
                guard let request = try take(reader) else { break }
                if batching != nil && !isBatch {
                    isBatch = true
                    batching?.beginBatch()
                }
                try serve(request, reader)
            }
        } catch {
            // The client broke the protocol or went away: nothing to say to it.
        }
        endBatch()
        reader.beforeWaiting = {}
        // Its memory is in use until then. A client that reads no more keeps nothing but its answers waiting.
        inFlight.waitUntilIdle()
        channel.flush()
    }

    private var hasRoom: Bool {
        inFlight.count < NBDService.maximumRequests
            && bytes.load(ordering: .relaxed) + channel.queuedBytes < NBDService.maximumBytes
    }

    private func take(_ reader: NBDReader) throws(NBDFailure) -> Request? {
        let head = try reader.take(NBD.requestSize)
        guard head.bigEndian(UInt32.self, at: 0) == NBD.requestMagic else { throw NBDFailure("bad request magic") }
        let request = Request(
            flags: head.bigEndian(UInt16.self, at: 4), command: head.bigEndian(UInt16.self, at: 6),
            handle: head.bigEndian(UInt64.self, at: 8), offset: head.bigEndian(UInt64.self, at: 16),
            length: Int(head.bigEndian(UInt32.self, at: 24)))
        return request.command == NBD.Command.disconnect ? nil : request
    }

    // MARK: Requests

    private func serve(_ request: Request, _ reader: NBDReader) throws(NBDFailure) {
        typealias Flag = NBD.CommandFlag
        var allowed = Flag.forceUnitAccess
        switch request.command {
        case NBD.Command.read: allowed |= isStructured ? Flag.dontFragment : 0
        case NBD.Command.writeZeroes: allowed |= Flag.noHole | Flag.fastZero
        case NBD.Command.blockStatus: allowed |= Flag.requestOne
        default: break
        }
        var data: NBDBuffer?
        if request.command == NBD.Command.write {
            // What is longer cannot be told from the requests after it.
            guard request.length <= NBD.maximumPayload else { throw NBDFailure("a write of \(request.length) bytes") }
            let buffer = NBDBuffer(count: request.length)
            // SAFETY: the buffer has the length.
            unsafe try reader.take(into: buffer.base, count: buffer.count)
            data = buffer
        }
        if let refused = refusal(of: request, allowed) { return answer(request, refused.status, refused.text) }
        switch request.command {
        case NBD.Command.read: read(request)
        case NBD.Command.write: write(request, data)
        case NBD.Command.flush: simple(request, .flush)
        case NBD.Command.trim: simple(request, .discard)
        case NBD.Command.writeZeroes:
            simple(request, .writeZeroes(mayUnmap: request.flags & NBD.CommandFlag.noHole == 0))
        case NBD.Command.blockStatus: blockStatus(request)
        default: answer(request, 0)
        }
    }

    private func refusal(of request: Request, _ allowed: UInt16) -> (status: Int32, text: String)? {
        let changes = [NBD.Command.write, NBD.Command.trim, NBD.Command.writeZeroes].contains(request.command)
        guard request.command <= NBD.Command.blockStatus else {
            return (EINVAL, "invalid request type (\(request.command)) received")
        }
        if changes && !export.takesWrites { return (EPERM, "Export is read-only") }
        guard request.flags & ~allowed == 0 else { return (EINVAL, "unsupported flags for the command") }
        if request.command == NBD.Command.flush { return nil }
        guard request.offset <= size, UInt64(request.length) <= size - request.offset else {
            return (changes ? ENOSPC : EINVAL, "operation past EOF")
        }
        if request.command == NBD.Command.read && request.length > NBD.maximumPayload {
            return (EINVAL, "len is larger than max len (\(NBD.maximumPayload))")
        }
        if request.command == NBD.Command.blockStatus {
            if request.length == 0 { return (EINVAL, "need non-zero length") }
            if contexts.isEmpty { return (EINVAL, "CMD_BLOCK_STATUS not negotiated") }
        }
        if request.flags & NBD.CommandFlag.fastZero != 0 && !export.hasFastZeroes { return (ENOTSUP, "not fast") }
        return nil
    }

    private func begin(_ count: Int) {
        inFlight.enter()
        bytes.add(count, ordering: .relaxed)
    }

    private func end(_ count: Int) {
        bytes.subtract(count, ordering: .relaxed)
        inFlight.leave()
        // The client's thread may be waiting for room.
        channel.ring()
    }

    private func read(_ request: Request) {
        guard request.length > 0 else { return answer(request, 0) }
        let head = 32
        let buffer = NBDBuffer(count: head + request.length)
        begin(request.length)
        // SAFETY: the segment lies inside the buffer, which the completion keeps.
        let segment = unsafe BlockSegment(pointer: buffer.base + head, count: request.length)
        export.backend.submit(
            BlockRequest(
                operation: .read, offset: request.offset, length: UInt64(request.length), segments: [segment]
            ) { [self] status in
                if status != 0 {
                    answer(request, status, "reading from file failed")
                } else {
                    answer(request, buffer, head, segment)
                }
                end(request.length)
            })
    }

    /// The answer with the data of a read, whose head goes before the data.
    private func answer(_ request: Request, _ buffer: NBDBuffer, _ head: Int, _ segment: BlockSegment) {
        var bytes = NBDBytes()
        bytes.bytes.reserveCapacity(32)
        guard isStructured else {
            bytes.put(NBD.simpleReplyMagic)
            bytes.put(UInt32(0))
            bytes.put(request.handle)
            return send(buffer, bytes.bytes, head, request.length)
        }
        bytes.put(NBD.structuredReplyMagic)
        bytes.put(NBD.Chunk.doneFlag)
        // Zeroes need not travel.
        if segment.isZero {
            bytes.put(NBD.Chunk.hole)
            bytes.put(request.handle)
            bytes.put(UInt32(12))
            bytes.put(request.offset)
            bytes.put(UInt32(request.length))
            return channel.send([NBDChannel.Piece(bytes.bytes)], isHeld: true)
        }
        bytes.put(NBD.Chunk.data)
        bytes.put(request.handle)
        bytes.put(UInt32(request.length + 8))
        bytes.put(request.offset)
        send(buffer, bytes.bytes, head, request.length)
    }

    private func send(_ buffer: NBDBuffer, _ bytes: [UInt8], _ head: Int, _ count: Int) {
        let start = head - bytes.count
        buffer.store(bytes, at: start)
        // SAFETY: the range lies inside the buffer.
        let base = unsafe UnsafeRawPointer(buffer.base + start)
        unsafe channel.send(
            [NBDChannel.Piece(owner: buffer, base: base, count: bytes.count + count)], isHeld: true)
    }

    private func write(_ request: Request, _ buffer: NBDBuffer?) {
        guard let buffer, request.length > 0 else { return answer(request, 0) }
        begin(request.length)
        // SAFETY: the segment is the buffer, which the completion keeps.
        let segment = unsafe BlockSegment(pointer: buffer.base, count: buffer.count)
        export.backend.submit(
            BlockRequest(
                operation: .write, offset: request.offset, length: UInt64(request.length), segments: [segment],
                forceUnitAccess: request.flags & NBD.CommandFlag.forceUnitAccess != 0
            ) { [self, buffer] status in
                answer(request, status, "writing to file failed")
                end(buffer.count)
            })
    }

    private func simple(_ request: Request, _ operation: BlockRequest.Operation) {
        begin(0)
        export.backend.submit(
            BlockRequest(
                operation: operation, offset: request.offset, length: UInt64(request.length),
                forceUnitAccess: request.flags & NBD.CommandFlag.forceUnitAccess != 0
            ) { [self] status in
                answer(request, status, "the operation failed")
                end(0)
            })
    }

    private func blockStatus(_ request: Request) {
        begin(0)
        export.node.schedule { [self] in
            do throws(BlockError) {
                var pieces: [NBDChannel.Piece] = []
                for (index, context) in contexts.enumerated() {
                    let isOne = request.flags & NBD.CommandFlag.requestOne != 0
                    let runs = try export.status(
                        context.name, offset: request.offset, length: UInt64(request.length),
                        limit: isOne ? 1 : NBDService.maximumExtents)
                    var bytes = NBDBytes()
                    bytes.bytes.reserveCapacity(24 + runs.count * 8)
                    bytes.put(NBD.structuredReplyMagic)
                    bytes.put(index == contexts.count - 1 ? NBD.Chunk.doneFlag : 0)
                    bytes.put(NBD.Chunk.blockStatus)
                    bytes.put(request.handle)
                    bytes.put(UInt32(4 + runs.count * 8))
                    bytes.put(context.number)
                    for run in runs {
                        bytes.put(run.length)
                        bytes.put(run.flags)
                    }
                    pieces.append(NBDChannel.Piece(bytes.bytes))
                }
                channel.send(pieces, isHeld: true)
            } catch {
                answer(request, EIO, "can't get block status")
            }
            end(0)
        }
    }

    // MARK: Answers

    /// An answer without data. `text` says what went wrong, where the protocol has room for it.
    private func answer(_ request: Request, _ status: Int32, _ text: String = "") {
        var bytes = NBDBytes()
        let needsChunk = request.command == NBD.Command.read || request.command == NBD.Command.blockStatus
        if isStructured && (needsChunk || status != 0) {
            bytes.put(NBD.structuredReplyMagic)
            bytes.put(NBD.Chunk.doneFlag)
            bytes.put(status == 0 ? NBD.Chunk.none : NBD.Chunk.error)
            bytes.put(request.handle)
            bytes.put(UInt32(status == 0 ? 0 : 6 + text.utf8.count))
            if status != 0 {
                bytes.put(NBD.wireError(status))
                bytes.put(UInt16(text.utf8.count))
                bytes.bytes += Array(text.utf8)
            }
        } else {
            bytes.put(NBD.simpleReplyMagic)
            bytes.put(NBD.wireError(status))
            bytes.put(request.handle)
        }
        channel.send([NBDChannel.Piece(bytes.bytes)], isHeld: true)
    }
}
