/// What a disk may hold, sector by sector: each write stamps its sectors with their number and its own, so that a
/// sector tells whose content it is.
public struct DiskModel {
    /// Content by the number of the write; 0 is zeroes, `base` the backing image's.
    public static let base: UInt64 = 1

    /// What is on the disk if everything reaches it: more than one where a write failed.
    private var latest: [[UInt64]]
    /// What a reader may find after a crash: what was flushed, and all that was written since.
    private var possible: [[UInt64]]
    private var next: UInt64 = 2
    /// The guest's first sector of this model.
    public let first: Int
    public var count: Int { latest.count }

    public init(first: Int, count: Int, content: UInt64) {
        self.first = first
        latest = .init(repeating: [content], count: count)
        possible = latest
    }

    public static func bytes(_ sectors: Range<Int>, _ stamp: UInt64) -> [UInt8] {
        guard stamp != 0 else { return [UInt8](repeating: 0, count: sectors.count * 512) }
        return unsafe [UInt8](unsafeUninitializedCapacity: sectors.count * 512) { buffer, filled in
            let words = unsafe UnsafeMutableRawBufferPointer(buffer).bindMemory(to: UInt64.self)
            for sector in sectors {
                let at = (sector - sectors.lowerBound) * 64
                for word in 0..<32 {
                    unsafe words[at + 2 * word] = UInt64(sector) ^ 0xa5a5_0000_0000_0000
                    unsafe words[at + 2 * word + 1] = stamp
                }
            }
            filled = sectors.count * 512
        }
    }

    /// A number for the next write.
    public mutating func stamp() -> UInt64 {
        next += 1
        return next
    }

    /// Notes a write of the sectors from `start` on; one that failed may have happened or not.
    public mutating func note(_ start: Int, _ count: Int, _ stamp: UInt64, isDone: Bool) {
        for index in start..<start + count {
            if isDone { latest[index] = [stamp] } else { latest[index].append(stamp) }
            possible[index].append(stamp)
        }
    }

    /// Notes a discard: each sector keeps its content or reads as zeroes.
    public mutating func noteDiscard(_ start: Int, _ count: Int) {
        for index in start..<start + count {
            latest[index].append(0)
            possible[index].append(0)
        }
    }

    /// A flush has succeeded.
    public mutating func flushed() { possible = latest }

    /// Compares what the running disk shows, which tells nothing about what a crash would leave.
    public func compareAlive(_ bytes: [UInt8]) -> String? {
        var copy = self
        return copy.compare(bytes, isLost: false)
    }

    /// Compares what a reader finds; what is wrong, in words. From then on it is what the disk holds. With
    /// `isLost`, what was not flushed may be gone.
    public mutating func compare(_ bytes: [UInt8], isLost: Bool) -> String? {
        var wrong: String?
        unsafe bytes.withUnsafeBytes { raw in
            let words = unsafe raw.bindMemory(to: UInt64.self)
            for index in latest.indices {
                let at = index * 64
                let (number, stamp) = unsafe (words[at], words[at + 1])
                for word in 1..<32 where unsafe words[at + 2 * word] != number || words[at + 2 * word + 1] != stamp {
                    wrong = wrong ?? "sector \(first + index) is mixed"
                }
                if stamp != 0 && number != UInt64(first + index) ^ 0xa5a5_0000_0000_0000 {
                    wrong = wrong ?? "sector \(first + index) shows another's content: \(number) \(stamp)"
                }
                let allowed = isLost ? possible[index] : latest[index]
                if !allowed.contains(stamp) {
                    wrong = wrong ?? "sector \(first + index) is \(stamp), not one of \(allowed)"
                }
                latest[index] = [stamp]
                possible[index] = [stamp]
            }
        }
        return wrong
    }
}
