internal import GuestMemory
internal import HostOS

/// Guest RAM as back-ends see it: each block that they can reach, at an address that is only theirs.
///
/// Back-ends never learn where the guest has its memory, and need not: their rings are ours (`RelayRing`), so that the
/// table of memory changes only where blocks come and go, not with the guest's shadow memory and windows.
struct VhostMemory: Sendable {
    /// Memory of one block, and the file that another process has it by.
    struct Region: Sendable {
        let block: RAMBlock
        let file: Descriptor?
        let address: UInt64
        let count: UInt64
    }
    /// What every other process takes (VHOST_MEMORY_BASELINE_NREGIONS), less one for the rings.
    private static let mostBlocks = 7
    /// Blocks begin at multiples of this, the first at one: a back-end may take 0 for none.
    private static let alignment: UInt64 = 1 << 32
    /// Where the rings are: far above all blocks.
    static let ringAddress: UInt64 = 1 << 50

    let regions: [Region]

    /// What another process can have of an address space: shared blocks. Throws where the machine's RAM is none of them.
    init(sharedOf memory: AddressSpace) throws(VhostError) {
        let files = memory.blocks.compactMap { block -> (block: RAMBlock, file: Descriptor?)? in
            guard case .shared(let number) = block.backing else { return nil }
            // A file that others can cut short is a trap for this process; memory files can be kept whole.
            let file = Descriptor(borrowing: number)
            file.sealSize()
            return (block, file)
        }
        regions = Self.placed(files)
        guard regions.count <= Self.mostBlocks else {
            throw .tooManyBlocks(regions.count, most: Self.mostBlocks, of: "vhost-user")
        }
        // Firmware and screens may lie in memory of their own; a guest's RAM is what lies at the bottom.
        guard let first = memory.view.range(at: GuestPhysical(0)), regions.contains(where: { $0.block === first.block })
        else { throw .memoryIsPrivate }
    }

    /// What the kernel can have of an address space, which is all.
    init(allOf memory: AddressSpace) throws(VhostError) {
        regions = Self.placed(memory.blocks.map { ($0, nil) })
        let most = KernelVhost.mostRegions - 1
        guard regions.count <= most else { throw .tooManyBlocks(regions.count, most: most, of: "vhost") }
    }

    private static func placed(_ blocks: [(block: RAMBlock, file: Descriptor?)]) -> [Region] {
        var next = alignment
        return blocks.map { block, file in
            defer { next = (next + UInt64(block.size) + alignment - 1) & ~(alignment - 1) }
            return Region(block: block, file: file, address: next, count: UInt64(block.size))
        }
    }

    /// Whether it has the same blocks as another.
    func isSame(as other: VhostMemory) -> Bool {
        regions.count == other.regions.count && zip(regions, other.regions).allSatisfy { $0.block === $1.block }
    }

    /// A back-end's address of a place in a block; nil where the block is not shared.
    func address(of block: RAMBlock, offset: UInt64) -> UInt64? {
        for region in regions where region.block === block { return region.address + offset }
        return nil
    }

    /// The body and the descriptors of SET_MEM_TABLE, with the rings' memory.
    func table(_ rings: RingMemory) -> (body: [UInt8], descriptors: [Descriptor]) {
        let all =
            regions.compactMap { region in region.file.map { (region.address, region.count, $0) } }
            + [(Self.ringAddress, UInt64(rings.count), rings.file)]
        var body = VhostUserBytes.of(UInt32(all.count), 0)
        for (address, count, _) in all {
            // Guest address, size, user address, offset in the file: the addresses are one and the same.
            for value in [address, count, address, 0] { body += VhostUserBytes.of(value) }
        }
        return (body, all.map(\.2))
    }

    /// The same for the kernel, which takes what it is told to be at an address from this process.
    func kernelRegions(_ rings: RingMemory) -> [KernelVhost.Region] {
        // SAFETY: addresses, which the kernel checks by itself.
        unsafe regions.map { unsafe KernelVhost.Region(address: $0.address, count: $0.block.size, base: $0.block.base) }
            + [KernelVhost.Region(address: Self.ringAddress, count: rings.count, base: rings.base)]
    }
}
