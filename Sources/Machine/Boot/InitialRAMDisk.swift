internal import BlockImage

/// A look at a Linux kernel's initial RAM disk: one that was cut off would only show as a panic much later.
///
/// The kernel takes cpio archives one after another, each packed or not, with zeroes between them (Linux,
/// Documentation/driver-api/early-userspace/buffer-format.rst). What is none of the known forms is left to the kernel.
enum InitialRAMDisk {
    /// Unpacking gzip takes time, so larger files are taken on trust.
    private static let gzipLimit = 32 << 20
    private static let headerCount = 110

    /// What is wrong with the file's bytes, as the end of a sentence; nil where nothing is seen.
    static func flaw(_ bytes: [UInt8]) -> String? {
        if bytes.isEmpty { return "it is empty" }
        var place = 0
        while place < bytes.count {
            if bytes[place] == 0 {
                place += 1
                continue
            }
            switch segment(bytes, place) {
            case .end(let end): place = end
            case .unknown: return nil
            case .flaw(let words): return words
            }
        }
        return nil
    }

    private enum Segment {
        case end(Int)
        case unknown
        case flaw(String)
    }

    private static func segment(_ bytes: [UInt8], _ place: Int) -> Segment {
        func starts(_ magic: [UInt8]) -> Bool { bytes[place...].starts(with: magic) }
        if starts(Array("070701".utf8)) || starts(Array("070702".utf8)) { return archive(bytes, place) }
        if starts([0x1F, 0x8B]) { return gzip(bytes, place) }
        if starts([0x28, 0xB5, 0x2F, 0xFD]) { return zstandard(bytes, place) }
        if starts([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) { return xz(bytes) }
        if starts([0x02, 0x21, 0x4C, 0x18]) { return lz4(bytes, place) }
        return .unknown
    }

    private static func truncated(_ form: String, _ bytes: [UInt8]) -> Segment {
        .flaw("its \(form) is truncated at byte \(bytes.count)")
    }

    /// cpio in the new ASCII format: headers of 110 characters, names and files, each padded to four bytes.
    private static func archive(_ bytes: [UInt8], _ start: Int) -> Segment {
        func number(_ place: Int) -> Int? {
            var value = 0
            for byte in bytes[place..<place + 8] {
                guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
                value = value << 4 | digit
            }
            return value
        }
        func padded(_ count: Int) -> Int { (count + 3) & ~3 }
        var place = start
        while true {
            guard bytes.count - place >= headerCount else { return truncated("cpio archive", bytes) }
            guard let size = number(place + 54), let nameSize = number(place + 94) else {
                return .flaw("its cpio archive is broken at byte \(place)")
            }
            let name = place + headerCount
            // Both counts have 32 bits.
            let data = start + padded(name + nameSize - start)
            guard data <= bytes.count, data + size <= bytes.count else { return truncated("cpio archive", bytes) }
            if bytes[name...].starts(with: "TRAILER!!!".utf8) { return .end(data) }
            place = start + padded(data + size - start)
        }
    }

    private static func gzip(_ bytes: [UInt8], _ place: Int) -> Segment {
        guard bytes.count - place <= gzipLimit else { return .unknown }
        switch GzipMember.examine(bytes, from: place) {
        case .whole(let count): return .end(place + count)
        case .truncated: return truncated("gzip stream", bytes)
        case .broken: return .flaw("its gzip stream is broken")
        }
    }

    /// Frames tell the size of each of their blocks (RFC 8878, 3.1.1).
    private static func zstandard(_ bytes: [UInt8], _ start: Int) -> Segment {
        guard bytes.count - start > 5 else { return truncated("Zstandard frame", bytes) }
        let descriptor = bytes[start + 4]
        let isSingle = descriptor & 0x20 != 0
        let contentSize = [isSingle ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)]
        var place = start + 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][Int(descriptor & 3)] + contentSize
        while true {
            guard bytes.count - place >= 3 else { return truncated("Zstandard frame", bytes) }
            let header = Int(bytes[place]) | Int(bytes[place + 1]) << 8 | Int(bytes[place + 2]) << 16
            let isRun = header >> 1 & 3 == 1
            place += 3 + (isRun ? 1 : header >> 3)
            guard header & 1 != 0 else { continue }
            place += descriptor & 4 != 0 ? 4 : 0
            return place <= bytes.count ? .end(place) : truncated("Zstandard frame", bytes)
        }
    }

    /// A stream ends in the footer's two letters, perhaps with zeroes after them.
    private static func xz(_ bytes: [UInt8]) -> Segment {
        var end = bytes.count
        while end > 0, bytes[end - 1] == 0 { end -= 1 }
        guard end >= 2, bytes[end - 2] == UInt8(ascii: "Y"), bytes[end - 1] == UInt8(ascii: "Z") else {
            return truncated("xz stream", bytes)
        }
        return .end(bytes.count)
    }

    /// The legacy frame: blocks with their sizes, up to the file's end.
    private static func lz4(_ bytes: [UInt8], _ start: Int) -> Segment {
        var place = start + 4
        while bytes.count - place >= 4 {
            let size = (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << ($1 * 8) }
            if size == 0 { return .end(place + 4) }
            guard size <= bytes.count - place - 4 else { return truncated("LZ4 frame", bytes) }
            place += 4 + size
        }
        return place == bytes.count ? .end(place) : truncated("LZ4 frame", bytes)
    }
}
