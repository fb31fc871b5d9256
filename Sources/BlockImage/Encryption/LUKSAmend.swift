/// A change of the key slots, as `qemu-img amend` takes it.
public struct LUKSAmendment: Sendable {
    /// `state=active` adds a passphrase, `inactive` takes some away.
    public var isActive: Bool
    /// `keyslot`.
    public var slot: Int?
    /// `old-secret`, the passphrase itself: what opens the volume, or whose slots go.
    public var old: [UInt8]?
    /// `new-secret`, the passphrase itself.
    public var new: [UInt8]?
    /// `iter-time`, in milliseconds.
    public var iterationTime: UInt64 = 2000
    /// `--force`: also what makes the content unreachable for ever.
    public var isForced = false

    /// A change.
    public init(isActive: Bool) { self.isActive = isActive }
}

/// An encrypted image whose key slots can be changed.
public protocol LUKSAmendable: BlockNode {
    /// Adds or takes away passphrases. `passphrase` is the one that the image was opened with. Blocks.
    func amendKeys(_ change: LUKSAmendment, passphrase: [UInt8]) throws(BlockError)
}

extension LUKSVolume {
    /// Adds or takes away passphrases.
    func amend(_ change: LUKSAmendment, passphrase: [UInt8]) throws(BlockError) {
        if let slot = change.slot, !header.slots.indices.contains(slot) {
            throw .secret(
                "Invalid key slot \(slot) specified: must be between 0 and \(LUKSHeader.slotCount - 1)")
        }
        if change.isActive { try add(change, passphrase) } else { try remove(change) }
    }

    private func add(_ change: LUKSAmendment, _ passphrase: [UInt8]) throws(BlockError) {
        guard let new = change.new else { throw .secret("'new-secret' is required to activate a keyslot") }
        var slot = change.slot
        if let slot, header.slots[slot].isActive, !change.isForced {
            throw .secret("Refusing to overwrite active keyslot \(slot) - please erase it first")
        }
        if slot == nil { slot = header.slots.firstIndex { !$0.isActive } }
        guard let slot else { throw .secret("Can't add a keyslot - all keyslots are in use") }
        guard var key = try unlock(change.old ?? passphrase) else {
            throw .secret("Failed to retrieve the master key")
        }
        defer { Crypto.erase(&key) }
        try addKey(key, passphrase: new, slot: slot, milliseconds: change.iterationTime)
    }

    private func remove(_ change: LUKSAmendment) throws(BlockError) {
        guard change.new == nil else { throw .secret("'new-secret' must not be given when erasing keyslots") }
        var going: [Int]
        if let old = change.old {
            going = []
            for slot in activeSlots where change.slot == nil || change.slot == slot {
                if try key(of: slot, old) != nil { going.append(slot) }
            }
            guard !going.isEmpty else {
                throw .secret(
                    change.slot.map { "Given keyslot \($0) doesn't contain the given old password for erase operation" }
                        ?? "No keyslots match given (old) password for erase operation")
            }
            guard change.isForced || going.count < activeSlots.count else {
                throw .secret(
                    "All the active keyslots match the (old) password that was given and erasing them will erase all "
                        + "the data in the image irreversibly - refusing operation")
            }
        } else if let slot = change.slot {
            guard change.isForced || header.slots[slot].isActive else {
                throw .secret("Given keyslot \(slot) is already erased (inactive) ")
            }
            guard change.isForced || activeSlots != [slot] else {
                throw .secret(
                    "Attempt to erase the only active keyslot \(slot) which will erase all the data in the image "
                        + "irreversibly - refusing operation")
            }
            going = [slot]
        } else {
            throw .secret(
                "To erase keyslot(s), either explicit keyslot index or the password currently contained in "
                    + "them must be given")
        }
        for slot in going { try erase(slot) }
    }
}
