/// Images of formats that no tool here makes, laid out by hand after their descriptions.
public enum LaidOut {
    public static let logIdentifier: [UInt8] = (1...16).map { UInt8($0) }

    /// An image of a disk. `packed` makes zlib's streams of its blocks; without, their bytes are stored in them.
    public static func image(
        _ format: String, _ disk: [UInt8], packed: ([UInt8]) -> [UInt8] = LaidOut.stored
    ) -> [UInt8] {
        switch format {
        case "bochs": bochs(disk)
        case "cloop": cloop(disk, packed)
        default: dmg(disk, packed)
        }
    }

    /// A zlib stream (RFC 1950) of blocks that hold bytes as they are.
    public static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = [0x78, 0x01]
        var (low, high): (UInt32, UInt32) = (1, 0)
        for start in stride(from: 0, to: max(bytes.count, 1), by: 65535) {
            let part = bytes[start..<min(bytes.count, start + 65535)]
            let count = UInt16(part.count)
            result.append(start + part.count == bytes.count ? 1 : 0)
            for number in [count, ~count] { result += [UInt8(number & 0xff), UInt8(number >> 8)] }
            result += part
            for byte in part {
                low = (low + UInt32(byte)) % 65521
                high = (high + low) % 65521
            }
        }
        let sum = high << 16 | low
        return result + (0..<4).map { UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * $0)) }
    }

    private static func put<Number: FixedWidthInteger>(_ value: Number, _ at: Int, _ bytes: inout [UInt8]) {
        for index in 0..<Number.bitWidth / 8 {
            bytes[at + index] = UInt8(truncatingIfNeeded: value >> Number(8 * index))
        }
    }
    private static func text(_ text: String, _ at: Int, _ bytes: inout [UInt8]) {
        for (index, byte) in text.utf8.enumerated() { bytes[at + index] = byte }
    }

    /// A header, a catalog, and extents of 16 KiB with a bitmap before each.
    private static func bochs(_ disk: [UInt8]) -> [UInt8] {
        let extent = 16384
        let count = (disk.count + extent - 1) / extent
        var bytes = [UInt8](repeating: 0, count: 512)
        text("Bochs Virtual HD Image", 0, &bytes)
        text("Redolog", 32, &bytes)
        text("Growing", 48, &bytes)
        put(UInt32(0x0002_0000), 64, &bytes)
        put(UInt32(512), 68, &bytes)
        put(UInt32(count), 72, &bytes)
        put(UInt32(512), 76, &bytes)
        put(UInt32(extent), 80, &bytes)
        put(UInt64(disk.count), 88, &bytes)
        var catalog = [UInt8](repeating: 0xff, count: count * 4)
        var data: [UInt8] = []
        var next: UInt32 = 0
        for index in 0..<count {
            var content = Array(disk[index * extent..<min(disk.count, (index + 1) * extent)])
            content += [UInt8](repeating: 0, count: extent - content.count)
            guard content.contains(where: { $0 != 0 }) else { continue }
            var bitmap = [UInt8](repeating: 0, count: 512)
            for sector in 0..<extent / 512 where content[sector * 512..<sector * 512 + 512].contains(where: { $0 != 0 })
            {
                bitmap[sector / 8] |= 1 << UInt8(sector % 8)
            }
            put(next, index * 4, &catalog)
            next += 1
            data += bitmap + content
        }
        return bytes + catalog + data
    }

    private static func cloop(_ disk: [UInt8], _ packed: ([UInt8]) -> [UInt8]) -> [UInt8] {
        let block = 65536
        var padded = disk
        padded += [UInt8](repeating: 0, count: (block - disk.count % block) % block)
        let blocks = stride(from: 0, to: padded.count, by: block).map { packed(Array(padded[$0..<$0 + block])) }
        var head = [UInt8](repeating: 0, count: 136)
        text("#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 0, &head)
        put(UInt32(block).byteSwapped, 128, &head)
        put(UInt32(blocks.count).byteSwapped, 132, &head)
        var table = [UInt8](repeating: 0, count: (blocks.count + 1) * 8)
        var at = UInt64(head.count + table.count)
        for index in 0...blocks.count {
            put(at.byteSwapped, index * 8, &table)
            if index < blocks.count { at += UInt64(blocks[index].count) }
        }
        return head + table + blocks.flatMap { $0 }
    }

    /// Chunks of 64 KiB, in turn raw, packed and (where there is nothing) zero, in a property list.
    private static func dmg(_ disk: [UInt8], _ packed: ([UInt8]) -> [UInt8]) -> [UInt8] {
        let size = 65536
        return dmg(
            stride(from: 0, to: disk.count, by: size).enumerated().map { number, start in
                let content = Array(disk[start..<min(disk.count, start + size)])
                guard content.contains(where: { $0 != 0 }) else {
                    return Chunk(kind: 0, sectors: content.count / 512, stored: [])
                }
                return number % 2 == 0
                    ? Chunk(kind: 1, sectors: content.count / 512, stored: content)
                    : Chunk(kind: 0x8000_0005, sectors: content.count / 512, stored: packed(content))
            })
    }

    /// A chunk of a DMG image: its kind, how many sectors it makes, and what is in the file.
    public struct Chunk {
        public var kind: UInt32
        public var sectors: Int
        public var stored: [UInt8]

        public init(kind: UInt32, sectors: Int, stored: [UInt8]) {
            (self.kind, self.sectors, self.stored) = (kind, sectors, stored)
        }
    }

    /// A DMG image of chunks, one behind the other.
    public static func dmg(_ chunks: [Chunk]) -> [UInt8] {
        let sectors = chunks.reduce(0) { $0 + $1.sectors }
        var data: [UInt8] = []
        var mish = [UInt8](repeating: 0, count: 204)
        text("mish", 0, &mish)
        put(UInt32(1).byteSwapped, 4, &mish)
        put(UInt64(sectors).byteSwapped, 16, &mish)
        var start = 0
        for chunk in chunks {
            var row = [UInt8](repeating: 0, count: 40)
            put(chunk.kind.byteSwapped, 0, &row)
            put(UInt64(start).byteSwapped, 8, &row)
            put(UInt64(chunk.sectors).byteSwapped, 16, &row)
            put(UInt64(data.count).byteSwapped, 24, &row)
            put(UInt64(chunk.stored.count).byteSwapped, 32, &row)
            mish += row
            data += chunk.stored
            start += chunk.sectors
        }
        var last = [UInt8](repeating: 0, count: 40)
        put(UInt32.max, 0, &last)
        mish += last
        let list = Array("<plist><dict><key>blkx</key><data>\n\(base64(mish))\n</data></dict></plist>".utf8)
        var koly = [UInt8](repeating: 0, count: 512)
        text("koly", 0, &koly)
        put(UInt32(4).byteSwapped, 4, &koly)
        put(UInt32(512).byteSwapped, 8, &koly)
        put(UInt64(data.count).byteSwapped, 0x20, &koly)
        put(UInt64(data.count).byteSwapped, 0xd8, &koly)
        put(UInt64(list.count).byteSwapped, 0xe0, &koly)
        put(UInt64(sectors).byteSwapped, 0x1ec, &koly)
        return data + list + koly
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(bytes.count, start + 3)]
            var value = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            value <<= UInt32(8 * (3 - part.count))
            for index in 0..<4 {
                text.append(index <= part.count ? letters[Int(value >> UInt32(18 - 6 * index)) & 63] : "=")
            }
            if start % 57 == 54 { text += "\n" }
        }
        return text
    }

    /// One entry of a VHDX log that writes one sector, after [MS-VHDX] 2.3.
    public static func vhdxLogEntry(_ sector: [UInt8], at offset: UInt64, fileSize: Int) -> [UInt8] {
        var entry = [UInt8](repeating: 0, count: 8192)
        text("loge", 0, &entry)
        put(UInt32(8192), 8, &entry)
        put(UInt64(7), 16, &entry)
        put(UInt32(1), 24, &entry)
        entry.replaceSubrange(32..<48, with: logIdentifier)
        put(UInt64(fileSize), 48, &entry)
        put(UInt64(fileSize), 56, &entry)
        text("desc", 64, &entry)
        entry.replaceSubrange(68..<72, with: sector[4092..<4096])
        entry.replaceSubrange(72..<80, with: sector[0..<8])
        put(offset, 80, &entry)
        put(UInt64(7), 88, &entry)
        entry.replaceSubrange(4096..<8192, with: sector)
        text("data", 4096, &entry)
        put(UInt32(0), 4100, &entry)
        put(UInt32(7), 8188, &entry)
        return sealed(entry)
    }

    /// A structure with its checksum at byte 4.
    public static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        put(UInt32(0), 4, &result)
        var value = UInt32.max
        for byte in result {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value & 1 != 0 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        }
        put(~value, 4, &result)
        return result
    }
}
