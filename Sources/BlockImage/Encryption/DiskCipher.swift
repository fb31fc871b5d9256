internal import CCrypto
internal import CLinux
internal import Synchronization

/// A cipher over sectors of 512 bytes, each with an initialization vector out of its number. Any thread.
@safe final class DiskCipher: @unchecked Sendable {
    // Sendable: the cipher is a constant of the library's, and contexts change hands under locks.
    /// How the vector comes out of the number.
    private enum Vector: Sendable {
        case none
        /// The lowest 32 bits, little-endian, then zeroes.
        case plain
        /// 64 bits, little-endian, then zeroes.
        case plain64
        /// As `plain64`, encrypted with a digest of the key.
        case essiv(BlockEncryption)
    }

    /// A context with the key in it, for one thread at a time.
    @safe private struct Context: @unchecked Sendable {
        // Sendable: handed from one user to the next under a lock.
        let pointer: OpaquePointer
    }

    /// Encrypts single blocks.
    private enum BlockEncryption: Sendable {
        /// By OpenSSL, with AES-256.
        case aes(key: [UInt8])
        case other(SectorCipher)
    }

    static let sectorSize = 512
    /// OpenSSL's cipher; nil: `other` does the work.
    private let cipher: OpaquePointer?
    private let other: SectorCipher?
    private let key: [UInt8]
    private let vector: Vector
    private let contexts = Mutex<[Context]>([])
    private let decrypting = Mutex<[Context]>([])

    /// A cipher by the names of a LUKS header: `aes`, and a mode such as `xts-plain64`. nil: not supported.
    init?(name: String, mode: String, key: [UInt8]) {
        let dash = mode.firstIndex(of: "-") ?? mode.endIndex
        let chaining = String(mode[..<dash])
        let generator = String(mode[dash...].dropFirst())
        let cipher = unsafe DiskCipher.cipher(name, chaining, key.count)
        unsafe self.cipher = cipher
        self.key = key
        // What OpenSSL does not have, another library may.
        let way = unsafe cipher == nil ? SectorCipher.Mode(rawValue: chaining) : nil
        other = way.flatMap { SectorCipher(name: name, mode: $0, key: key) }
        guard unsafe cipher != nil || other != nil else { return nil }
        // A digest's name may stand behind any of them, but only one works with it.
        switch generator.prefix(while: { $0 != ":" }) {
        // Each sector alone: the vector counts for nothing.
        case _ where chaining == "ecb": vector = .none
        case "plain": vector = .plain
        case "plain64": vector = .plain64
        case "essiv":
            guard let encryption = DiskCipher.encryption(name, digest: String(generator.dropFirst(6)), key) else {
                return nil
            }
            vector = .essiv(encryption)
        default: return nil
        }
        guard unsafe cipher != nil else { return }
        // XTS with two equal halves is no cipher: the library refuses it.
        guard let context = makeContext(isEncrypting: true) else { return nil }
        contexts.withLock { $0.append(context) }
    }

    /// The cipher of a family whose key is a digest of the disk's.
    private static func encryption(_ name: String, digest: String, _ key: [UInt8]) -> BlockEncryption? {
        // Blocks of 8 bytes have no room for what comes out of a digest this long.
        guard name != "cast5", let hashed = Crypto.hash(digest, key) else { return nil }
        if name == "aes" && hashed.count == 32 { return .aes(key: hashed) }
        return SectorCipher(name: name, mode: .ecb, key: hashed).map { .other($0) }
    }

    /// The library's cipher; `count` is the key's length in bytes.
    private static func cipher(_ name: String, _ mode: String, _ count: Int) -> OpaquePointer? {
        guard name == "aes" else { return nil }
        return switch (mode, count) {
        case ("xts", 32): unsafe apus_EVP_aes_128_xts()
        case ("xts", 64): unsafe apus_EVP_aes_256_xts()
        case ("cbc", 16): unsafe apus_EVP_aes_128_cbc()
        case ("cbc", 24): unsafe apus_EVP_aes_192_cbc()
        case ("cbc", 32): unsafe apus_EVP_aes_256_cbc()
        case ("ecb", 16): unsafe apus_EVP_aes_128_ecb()
        case ("ecb", 24): unsafe apus_EVP_aes_192_ecb()
        case ("ecb", 32): unsafe apus_EVP_aes_256_ecb()
        default: nil
        }
    }

