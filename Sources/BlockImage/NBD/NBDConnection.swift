internal import CLinux
internal import HostOS
internal import Synchronization

/// A client's connection in transmission: requests by number, answers in any order.
final class NBDConnection: Sendable {
    /// What a request waits for.
    struct Pending: Sendable {
        var command: UInt16
        var offset: UInt64
        var length: Int
        /// Memory of a read.
        var segments: [BlockSegment] = []
        /// Bytes of a read that chunks have filled.
        var filled = 0
        /// The number of the metadata context of a block status, and what came.
        var context: UInt32 = 0
        var extents: [(length: UInt32, flags: UInt32)] = []
        var status: Int32 = 0
        /// Owns what is queued of the request.
        var head: NBDBuffer?
        var completion: @Sendable (Int32, [(length: UInt32, flags: UInt32)]) -> Void
    }

    private struct State {
        var pending: [UInt64: Pending] = [:]
        var next: UInt64 = 1
        var isOver = false
    }

    /// How requests end that the connection took with it: no server's answer.
    static let lost: Int32 = -1

    let result: NBDNegotiation.Result
    private let channel: NBDChannel
    private let state = Mutex(State())
    private let ended = Bell()

    /// Takes over a connection whose handshake is done.
    init(_ negotiation: NBDNegotiation, _ result: NBDNegotiation.Result) throws(HostError) {
        self.result = result
        channel = negotiation.channel
        // The reader goes to the thread.
        let reader = Handover(negotiation.reader)
        _ = try HostThread(name: "block-nbd", stackSize: 256 << 10) { [self] in
            pthread_detach(pthread_self())
            run(reader.value)
            ended.ring()
        }
    }

    private struct Handover: @unchecked Sendable {
        // Sendable: used by the thread alone from then on.
        let value: NBDReader
        init(_ value: NBDReader) { self.value = value }
    }

    /// Whether requests still have a chance.
    var isAlive: Bool { state.withLock { !$0.isOver } }

    /// Sends a request. `data` is what a write sends; `pending.completion` is called once, from the connection's
    /// thread; also (with `lost`) when the connection ends. False: it has ended already, nothing is called.
    func submit(_ pending: Pending, flags: UInt16 = 0, data: [BlockSegment] = []) -> Bool {
        // Under the lock: an answer that comes before the request has been sent must find it queued.
        state.withLock { state -> Bool in
            guard !state.isOver else { return false }
            let handle = state.next
            state.next += 1
            let head = NBDConnection.head(pending, flags, handle)
            var queued = pending
            queued.head = head
            state.pending[handle] = queued
            var pieces = unsafe [NBDChannel.Piece(owner: head, base: UnsafeRawPointer(head.base), count: head.count)]
            for segment in data {
                // SAFETY: a segment's memory lives until the request's completion, which waits for the sending.
                unsafe pieces.append(
                    NBDChannel.Piece(owner: head, base: UnsafeRawPointer(segment.pointer), count: segment.count))
            }
            channel.send(pieces)
            return true
        }
    }

    private static func head(_ pending: Pending, _ flags: UInt16, _ handle: UInt64) -> NBDBuffer {
        let head = NBDBuffer(count: NBD.requestSize)
        // SAFETY: the buffer has the request's 28 bytes.
        unsafe head.base.storeBytes(of: NBD.requestMagic.bigEndian, as: UInt32.self)
        unsafe head.base.storeBytes(of: flags.bigEndian, toByteOffset: 4, as: UInt16.self)
        unsafe head.base.storeBytes(of: pending.command.bigEndian, toByteOffset: 6, as: UInt16.self)
        unsafe head.base.storeBytes(of: handle.bigEndian, toByteOffset: 8, as: UInt64.self)
        unsafe head.base.storeBytes(of: pending.offset.bigEndian, toByteOffset: 16, as: UInt64.self)
        let length = UInt32(truncatingIfNeeded: pending.length)
        unsafe head.base.storeBytes(of: length.bigEndian, toByteOffset: 24, as: UInt32.self)
        return head
    }

    func beginBatch() { channel.hold() }
    func endBatch() { channel.release() }

    /// Tells the server goodbye and waits for the thread's end. Nothing may be in flight.
    func close() {
        var bytes = NBDBytes()
        bytes.put(NBD.requestMagic)
        bytes.put(UInt16(0))
        bytes.put(NBD.Command.disconnect)
        bytes.put(UInt64(0))
        bytes.put(UInt64(0))
        bytes.put(UInt32(0))
        channel.send([NBDChannel.Piece(bytes.bytes)])
        channel.shutDown()
        while isAlive { ended.wait(nanoseconds: 100_000_000) }
    }

    private func run(_ reader: NBDReader) {
        reader.deadline = nil
        do throws(NBDFailure) {
            while true { try receive(reader) }
        } catch {
            channel.shutDown()
        }
        // No answer will come any more, and nothing that was queued may be looked at once its owners know.
        let lost = state.withLock { state -> [Pending] in
            state.isOver = true
            defer { state.pending = [:] }
            return Array(state.pending.values)
        }
        channel.abandon()
        for pending in lost { pending.completion(NBDConnection.lost, []) }
    }

    /// Takes one reply, or one chunk of a structured one.
    private func receive(_ reader: NBDReader) throws(NBDFailure) {
        let magic = try reader.take(4).bigEndian(UInt32.self, at: 0)
        switch magic {
        case NBD.simpleReplyMagic: try receiveSimple(reader)
        case NBD.structuredReplyMagic where result.isStructured: try receiveChunk(reader)
        default: throw NBDFailure("invalid magic")
        }
    }

