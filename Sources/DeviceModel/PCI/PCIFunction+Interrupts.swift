import Synchronization

extension PCIFunction {
    // MARK: Making

    /// Adds MSI with `vectors` messages (rounded up to a power of two, at most 32), a 64-bit address and masks.
    public func addMSI(vectors: Int) {
        var count = 1
        while count < min(vectors, 32) { count <<= 1 }
        state.withLock { state in
            guard let msi = PCIMSI.make(in: &state.space, vectors: count) else {
                preconditionFailure("The capabilities of a function fit in 192 bytes")
            }
            state.msi = msi
        }
    }

    /// Adds MSI-X with `vectors` (1 to 2048) entries and returns the regions of its table and pending bits, which the
    /// caller puts in the window of register `bar` at `tableOffset` and `pendingOffset` (multiples of 8).
    public func addMSIX(vectors: Int, bar: Int, tableOffset: UInt64, pendingOffset: UInt64) -> [PCIBAR.Region] {
        let count = min(max(vectors, 1), 2048)
        var body: [UInt8] = []
        for value in [UInt32(count - 1)] { body += [UInt8(value & 0xFF), UInt8(value >> 8)] }
        for value in [UInt32(tableOffset) | UInt32(bar), UInt32(pendingOffset) | UInt32(bar)] {
            for byte in 0..<4 { body.append(UInt8(truncatingIfNeeded: value >> UInt32(byte * 8))) }
        }
        let offset = addCapability(PCICapabilityID.msix, body: body, writable: [0, 0xC0])
        state.withLock { $0.msix = PCIMSIX(offset: offset, vectors: count) }
        return [
            PCIBAR.Region(
                offset: tableOffset, count: UInt64(count * PCIMSIX.entrySize), name: "msix-table",
                device: PCIMSIXRegion(self, isTable: true)),
            PCIBAR.Region(
                offset: pendingOffset, count: UInt64((count + 63) / 64 * 8), name: "msix-pba",
                device: PCIMSIXRegion(self, isTable: false)),
        ]
    }

    // MARK: Raising

    /// True while the driver has MSI-X switched on.
    public var isMSIXEnabled: Bool { state.withLock { state in state.msix?.isEnabled(state.space) ?? false } }
    /// True while the driver has MSI switched on.
    public var isMSIEnabled: Bool { state.withLock { state in state.msi?.isEnabled(state.space) ?? false } }

    /// Raises an MSI vector; a masked one becomes pending. Nothing happens where MSI is off. Any thread.
    public func signalMSI(_ vector: Int) {
        deliver(state.withLock { $0.msi?.raise(vector, &$0.space).map { [$0] } ?? [] })
    }

    /// Raises an MSI-X vector; a masked one becomes pending. Nothing happens where MSI-X is off. Any thread.
    public func signalMSIX(_ vector: Int) {
        deliver(state.withLock { $0.msix?.raise(vector, $0.space).map { [$0] } ?? [] })
    }

    /// Sets the level that the device wants on its INTx pin. The pin itself stays low while the driver has disabled
    /// it or uses messages; the status register shows the wish either way (6.2.3). Any thread.
    public func setINTx(_ level: Bool) {
        let changed = state.withLock { state in
            if state.pinLevel == level { return false }
            state.pinLevel = level
            let status = UInt16(truncatingIfNeeded: state.space.read(PCIRegister.status, size: 2))
            state.space.set(
                PCIRegister.status, level ? status | PCIStatus.interrupt : status & ~PCIStatus.interrupt)
            return true
        }
        if changed { updatePin() }
    }

    // MARK: Delivery

    /// What a configuration write has unmasked.
    static func interruptsChanged(_ state: inout State) -> [PCIMessage] {
        var messages = state.msi?.release(&state.space) ?? []
        messages += state.msix?.release(state.space) ?? []
        return messages
    }

    /// Sends messages, as bus master only. PCI Local Bus 3.0, 6.8: a message is a memory write of the function.
    func deliver(_ messages: [PCIMessage]) {
        guard !messages.isEmpty else { return }
        let sink = state.withLock { state in
            state.space.read(PCIRegister.command, size: 2) & UInt32(PCICommand.busMaster) != 0
                ? state.spaces?.msi : nil
        }
        for message in messages { sink?.deliver(address: message.address, data: message.data) }
    }

    /// Drives the pin to what it should be. One thread at a time tells the bus, so that levels arrive in order; the
    /// function's lock is not held for it.
    func updatePin() {
        var mine = false
        while true {
            let work: ((@Sendable (Int, Bool) -> Void), Int, Bool)? = state.withLock { state in
                if !mine && state.isDriving { return nil }
                let pin = Int(state.space.read(PCIRegister.interruptPin, size: 1))
                let command = UInt16(truncatingIfNeeded: state.space.read(PCIRegister.command, size: 2))
                let usesMessages =
                    state.msi?.isEnabled(state.space) ?? false || state.msix?.isEnabled(state.space) ?? false
                let level = state.pinLevel && command & PCICommand.interruptDisable == 0 && !usesMessages
                guard level != state.drivenLevel, pin > 0, let output = state.pinOutput else {
                    if mine { state.isDriving = false }
                    return nil
                }
                state.isDriving = true
                state.drivenLevel = level
                return (output, pin - 1, level)
            }
            guard let (output, pin, level) = work else { return }
            mine = true
            output(pin, level)
        }
    }

    // MARK: The table's registers

    func readMSIX(isTable: Bool, offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            guard let msix = state.msix else { return UInt64.max }
            return isTable ? msix.readTable(offset, size: size) : msix.readPending(offset, size: size)
        }
    }

    func writeMSIXTable(offset: UInt64, size: Int, value: UInt64) {
        deliver(
            state.withLock { state in
                state.msix?.writeTable(offset, size: size, value: value)
                return state.msix?.release(state.space) ?? []
            })
    }
}

/// The memory window onto a function's MSI-X table or pending bits.
final class PCIMSIXRegion: BusDevice {
    // The function's window holds this object; holding the function too would keep both alive for ever.
    private struct Owner: Sendable { weak let function: PCIFunction? }
    private let owner: Owner
    private let isTable: Bool

    init(_ function: PCIFunction, isTable: Bool) {
        owner = Owner(function: function)
        self.isTable = isTable
    }

    func read(offset: UInt64, size: Int) -> UInt64 {
        owner.function?.readMSIX(isTable: isTable, offset: offset, size: size) ?? UInt64.max
    }
    func write(offset: UInt64, size: Int, value: UInt64) {
        if isTable { owner.function?.writeMSIXTable(offset: offset, size: size, value: value) }
    }
}
