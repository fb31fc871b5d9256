internal import HostOS

/// What an image's first bytes tell: all that lists of volumes need, without opening the image as one.
struct ImageHead: Sendable {
    /// The name of the format as libvirt has it.
    let format: String
    /// The size that a guest sees; nil where only the whole image tells.
    let virtualSize: UInt64?
    /// The image below, and its format where the head says it.
    let backing: String?
    let backingFormat: String?

    private static let magics: [(String, Int, [UInt8])] = [
        ("vmdk", 0, Array("KDMV".utf8)), ("vmdk", 0, Array("# Disk DescriptorFile".utf8)),
        ("vhdx", 0, Array("vhdxfile".utf8)), ("vpc", 0, Array("conectix".utf8)),
        ("vdi", 0x40, [0x7F, 0x10, 0xDA, 0xBE]), ("qed", 0, [0x51, 0x45, 0x44, 0]),
        ("iso", 0x8001, Array("CD001".utf8)),
    ]

    /// Reads the head of a file. Nil: it cannot be read.
    init?(_ path: String) {
        guard let file = try? HostFile.open(path, HostFile.Mode.read, nonBlocking: true), file.kind == .regularFile,
            let head = try? file.readAvailable(limit: 0x8010)
        else { return nil }
        guard head.starts(with: [0x51, 0x46, 0x49, 0xFB]), head.count >= 72 else {
            let found = ImageHead.magics.first { head.dropFirst($0.1).starts(with: $0.2) }
            (format, virtualSize, backing, backingFormat) = (found?.0 ?? "raw", nil, nil, nil)
            return
        }
        func number(_ at: Int, _ count: Int) -> UInt64 { head[at..<at + count].reduce(0) { $0 << 8 | UInt64($1) } }
        format = "qcow2"
        virtualSize = number(24, 8)
        let (offset, length) = (number(8, 8), number(16, 4))
        if offset > 0, length > 0, length < 1024, offset + length <= UInt64(head.count) {
            let name = String(decoding: head[Int(offset)..<Int(offset + length)], as: UTF8.self)
            backing = name.hasPrefix("/") ? name : ImageHead.folder(path) + name
            backingFormat = ImageHead.backingFormat(head, number)
        } else {
            (backing, backingFormat) = (nil, nil)
        }
    }

    /// The header's extension of type 0xE2792ACA (docs/interop/qcow2.txt of QEMU, "Header extensions").
    private static func backingFormat(_ head: [UInt8], _ number: (Int, Int) -> UInt64) -> String? {
        var at = number(4, 4) >= 3 && head.count >= 104 ? Int(min(number(100, 4), 4096)) : 72
        while at >= 72, at + 8 <= head.count {
            let (type, length) = (number(at, 4), number(at + 4, 4))
            guard type != 0, length <= UInt64(head.count - at - 8) else { return nil }
            if type == 0xE279_2ACA {
                return String(decoding: head[at + 8..<at + 8 + Int(length)], as: UTF8.self)
            }
            at += 8 + Int(length + 7) & ~7
        }
        return nil
    }

    private static func folder(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    }

    /// The size that a guest sees, where the head tells it.
    static func virtualSize(_ path: String) -> UInt64? { ImageHead(path)?.virtualSize }
}
