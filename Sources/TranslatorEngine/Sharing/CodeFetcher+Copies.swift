internal import CEngine
internal import GuestMemory
internal import HostOS

extension CodeFetcher {
    /// The blocks that are not dropped, by RAM block and offset, and which are part of which superblocks; nil where one is
    /// in memory that copies do not have, or nothing was translated.
    func frozenBlocks(_ places: MemoryPlaces) -> (blocks: [FrozenCode.Block], parts: [FrozenCode.Part])? {
        guard translator != nil, verifier == nil, !tracesBlocks else { return nil }
        var list: [FrozenCode.Block] = []
        list.reserveCapacity(cache.blockCount)
        // The number that each block has in the list.
        var numbers = [UInt32?](repeating: nil, count: cache.blockCount)
        for number in 0..<cache.blockCount {
            guard let block = cache.liveBlock(number) else { continue }
            guard let (memory, offset) = places.place(block.start) else { return nil }
            numbers[number] = UInt32(list.count)
            list.append(
                FrozenCode.Block(
                    offset: offset, memory: memory, count: block.count, mode: block.mode, path: UInt64(block.path),
                    firstOp: block.firstOp, opCount: block.opCount))
        }
        var parts: [FrozenCode.Part] = []
        for number in 0..<cache.blockCount {
            guard let block = cache.liveBlock(number), let own = numbers[number] else { continue }
            parts += cache.superblocks(block.parts).compactMap { numbers[$0] }
                .map { FrozenCode.Part(block: own, superblock: $0) }
        }
        return (list, parts)
    }

    /// Notes this processor's code but for the list of its blocks. The processor does not run.
    func freeze(_ cpu: CPU, into writer: inout FrozenCode.Writer) throws(HostError) {
        guard let translator else { return }
        writer.processor.features = features
        writer.processor.countsInstructions = cpu.countsInstructions ? 1 : 0
        writer.processor.generation = unsafe max(cpu.p.pointee.code_generation, views.lastGeneration)
        if writer.givesFiles, let file = try cache.giveOps() {
            writer.processor.ops = FrozenCode.Piece(file: writer.add(file), count: unsafe cache.usedOps.count)
        } else {
            unsafe writer.processor.ops = writer.add(cache.usedOps, at: 0)
        }
        writer.processor.operations = UInt64(cache.firstAddress)
        unsafe writer.processor.stubCode = writer.add(hostCode.contents, at: 0)
        writer.processor.stubs = UInt64(hostCode.firstAddress)
        try translator.freeze(into: &writer)
    }
}

extension SoftwareProcessor {
    /// Has this processor go on with a parent's code, before it runs for the first time. False where it cannot be.
    func adopt(_ parent: FrozenCode.Processor, _ files: [HostOS.Descriptor], _ memory: [RAMBlock]) -> Bool {
        guard parent.features == fetcher.features, (parent.countsInstructions != 0) == cpu.countsInstructions,
            !fetcher.tracesBlocks, !cpu.isDebugging(APUS_DEBUG_TRACE)
        else { return false }
        // A processor that has not run, or whose code was written over, has nothing to give.
        guard !parent.blocks.isEmpty else { return true }
        do {
            // Views, as a copy of the lists would be as large as what is made of them.
            let blocks = try Self.view(of: parent.blocks, files[0])
            let parts = try Self.view(of: parent.parts, files[0])
            defer {
                withExtendedLifetime(blocks) {}
                withExtendedLifetime(parts) {}
            }
            let code = try HostCode(
                copyOf: parent.stubCode, at: UInt(parent.stubs), capacity: fetcher.hostCode.capacity, files[0])
            guard try makeTranslator(from: parent, of: files) else { return false }
            guard
                unsafe try fetcher.cache.adopt(
                    Self.elements(of: blocks, parent.blocks.count), Self.elements(of: parts, parent.parts.count),
                    parent.ops, at: UInt(parent.operations), of: files[parent.ops.file], memory)
            else {
                fetcher.reset(cpu)
                return false
            }
            fetcher.hostCode = code
        } catch {
            // It translates for itself.
            fetcher.reset(cpu)
            return false
        }
        unsafe cpu.p.pointee.code_generation = parent.generation + 1
        fetcher.views.goOn(from: parent.generation)
        cpu.forgetCode()
        return true
    }

    /// A view of a list, of a page at least.
    private static func view(of piece: FrozenCode.Piece, _ file: HostOS.Descriptor) throws(HostError) -> Mapping {
        let mapping = try Mapping.anonymous(count: max(piece.pages, 1) << 12)
        if piece.pages > 0 { try mapping.replace(offset: 0, count: piece.pages << 12, with: file, at: piece.offset) }
        return mapping
    }
    /// The list in so many bytes of a view, which lives as long.
    private static func elements<Element: BitwiseCopyable>(
        of view: borrowing Mapping, _ count: Int
    ) -> UnsafeBufferPointer<Element> {
        // SAFETY: what is listed is made of integers, and any bytes are some.
        unsafe UnsafeBufferPointer(
            start: view.base.assumingMemoryBound(to: Element.self), count: count / MemoryLayout<Element>.stride)
    }
}
