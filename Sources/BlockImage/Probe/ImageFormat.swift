/// The formats of disk images, and how to tell them by their first bytes.
public enum ImageFormat: String, Sendable, CaseIterable {
    case raw
    case qcow
    case qcow2
    case qed
    case vmdk
    case vdi
    case vhdx
    case vpc
    case luks
    case parallels
    case bochs
    case cloop
    case dmg

    /// How many bytes from the start `probe` needs to see: the magic numbers lie in the first sector.
    public static let probeSize = 512

    /// The format of an image that begins with `head` (less than `probeSize` bytes when the image is shorter). An
    /// image that begins like none of the known ones is raw. The magic numbers are those of each format's
    /// specification.
    public static func probe(_ head: [UInt8]) -> ImageFormat {
        if begins(head, [0x51, 0x46, 0x49, 0xfb]) {
            // 'QFI\xfb': the version tells the two apart.
            guard head.count >= 8 else { return .qcow2 }
            let version = head[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return version == 1 ? .qcow : .qcow2
        }
        if begins(head, "QED\0") { return .qed }
        if begins(head, "KDMV") || begins(head, "COWD") || isVMDKDescriptor(head) { return .vmdk }
        if begins(head, [0x7f, 0x10, 0xda, 0xbe], at: 64) { return .vdi }
        if begins(head, "vhdxfile") { return .vhdx }
        // A dynamic disk begins with a copy of the footer; a fixed one has it at the end only.
        if begins(head, "conectix") { return .vpc }
        if begins(head, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]) { return .luks }
        if begins(head, "WithoutFreeSpace") || begins(head, "WithouFreSpacExt") { return .parallels }
        if begins(head, "Bochs Virtual HD Image") { return .bochs }
        if begins(head, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop") { return .cloop }
        return .raw
    }

    /// The format by content, and by name for the one without a magic number at the start (`dmg`).
    public static func probe(_ head: [UInt8], path: String) -> ImageFormat {
        let format = probe(head)
        return format == .raw && path.hasSuffix(".dmg") ? .dmg : format
    }

    private static func begins(_ head: [UInt8], _ magic: [UInt8], at offset: Int = 0) -> Bool {
        head.count >= offset + magic.count && head[offset..<offset + magic.count].elementsEqual(magic)
    }

    private static func begins(_ head: [UInt8], _ magic: String) -> Bool { begins(head, Array(magic.utf8)) }

    /// A text descriptor: comments and blank lines, then `version=1` to `3`.
    private static func isVMDKDescriptor(_ head: [UInt8]) -> Bool {
        for line in head.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if text.isEmpty || text.first == UInt8(ascii: "#") || text.allSatisfy({ $0 == UInt8(ascii: " ") }) {
                continue
            }
            return ["version=1", "version=2", "version=3"].contains { text.elementsEqual($0.utf8) }
        }
        return false
    }
}
