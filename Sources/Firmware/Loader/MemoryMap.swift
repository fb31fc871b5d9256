/// Which guest-physical addresses are RAM, and what of it is spoken for: the E820 map that a kernel or a firmware is
/// given (ACPI 6.5, 15 "System Address Map Interfaces").
///
/// Entries are sorted and disjoint; neighbours of one kind are one entry.
public struct MemoryMap: Equatable, Sendable {
    /// The kinds of ACPI's address ranges.
    public enum Kind: UInt32, Sendable {
        /// Free for the guest.
        case ram = 1
        /// Not to be used.
        case reserved = 2
        /// ACPI tables; RAM once they are read.
        case acpi = 3
        /// Kept over sleep.
        case nonVolatile = 4
        /// Memory with errors.
        case unusable = 5
    }

    /// A run of addresses of one kind.
    public struct Entry: Equatable, Sendable {
        /// First address.
        public let start: UInt64
        /// Bytes, at least 1.
        public let count: UInt64
        /// What it is.
        public let kind: Kind

        /// A run of `count` bytes from `start`; `start + count` is at most 2^64 - 1.
        public init(start: UInt64, count: UInt64, kind: Kind) {
            self.start = start
            self.count = count
            self.kind = kind
        }

        /// The address after the last.
        public var end: UInt64 { start + count }
    }

    /// Sorted and disjoint.
    public private(set) var entries: [Entry] = []

    /// A map of nothing.
    public init() {}

    /// Adds a run over what was there before. Runs of no bytes change nothing; runs that pass 2^64 are cut there.
    public mutating func add(start: UInt64, count: UInt64, kind: Kind) {
        let count = min(count, UInt64.max - start)
        guard count > 0 else { return }
        let end = start + count
        var result: [Entry] = []
        for old in entries {
            if old.end <= start || end <= old.start {
                result.append(old)
                continue
            }
            if old.start < start { result.append(Entry(start: old.start, count: start - old.start, kind: old.kind)) }
            if end < old.end { result.append(Entry(start: end, count: old.end - end, kind: old.kind)) }
        }
        result.append(Entry(start: start, count: count, kind: kind))
        result.sort { $0.start < $1.start }
        entries = []
        for entry in result {
            if let last = entries.last, last.kind == entry.kind, last.end == entry.start {
                entries[entries.count - 1] = Entry(
                    start: last.start, count: last.count + entry.count, kind: entry.kind)
            } else {
                entries.append(entry)
            }
        }
    }

    /// Takes `count` bytes, rounded up to pages, from the top of the highest RAM that ends at or below `limit`, marks
    /// them with `kind` and returns their start; nil where no RAM is that large.
    public mutating func takeTop(count: UInt64, below limit: UInt64, kind: Kind) -> UInt64? {
        guard let count = alignedUp(max(count, 1), to: 4096) else { return nil }
        for entry in entries.reversed() where entry.kind == .ram && entry.start < limit {
            let end = min(entry.end, limit) & ~4095
            guard end >= entry.start, end - entry.start >= count else { continue }
            add(start: end - count, count: count, kind: kind)
            return end - count
        }
        return nil
    }

    /// Bytes of free RAM.
    public var ramBytes: UInt64 { entries.reduce(0) { $1.kind == .ram ? $0 + $1.count : $0 } }

    /// The entries as fw_cfg's `etc/e820` and the zero page carry them: start, length and kind, 20 bytes each.
    public var e820: [UInt8] {
        var bytes: [UInt8] = []
        for entry in entries {
            bytes.append(little: entry.start)
            bytes.append(little: entry.count)
            bytes.append(little: entry.kind.rawValue)
        }
        return bytes
    }
}

/// How a PC board spreads its RAM over the address space: from 0 up to a limit below 4 GiB, the rest from 4 GiB.
public struct PCMemory: Equatable, Sendable {
    /// Bytes of RAM from address 0.
    public let low: UInt64
    /// Bytes of RAM from 4 GiB.
    public let high: UInt64

    /// The first address above the 32-bit space.
    public static let highStart: UInt64 = 1 << 32
    /// Where the legacy VGA window begins, and conventional memory ends.
    public static let conventionalEnd: UInt64 = 0xA0000
    /// Where the extended BIOS data area begins, in conventional memory's last KiB.
    public static let ebdaStart: UInt64 = 0x9FC00
    /// Where extended memory begins.
    public static let extendedStart: UInt64 = 0x10_0000

    /// `ram` bytes with at most `lowLimit` of them below 4 GiB.
    public init(ram: UInt64, lowLimit: UInt64) {
        low = min(ram, lowLimit)
        high = ram - min(ram, lowLimit)
    }

    /// As `pc` (i440FX) splits: all of it below 4 GiB where it is under 3.5 GiB, else 3 GiB, which keeps the upper
    /// part on a boundary of 1 GiB.
    public static func pc(ram: UInt64) -> PCMemory {
        PCMemory(ram: ram, lowLimit: ram >= 0xE000_0000 ? 0xC000_0000 : 0xE000_0000)
    }

    /// As `q35` and `microvm` split: all of it below 4 GiB where it is under 2.75 GiB, else 2 GiB.
    public static func q35(ram: UInt64) -> PCMemory {
        PCMemory(ram: ram, lowLimit: ram >= 0xB000_0000 ? 0x8000_0000 : 0xB000_0000)
    }

    /// The map for a kernel that is booted without firmware: RAM without the legacy hole, and the BIOS area reserved.
    public var map: MemoryMap {
        var map = MemoryMap()
        map.add(start: 0, count: min(low, Self.ebdaStart), kind: .ram)
        map.add(start: Self.ebdaStart, count: Self.conventionalEnd - Self.ebdaStart, kind: .reserved)
        map.add(start: 0xF0000, count: 0x10000, kind: .reserved)
        if low > Self.extendedStart {
            map.add(start: Self.extendedStart, count: low - Self.extendedStart, kind: .ram)
        }
        map.add(start: Self.highStart, count: high, kind: .ram)
        return map
    }

    /// The map for a firmware, by fw_cfg's `etc/e820`: RAM as it is populated, the legacy hole included.
    public var firmwareMap: MemoryMap {
        var map = MemoryMap()
        map.add(start: 0, count: low, kind: .ram)
        map.add(start: Self.highStart, count: high, kind: .ram)
        return map
    }
}
