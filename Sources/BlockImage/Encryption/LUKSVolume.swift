internal import CLinux

/// What a new LUKS header is to be, in the words of QEMU's options. The defaults are `qemu-img`'s.
public struct LUKSOptions: Sendable {
    /// `cipher-alg`: `aes-`, `serpent-` or `twofish-` with 128, 192 or 256 bits, or `cast5-128`.
    public var cipher = "aes-256"
    /// `cipher-mode`: `xts`, `cbc`, `ctr` or `ecb`.
    public var mode = "xts"
    /// `ivgen-alg`: `plain`, `plain64` or `essiv`.
    public var vector = "plain64"
    /// `ivgen-hash-alg`, of `essiv`.
    public var vectorHash: String?
    /// `hash-alg`.
    public var hash = "sha256"
    /// `iter-time`, in milliseconds: how long a guess at a passphrase takes.
    public var iterationTime: UInt64 = 2000

    /// The defaults.
    public init() {}

    /// The length of the header and the slots of new volumes, in bytes.
    public var headerLength: UInt64 {
        get throws(BlockError) { try header().payloadOffset }
    }

    /// An empty header of these.
    func header() throws(BlockError) -> LUKSHeader {
        let (name, count) = try algorithm()
        guard ["ecb", "cbc", "ctr", "xts"].contains(mode) else {
            throw .secret("Parameter 'cipher-mode' does not accept value '\(mode)'")
        }
        guard mode != "xts" || name != "cast5" else { throw .secret("Unsupported cipher mode xts") }
        guard Crypto.digestLength(hash).map({ $0 >= 20 }) == true else {
            throw .secret("Hash algorithm '\(hash)' is not supported")
        }
        var text = "\(mode)-\(vector)"
        switch vector {
        case "plain", "plain64":
            if let vectorHash { text += ":\(vectorHash)" }
        case "essiv":
            guard name != "cast5" else { throw .secret("Cipher \(cipher) not supported with essiv") }
            let digest = vectorHash ?? "sha256"
            guard let length = Crypto.digestLength(digest) else {
                throw .secret("Hash algorithm '\(digest)' is not supported for IV generation")
            }
            // The vectors' key is a digest.
            guard [16, 24, 32].contains(length) else {
                let family = name == "aes" ? "AES" : name.prefix(1).uppercased() + name.dropFirst()
                throw .secret("No \(family) cipher with key size \(length) available")
            }
            text += ":\(digest)"
        default: throw .secret("Parameter 'ivgen-alg' does not accept value '\(vector)'")
        }
        guard iterationTime > 0 else { throw .secret("iter-time must be non-zero") }
        return LUKSHeader(cipher: name, mode: text, hash: hash, keyCount: mode == "xts" ? count * 2 : count)
    }

    /// The cipher's name in a header, and the length of its key in bytes.
    private func algorithm() throws(BlockError) -> (name: String, count: Int) {
        let parts = cipher.split(separator: "-", omittingEmptySubsequences: false)
        let bits: [Substring: [Int]] = [
            "aes": [128, 192, 256], "serpent": [128, 192, 256], "twofish": [128, 192, 256], "cast5": [128],
        ]
        guard parts.count == 2, let count = Int(parts[1]), bits[parts[0]]?.contains(count) == true else {
            throw .secret(
                ["des", "3des"].contains(cipher)
                    ? "Algorithm '\(cipher)' not supported" : "Parameter 'cipher-alg' does not accept value '\(cipher)'"
            )
        }
        return (String(parts[0]), count / 8)
    }
}

/// The header and the key slots of a LUKS volume in a file, from an offset on. Every operation blocks; one thread at a
/// time.
final class LUKSVolume {
    private let file: any BlockNode
    private let base: UInt64
    private(set) var header: LUKSHeader

    /// Reads the header at an offset of a file, of which `length` bytes from there on are the volume's.
    init(file: any BlockNode, at base: UInt64, length: UInt64) throws(BlockError) {
        self.file = file
        self.base = base
        let bytes = try file.metadataBytes("LUKS header", at: base, count: LUKSHeader.size)
        header = try LUKSHeader(parsing: bytes, available: length, path: file.filename)
    }

    /// Writes a header with one passphrase into a file, from an offset on, where there is room for `payloadOffset`
    /// bytes. The disk itself is not written.
    static func create(
        _ options: LUKSOptions, passphrase: [UInt8], in file: any BlockNode, at base: UInt64
    ) throws(BlockError) {
        let volume = LUKSVolume(file, base, try options.header())
        guard var key = Crypto.random(volume.header.keyCount), let salt = Crypto.random(32),
            let identifier = Crypto.random(16)
        else { throw .secret("The random number generator failed") }
        defer { Crypto.erase(&key) }
        let hash = volume.header.hash
        // The digest tells only whether the key is right: an eighth of the time, as the specification's writers do.
        let most = Crypto.iterations(hash, keyCount: 20, milliseconds: options.iterationTime)
        volume.header.digestIterations = try volume.bounded(most / 8)
        volume.header.digestSalt = salt
        guard
            let digest = Crypto.derive(
                hash, key, salt: salt, iterations: volume.header.digestIterations, count: 20)
        else { throw .secret("The key could not be derived") }
        volume.header.digest = digest
        volume.header.uuid = uuid(identifier)
        try volume.addKey(key, passphrase: passphrase, slot: 0, milliseconds: options.iterationTime)
    }