    deinit {
        for context in contexts.withLock({ $0 }) + decrypting.withLock({ $0 }) {
            unsafe apus_EVP_CIPHER_CTX_free(context.pointer)
        }
    }

    private func makeContext(isEncrypting: Bool) -> Context? {
        guard unsafe cipher != nil, let context = unsafe apus_EVP_CIPHER_CTX_new() else { return nil }
        guard unsafe apus_EVP_CipherInit_ex(context, cipher, key, nil, isEncrypting ? 1 : 0) == 1,
            unsafe apus_EVP_CIPHER_CTX_set_padding(context, 0) == 1
        else {
            unsafe apus_EVP_CIPHER_CTX_free(context)
            return nil
        }
        return unsafe Context(pointer: context)
    }

    /// Encrypts or decrypts whole sectors in place, the first of which has a number. False: the library failed.
    func apply(
        _ isEncrypting: Bool, _ base: UnsafeMutableRawPointer, count: Int, firstSector: UInt64
    ) -> Bool {
        guard count % DiskCipher.sectorSize == 0 else { return false }
        if let other {
            for index in 0..<count / DiskCipher.sectorSize {
                guard let start = initial(firstSector &+ UInt64(index)) else { return false }
                // SAFETY: the caller's range holds this sector.
                let sector = unsafe (base + index * DiskCipher.sectorSize).assumingMemoryBound(to: UInt8.self)
                unsafe other.apply(isEncrypting, sector, start: start)
            }
            return true
        }
        let spare = isEncrypting ? contexts.withLock { $0.popLast() } : decrypting.withLock { $0.popLast() }
        guard let context = spare ?? makeContext(isEncrypting: isEncrypting) else { return false }
        defer {
            if isEncrypting {
                contexts.withLock { $0.append(context) }
            } else {
                decrypting.withLock { $0.append(context) }
            }
        }
        for index in 0..<count / DiskCipher.sectorSize {
            guard let start = initial(firstSector &+ UInt64(index)) else { return false }
            let sector = unsafe base + index * DiskCipher.sectorSize
            let bytes = unsafe sector.assumingMemoryBound(to: UInt8.self)
            var done: Int32 = 0
            // SAFETY: a sector goes in and comes out, in the same place; the caller's range holds it.
            guard unsafe apus_EVP_CipherInit_ex(context.pointer, nil, nil, start, -1) == 1,
                unsafe apus_EVP_CipherUpdate(context.pointer, bytes, &done, bytes, Int32(DiskCipher.sectorSize)) == 1,
                done == Int32(DiskCipher.sectorSize)
            else { return false }
        }
        return true
    }

    private func initial(_ sector: UInt64) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        switch vector {
        case .none: break
        case .plain: bytes.storeLittle(UInt32(truncatingIfNeeded: sector), at: 0)
        case .plain64: bytes.storeLittle(sector, at: 0)
        case .essiv(let encryption):
            bytes.storeLittle(sector, at: 0)
            switch encryption {
            case .aes(let key): return DiskCipher.encrypted(bytes, key)
            case .other(let cipher): return cipher.encrypted(bytes)
            }
        }
        return bytes
    }

    /// One block, encrypted with AES-256.
    private static func encrypted(_ bytes: [UInt8], _ key: [UInt8]) -> [UInt8]? {
        guard let context = unsafe apus_EVP_CIPHER_CTX_new() else { return nil }
        defer { unsafe apus_EVP_CIPHER_CTX_free(context) }
        var result = [UInt8](repeating: 0, count: 32)
        var done: Int32 = 0
        // SAFETY: one block of 16 bytes goes in, and room for two is there.
        guard unsafe apus_EVP_CipherInit_ex(context, apus_EVP_aes_256_ecb(), key, nil, 1) == 1,
            unsafe apus_EVP_CipherUpdate(context, &result, &done, bytes, 16) == 1, done == 16
        else { return nil }
        return Array(result.prefix(16))
    }

    /// Encrypts or decrypts an array of whole sectors.
    func apply(_ isEncrypting: Bool, _ bytes: inout [UInt8], firstSector: UInt64 = 0) -> Bool {
        unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe apply(isEncrypting, base, count: buffer.count, firstSector: firstSector)
        }
    }
}
