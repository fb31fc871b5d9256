internal import GuestMemory

/// A kernel, initial RAM disk or firmware file, read straight into guest memory: the caller opens it, the loader
/// checks it.
public protocol ImageSource: Sendable {
    /// The file's name as the user gave it, for error texts.
    var name: String { get }
    /// Its length in bytes.
    var count: Int { get }
    /// Fills `buffer` with the bytes from `offset`. The loader asks only for bytes below `count`; a file that shrank
    /// meanwhile or cannot be read throws.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LoadError)
}

/// A file that is already in memory.
public struct ByteImage: ImageSource {
    public let name: String
    /// The whole file.
    public let bytes: [UInt8]
    public var count: Int { bytes.count }

    /// A file of the given bytes.
    public init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LoadError) {
        guard offset >= 0, offset <= bytes.count, buffer.count <= bytes.count - offset else {
            throw .truncated(file: name, size: bytes.count, needed: UInt64(max(offset, 0)) + UInt64(buffer.count))
        }
        unsafe bytes.withUnsafeBytes { source in
            // SAFETY: the rebased slice lies within both buffers by the check above.
            unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + buffer.count)]))
        }
    }
}

extension ImageSource {
    /// The bytes of a part of the file, or the error that names where it ends. `limit` bounds what is ever copied.
    func bytes(at offset: UInt64, count length: UInt64, limit: Int = 1 << 20) throws(LoadError) -> [UInt8] {
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow, end <= UInt64(count) else {
            throw .truncated(file: name, size: count, needed: overflow ? UInt64.max : end)
        }
        guard length <= UInt64(limit) else {
            throw .malformed(file: name, "a header of \(length) bytes is longer than any real one")
        }
        var result = [UInt8](repeating: 0, count: Int(length))
        var failure: LoadError?
        unsafe result.withUnsafeMutableBytes { buffer in
            do throws(LoadError) { try unsafe read(at: Int(offset), into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return result
    }

    /// The first bytes of the file, at most `length`.
    func prefix(_ length: Int) throws(LoadError) -> [UInt8] {
        try bytes(at: 0, count: UInt64(min(length, count)))
    }

    /// Copies a part of the file to guest memory, once.
    func load(at offset: UInt64, count length: UInt64, to address: UInt64, in memory: AddressSpace) throws(LoadError) {
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow, end <= UInt64(count) else {
            throw .truncated(file: name, size: count, needed: overflow ? UInt64.max : end)
        }
        var failure: LoadError?
        var position = Int(offset)
        do throws(GuestMemoryError) {
            try unsafe memory.forEachRun(GuestPhysical(address), count: Int(length), direction: .write) {
                pointer, count in
                guard failure == nil else { return }
                let run = unsafe UnsafeMutableRawBufferPointer(start: pointer, count: count)
                do throws(LoadError) { try unsafe read(at: position, into: run) } catch { failure = error }
                position += count
            }
        } catch {
            throw .memory(file: name, error)
        }
        if let failure { throw failure }
    }
}

extension AddressSpace {
    /// Sets guest memory to zero.
    func clear(_ address: UInt64, count: UInt64, for file: String) throws(LoadError) {
        guard count > 0 else { return }
        do throws(GuestMemoryError) {
            try unsafe forEachRun(GuestPhysical(address), count: Int(clamping: count), direction: .write) {
                pointer, count in
                // SAFETY: `forEachRun` gives `count` writable bytes.
                unsafe pointer.initializeMemory(as: UInt8.self, repeating: 0, count: count)
            }
        } catch {
            throw .memory(file: file, error)
        }
    }

    /// Writes what a loader has built.
    func put(_ bytes: [UInt8], at address: UInt64, for file: String) throws(LoadError) {
        do throws(GuestMemoryError) {
            try write(GuestPhysical(address), bytes: bytes)
        } catch {
            throw .memory(file: file, error)
        }
    }
}
