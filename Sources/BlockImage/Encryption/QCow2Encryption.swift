/// The encryption of an open qcow2 image ("Data encryption" of its specification).
struct QCow2Encryption: Sendable {
    private let cipher: DiskCipher
    /// Sectors count by where they are in the file, not by where the guest sees them.
    let usesHostOffset: Bool

    /// nil for an image that is not encrypted, and for one that is only described. The passphrase has to be right.
    init?(
        _ header: QCow2Header, _ options: QCow2Node.Options, _ file: any BlockNode, readOnly: Bool
    ) throws(BlockError) {
        guard header.encryption != 0, !(options.isDescription && readOnly) else { return nil }
        guard let passphrase = options.passphrase else {
            throw .secret("Parameter 'encrypt.key-secret' is required for cipher")
        }
        usesHostOffset = header.encryption == 2
        if header.encryption == 1 {
            // The passphrase itself, cut or filled up: nobody should make such images any more.
            let key = Array((passphrase + [UInt8](repeating: 0, count: 16)).prefix(16))
            guard let cipher = DiskCipher(name: "aes", mode: "cbc-plain64", key: key) else {
                throw .secret("Cipher 'aes-cbc-plain64' is not supported")
            }
            self.cipher = cipher
            return
        }
        let volume = try QCow2Encryption.volume(header, file)
        guard let key = try volume.unlock(passphrase) else {
            throw .secret("Invalid password, cannot unlock any keyslot")
        }
        cipher = try volume.cipher(key)
    }

    /// The LUKS header in an image.
    static func volume(_ header: QCow2Header, _ file: any BlockNode) throws(BlockError) -> LUKSVolume {
        guard let place = header.encryptionHeader else {
            throw .invalidImage(path: file.filename, reason: "Missing CRYPTO header for crypt method 2")
        }
        let size = file.sizeInBytes
        guard place.offset % UInt64(header.clusterSize) == 0, place.offset > 0, place.offset <= size,
            place.length <= size - place.offset
        else {
            throw .invalidImage(
                path: file.filename, reason: "Encryption header offset '\(place.offset)' is out of the file")
        }
        return try LUKSVolume(file: file, at: place.offset, length: place.length)
    }

    /// The guest's bytes in a file.
    func access(_ file: any BlockNode) -> EncryptedAccess { EncryptedAccess(cipher: cipher, file: file) }
}

extension QCow2Node: LUKSAmendable {
    public func amendKeys(_ change: LUKSAmendment, passphrase: [UInt8]) throws(BlockError) {
        guard !isReadOnly else { throw .readOnly(path: filename) }
        guard header.encryption == 2 else { throw .secret("Only LUKS encryption options can be amended for qcow2") }
        try alone { () throws(BlockError) in
            try QCow2Encryption.volume(header, file).amend(change, passphrase: passphrase)
        }
    }
}
