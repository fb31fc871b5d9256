internal import CEngine
internal import HostOS
internal import Synchronization
internal import SystemPackage
internal import X86

/// One processor's translated code: the cache, its stubs, and what finds the guest instruction of a fault.
///
/// What is executed often and what lies out of line grow apart, so that the processor's caches hold more of the first;
/// once either is full, all decoded and translated code is dropped together.
@safe final class Translator {
    /// Bytes of code: at least what one block may take.
    var capacity: Int { memory.capacity }
    /// Executions of a block in each of the counting tiers.
    let promotion: Int32
    /// Where names of blocks go.
    var perfMap: PerfMap?
    private static let siteCapacity = 1 << 20
    /// So many bytes of code are written before the writable view gives its pages back.
    private static let viewStep = 1 << 20

    let tables: FlatTables
    private let caches: InlineCaches
    private var links = IncomingLinks()
    private let memory: CodeMemory
    private let siteMapping: Mapping
    /// Where the next block goes, and what of it lies out of line.
    private var cursor: UnsafeMutablePointer<UInt8>
    private var coldCursor: UnsafeMutablePointer<UInt8>
    private let coldStart: UnsafeMutablePointer<UInt8>
    private let start: UnsafeMutablePointer<UInt8>
    private let stubs: TranslatedStubs
    private var records: UnsafeMutablePointer<UInt8>
    private var siteCount = 0
    /// What was used when the writable view last gave its pages back.
    private var lastTrim = 0
    private(set) var translated: UInt64 = 0
    /// Those among them that are several blocks.
    private(set) var superblocks: UInt64 = 0
    /// The calls that these go on behind.
    private(set) var inlinedCalls: UInt64 = 0
    private(set) var translatedSinceReset = 0
    var usedCode: Int { unsafe cursor - memory.base + (coldCursor - coldStart) }
    /// The code did not fit: all is to be dropped at the next look-up.
    var isFull = false

    /// Where a fault of translated code comes from.
    private struct Site {
        /// Offset of the code's end in the cache.
        var end: UInt32
        /// Vector registers whose values are in the host's only.
        var dirty: UInt32
        var op: UInt
    }

    private static let handler: Void = apus_install_fault_handler()

    /// The capacity of a translator that is to have so many bytes.
    static func capacity(_ wanted: Int) -> Int { min(max(wanted, 256 << 10), 1 << 30) & ~4095 }

    /// A translator for the processor whose structure is the content of `file`, with a parent's code where there is one.
    /// Throws where the host lacks something.
    init(
        _ cpu: CPU, _ file: FileDescriptor, jumps: UnsafeMutablePointer<apus_code_entry>, threshold: UInt64,
        promotion: Int32, capacity wanted: Int, isTagged: Bool, from parent: FrozenCode.Processor? = nil,
        of files: [HostOS.Descriptor] = []
    ) throws(HostError) {
        self.promotion = promotion
        guard apus_has_fsgsbase() else { throw HostError("use the GS base", Errno.notSupported) }
        memory = try CodeMemory(capacity: Self.capacity(wanted), from: parent, of: files)
        let capacity = memory.capacity
        caches = InlineCaches(cpu)
        tables = try FlatTables(file, caches, isTagged: isTagged)
        siteMapping = try .anonymous(count: Self.siteCapacity * MemoryLayout<Site>.stride)
        let base = unsafe memory.base
        // A parent's are the same, at the same place.
        var assembler = unsafe Assembler(base, stateBase: -FlatTables.headerBytes)
        stubs = assembler.makeStubs()
        unsafe start = assembler.cursor
        unsafe cursor = assembler.cursor
        unsafe coldStart = base + capacity / 5 * 2 & ~4095
        unsafe coldCursor = coldStart
        unsafe records = memory.records
        if let parent {
            unsafe cursor = base + parent.hot.count
            unsafe coldCursor = coldStart + parent.cold.count
            unsafe records = memory.records + (parent.records.pages << 12)
            links.begin(at: parent.linkCount)
            translatedSinceReset = parent.translated
            siteCount = parent.sites.count / MemoryLayout<Site>.stride
            if siteCount > 0 {
                try siteMapping.replace(
                    offset: 0, count: parent.sites.pages << 12, with: files[parent.sites.file], at: parent.sites.offset)
            }
        }
        _ = Self.handler
        guard apus_add_code_region(memory.start, UInt64(capacity)) else {
            throw HostError("note one more processor's code", Errno.noMemory)
        }

        let p = unsafe cpu.p
        unsafe p.pointee.self_pointer = p
        unsafe p.pointee.translation_threshold = threshold
        unsafe p.pointee.index_mask = 0xff_ffff_fff0
        unsafe p.pointee.code_jumps = jumps
        unsafe p.pointee.code_start = memory.start
        unsafe p.pointee.code_count = UInt64(capacity)
        unsafe p.pointee.fault_stub = memory.address(stubs.fault)
        unsafe p.pointee.translated_slow = translatedSlow
        unsafe p.pointee.translated_end = translatedEnd
        unsafe p.pointee.translated_step = translatedStep
        unsafe p.pointee.translated_link = translatedLink
        unsafe p.pointee.translated_jump = translatedJump
        unsafe p.pointee.translated_far = translatedFar
        unsafe p.pointee.translated_fault = translatedFault
        unsafe p.pointee.translated_window = translatedWindow
        unsafe p.pointee.translated_promote = translatedPromote
        unsafe p.pointee.translated_limit = translatedLimit
        unsafe p.pointee.enter_stub = memory.address(stubs.enter)
        unsafe cpu.p.pointee.flat_tables = Unmanaged.passUnretained(tables).toOpaque()
        cpu.setFlatBases((UInt64(tables.base(0)), UInt64(tables.base(1)), UInt64(tables.base(2))))
        cpu.updateMemoryMode()
    }

