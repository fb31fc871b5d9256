internal import CCrypto

/// The key by which clients encrypt their tickets (passwords): RSA of 1,024 bits with OAEP, as the protocol has it.
@safe package final class TicketKey: @unchecked Sendable {
    // Sendable: a key that nobody changes after `init`.
    private static let bits = 1024
    /// RSA_PKCS1_OAEP_PADDING, a macro that is not imported.
    private static let padding: Int32 = 4
    /// The public part, as clients get it: a SubjectPublicKeyInfo in DER.
    package let publicKey: [UInt8]
    private let key: OpaquePointer

    /// A new key. Throws where libcrypto is missing.
    package init() throws(SPICEError) {
        guard let key = unsafe apus_new_rsa_key(Self.bits) else {
            throw SPICEError("No key for tickets can be made: libssl3 is needed")
        }
        unsafe self.key = key
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            // SAFETY: a key of this size takes 162 bytes; the buffer has 512.
            var target = buffer.baseAddress
            return unsafe Int(apus_i2d_PUBKEY(key, &target))
        }
        guard count == Link.keySize else {
            unsafe apus_EVP_PKEY_free(key)
            throw SPICEError("No key for tickets can be made: it has \(count) bytes, not \(Link.keySize)")
        }
        publicKey = Array(bytes.prefix(count))
    }
    deinit { unsafe apus_EVP_PKEY_free(key) }

    /// The password in a ticket, without the zero at its end; nil where the ticket was not made by this key.
    package func password(in ticket: [UInt8]) -> [UInt8]? {
        guard ticket.count == Link.ticketSize, let context = unsafe apus_EVP_PKEY_CTX_new(key) else { return nil }
        defer { unsafe apus_EVP_PKEY_CTX_free(context) }
        guard unsafe apus_EVP_PKEY_decrypt_init(context) > 0,
            unsafe apus_EVP_PKEY_CTX_set_rsa_padding(context, Self.padding) > 0
        else { return nil }
        var text = [UInt8](repeating: 0, count: Link.ticketSize)
        var count = text.count
        // SAFETY: both arrays have as many bytes as the key.
        guard unsafe apus_EVP_PKEY_decrypt(context, &text, &count, ticket, ticket.count) > 0 else { return nil }
        return Array(text.prefix(count).prefix { $0 != 0 })
    }
}
