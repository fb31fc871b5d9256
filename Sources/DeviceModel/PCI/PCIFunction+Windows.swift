internal import GuestMemory
import Synchronization

extension PCIFunction {
    /// Brings the buses in line with the registers.
    ///
    /// The maps are changed outside the function's lock, as whoever follows the map of memory may wait for other
    /// processors, and these may be about to read this function. One thread at a time does the work; another that
    /// comes meanwhile leaves it a note and returns.
    func remap() {
        let mine = state.withLock { state in
            state.mustMap = true
            if state.isMapping { return false }
            state.isMapping = true
            return true
        }
        guard mine else { return }
        while true {
            let work: (bars: [PCIBAR], wanted: [UInt64?], before: [Mapped?], bells: Bells, spaces: PCISpaces)?
            work = state.withLock { state in
                guard state.mustMap, let spaces = state.spaces else {
                    state.mustMap = false
                    state.isMapping = false
                    return nil
                }
                state.mustMap = false
                let wanted = state.bars.map { $0.base(in: state.space) }
                let bells = Bells(list: state.doorbells, version: state.doorbellVersion)
                return (state.bars, wanted, state.mapped, bells, spaces)
            }
            guard let (bars, wanted, before, bells, spaces) = work else { return }
            var mapped = before
            // All that leaves goes before anything comes: windows may trade places.
            for index in bars.indices {
                if let old = mapped[index], old.base != wanted[index] || old.version != bells.version {
                    for doorbell in old.doorbells { spaces.doorbells?.detach(doorbell) }
                    mapped[index]?.doorbells = []
                }
                if let old = mapped[index], old.base != wanted[index] {
                    Self.unmap(bars[index], old, spaces)
                    mapped[index] = nil
                }
            }
            for index in bars.indices {
                if let base = wanted[index], mapped[index] == nil {
                    mapped[index] = Self.map(bars[index], at: base, spaces)
                }
                if let now = mapped[index], now.version != bells.version || now.doorbells.isEmpty {
                    mapped[index]?.doorbells = Self.hang(bells.list, bars[index], at: now.base, spaces)
                    mapped[index]?.version = bells.version
                }
            }
            let after = mapped
            state.withLock { $0.mapped = after }
        }
    }

    private struct Bells {
        let list: [PCIDoorbell]
        let version: Int
    }

    /// Hangs up the doorbells of a window, and returns those that hang.
    private static func hang(
        _ doorbells: [PCIDoorbell], _ bar: PCIBAR, at base: UInt64, _ spaces: PCISpaces
    ) -> [Doorbell] {
        guard let host = spaces.doorbells else { return [] }
        let index = (bar.register - PCIRegister.bar0) / 4
        return doorbells.filter { $0.bar == index && $0.offset < bar.size }.compactMap { bell in
            let doorbell = Doorbell(
                space: bar.isIO ? .io : .memory, address: base + bell.offset, size: bell.size, value: bell.value,
                descriptor: bell.descriptor)
            return host.attach(doorbell) ? doorbell : nil
        }
    }

    private static func map(_ bar: PCIBAR, at base: UInt64, _ spaces: PCISpaces) -> Mapped {
        var result = Mapped(base: base)
        for region in bar.regions where region.offset < bar.size && region.count > 0 {
            let start = base + region.offset
            let count = min(region.count, bar.size - region.offset)
            switch region.content {
            case .device(let device):
                let bus = bar.isIO ? spaces.io : spaces.memory
                result.bus.append(bus.add(device, start: start, count: count, name: region.name))
            case .memory(let block, let writable):
                let length = min(count, UInt64(block.size)) & ~4095
                guard let ram = spaces.ram, !bar.isIO, start & 4095 == 0, length > 0 else { continue }
                result.ram.append(
                    ram.add(
                        FlatView.Range(
                            start: GuestPhysical(start), count: length, block: block, writable: writable)))
            }
        }
        return result
    }

    private static func unmap(_ bar: PCIBAR, _ mapped: Mapped, _ spaces: PCISpaces) {
        let bus = bar.isIO ? spaces.io : spaces.memory
        for id in mapped.bus { bus.remove(id) }
        for id in mapped.ram { spaces.ram?.remove(id) }
    }
}