    deinit { apus_remove_code_region(memory.start) }

    /// Forgets all code. No processor may be in it.
    func reset() {
        caches.drop()
        links.forget()
        memory.forgetParent()
        unsafe cursor = start
        unsafe coldCursor = coldStart
        unsafe records = memory.records
        siteCount = 0
        lastTrim = 0
        translatedSinceReset = 0
        isFull = false
    }

    // MARK: Copies of the machine

    /// Notes what copies of the machine are to have of this. The processor does not run.
    func freeze(into writer: inout FrozenCode.Writer) throws(HostError) {
        // What an access met last would lead copies into this process's memory.
        caches.drop()
        let base = unsafe memory.base
        var pieces = unsafe [(base, cursor), (coldStart, coldCursor), (memory.records, records)].map { first, end in
            let place = unsafe first - base
            return unsafe FrozenCode.Piece(place: place, offset: Int64(place), count: end - first)
        }
        if writer.givesFiles,
            let file = try unsafe memory.give(
                stubs: start - base, hot: pieces[0], cold: pieces[1], records: pieces[2])
        {
            for index in 0..<3 { pieces[index].file = writer.add(file) }
            // The rest of the records' last page is the copies' as they see it.
            unsafe records = memory.records + (pieces[2].pages << 12)
        } else {
            pieces = pieces.map { piece in
                let bytes = unsafe UnsafeRawBufferPointer(start: memory.contents + piece.place, count: piece.count)
                return unsafe writer.add(bytes, at: piece.place)
            }
        }
        writer.processor.hot = pieces[0]
        writer.processor.cold = pieces[1]
        writer.processor.records = pieces[2]
        unsafe writer.processor.sites = writer.add(
            UnsafeRawBufferPointer(start: siteMapping.base, count: siteCount * MemoryLayout<Site>.stride), at: 0)
        writer.processor.writable = UInt64(UInt(bitPattern: base))
        writer.processor.executable = memory.start
        writer.processor.capacity = capacity
        writer.processor.isTagged = tables.isTagged ? 1 : 0
        writer.processor.linkCount = links.count
        writer.processor.translated = translatedSinceReset
    }

