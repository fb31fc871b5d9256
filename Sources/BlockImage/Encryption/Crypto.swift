internal import CCrypto
internal import CLinux

/// OpenSSL's digests, random numbers and key derivation.
enum Crypto {
    /// The digest of a name such as `sha256`, and its length; nil when the library has none.
    static func digestLength(_ name: String) -> Int? {
        guard let digest = unsafe digest(name) else { return nil }
        let length = Int(unsafe apus_EVP_MD_get_size(digest))
        return length > 0 ? length : nil
    }

    private static func digest(_ name: String) -> OpaquePointer? {
        // Names of an image's header go no further than these.
        guard ["sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160", "md5"].contains(name) else { return nil }
        return unsafe apus_EVP_get_digestbyname(name)
    }

    /// The digest of bytes, or nil.
    static func hash(_ name: String, _ bytes: [UInt8]) -> [UInt8]? {
        guard let digest = unsafe digest(name) else { return nil }
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        // SAFETY: the result has room for the longest digest.
        guard unsafe apus_EVP_Digest(bytes, bytes.count, &result, &length, digest) == 1 else { return nil }
        return Array(result.prefix(Int(length)))
    }

    /// PBKDF2 with HMAC (RFC 8018, section 5.2).
    static func derive(
        _ name: String, _ password: [UInt8], salt: [UInt8], iterations: UInt32, count: Int
    ) -> [UInt8]? {
        guard let digest = unsafe digest(name), iterations > 0, iterations <= UInt32(Int32.max) else { return nil }
        var key = [UInt8](repeating: 0, count: count)
        let status = unsafe password.withUnsafeBytes { buffer in
            // SAFETY: lengths are the arrays' own.
            unsafe apus_PKCS5_PBKDF2_HMAC(
                buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(buffer.count), salt,
                Int32(salt.count), Int32(iterations), digest, Int32(count), &key)
        }
        return status == 1 ? key : nil
    }

    /// How many iterations take some time of this processor. What counts is the time that this thread has computed,
    /// so a busy machine gives the same number as an idle one; a clock that does not move gives the most that is
    /// tried, never an error.
    static func iterations(_ name: String, keyCount: Int, milliseconds: UInt64) -> UInt64 {
        var tried: UInt32 = 1 << 12
        var elapsed: UInt64 = 0
        while true {
            let start = processorTime
            _ = derive(name, [0x61], salt: [UInt8](repeating: 1, count: 32), iterations: tried, count: keyCount)
            elapsed = processorTime &- start
            // 20 ms are many ticks of any clock.
            if elapsed >= 20_000_000 && elapsed < 1 << 40 || tried >= 1 << 20 { break }
            tried *= 2
        }
        guard elapsed > 0, elapsed < 1 << 40 else { return UInt64(tried) }
        let count = Double(tried) * Double(milliseconds) * 1e6 / Double(elapsed)
        return count < 1e18 ? UInt64(count) : UInt64.max
    }

    /// Nanoseconds that the calling thread has computed.
    private static var processorTime: UInt64 {
        var time = timespec()
        // SAFETY: the structure outlives the call.
        guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { return 0 }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Random bytes for keys.
    static func random(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: the array's own length.
        return unsafe apus_RAND_bytes(&bytes, Int32(count)) == 1 ? bytes : nil
    }

    /// Compares without telling by its time where the two differ.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// Overwrites a key that is not needed any more.
    static func erase(_ bytes: inout [UInt8]) {
        // SAFETY: the array's own length.
        unsafe bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { unsafe explicit_bzero(base, buffer.count) }
        }
    }
}
