internal import CEngine
internal import GuestMemory
internal import HostOS
internal import X86

/// One processor's decoded blocks: an arena of MicroOps that only grows, until it is full and all is dropped at once.
///
/// Blocks are found by the host address of their first byte, which names a RAM block and an offset in it, and by the
/// mode of the code: mappings come and go, decoded code stays. Used by the processor's thread alone.
@safe final class BlockCache {
    /// A decoded run of instructions within one page.
    struct Block {
        /// Host address of the first byte.
        var start: UInt
        /// Bytes of code.
        var count: UInt16
        /// The low bits of the jump key.
        var mode: UInt16
        /// The path of the superblock that its code is.
        var path: UInt16 = 0
        /// What kind of code it is.
        var code: CodeSize { CodeSize(rawValue: UInt8(UInt64(mode) & ModeBits.codeSize)) ?? .bits64 }
        var firstOp: Int32
        var opCount: Int32
        /// Next block of the same hash, -1 at the end; `isDropped` for a block that was dropped.
        var nextByStart: Int32
        /// Next block of the same page's hash.
        var nextByPage: Int32
        /// The first of the `Part`s that name superblocks which the block is part of; -1 for none.
        var parts: Int32 = -1
    }

    /// A superblock that a block is part of, by the number of its first block.
    private struct Part {
        let superblock: Int32
        let next: Int32
    }

    static let opCapacity = 1 << 20
    static let blockCapacity = 160 << 10
    private static let partCapacity = 512 << 10
    private static let buckets = 64 << 10
    private static let isDropped = Int32(-2)
    private static let opBytes = opCapacity * MemoryLayout<apus_op>.stride

    private var opMapping: Mapping
    /// What it is a view of, until copies of the machine get that.
    private var opFile: HostOS.Descriptor?
    private let blockMapping: Mapping
    private let tableMapping: Mapping
    private var parts: [Part] = []
    private(set) var opCount = 0
    private(set) var blockCount = 0
    /// Blocks dropped because their code was written, for `info jit`.
    private(set) var dropped: UInt64 = 0
    private(set) var resets: UInt64 = 0
    /// What has code of the blocks, to be told of those that are dropped.
    weak var translator: Translator?

    init() throws(HostError) {
        let file = try HostOS.Descriptor.memoryFile(name: "apus-operations", count: Self.opBytes, canBeSealed: true)
        opMapping = try .shared(file.file, count: Self.opBytes, at: .low)
        opFile = file
        blockMapping = try .anonymous(count: Self.blockCapacity * MemoryLayout<Block>.stride)
        tableMapping = try .anonymous(count: Self.buckets * 2 * MemoryLayout<Int32>.stride)
        clearTables()
    }

    // SAFETY of the accessors: indices are kept below the capacities by `hasRoom`, and by masks.
    private var ops: UnsafeMutablePointer<apus_op> { unsafe opMapping.base.assumingMemoryBound(to: apus_op.self) }
    private var blocks: UnsafeMutablePointer<Block> { unsafe blockMapping.base.assumingMemoryBound(to: Block.self) }
    private var byStart: UnsafeMutablePointer<Int32> { unsafe tableMapping.base.assumingMemoryBound(to: Int32.self) }
    private var byPage: UnsafeMutablePointer<Int32> { unsafe byStart + Self.buckets }

    private func clearTables() {
        unsafe byStart.update(repeating: -1, count: Self.buckets * 2)
    }

    private static func hash(_ start: UInt, _ mode: UInt16) -> Int {
        Int(((start ^ UInt(mode) << 7) &* 0x9e37_79b9_7f4a_7c15) >> 48)
    }
    private static func hash(page: UInt) -> Int { Int(((page >> 12) &* 0x9e37_79b9_7f4a_7c15) >> 48) }

    /// The block that starts at a host address.
    func find(_ start: UInt, mode: UInt16) -> MicroOp? {
        var index = unsafe byStart[Self.hash(start, mode)]
        while index >= 0 {
            let block = unsafe blocks + Int(index)
            if unsafe block.pointee.start == start && block.pointee.mode == mode {
                return unsafe MicroOp(op: ops + Int(block.pointee.firstOp))
            }
            index = unsafe block.pointee.nextByStart
        }
        return nil
    }

    /// True where a block of `count` ops fits.
    func hasRoom(for count: Int) -> Bool {
        opCount + count <= Self.opCapacity && blockCount < Self.blockCapacity
    }

    /// Takes the ops in as a block and returns the first of them.
    func insert(_ source: UnsafeBufferPointer<apus_op>, start: UInt, count: Int, mode: UInt16) -> MicroOp {
        let first = unsafe ops + opCount
        unsafe first.update(from: source.baseAddress!, count: source.count)
        enter(start, UInt16(count), mode, firstOp: Int32(opCount), opCount: Int32(source.count))
        opCount += source.count
        return unsafe MicroOp(op: first)
    }