    /// Translates a block; returns the address of its code, 0 where that is not possible. `cached` has a bit for each
    /// instruction that may have an inline cache.
    func translate(_ cpu: CPU, _ block: DecodedBlock, tier: Tier, cached: UInt64 = .max) -> UInt64 {
        // Hot code may stand twice.
        let copies = tier == .hot ? 2 : 1
        let needed = block.mostCode * copies
        let base = unsafe memory.base
        guard unsafe cursor + needed < coldStart && coldCursor + needed < base + capacity,
            siteCount + block.mostLaidOut * 2 * copies < Self.siteCapacity,
            unsafe records + Self.recordBytes(block) <= base + memory.count
        else {
            isFull = true
            return 0
        }
        if usedCode - lastTrim > Self.viewStep {
            // The host counts a page for each view of it, and what is written is seldom written again.
            memory.trim()
            lastTrim = usedCode
        }
        let coldFirst = unsafe coldCursor
        var assembler = unsafe Assembler(coldFirst, stateBase: -FlatTables.headerBytes)
        // Where the code's first bytes jump to when the block is dropped.
        unsafe assembler.immediate(Host.addend, UInt64(UInt(bitPattern: block.header)))
        unsafe assembler.jump(to: stubs.leave)
        unsafe coldCursor = assembler.cursor
        let entry = unsafe base + ((cursor - base + BlockHead.bytes + 15) & ~15)
        unsafe BlockHead.of(entry).initialize(to: BlockHead(leave: Int32(coldFirst - entry)))
        unsafe assembler.cursor = entry
        var translator = unsafe BlockTranslator(
            assembler, stubs: stubs, ops: block.header, records: records, code: block.code,
            isSupervisor: block.isSupervisor, tier: tier, cached: tables.isTagged ? 0 : cached,
            isTagged: tables.isTagged, promotion: promotion, countsInstructions: cpu.countsInstructions)
        translator.emit(block)
        if let record = unsafe translator.blockRecord {
            unsafe BlockHead.of(entry).pointee.record = Int32(record - entry)
        }
        unsafe cursor = translator.a.cursor
        unsafe translator.a.cursor = coldCursor
        translator.emitOutOfLine()
        unsafe coldCursor = translator.a.cursor
        unsafe records = translator.records
        let table = unsafe siteMapping.base.assumingMemoryBound(to: Site.self)
        for unsafe site in unsafe translator.sites {
            unsafe table[siteCount] = Site(
                end: UInt32(site.end - base), dirty: site.dirty, op: UInt(bitPattern: site.op))
            siteCount += 1
        }
        translated &+= 1
        if block.segments.count > 1 { superblocks &+= 1 }
        inlinedCalls &+= UInt64(block.segments.dropLast().count { block.join($0.instructions.upperBound - 1) == .call })
        translatedSinceReset += 1
        if perfMap != nil || cpu.isDebugging(APUS_DEBUG_TRACE) {
            let (count, cold) = unsafe (cursor - entry, coldCursor - coldFirst)
            let guest = unsafe cpu.pageBase &+ UInt64(block.header.pointee.offset)
            unsafe perfMap?.note(memory.address(entry), size: count, guest: guest, processor: cpu.owner.index)
            unsafe cpu.traceTranslated(UnsafeRawBufferPointer(start: entry, count: count), at: memory.address(entry))
            unsafe cpu.traceTranslated(
                UnsafeRawBufferPointer(start: coldFirst, count: cold), at: memory.address(coldFirst))
        }
        return unsafe memory.address(entry)
    }

    /// Makes a dropped block's code leave to the interpreter at its start.
    func retire(_ code: UInt64) {
        let entry = unsafe self.entry(code)
        unsafe entry[0] = 0xe9
        unsafe UnsafeMutableRawPointer(entry + 1).storeBytes(of: BlockHead.of(entry).pointee.leave - 5, as: Int32.self)
    }

    /// Makes code that another translation replaces go on there, and what jumps to it go there at once.
    func redirect(_ code: UInt64, to other: UInt64) {
        let entry = unsafe self.entry(code)
        unsafe entry[0] = 0xe9
        unsafe UnsafeMutableRawPointer(entry + 1).storeBytes(
            of: Int32(truncatingIfNeeded: other &- code &- 5), as: Int32.self)
        let head = unsafe BlockHead.of(entry)
        var index = unsafe head.pointee.links
        while let link = links[index] {
            switch link.kind {
            case .jump:
                let place = unsafe memory.base + Int(link.offset)
                if unsafe target(of: place) == code { unsafe point(place, to: other) }
            case .record:
                let record = unsafe memory.record(Int(link.offset)).assumingMemoryBound(to: FarRecord.self)
                if unsafe record.pointee.code == code { unsafe record.pointee.code = other }
            }
            index = link.next
        }
        unsafe BlockHead.of(self.entry(other)).pointee.links = head.pointee.links
    }

