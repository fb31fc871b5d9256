/// Bytes in the order of their coming, taken from the front: a circular buffer that grows as it must.
package struct ByteRing: Sendable {
    private var storage: [UInt8] = []
    private var head = 0
    /// How many bytes it holds.
    package private(set) var count = 0

    /// An empty ring.
    package init() {}

    /// Whether it holds none.
    package var isEmpty: Bool { count == 0 }

    /// Adds bytes at the end.
    package mutating func append(_ bytes: ArraySlice<UInt8>) {
        reserve(count + bytes.count)
        var tail = head + count
        for byte in bytes {
            // The capacity is a power of two.
            storage[tail & (storage.count - 1)] = byte
            tail += 1
        }
        count += bytes.count
    }

    /// Lets go of the first bytes.
    package mutating func removeFirst(_ number: Int) {
        let removed = max(0, min(number, count))
        count -= removed
        head = count == 0 ? 0 : (head + removed) & (storage.count - 1)
    }

    /// Takes the first bytes out, as many as there are up to `limit`.
    package mutating func take(_ limit: Int) -> [UInt8] {
        let taken = (0..<max(0, min(limit, count))).map { storage[(head + $0) & (storage.count - 1)] }
        removeFirst(taken.count)
        return taken
    }

    /// Gives the bytes at the front that lie together; all of them if they do not wrap around.
    package func withFront<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let end = min(head + count, storage.count)
        return unsafe storage.withUnsafeBytes { all in
            unsafe body(UnsafeRawBufferPointer(rebasing: all[head..<end]))
        }
    }

    private mutating func reserve(_ needed: Int) {
        if needed <= storage.count { return }
        var capacity = max(256, storage.count)
        while capacity < needed { capacity *= 2 }
        var grown = [UInt8](repeating: 0, count: capacity)
        for index in 0..<count { grown[index] = storage[(head + index) & (storage.count - 1)] }
        storage = grown
        head = 0
    }
}
