import Synchronization

extension PCIFunction {
    /// The function's state: a part of its device's.
    public func exportState() -> DeviceState {
        state.withLock { state in
            var result = DeviceState(version: 1)
            result.set("config", state.space.bytes)
            result.set("pin", state.pinLevel)
            if let place = state.place { result.fields["place"] = .string(place) }
            if let msix = state.msix {
                result.set("msix-table", msix.table)
                result.set("msix-pending", msix.pendingBytes)
            }
            if let msi = state.msi { result.set("msi-pending", state.space.read(msi.offset + 20, size: 4)) }
            return result
        }
    }

    /// Throws where the saved function is another one, or was at another place: the guest would look for it there.
    private func checkIdentity(_ config: [UInt8], _ place: DeviceState.Value?) throws(DeviceStateError) {
        let (own, here) = state.withLock { ($0.space.bytes, $0.place) }
        func name(_ bytes: [UInt8]) -> String {
            func hex(_ place: Int) -> String {
                let text = String(UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8, radix: 16)
                return String(repeating: "0", count: 4 - text.count) + text
            }
            return "\(hex(0)):\(hex(2)) of class \(hex(10))"
        }
        guard name(config) == name(own) else {
            throw .refused(field: "config", "The saved PCI device is \(name(config)), this one \(name(own))")
        }
        guard let here, let place else { return }
        guard case .string(let there) = place else { throw .wrongType(field: "place") }
        guard there == here else {
            throw .refused(field: "place", "The saved PCI device was at \(there.prefix(100)), this one is at \(here)")
        }
    }

    /// Takes a saved state: registers as far as drivers can change them, then windows and the pin follow.
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let (count, tableCount, pendingCount, hasMSI) = state.withLock { state in
            (
                state.space.bytes.count, state.msix?.table.count, state.msix.map { $0.pending.count * 8 },
                state.msi != nil
            )
        }
        let config = try saved.bytes("config", count: count)
        try checkIdentity(config, saved.fields["place"])
        let pin = try saved.bool("pin")
        var table: [UInt8] = []
        var pending: [UInt8] = []
        if let tableCount {
            table = try saved.bytes("msix-table", count: tableCount)
            pending = try saved.bytes("msix-pending", count: pendingCount)
        }
        let msiPending: UInt32 = hasMSI ? try saved.integer("msi-pending") : 0
        let newTable = table
        let newPending = pending
        state.withLock { state in
            state.space.restore(config)
            state.msix?.restore(table: newTable, pending: newPending)
            if let msi = state.msi {
                let valid = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(msi.vectors)) - 1)
                state.space.set(msi.offset + 20, msiPending & valid)
            }
            state.pinLevel = pin
            let status = UInt16(truncatingIfNeeded: state.space.read(PCIRegister.status, size: 2))
            state.space.set(PCIRegister.status, pin ? status | PCIStatus.interrupt : status & ~PCIStatus.interrupt)
        }
        remap()
        updatePin()
    }
}