    private init(_ file: any BlockNode, _ base: UInt64, _ header: LUKSHeader) {
        self.file = file
        self.base = base
        self.header = header
    }

    /// The length of the header and the slots of new volumes, in bytes.
    static func headerLength(_ options: LUKSOptions) throws(BlockError) -> UInt64 { try options.headerLength }

    private func bounded(_ iterations: UInt64) throws(BlockError) -> UInt32 {
        // A time that nobody waits for.
        guard iterations <= UInt64(UInt32.max) else {
            throw .secret("PBKDF iterations \(iterations) larger than \(UInt32.max): Numerical result out of range")
        }
        return UInt32(min(max(iterations, 1000), UInt64(LUKSHeader.maximumIterations)))
    }

    /// A random UUID (RFC 9562, version 4).
    private static func uuid(_ random: [UInt8]) -> String {
        var bytes = random
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16)
        }
        return text
    }

    /// The slots that are in use.
    var activeSlots: [Int] { header.slots.indices.filter { header.slots[$0].isActive } }

    /// The key, by a passphrase that fits one of the slots. nil: none.
    func unlock(_ passphrase: [UInt8]) throws(BlockError) -> [UInt8]? {
        for slot in activeSlots {
            if let key = try key(of: slot, passphrase) { return key }
        }
        return nil
    }

    /// The key of one slot, if the passphrase is its.
    func key(of slot: Int, _ passphrase: [UInt8]) throws(BlockError) -> [UInt8]? {
        let entry = header.slots[slot]
        guard entry.isActive else { return nil }
        guard
            var derived = Crypto.derive(
                header.hash, passphrase, salt: entry.salt, iterations: entry.iterations, count: header.keyCount)
        else { throw .secret("The key could not be derived") }
        defer { Crypto.erase(&derived) }
        var material = try file.metadataBytes(
            "key material", at: base + entry.keyOffset, count: (header.materialCount + 511) / 512 * 512)
        let cipher = try cipher(derived)
        guard cipher.apply(false, &material),
            let key = KeyStripes.merge(
                Array(material.prefix(header.materialCount)), keyCount: header.keyCount, hash: header.hash),
            let digest = Crypto.derive(
                header.hash, key, salt: header.digestSalt, iterations: header.digestIterations, count: 20)
        else { throw .secret("The key could not be derived") }
        return Crypto.areEqual(digest, header.digest) ? key : nil
    }

    /// The cipher of the disk, or of a slot, with a key.
    func cipher(_ key: [UInt8]) throws(BlockError) -> DiskCipher {
        guard let cipher = DiskCipher(name: header.cipher, mode: header.mode, key: key) else {
            throw .secret(
                "Cipher '\(header.cipher)-\(header.mode)' with a key of \(key.count * 8) bits is not supported")
        }
        return cipher
    }

    /// Puts the key into a slot, encrypted with a passphrase. The material is on the disk before the header says so.
    func addKey(_ key: [UInt8], passphrase: [UInt8], slot: Int, milliseconds: UInt64) throws(BlockError) {
        let rate = Crypto.iterations(header.hash, keyCount: header.keyCount, milliseconds: milliseconds)
        let iterations = try bounded(rate)
        guard let salt = Crypto.random(32),
            var derived = Crypto.derive(
                header.hash, passphrase, salt: salt, iterations: iterations, count: header.keyCount),
            var material = KeyStripes.split(key, count: Int(LUKSHeader.stripes), hash: header.hash)
        else { throw .secret("The key could not be derived") }
        defer { Crypto.erase(&derived) }
        material += [UInt8](repeating: 0, count: (512 - material.count % 512) % 512)
        guard try cipher(derived).apply(true, &material) else { throw .secret("The key could not be encrypted") }
        try file.put(material, at: base + header.slots[slot].keyOffset)
        try file.flushAndWait()
        header.slots[slot].salt = salt
        header.slots[slot].iterations = iterations
        header.slots[slot].isActive = true
        try file.put(header.encoded, at: base)
        try file.flushAndWait()
    }

    /// Makes a slot's passphrase of no use: the key material goes, then the slot.
    func erase(_ slot: Int) throws(BlockError) {
        let count = (header.materialCount + 511) / 512 * 512
        guard let noise = Crypto.random(count) else { throw .secret("The random number generator failed") }
        try file.put(noise, at: base + header.slots[slot].keyOffset)
        try file.flushAndWait()
        header.slots[slot].isActive = false
        header.slots[slot].iterations = 0
        header.slots[slot].salt = [UInt8](repeating: 0, count: 32)
        try file.put(header.encoded, at: base)
        try file.flushAndWait()
    }
}
