internal import CEngine

// The guest's R13 to R15 live in the processor's structure. Between accesses to memory, the two registers that compute
// addresses hold what of them is in use.

/// A guest register whose value a free host register has.
struct HeldRegister {
    let guest: UInt8
    /// The structure has an older value.
    var isDirty: Bool
}

extension BlockTranslator {
    /// The host register of a guest register: its own, or a free one that holds it from now on. Another that is to be
    /// kept is `besides`. `writes` says that the instruction leaves a new value in all of its bits.
    mutating func hold(_ guest: UInt8, reads: Bool, writes: Bool, besides: UInt8? = nil) -> UInt8 {
        if let host = Self.pinned(guest) { return host }
        for host in [Host.address, Host.addend] where held(host)?.guest == guest {
            if writes { setHeld(host, HeldRegister(guest: guest, isDirty: true)) }
            return host
        }
        var host = Host.address
        if besides == host || held(host) != nil && window == nil && besides != Host.addend { host = Host.addend }
        if host == Host.addend { window = nil }
        release(host)
        if reads { a.load(host, .state(Int(guest) * 8)) }
        setHeld(host, HeldRegister(guest: guest, isDirty: writes))
        return host
    }

    /// Has the address register hold a guest register that has no host register of its own.
    mutating func holdByAddress(_ guest: UInt8, reads: Bool, writes: Bool) -> UInt8 {
        if heldByAddress?.guest != guest {
            if heldByAddend?.guest == guest { release(Host.addend) }
            release(Host.address)
            if reads { loadGuest(guest, into: Host.address) }
            heldByAddress = HeldRegister(guest: guest, isDirty: false)
        }
        if writes { heldByAddress?.isDirty = true }
        return Host.address
    }
    private func held(_ host: UInt8) -> HeldRegister? { host == Host.address ? heldByAddress : heldByAddend }
    private mutating func setHeld(_ host: UInt8, _ register: HeldRegister?) {
        if host == Host.address { heldByAddress = register } else { heldByAddend = register }
    }

    /// Frees a host register; flags stay.
    mutating func release(_ host: UInt8) {
        guard let register = held(host) else { return }
        if register.isDirty { a.store(host, .state(Int(register.guest) * 8)) }
        setHeld(host, nil)
    }
    /// Frees both.
    mutating func releaseAll() {
        release(Host.address)
        release(Host.addend)
    }
    /// Brings the structure up to date, for an instruction that may fault.
    mutating func storeHeld() {
        for host in [Host.address, Host.addend] {
            guard let register = held(host), register.isDirty else { continue }
            a.store(host, .state(Int(register.guest) * 8))
            setHeld(host, HeldRegister(guest: register.guest, isDirty: false))
        }
    }
}