    /// Points the displacement at `place` to a block's code.
    func link(_ place: UInt64, to code: UInt64) {
        guard let target = unsafe UnsafeMutableRawPointer(bitPattern: UInt(place)) else { return }
        unsafe point(target.assumingMemoryBound(to: UInt8.self), to: code)
        unsafe note(.jump, UInt32(target - UnsafeMutableRawPointer(memory.base)), code)
    }

    /// Has a jump to another page remember its target.
    func remember(_ record: UInt64, _ target: FarRecord) {
        // SAFETY: translated code hands over the address of a record of its own.
        let place = unsafe UnsafeMutablePointer<FarRecord>(bitPattern: UInt(record)).unsafelyUnwrapped
        let isNew = unsafe place.pointee.code != target.code
        unsafe place.pointee = target
        if isNew { note(.record, UInt32(record - memory.start), target.code) }
    }

    /// Has a call within a superblock go on there, from a page to the one that its function was found in.
    func remember(call record: UInt64, key: UInt64, page: UInt64, target: UInt64, back: UInt64) {
        // SAFETY: translated code hands over the address of a record of its own.
        let place = unsafe UnsafeMutablePointer<CallRecord>(bitPattern: UInt(record)).unsafelyUnwrapped
        unsafe (place.pointee.key, place.pointee.page) = (key, page)
        unsafe (place.pointee.target, place.pointee.back) = (target, back)
    }
    /// The first op of the function that is called there.
    func function(call record: UInt64) -> UInt64 {
        // SAFETY: as before.
        unsafe UnsafePointer<CallRecord>(bitPattern: UInt(record)).unsafelyUnwrapped.pointee.function
    }

    private func note(_ kind: IncomingLinks.Kind, _ offset: UInt32, _ code: UInt64) {
        let head = unsafe BlockHead.of(entry(code))
        unsafe head.pointee.links = links.add(kind, offset, next: head.pointee.links)
    }

    /// How often a block was executed since it was translated first, at most what makes it hot.
    func executions(_ code: UInt64) -> Int {
        let place = Int(code - memory.start)
        // SAFETY: the code is a block's, with its head before it; what code writes is read where it does.
        let head = unsafe memory.record(place - BlockHead.bytes).assumingMemoryBound(to: BlockHead.self).pointee
        guard head.record != 0 else { return Int(promotion) * 2 }
        let record = unsafe memory.record(place + Int(head.record)).assumingMemoryBound(to: BlockRecord.self).pointee
        let earlier = record.tier == Tier.profiled.rawValue ? promotion : 0
        return Int(earlier) + Int(promotion - max(0, min(record.countdown, promotion)))
    }

    /// A block's first byte with its head, to be changed.
    private func entry(_ code: UInt64) -> UnsafeMutablePointer<UInt8> {
        unsafe memory.place(code, from: -BlockHead.bytes, to: 5)
    }
    private func target(of place: UnsafeMutablePointer<UInt8>) -> UInt64 {
        unsafe memory.makeOwn(place, count: 4)
        let displacement = unsafe UnsafeMutableRawPointer(place).loadUnaligned(as: Int32.self)
        return unsafe memory.address(place) &+ 4 &+ UInt64(bitPattern: Int64(displacement))
    }
    private func point(_ place: UnsafeMutablePointer<UInt8>, to code: UInt64) {
        unsafe memory.makeOwn(place, count: 4)
        let next = unsafe memory.address(place) + 4
        unsafe UnsafeMutableRawPointer(place).storeBytes(of: Int32(truncatingIfNeeded: code &- next), as: Int32.self)
    }

    /// The most that a block's records take.
    private static func recordBytes(_ block: DecodedBlock) -> Int {
        MemoryLayout<BlockRecord>.stride + block.mostLaidOut * MemoryLayout<InlineCache>.stride
            + (block.segments.count + 1) * MemoryLayout<CallRecord>.stride
    }

    /// The op whose code faulted at a host address.
    func site(at host: UInt64) -> (op: MicroOp, dirty: UInt32)? {
        let offset = UInt32(truncatingIfNeeded: host &- memory.start)
        let table = unsafe siteMapping.base.assumingMemoryBound(to: Site.self)
        var low = 0
        var high = siteCount
        while low < high {
            let middle = (low + high) / 2
            if unsafe table[middle].end > offset { high = middle } else { low = middle + 1 }
        }
        guard low < siteCount else { return nil }
        return unsafe (MicroOp(op: UnsafePointer(bitPattern: table[low].op)), table[low].dirty)
    }
}
