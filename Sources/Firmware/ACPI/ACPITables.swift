public import GuestMemory

/// A board's ACPI tables, ready to be put into guest memory or to be handed to a firmware.
///
/// Firmware links the tables itself: it allocates them, adds their place to the pointers in them and sets the
/// checksums, as the script `etc/table-loader` says (QEMU, hw/acpi/bios-linker-loader.c documents the commands).
public struct ACPITables: Sendable {
    /// One table's place in `blob`.
    public struct Entry: Equatable, Sendable {
        /// `DSDT`, `FACP`, …
        public let signature: String
        /// Its bytes in the blob.
        public let range: Range<Int>
    }

    private struct Link: Sendable {
        let offset: Int
        let size: Int
    }

    /// All tables but the RSDP, one after the other, FACS first; pointers are offsets in this blob and checksums are 0.
    public let blob: [UInt8]
    /// The root system description pointer, likewise.
    public let rsdp: [UInt8]
    /// The tables in the blob.
    public let entries: [Entry]
    private let links: [Link]
    /// Where in the blob checksums are due: every table but the FACS.
    private var checked: [Entry] { entries.filter { $0.signature != "FACS" } }

    /// The blob's start is to be aligned to this; the FACS needs it (ACPI 6.5, 5.2.10).
    public static let alignment: UInt64 = 64

    /// Encodes a board's description.
    public init(_ configuration: ACPIConfiguration) {
        var tables = Self.tables(configuration)
        let listed = tables.map(\.signature).filter { $0 != "FACS" && $0 != "DSDT" }
        tables.append(Self.root("RSDT", pointerSize: 4, listed))
        tables.append(Self.root("XSDT", pointerSize: 8, listed))

        var blob: [UInt8] = []
        var entries: [Entry] = []
        for table in tables {
            blob.align(to: table.signature == "FACS" ? 64 : 16)
            entries.append(Entry(signature: table.signature, range: blob.count..<(blob.count + table.bytes.count)))
            blob += table.bytes
        }
        var starts: [String: Int] = [:]
        for entry in entries { starts[entry.signature] = entry.range.lowerBound }
        var links: [Link] = []
        for (table, entry) in zip(tables, entries) {
            for pointer in table.pointers {
                let offset = entry.range.lowerBound + pointer.offset
                let target = UInt64(starts[pointer.target] ?? 0)
                if pointer.size == 8 {
                    blob.store(little: target, at: offset)
                } else {
                    blob.store(little: UInt32(target), at: offset)
                }
                links.append(Link(offset: offset, size: pointer.size))
            }
        }
        self.blob = blob
        self.entries = entries
        self.links = links

        var rsdp = Array("RSD PTR ".utf8) + [0] + ACPITable.oemID + [2]
        rsdp.append(little: UInt32(starts["RSDT"] ?? 0))
        rsdp.append(little: UInt32(36))
        rsdp.append(little: UInt64(starts["XSDT"] ?? 0))
        self.rsdp = rsdp + [0, 0, 0, 0]
    }

    private static func root(_ signature: String, pointerSize: Int, _ targets: [String]) -> ACPITable {
        var table = ACPITable(
            signature, revision: 1, body: [UInt8](repeating: 0, count: targets.count * pointerSize))
        table.pointers = targets.enumerated().map { index, target in
            ACPITable.Pointer(
                offset: ACPITable.headerCount + index * pointerSize, size: pointerSize, target: target)
        }
        return table
    }

    /// The bytes for a blob at `base`, which lies below 4 GiB with its end.
    public func image(at base: UInt64) -> (tables: [UInt8], rsdp: [UInt8]) {
        precondition(base <= UInt64(UInt32.max) - UInt64(blob.count), "The RSDT points below 4 GiB")
        var tables = blob
        for link in links {
            if link.size == 8 {
                tables.store(little: (tables.load(little: UInt64.self, at: link.offset) ?? 0) + base, at: link.offset)
            } else {
                let value = (tables.load(little: UInt32.self, at: link.offset) ?? 0) + UInt32(base)
                tables.store(little: value, at: link.offset)
            }
        }
        for entry in checked { tables[entry.range.lowerBound + 9] = tables.checksum(entry.range) }
        var root = rsdp
        root.store(little: (root.load(little: UInt32.self, at: 16) ?? 0) + UInt32(base), at: 16)
        root.store(little: (root.load(little: UInt64.self, at: 24) ?? 0) + base, at: 24)
        root[8] = root.checksum(0..<20)
        root[32] = root.checksum(0..<36)
        return (tables, root)
    }

    /// Puts the tables at `tables` (aligned to `alignment`, below 4 GiB, in memory that the map reserves) and the root
    /// at `rsdp` (aligned to 16; between 0xE0000 and 0xFFFFF it is found by search too).
    public func place(
        tables: GuestPhysical, rsdp: GuestPhysical, in memory: AddressSpace
    ) throws(GuestMemoryError) {
        precondition(tables.rawValue % Self.alignment == 0 && rsdp.rawValue % 16 == 0, "ACPI tables are aligned")
        let image = image(at: tables.rawValue)
        try memory.write(tables, bytes: image.tables)
        try memory.write(rsdp, bytes: image.rsdp)
    }

    /// The fw_cfg files from which a firmware installs the tables.
    public var firmwareFiles: [(name: String, bytes: [UInt8])] {
        let tablesFile = "etc/acpi/tables"
        let rsdpFile = "etc/acpi/rsdp"
        var script = TableLoaderScript()
        script.allocate(tablesFile, alignment: UInt32(Self.alignment), zone: TableLoaderScript.Zone.high)
        script.allocate(rsdpFile, alignment: 16, zone: TableLoaderScript.Zone.fSegment)
        for link in links {
            script.addPointer(in: tablesFile, to: tablesFile, offset: UInt32(link.offset), size: UInt8(link.size))
        }
        for entry in checked {
            script.addChecksum(
                in: tablesFile, offset: UInt32(entry.range.lowerBound + 9), start: UInt32(entry.range.lowerBound),
                count: UInt32(entry.range.count))
        }
        script.addPointer(in: rsdpFile, to: tablesFile, offset: 16, size: 4)
        script.addPointer(in: rsdpFile, to: tablesFile, offset: 24, size: 8)
        script.addChecksum(in: rsdpFile, offset: 8, start: 0, count: 20)
        script.addChecksum(in: rsdpFile, offset: 32, start: 0, count: 36)
        return [
            (name: tablesFile, bytes: blob), (name: rsdpFile, bytes: rsdp),
            (name: "etc/table-loader", bytes: script.bytes),
        ]
    }
}