    /// Has the next block be found.
    private func enter(
        _ start: UInt, _ count: UInt16, _ mode: UInt16, path: UInt16 = 0, firstOp: Int32, opCount: Int32
    ) {
        let startHash = Self.hash(start, mode)
        let pageHash = Self.hash(page: start & ~4095)
        unsafe blocks[blockCount] = Block(
            start: start, count: count, mode: mode, path: path, firstOp: firstOp, opCount: opCount,
            nextByStart: byStart[startHash], nextByPage: byPage[pageHash])
        unsafe byStart[startHash] = Int32(blockCount)
        unsafe byPage[pageHash] = Int32(blockCount)
        blockCount += 1
    }

    /// Drops the blocks that hold any of `count` bytes from a host address within one page, and those whose superblocks
    /// they are part of. Their ops stay, as forwarders to what will be decoded in their place.
    ///
    /// True where there were any.
    @discardableResult
    func drop(_ address: UInt, count: UInt) -> Bool {
        var hits: [Int32] = []
        var index = unsafe byPage[Self.hash(page: address & ~4095)]
        while index >= 0 {
            let block = unsafe blocks[Int(index)]
            if block.start < address &+ count && address < block.start &+ UInt(block.count) { hits.append(index) }
            index = block.nextByPage
        }
        let isHit = !hits.isEmpty
        while let number = hits.popLast() {
            let block = unsafe blocks + Int(number)
            guard unsafe block.pointee.nextByStart != Self.isDropped else { continue }
            leavePage(number)
            unsafe kill(block, number)
            hits += superblocks(unsafe block.pointee.parts).map(Int32.init)
        }
        return isHit
    }

    /// Takes a block out of the list of its page.
    private func leavePage(_ number: Int32) {
        let next = unsafe blocks[Int(number)].nextByPage
        let bucket = unsafe byPage + Self.hash(page: blocks[Int(number)].start & ~4095)
        guard unsafe bucket.pointee != number else { return unsafe bucket.pointee = next }
        var at = unsafe blocks + Int(bucket.pointee)
        while unsafe at.pointee.nextByPage != number { unsafe at = blocks + Int(at.pointee.nextByPage) }
        unsafe at.pointee.nextByPage = next
    }

    private func kill(_ block: UnsafeMutablePointer<Block>, _ number: Int32) {
        dropped &+= 1
        let bucket = unsafe byStart + Self.hash(block.pointee.start, block.pointee.mode)
        if unsafe bucket.pointee == number {
            unsafe bucket.pointee = block.pointee.nextByStart
        } else {
            var at = unsafe blocks + Int(bucket.pointee)
            while unsafe at.pointee.nextByStart != number { unsafe at = blocks + Int(at.pointee.nextByStart) }
            unsafe at.pointee.nextByStart = block.pointee.nextByStart
        }
        unsafe block.pointee.nextByStart = Self.isDropped
        let header = unsafe MicroOp(op: ops + Int(block.pointee.firstOp))
        if let code = header.translatedCode { translator?.retire(code) }
        header.setHeader(staleInstruction, state: 0)
        for position in 0..<Int(unsafe block.pointee.opCount) {
            let op = unsafe ops + Int(block.pointee.firstOp) + position
            unsafe op.pointee.handler = staleInstruction
            unsafe op.pointee.imm = 0
        }
    }

    /// The host page of the block that an op belongs to; nil for an op outside the arena.
    func hostPage(of op: MicroOp) -> UInt? { block(of: op).map { $0.start & ~4095 } }

    /// The first op of a block.
    func header(of block: Block) -> MicroOp { unsafe MicroOp(op: ops + Int(block.firstOp)) }

    /// The block that an op belongs to; nil for an op outside the arena.
    func block(of op: MicroOp) -> Block? { number(of: op).map { unsafe blocks[$0] } }

    /// Notes the superblock that the code of a block's first op is, and the first ops of its blocks. False where there is
    /// no room for that.
    func setSuperblock(of op: MicroOp, path: UInt16, blocks list: [MicroOp]) -> Bool {
        guard let number = number(of: op), parts.count + list.count <= Self.partCapacity else { return false }
        unsafe blocks[number].path = path
        // Older code may have had other blocks, and goes on until it is replaced.
        for block in list.compactMap({ self.number(of: $0) }) where block != number { note(number, over: block) }
        return true
    }
    private func note(_ superblock: Int, over block: Int) {
        let first = unsafe blocks[block].parts
        guard !superblocks(first).contains(superblock) else { return }
        parts.append(Part(superblock: Int32(superblock), next: first))
        unsafe blocks[block].parts = Int32(parts.count - 1)
    }

