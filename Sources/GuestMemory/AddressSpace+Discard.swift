extension AddressSpace {
    /// Gives the whole pages of a range back to the host: a balloon took them, or the guest reports them free. They
    /// read as zero afterwards, and count as written. What is not writable RAM is left alone. Returns the bytes given.
    @discardableResult
    public func discard(_ address: GuestPhysical, count: UInt64) -> UInt64 {
        let (raised, overflow) = address.rawValue.addingReportingOverflow(4095)
        let (last, beyond) = address.rawValue.addingReportingOverflow(count)
        guard !overflow, !beyond else { return 0 }
        var position = GuestPhysical(raised & ~4095)
        let end = GuestPhysical(last & ~4095)
        var given: UInt64 = 0
        let view = self.view
        while position < end {
            guard let range = view.range(at: position) else { return given }
            let step = min(end - position, range.end - position)
            if range.writable {
                let offset = range.offset + (position - range.start)
                range.block.discard(offset: offset, count: step)
                noteWrite(block: range.block, offset: offset, count: step)
                given += step
            }
            position = position + step
        }
        return given
    }
}
