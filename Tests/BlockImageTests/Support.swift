import BlockImage
import CLinux
import HostOS
import Synchronization
import TestSupport

/// A file of a name of its own that goes with this object.
final class TestFile: Sendable {
    let path: String
    private static let next = Atomic(0)

    init(bytes: [UInt8] = [], suffix: String = ".img") {
        let number = TestFile.next.wrappingAdd(1, ordering: .relaxed).newValue
        path = "/tmp/apus-block-test-\(getpid())-\(number)\(suffix)"
        write(bytes)
    }

    func write(_ bytes: [UInt8]) {
        let descriptor = unsafe apus_open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        _ = unsafe bytes.withUnsafeBytes { unsafe CLinux.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    func truncate(_ size: Int) { _ = unsafe CLinux.truncate(path, size) }

    func read() -> [UInt8] {
        let descriptor = unsafe apus_open(path, O_RDONLY, 0)
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: size)
        _ = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
        return bytes
    }

    deinit { unsafe unlink(path) }
}

/// The status of a request that may not be there yet.
final class Reply: Sendable {
    private let status = Mutex<Int32?>(nil)
    private let bell = Bell()
    func set(_ value: Int32) {
        status.withLock { $0 = value }
        bell.ring()
    }
    /// The status; -1 when nothing came for 20 seconds.
    func wait() -> Int32 {
        for _ in 0..<200 {
            if let value = status.withLock({ $0 }) { return value }
            bell.wait(nanoseconds: 100_000_000)
        }
        return -1
    }
    var value: Int32? { status.withLock { $0 } }
}

/// Memory for requests, cut into segments.
@safe final class Memory: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let count: Int
    init(_ bytes: [UInt8], shift: Int = 0) {
        count = bytes.count
        unsafe allocation = .allocate(byteCount: count + shift + 1, alignment: 4096)
        unsafe base = allocation + shift
        _ = unsafe bytes.withUnsafeBytes { unsafe memcpy(base, $0.baseAddress!, count) }
    }
    private let allocation: UnsafeMutableRawPointer
    deinit { unsafe allocation.deallocate() }
    var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: base, count: count)) }
    func segments(_ size: Int? = nil) -> [BlockSegment] {
        let size = size ?? max(count, 1)
        return stride(from: 0, to: count, by: size).map {
            unsafe BlockSegment(pointer: base + $0, count: min(size, count - $0))
        }
    }
}

extension BlockBackend {
    func perform(
        _ operation: BlockRequest.Operation, _ offset: UInt64 = 0, _ length: UInt64 = 0, fua: Bool = false
    ) -> Int32 {
        let reply = Reply()
        submit(
            BlockRequest(operation: operation, offset: offset, length: length, forceUnitAccess: fua) { reply.set($0) })
        return reply.wait()
    }

    func write(_ bytes: [UInt8], at offset: UInt64, shift: Int = 0, segment: Int? = nil, fua: Bool = false) -> Int32 {
        if bytes.isEmpty { return perform(.write, offset, 0) }
        let memory = Memory(bytes, shift: shift)
        let reply = Reply()
        submit(
            BlockRequest(
                operation: .write, offset: offset, length: UInt64(bytes.count), segments: memory.segments(segment),
                forceUnitAccess: fua, completion: { reply.set($0) }))
        let status = reply.wait()
        withExtendedLifetime(memory) {}
        return status
    }

    func read(_ count: Int, at offset: UInt64, shift: Int = 0, segment: Int? = nil) -> (status: Int32, bytes: [UInt8]) {
        let memory = Memory([UInt8](repeating: 0xee, count: count), shift: shift)
        let reply = Reply()
        submit(
            BlockRequest(
                operation: .read, offset: offset, length: UInt64(count), segments: memory.segments(segment),
                completion: { reply.set($0) }))
        let status = reply.wait()
        return (status, memory.bytes)
    }
}

/// An engine and a cache mode, as the tests run them.
struct Way: Sendable, CustomStringConvertible {
    var aio: FileAIO
    var cacheName: String
    var cache: CacheMode { CacheMode(name: cacheName)! }
    var description: String { "aio=\(aio.rawValue),cache=\(cacheName)" }

    static let all: [Way] = [FileAIO.auto, FileAIO.threads].flatMap { aio in
        ["writeback", "none", "writethrough", "directsync", "unsafe"].map { Way(aio: aio, cacheName: $0) }
    }
}

/// Opens a file as a node.
func openFile(
    _ file: TestFile, aio: FileAIO = .auto, _ change: (inout FileOptions, inout NodeOptions) -> Void = { _, _ in }
) throws(BlockError) -> FileNode {
    var options = FileOptions(path: file.path)
    options.aio = aio
    var node = NodeOptions()
    change(&options, &node)
    return try FileNode(options, node: node, isDevice: false, nodeName: "file")
}

func randomBytes(_ count: Int, _ numbers: inout SplitMix64) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
}
