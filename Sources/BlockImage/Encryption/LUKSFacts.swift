/// What stands in the open in a LUKS header ("LUKS1 On-Disk Format Specification", 1.2.3): enough to describe an
/// encrypted image, nothing that would open it.
enum LUKSFacts {
    static let size = 592

    /// The facts of a header, as `qemu-img info` lists them; nil when it is none.
    static func facts(_ bytes: [UInt8], at place: UInt64) -> [ImageFact]? {
        guard bytes.count >= size, bytes.prefix(6).elementsEqual([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]),
            bytes.bigEndian(UInt16.self, at: 6) == 1
        else { return nil }
        let mode = bytes.text(at: 40, length: 32)
        let dash = mode.firstIndex(of: "-") ?? mode.endIndex
        let cipherMode = String(mode[..<dash])
        let vector = String(mode[dash...].dropFirst())
        let keyBits = bytes.bigEndian(UInt32.self, at: 108) &* (cipherMode == "xts" ? 4 : 8)
        func sectors(_ at: Int) -> UInt64 { UInt64(bytes.bigEndian(UInt32.self, at: at)) * 512 }
        func number(_ at: Int) -> ImageFact.Value { .number(UInt64(bytes.bigEndian(UInt32.self, at: at))) }
        let slots = (0..<8).map { index -> ImageFact.Value in
            let at = 208 + index * 48
            let isActive = bytes.bigEndian(UInt32.self, at: at) == 0x00ac_71f3
            var facts = [ImageFact("active", .flag(isActive))]
            if isActive { facts.append(ImageFact("iters", number(at + 4))) }
            facts.append(ImageFact("key-offset", .number(sectors(at + 40))))
            if isActive { facts.append(ImageFact("stripes", number(at + 44))) }
            return .group(facts)
        }
        return [
            ImageFact("ivgen-alg", .text(String(vector.prefix { $0 != ":" }))),
            ImageFact("hash-alg", .text(bytes.text(at: 72, length: 32))),
            ImageFact("cipher-alg", .text("\(bytes.text(at: 8, length: 32))-\(keyBits)")),
            ImageFact("uuid", .text(bytes.text(at: 168, length: 40))), ImageFact("format", .text("luks")),
            ImageFact("cipher-mode", .text(cipherMode)), ImageFact("slots", .list(slots)),
            ImageFact("payload-offset", .number(sectors(104))), ImageFact("master-key-iters", number(164)),
        ]
    }
}
