internal import CEngine
internal import GuestMemory

/// A processor's page tables as monitors read them: without setting accessed bits, without rights (SDM volume 3, 4.3
/// to 4.5). Five-level paging reads as nothing.
struct PageTables {
    private let memory: AddressSpace
    private let root: UInt64
    private let levels: Int
    private let isWide: Bool
    private let has4MPages: Bool
    private let isPaging: Bool

    private static let present: UInt64 = 1
    private static let large: UInt64 = 0x80
    /// Rights that every level must give: write, user.
    private static let rights: UInt64 = 6
    private static let executeDisable: UInt64 = 1 << 63

    init(_ state: apus_x86_state, memory: AddressSpace) {
        self.memory = memory
        isPaging = state.cr0 >> 31 & 1 != 0
        let isPAE = state.cr4 & 0x20 != 0
        let isLong = state.efer & 0x400 != 0
        isWide = isPAE || isLong
        has4MPages = state.cr4 & 0x10 != 0
        levels = isLong ? 4 : isPAE ? 3 : 2
        root = isLong ? state.cr3 & 0x000F_FFFF_FFFF_F000 : isPAE ? state.cr3 & 0xFFFF_FFE0 : state.cr3 & 0xFFFF_F000
    }

    private func entry(_ table: UInt64, _ index: UInt64) -> UInt64? {
        if isWide { return try? memory.load(GuestPhysical(table &+ index &* 8), as: UInt64.self) }
        return (try? memory.load(GuestPhysical(table &+ index &* 4), as: UInt32.self)).map { UInt64($0) }
    }
    private func shift(_ level: Int) -> UInt64 { UInt64(12 + (level - 1) * (isWide ? 9 : 10)) }
    private func entries(_ level: Int) -> UInt64 { isWide ? (levels == 3 && level == 3 ? 4 : 512) : 1024 }
    private func isLeaf(_ entry: UInt64, _ level: Int) -> Bool {
        if level == 1 { return true }
        guard entry & Self.large != 0 else { return false }
        return isWide ? level == 2 || (level == 3 && levels == 4) : level == 2 && has4MPages
    }
    private func base(_ entry: UInt64, _ level: Int) -> UInt64 {
        let mask = isWide ? 0x000F_FFFF_FFFF_F000 : 0xFFFF_F000 as UInt64
        var address = entry & mask
        if !isWide, level == 2, isLeaf(entry, level) { address |= (entry >> 13 & 0xFF) << 32 }
        return isLeaf(entry, level) ? address & ~((1 << shift(level)) - 1) : address
    }

    /// The physical address of a linear one; nil where nothing is mapped.
    func physical(_ linear: UInt64) -> UInt64? {
        guard isPaging else { return levels == 4 ? linear : linear & 0xFFFF_FFFF }
        var table = root
        for level in stride(from: levels, through: 1, by: -1) {
            let index = linear >> shift(level) & (entries(level) - 1)
            guard let value = entry(table, index), value & Self.present != 0 else { return nil }
            table = base(value, level)
            if isLeaf(value, level) { return table | linear & ((1 << shift(level)) - 1) }
        }
        return nil
    }

    /// The mapped pages by linear address, at most `limit` of them; nil with paging off.
    func mappings(limit: Int) -> [PageMapping]? {
        guard isPaging else { return nil }
        var result: [PageMapping] = []
        // Tables may lead to themselves: a bound on those that are read bounds the time.
        var tables = 1 << 14
        func walk(_ table: UInt64, _ level: Int, _ prefix: UInt64, _ rights: UInt64) {
            guard tables > 0 else { return }
            tables -= 1
            for index in 0..<entries(level) {
                if result.count >= limit { return }
                guard let value = entry(table, index), value & Self.present != 0 else { continue }
                let linear = prefix | index << shift(level)
                let isPointer = levels == 3 && level == 3
                let allowed =
                    isPointer ? rights : rights & value & Self.rights | (rights | value) & Self.executeDisable
                if isLeaf(value, level) {
                    let canonical = levels == 4 && linear >> 47 & 1 != 0 ? linear | 0xFFFF_0000_0000_0000 : linear
                    let kept = value & 0x1FF & ~Self.rights
                    result.append(
                        PageMapping(
                            linear: canonical, physical: base(value, level), size: 1 << shift(level),
                            flags: kept | allowed))
                } else {
                    walk(base(value, level), level - 1, linear, allowed)
                }
            }
        }
        walk(root, levels, 0, Self.rights)
        return result
    }
}
