internal import CCrypto
internal import CLinux

/// A block cipher of libnettle's in the modes that disks use, sector by sector: what OpenSSL does not have. Any thread.
///
/// The modes are those of NIST SP 800-38A (ECB, CBC, CTR) and IEEE 1619 (XTS).
@safe final class SectorCipher: @unchecked Sendable {
    // Sendable: the keys' schedules are written in `init` and only read afterwards.
    enum Mode: String {
        case ecb
        case cbc
        case ctr
        case xts
    }

    private let cipher: UnsafePointer<apus_nettle_cipher>
    private let mode: Mode
    private let forward: UnsafeMutableRawPointer
    private let backward: UnsafeMutableRawPointer
    /// XTS: the second key's.
    private let tweak: UnsafeMutableRawPointer
    private let block: Int

    /// A cipher by the name in a LUKS header. nil: there is none, or not with such a key.
    init?(name: String, mode: Mode, key: [UInt8]) {
        let count = mode == .xts ? key.count / 2 : key.count
        let symbols = [
            "aes": "nettle_aes\(count * 8)", "serpent": "nettle_serpent\(count * 8)",
            "twofish": "nettle_twofish\(count * 8)", "cast5": "nettle_cast\(count * 8)",
        ]
        guard mode != .xts || (key.count % 2 == 0 && key[..<count] != key[count...]), let symbol = symbols[name],
            // SAFETY: a symbol of one of these names is a constant of the library's, which is never closed.
            let found = unsafe apus_nettle_find(symbol), unsafe found.pointee.key_size == UInt32(count)
        else { return nil }
        let block = unsafe Int(found.pointee.block_size)
        // What IEEE 1619 says is said of blocks of 16 bytes.
        guard block == 16 || (block == 8 && mode != .xts), unsafe found.pointee.context_size <= 1 << 16 else {
            return nil
        }
        unsafe cipher = found
        self.mode = mode
        self.block = block
        let size = unsafe Int(found.pointee.context_size)
        func schedule(_ bytes: ArraySlice<UInt8>, _ set: (UnsafeMutableRawPointer, UnsafePointer<UInt8>) -> Void)
            -> UnsafeMutableRawPointer
        {
            let context = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
            // SAFETY: the context has the size that the library names, and the key the length that it reads.
            unsafe Array(bytes).withUnsafeBufferPointer { unsafe set(context, $0.baseAddress!) }
            return unsafe context
        }
        unsafe forward = schedule(key[..<count]) { unsafe found.pointee.set_encrypt_key($0, $1) }
        unsafe backward = schedule(key[..<count]) { unsafe found.pointee.set_decrypt_key($0, $1) }
        unsafe tweak = schedule(mode == .xts ? key[count...] : key[..<count]) {
            unsafe found.pointee.set_encrypt_key($0, $1)
        }
    }

    deinit {
        let size = unsafe Int(cipher.pointee.context_size)
        // SAFETY: allocated in `init` with this size; no key stays behind in memory.
        func erase(_ context: UnsafeMutableRawPointer) {
            unsafe explicit_bzero(context, size)
            unsafe context.deallocate()
        }
        unsafe erase(forward)
        unsafe erase(backward)
        unsafe erase(tweak)
    }

    private func encrypt(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, with context: UnsafeMutableRawPointer) {
        unsafe cipher.pointee.encrypt(context, count, bytes, bytes)
    }

    /// Encrypts one block, which an array holds.
    func encrypted(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = Array(bytes.prefix(block))
        // SAFETY: one block in, one out, in place.
        unsafe bytes.withUnsafeMutableBufferPointer { unsafe encrypt($0.baseAddress!, block, with: forward) }
        return bytes
    }

    /// Encrypts or decrypts a sector in place; `start` is its initialization vector, of a block or more.
    func apply(_ isEncrypting: Bool, _ sector: UnsafeMutablePointer<UInt8>, start: [UInt8]) {
        let count = DiskCipher.sectorSize
        // SAFETY: a sector lies at the pointer, and all of what follows stays inside of it and of room of its size.
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { buffer in
            let room = buffer.baseAddress!
            switch mode {
            case .ecb: unsafe transform(isEncrypting, sector, count)
            case .cbc where isEncrypting:
                for at in stride(from: 0, to: count, by: block) {
                    for index in 0..<block {
                        unsafe sector[at + index] ^= at == 0 ? start[index] : sector[at - block + index]
                    }
                    unsafe encrypt(sector + at, block, with: forward)
                }
            case .cbc:
                unsafe memcpy(room, sector, count)
                unsafe transform(false, sector, count)
                for index in 0..<block { unsafe sector[index] ^= start[index] }
                unsafe mix(sector + block, room, count - block)
            case .ctr:
                unsafe fillCounters(room, count, start)
                unsafe encrypt(room, count, with: forward)
                unsafe mix(sector, room, count)
            case .xts:
                unsafe fillTweaks(room, count, start)
                unsafe mix(sector, room, count)
                unsafe transform(isEncrypting, sector, count)
                unsafe mix(sector, room, count)
            }
        }
    }

    private func transform(_ isEncrypting: Bool, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        if isEncrypting {
            unsafe encrypt(bytes, count, with: forward)
        } else {
            unsafe cipher.pointee.decrypt(backward, count, bytes, bytes)
        }
    }

    /// Adds bytes to others, a multiple of 8 of them.
    private func mix(_ target: UnsafeMutablePointer<UInt8>, _ source: UnsafeMutablePointer<UInt8>, _ count: Int) {
        let (to, from) = (UnsafeMutableRawPointer(target), UnsafeMutableRawPointer(source))
        for at in stride(from: 0, to: count, by: 8) {
            let sum =
                unsafe to.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                ^ from.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            unsafe to.storeBytes(of: sum, toByteOffset: at, as: UInt64.self)
        }
    }

    /// The vector as a number whose last byte is the lowest, and those that follow it.
    private func fillCounters(_ room: UnsafeMutablePointer<UInt8>, _ count: Int, _ start: [UInt8]) {
        var counter = Array(start.prefix(block))
        for at in stride(from: 0, to: count, by: block) {
            for index in 0..<block { unsafe room[at + index] = counter[index] }
            for index in counter.indices.reversed() {
                counter[index] &+= 1
                if counter[index] != 0 { break }
            }
        }
    }

    /// The encrypted vector, and its products with powers of the field's generator: little-endian, with the
    /// polynomial x^128 + x^7 + x^2 + x + 1.
    private func fillTweaks(_ room: UnsafeMutablePointer<UInt8>, _ count: Int, _ start: [UInt8]) {
        for index in 0..<16 { unsafe room[index] = start[index] }
        unsafe encrypt(room, 16, with: tweak)
        let raw = UnsafeMutableRawPointer(room)
        var low = unsafe UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))
        var high = unsafe UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        for at in stride(from: 16, to: count, by: 16) {
            let carry = high >> 63
            high = high << 1 | low >> 63
            low = low << 1 ^ carry &* 0x87
            unsafe raw.storeBytes(of: low.littleEndian, toByteOffset: at, as: UInt64.self)
            unsafe raw.storeBytes(of: high.littleEndian, toByteOffset: at + 8, as: UInt64.self)
        }
    }
}