    private func receiveSimple(_ reader: NBDReader) throws(NBDFailure) {
        let head = try reader.take(12)
        let handle = head.bigEndian(UInt64.self, at: 4)
        let status = NBD.status(head.bigEndian(UInt32.self, at: 0))
        guard let pending = state.withLock({ $0.pending[handle] }) else { throw NBDFailure("Unexpected reply") }
        if status == 0 && pending.command == NBD.Command.read {
            guard !result.isStructured else { throw NBDFailure("Protocol error: simple reply to a read") }
            try fill(pending, 0, pending.length, reader)
        }
        guard status != 0 || pending.command != NBD.Command.blockStatus else {
            throw NBDFailure("Protocol error: simple reply to a block status")
        }
        try finish(handle, status)
    }

    private func receiveChunk(_ reader: NBDReader) throws(NBDFailure) {
        let head = try reader.take(16)
        let flags = head.bigEndian(UInt16.self, at: 0)
        let type = head.bigEndian(UInt16.self, at: 2)
        let handle = head.bigEndian(UInt64.self, at: 4)
        let length = Int(head.bigEndian(UInt32.self, at: 12))
        guard var pending = state.withLock({ $0.pending[handle] }) else { throw NBDFailure("Unexpected reply") }
        switch type {
        case NBD.Chunk.none:
            guard length == 0, flags & NBD.Chunk.doneFlag != 0 else { throw NBDFailure("Protocol error: bad chunk") }
        case NBD.Chunk.data:
            guard pending.command == NBD.Command.read, length > 8 else { throw NBDFailure("Protocol error: data") }
            let start = try place(pending, try reader.take(8).bigEndian(UInt64.self, at: 0), length - 8)
            try fill(pending, start, length - 8, reader)
            pending.filled += length - 8
        case NBD.Chunk.hole:
            guard pending.command == NBD.Command.read, length == 12 else { throw NBDFailure("Protocol error: hole") }
            let body = try reader.take(12)
            let count = Int(body.bigEndian(UInt32.self, at: 8))
            let start = try place(pending, body.bigEndian(UInt64.self, at: 0), count)
            pending.segments.slice(from: start, count: count).zero(from: 0)
            pending.filled += count
        case NBD.Chunk.blockStatus: try noteStatus(&pending, length, reader)
        case _ where type & NBD.Chunk.errorBit != 0:
            guard length >= 6, length <= NBD.maximumString + 14 else { throw NBDFailure("Protocol error: error") }
            let body = try reader.take(length)
            let text = Int(body.bigEndian(UInt16.self, at: 4))
            guard text <= length - 6 else { throw NBDFailure("Protocol error: error message") }
            let status = NBD.status(body.bigEndian(UInt32.self, at: 0))
            if pending.status == 0 { pending.status = status == 0 ? EIO : status }
        default: throw NBDFailure("Protocol error: chunk of type \(type)")
        }
        // A chunk more than the read has bytes is one twice.
        guard pending.filled <= pending.length || pending.command != NBD.Command.read else {
            throw NBDFailure("Protocol error: too much data")
        }
        guard flags & NBD.Chunk.doneFlag == 0 else {
            if pending.command == NBD.Command.read && pending.status == 0 && pending.filled != pending.length {
                throw NBDFailure("Protocol error: data missing")
            }
            return try finish(handle, pending.status, pending.extents)
        }
        let now = pending
        state.withLock { $0.pending[handle] = now }
    }

    /// Where in the request's memory a chunk goes.
    private func place(_ pending: Pending, _ offset: UInt64, _ count: Int) throws(NBDFailure) -> Int {
        guard count > 0, offset >= pending.offset, offset - pending.offset <= UInt64(pending.length),
            count <= pending.length - Int(offset - pending.offset)
        else { throw NBDFailure("Protocol error: data outside of the request") }
        return Int(offset - pending.offset)
    }

    private func fill(_ pending: Pending, _ start: Int, _ count: Int, _ reader: NBDReader) throws(NBDFailure) {
        for segment in pending.segments.slice(from: start, count: count) {
            // SAFETY: the segment's memory is the submitter's until the completion.
            unsafe try reader.take(into: segment.pointer, count: segment.count)
        }
    }

    private func noteStatus(_ pending: inout Pending, _ length: Int, _ reader: NBDReader) throws(NBDFailure) {
        guard pending.command == NBD.Command.blockStatus, length >= 12, length % 8 == 4, length <= 128 << 10 else {
            throw NBDFailure("Protocol error: block status")
        }
        let body = try reader.take(length)
        // Other contexts than the one asked about are passed over.
        guard body.bigEndian(UInt32.self, at: 0) == pending.context, pending.extents.isEmpty else { return }
        for at in stride(from: 4, to: length, by: 8) {
            let count = body.bigEndian(UInt32.self, at: at)
            guard count > 0 else { throw NBDFailure("Protocol error: extent of no length") }
            pending.extents.append((count, body.bigEndian(UInt32.self, at: at + 4)))
        }
    }

    private func finish(
        _ handle: UInt64, _ status: Int32, _ extents: [(length: UInt32, flags: UInt32)] = []
    ) throws(NBDFailure) {
        let head = state.withLock { $0.pending[handle]?.head }
        if let head, channel.isQueued(head) { throw NBDFailure("Protocol error: answer before the request") }
        let pending = state.withLock { $0.pending.removeValue(forKey: handle) }
        pending?.completion(status, extents)
    }
}
