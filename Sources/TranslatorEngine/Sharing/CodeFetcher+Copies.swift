internal import CEngine
internal import GuestMemory
internal import HostOS

extension CodeFetcher {
    /// The blocks that are not dropped, by RAM block and offset; nil where one is in memory that copies do not have, or
    /// nothing was translated.
    func frozenBlocks(_ places: MemoryPlaces) -> [FrozenCode.Block]? {
        guard translator != nil, verifier == nil, !tracesBlocks else { return nil }
        var list: [FrozenCode.Block] = []
        list.reserveCapacity(cache.blockCount)
        for number in 0..<cache.blockCount {
            guard let block = cache.liveBlock(number) else { continue }
            guard let (memory, offset) = places.place(block.start) else { return nil }
            list.append(
                FrozenCode.Block(
                    offset: offset, memory: memory, count: block.count, mode: block.mode, reach: block.reach,
                    path: UInt64(block.path), firstOp: block.firstOp,
                    opCount: block.opCount))
        }
        return list
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
        let (first, pages) = (parent.blocks.offset, parent.blocks.pages)
        // A processor that has not run, or whose code was written over, has nothing to give.
        guard pages > 0 else { return true }
        do {
            // A view, as a copy of the list would be as large as what is made of it.
            let list = try Mapping.anonymous(count: pages << 12)
            defer { withExtendedLifetime(list) {} }
            try list.replace(offset: 0, count: pages << 12, with: files[0], at: first)
            // SAFETY: a block is made of integers, and any bytes are some; the view lives to the end of this.
            let blocks = unsafe UnsafeBufferPointer(
                start: list.base.assumingMemoryBound(to: FrozenCode.Block.self),
                count: parent.blocks.count / MemoryLayout<FrozenCode.Block>.stride)
            let code = try HostCode(
                copyOf: parent.stubCode, at: UInt(parent.stubs), capacity: fetcher.hostCode.capacity, files[0])
            guard try makeTranslator(from: parent, of: files) else { return false }
            guard
                unsafe try fetcher.cache.adopt(
                    blocks, parent.ops, at: UInt(parent.operations), of: files[parent.ops.file], memory)
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
}