    /// Blocks that begin superblocks which a block may be part of.
    func superblocks(over block: Block) -> [Block] {
        superblocks(block.parts).compactMap { liveBlock($0) }
    }
    /// The numbers of those blocks.
    func superblocks(_ first: Int32) -> [Int] {
        var list: [Int] = []
        var part = first
        while part >= 0 {
            list.append(Int(parts[Int(part)].superblock))
            part = parts[Int(part)].next
        }
        return list
    }

    private func number(of op: MicroOp) -> Int? {
        guard let pointer = unsafe op.op else { return nil }
        let position = unsafe pointer - UnsafePointer(ops)
        guard position >= 0, position < opCount else { return nil }
        // Blocks lie in the arena in the order of their numbers. Between those of a copy are ops of dropped ones.
        var low = 0
        var high = blockCount
        while high - low > 1 {
            let middle = (low + high) / 2
            if unsafe Int(blocks[middle].firstOp) <= position { low = middle } else { high = middle }
        }
        let block = unsafe blocks[low]
        return position - Int(block.firstOp) < Int(block.opCount) ? low : nil
    }

    // MARK: Copies of the machine

    /// A block by its number, nil where it was dropped.
    func liveBlock(_ number: Int) -> Block? {
        let block = unsafe blocks[number]
        return block.nextByStart == Self.isDropped ? nil : block
    }
    /// The ops of all blocks, and where copies need to have them.
    var usedOps: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: opMapping.base, count: opCount * MemoryLayout<apus_op>.stride)
    }
    var firstAddress: UInt { UInt(bitPattern: opMapping.base) }

    /// Gives the file of the ops to copies of the machine, and keeps what it changes from now on to itself; nil where that
    /// was done before.
    func giveOps() throws(HostError) -> HostOS.Descriptor? {
        guard let file = opFile else { return nil }
        opFile = nil
        try opMapping.replace(offset: 0, count: Self.opBytes, with: file, at: 0)
        try file.seal()
        return file
    }

    /// Has a parent's blocks, and marks their bytes as code. False where they make no sense; all is to be dropped then.
    func adopt(
        _ list: UnsafeBufferPointer<FrozenCode.Block>, _ frozenParts: UnsafeBufferPointer<FrozenCode.Part>,
        _ source: FrozenCode.Piece, at address: UInt, of file: HostOS.Descriptor, _ memory: [RAMBlock]
    ) throws(HostError) -> Bool {
        guard list.count <= Self.blockCapacity, frozenParts.count <= Self.partCapacity, source.count <= Self.opBytes
        else { return false }
        let mapping = try Mapping.anonymous(count: Self.opBytes, at: .exactly(address))
        if !source.isEmpty {
            try mapping.replace(offset: 0, count: source.pages << 12, with: file, at: source.offset)
        }
        opMapping = mapping
        opFile = nil
        reset()
        opCount = source.count / MemoryLayout<apus_op>.stride
        for unsafe block in unsafe list {
            guard Int(block.memory) < memory.count, block.firstOp >= 0, block.opCount > 0,
                Int(block.firstOp) + Int(block.opCount) <= opCount, block.count > 0,
                block.offset & 4095 + UInt64(block.count) <= 4096,
                block.offset < UInt64(memory[Int(block.memory)].size)
            else { return false }
            let place = memory[Int(block.memory)]
            let page = Int(block.offset >> 12)
            let granules = CPU.granules(offset: Int(block.offset & 4095), count: Int(block.count))
            _ = unsafe apus_atomic_or64(place.codeGranules + page, granules)
            _ = unsafe apus_atomic_or8(place.pageFlags + page, RAMBlock.PageFlag.code)
            enter(
                unsafe UInt(bitPattern: place.base) + UInt(block.offset), block.count, block.mode,
                path: UInt16(truncatingIfNeeded: block.path), firstOp: block.firstOp, opCount: block.opCount)
        }
        for unsafe part in unsafe frozenParts {
            guard part.block < blockCount, part.superblock < blockCount else { return false }
            note(Int(part.superblock), over: Int(part.block))
        }
        return true
    }

    /// Drops everything.
    func reset() {
        opCount = 0
        blockCount = 0
        parts.removeAll()
        resets &+= 1
        clearTables()
    }
}

/// What a dropped block's ops became: find the instruction anew, and go there directly from then on.
let staleInstruction: apus_handler = { cpu, op in
    let target = op.linked
    if cpu.pending == 0 && !target.isLeave {
        cpu.giveBackCharge(at: cpu.ripOf(op))
        return target
    }
    unsafe cpu.p.pointee.link_from = op.op
    cpu.giveBackCharge(at: cpu.ripOf(op))
    return cpu.lookup(cpu.ripOf(op))
}
