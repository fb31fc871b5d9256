internal import GuestMemory
internal import HostOS

/// Guest RAM as back-ends see it: each block that is shared with other processes, at an address that is only theirs.
///
/// Back-ends never learn where the guest has its memory, and need not: their rings are ours (`RelayRing`), so that the
/// table of memory changes only where blocks come and go, not with the guest's shadow memory and windows.
struct VhostUserMemory: Sendable {
    /// Memory of one block, or of the rings.
    struct Region: Sendable {
        let block: RAMBlock?
        let descriptor: Descriptor
        let address: UInt64
        let count: UInt64
    }
    /// What every back-end takes (VHOST_MEMORY_BASELINE_NREGIONS), less one for the rings.
    private static let mostBlocks = 7
    /// Blocks begin at multiples of this, the first at one: a back-end may take 0 for none.
    private static let alignment: UInt64 = 1 << 32
    /// Where the rings are: far above all blocks.
    static let ringAddress: UInt64 = 1 << 50

    let regions: [Region]

    /// The shared blocks of an address space; throws where the machine's RAM is none of them.
    init(_ memory: AddressSpace) throws(VhostUserError) {
        var regions: [Region] = []
        var next = Self.alignment
        for block in memory.blocks {
            guard case .shared(let number) = block.backing else { continue }
            // A file that others can cut short is a trap for this process; memory files can be kept whole.
            let file = Descriptor(borrowing: number)
            file.sealSize()
            regions.append(Region(block: block, descriptor: file, address: next, count: UInt64(block.size)))
            next = (next + UInt64(block.size) + Self.alignment - 1) & ~(Self.alignment - 1)
        }
        guard regions.count <= Self.mostBlocks else { throw .tooManyBlocks(regions.count) }
        // Firmware and screens may lie in memory of their own; a guest's RAM is what lies at the bottom.
        guard let first = memory.view.range(at: GuestPhysical(0)), regions.contains(where: { $0.block === first.block })
        else { throw .memoryIsPrivate }
        self.regions = regions
    }

    /// Whether it has the same blocks as another.
    func isSame(as other: VhostUserMemory) -> Bool {
        regions.count == other.regions.count && zip(regions, other.regions).allSatisfy { $0.block === $1.block }
    }

    /// A back-end's address of a place in a block; nil where the block is not shared.
    func address(of block: RAMBlock, offset: UInt64) -> UInt64? {
        for region in regions where region.block === block { return region.address + offset }
        return nil
    }

    /// The body and the descriptors of SET_MEM_TABLE, with the rings' memory.
    func table(rings: Descriptor, count: UInt64) -> (body: [UInt8], descriptors: [Descriptor]) {
        let all =
            regions + [Region(block: nil, descriptor: rings, address: Self.ringAddress, count: count)]
        var body = VhostUserBytes.of(UInt32(all.count), 0)
        for region in all {
            // Guest address, size, user address, offset in the file: the addresses are one and the same.
            for value in [region.address, region.count, region.address, 0] { body += VhostUserBytes.of(value) }
        }
        return (body, all.map(\.descriptor))
    }
}
