/// The header of LUKS, version 1 ("LUKS1 On-Disk Format Specification", 1.2.3, section 4.1), big-endian.
struct LUKSHeader {
    static let size = 592
    static let magic: [UInt8] = [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]
    static let slotCount = 8
    static let stripes: UInt32 = 4000
    /// Iterations beyond this would take hours: only a hostile header asks for that.
    static let maximumIterations: UInt32 = 1 << 30

    /// A place for the key, encrypted with a passphrase.
    struct Slot {
        static let enabled: UInt32 = 0x00ac_71f3
        static let disabled: UInt32 = 0x0000_dead

        var isActive = false
        var iterations: UInt32 = 0
        var salt = [UInt8](repeating: 0, count: 32)
        /// In bytes.
        var keyOffset: UInt64 = 0
        var stripes = LUKSHeader.stripes
    }

    var cipher = "aes"
    var mode = "xts-plain64"
    var hash = "sha256"
    /// Where the encrypted disk begins, in bytes.
    var payloadOffset: UInt64 = 0
    var keyCount = 64
    var digest = [UInt8](repeating: 0, count: 20)
    var digestSalt = [UInt8](repeating: 0, count: 32)
    var digestIterations: UInt32 = 0
    var uuid = ""
    var slots = [Slot](repeating: Slot(), count: LUKSHeader.slotCount)

    /// The bytes that a key's stripes take.
    var materialCount: Int { keyCount * Int(LUKSHeader.stripes) }

    /// A header of a key's length, with the places of everything.
    init(cipher: String, mode: String, hash: String, keyCount: Int) {
        (self.cipher, self.mode, self.hash, self.keyCount) = (cipher, mode, hash, keyCount)
        let room = (UInt64(materialCount) + 4095) / 4096 * 4096
        for index in slots.indices { slots[index].keyOffset = 4096 + UInt64(index) * room }
        payloadOffset = 4096 + UInt64(LUKSHeader.slotCount) * room
    }

    /// Reads a header. Every number is checked against the others; `available` is how many bytes are there, the disk
    /// included.
    init(parsing bytes: [UInt8], available: UInt64, path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        guard bytes.count >= LUKSHeader.size, bytes.starts(with: LUKSHeader.magic) else {
            throw fail("Volume is not in LUKS format")
        }
        let version = bytes.bigEndian(UInt16.self, at: 6)
        guard version == 1 else { throw fail("LUKS version \(version) is not supported") }
        func text(_ offset: Int, _ count: Int, _ what: String) throws(BlockError) -> String {
            guard bytes[offset..<offset + count].contains(0) else {
                throw fail("LUKS header \(what) is not NUL terminated")
            }
            return bytes.text(at: offset, length: count)
        }
        cipher = try text(8, 32, "cipher name")
        mode = try text(40, 32, "cipher mode")
        hash = try text(72, 32, "hash spec")
        payloadOffset = UInt64(bytes.bigEndian(UInt32.self, at: 104)) * 512
        let keyBytes = bytes.bigEndian(UInt32.self, at: 108)
        guard keyBytes >= 8, keyBytes <= 64 else { throw fail("LUKS key length \(keyBytes) is not supported") }
        keyCount = Int(keyBytes)
        digest = Array(bytes[112..<132])
        digestSalt = Array(bytes[132..<164])
        digestIterations = bytes.bigEndian(UInt32.self, at: 164)
        uuid = bytes.text(at: 168, length: 40)
        guard digestIterations > 0 else { throw fail("LUKS key iteration count is zero") }
        guard digestIterations <= LUKSHeader.maximumIterations else {
            throw fail("LUKS key iteration count \(digestIterations) is too large")
        }
        guard Crypto.digestLength(hash) != nil else { throw fail("Hash algorithm '\(hash)' is not supported") }
        guard payloadOffset >= UInt64(LUKSHeader.size), payloadOffset <= available else {
            throw fail("LUKS payload offset \(payloadOffset) is behind the end of the image")
        }
        for index in slots.indices {
            let at = 208 + index * 48
            var slot = Slot()
            switch bytes.bigEndian(UInt32.self, at: at) {
            case Slot.enabled: slot.isActive = true
            case Slot.disabled: slot.isActive = false
            case let other: throw fail("Keyslot \(index) state (active/disable) is corrupted: \(other)")
            }
            slot.iterations = bytes.bigEndian(UInt32.self, at: at + 4)
            slot.salt = Array(bytes[at + 8..<at + 40])
            slot.keyOffset = UInt64(bytes.bigEndian(UInt32.self, at: at + 40)) * 512
            slot.stripes = bytes.bigEndian(UInt32.self, at: at + 44)
            guard slot.stripes == LUKSHeader.stripes else {
                throw fail("Keyslot \(index) is corrupted (stripes \(slot.stripes) != \(LUKSHeader.stripes))")
            }
            if slot.isActive {
                guard slot.iterations > 0 else { throw fail("Keyslot \(index) iteration count is zero") }
                guard slot.iterations <= LUKSHeader.maximumIterations else {
                    throw fail("Keyslot \(index) iteration count \(slot.iterations) is too large")
                }
            }
            guard slot.keyOffset >= 1024, slot.keyOffset + UInt64(materialCount) <= payloadOffset else {
                throw fail("Keyslot \(index) is overlapping with the header or the encrypted payload")
            }
            for other in 0..<index {
                let (low, high) = (
                    min(slots[other].keyOffset, slot.keyOffset), max(slots[other].keyOffset, slot.keyOffset)
                )
                guard high - low >= UInt64(materialCount) else {
                    throw fail("Keyslots \(other) and \(index) are overlapping in the header")
                }
            }
            slots[index] = slot
        }
    }

    /// As it is stored.
    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: LUKSHeader.size)
        bytes.replaceSubrange(0..<6, with: LUKSHeader.magic)
        bytes.store(UInt16(1), at: 6)
        bytes.store(cipher, at: 8)
        bytes.store(mode, at: 40)
        bytes.store(hash, at: 72)
        bytes.store(UInt32(payloadOffset / 512), at: 104)
        bytes.store(UInt32(keyCount), at: 108)
        bytes.replaceSubrange(112..<132, with: digest)
        bytes.replaceSubrange(132..<164, with: digestSalt)
        bytes.store(digestIterations, at: 164)
        bytes.store(uuid, at: 168)
        for (index, slot) in slots.enumerated() {
            let at = 208 + index * 48
            bytes.store(slot.isActive ? Slot.enabled : Slot.disabled, at: at)
            bytes.store(slot.iterations, at: at + 4)
            bytes.replaceSubrange(at + 8..<at + 40, with: slot.salt)
            bytes.store(UInt32(slot.keyOffset / 512), at: at + 40)
            bytes.store(slot.stripes, at: at + 44)
        }
        return bytes
    }
}
