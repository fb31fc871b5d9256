internal import CEngine
internal import HostOS
internal import X86

/// Finds and decodes code for one processor.
///
/// Within a page instructions are decoded into blocks; one that crosses into the next page is executed alone, because
/// what follows it depends on two mappings.
@safe final class CodeFetcher {
    static let maximumBlock = 64
    /// Compares translated blocks with the interpreter; nil where nobody asks for that.
    var verifier: Verifier?
    /// Blocks begin with `traceBlock` and are not translated.
    var tracesBlocks = false
    /// Makes code of blocks that repeat; nil where the host lacks what that needs.
    var translator: Translator? { didSet { cache.translator = translator } }
    /// Bytes looked at for one block.
    static let window = 1024

    let cache: BlockCache
    var hostCode: HostCode
    let features: UInt64
    /// Ops under construction: a block, its end and the way not taken.
    private let scratch: UnsafeMutablePointer<apus_op>
    let bytes: UnsafeMutableRawPointer
    /// What `single` decodes in place, and instructions that cross pages: four ops each.
    private let single: UnsafeMutablePointer<apus_op>
    private let crossings: UnsafeMutablePointer<Crossing>
    private static let crossingCount = 512
    /// What user code of other address spaces was found in.
    let views = CodeViews()

    /// A decoded instruction that lies in two pages: good for these bytes, wherever the second page is.
    private struct Crossing {
        var host: UInt = 0
        var mode: UInt16 = 0
        var length: UInt8 = 0
        var bytes: (UInt64, UInt64) = (0, 0)
    }
    /// Page translations for fetches: linear page with the generation, and the host's page.
    private let pages: UnsafeMutablePointer<(key: UInt64, linear: UInt64, host: UInt)>
    private static let pageCount = 512

    init(features: UInt64, hostCode: HostCode) throws(HostError) {
        cache = try BlockCache()
        self.features = features
        self.hostCode = hostCode
        unsafe scratch = .allocate(capacity: Self.maximumBlock + 4)
        unsafe single = .allocate(capacity: 4 * (Self.crossingCount + 1))
        unsafe crossings = .allocate(capacity: Self.crossingCount)
        unsafe crossings.initialize(repeating: Crossing(), count: Self.crossingCount)
        unsafe bytes = .allocate(byteCount: Self.window + 16, alignment: 16)
        unsafe pages = .allocate(capacity: Self.pageCount)
        unsafe pages.initialize(repeating: (UInt64.max, 0, 0), count: Self.pageCount)
        let blank = Lowering(codeSize: 8, features: features, code: hostCode, isFlat: false).blank(offset: 0, length: 0)
        unsafe scratch.initialize(repeating: blank, count: Self.maximumBlock + 4)
        unsafe single.initialize(repeating: blank, count: 4 * (Self.crossingCount + 1))
    }

    deinit {
        unsafe scratch.deallocate()
        unsafe single.deallocate()
        unsafe crossings.deallocate()
        unsafe bytes.deallocate()
        unsafe pages.deallocate()
    }

    private func lowering(_ cpu: CPU, codeSize: Int) -> Lowering {
        let isFlat = unsafe cpu.p.pointee.jump_key & ModeBits.flat != 0
        return Lowering(codeSize: codeSize, features: features, code: hostCode, isFlat: isFlat)
    }

    /// Drops all blocks and everything that points to them.
    func reset(_ cpu: CPU) {
        cache.reset()
        hostCode.reset()
        translator?.reset()
        unsafe crossings.update(repeating: Crossing(), count: Self.crossingCount)
        cpu.forgetCode()
    }

    /// The linear address of `rip`, checked against CS.
    private func linearRIP(_ cpu: CPU) throws(Leave) -> UInt64 {
        let rip = cpu.rip
        if cpu.code64 { return rip }
        let cs = cpu.segment(APUS_SEG_CS)
        guard rip <= UInt64(cs.limit) else { throw cpu.raise(Vector.general, error: 0) }
        return (cs.base &+ rip) & 0xffff_ffff
    }

    /// The host address of executable bytes. Throws #PF, or an error exit where there is no memory.
    private func hostAddress(_ cpu: CPU, _ linear: UInt64) throws(Leave) -> UInt {
        let page = linear & ~0xfff
        let key = unsafe cpu.p.pointee.jump_key
        let entry = unsafe pages + Int((linear >> 12) & UInt64(Self.pageCount - 1))
        if unsafe entry.pointee.key == key && entry.pointee.linear == page {
            return unsafe entry.pointee.host + UInt(linear & 0xfff)
        }
        let place = try cpu.translate(linear, .fetch, .current)
        guard let host = unsafe place.host else {
            throw cpu.exit(.error, address: place.physical, value: 0, size: 0)
        }
        let address = UInt(bitPattern: host)
        unsafe entry.pointee = (key, page, address & ~0xfff)
        if cpu.cpl == 3 { views.note(page, host: address & ~0xfff) }
        return address
    }

    /// The host's page of a linear page that code was fetched from lately, by the translations of now; nil where it was not.
    func knownPage(_ cpu: CPU, _ linear: UInt64) -> UInt? {
        let entry = unsafe pages[Int((linear >> 12) & UInt64(Self.pageCount - 1))]
        return unsafe entry.key == cpu.p.pointee.jump_key && entry.linear == linear ? entry.host : nil
    }

    /// The decoded code at `rip`; sets `page_base` and the jump cache's entry. Nil where the instruction must be
    /// executed alone, by `step`.
    func find(_ cpu: CPU) throws(Leave) -> MicroOp? {
        if let translator, translator.isFull { reset(cpu) }
        let linear = try linearRIP(cpu)
        if cpu.isDebugging(APUS_DEBUG_BREAK), cpu.owner.debug.pages.contains(linear & ~0xfff) { return nil }
        let host = try hostAddress(cpu, linear)
        let mode = unsafe UInt16(truncatingIfNeeded: cpu.p.pointee.jump_key)
        var found = cache.find(host, mode: mode)
        if found == nil { found = decode(cpu, linear: linear, host: host, mode: mode) }
        guard let op = found else { return nil }
        let rip = cpu.rip
        cpu.pageBase = rip &- (linear & 0xfff)
        let entry = unsafe cpu.p.pointee.jumps + Int((rip ^ (rip >> 12)) & UInt64(APUS_JUMP_SIZE - 1))
        unsafe entry.pointee = apus_jump_entry(
            rip: rip, key: cpu.p.pointee.jump_key, page_base: cpu.pageBase, op: op)
        return op
    }

    /// Decodes the block at a host address; nil where its first instruction crosses into the next page.
    private func decode(_ cpu: CPU, linear: UInt64, host: UInt, mode: UInt16) -> MicroOp? {
        let offset = Int(linear & 0xfff)
        let crossing = unsafe crossings + Self.crossing(host)
        if unsafe crossing.pointee.host == host && crossing.pointee.mode == mode { return nil }
        if !cache.hasRoom(for: Self.maximumBlock + 4) || hostCode.isFull { reset(cpu) }
        let available = min(4096 - offset, Self.window)
        guard let source = unsafe UnsafeRawPointer(bitPattern: host) else { return nil }
        while true {
            // A copy, because the guest may write the bytes while they are decoded.
            unsafe bytes.copyMemory(from: source, byteCount: available)
            let (ops, count) = build(cpu, offset: offset, available: available)
            guard ops > 0 else { return nil }
            // From here on writers know of the code; what they wrote before shows in a second look.
            cpu.markCode(host: host, count: count)
            if unsafe apus_equal(bytes, source, count) {
                let op = unsafe cache.insert(
                    UnsafeBufferPointer(start: scratch, count: ops), start: host, count: count, mode: mode)
                if cpu.isDebugging(APUS_DEBUG_TRACE) {
                    unsafe cpu.traceDecoded(op, UnsafeRawBufferPointer(start: bytes, count: count), ops: ops)
                }
                return op
            }
        }
    }

    /// Fills `scratch` from the copied bytes. Returns the number of ops and of bytes.
    private func build(_ cpu: CPU, offset: Int, available: Int) -> (ops: Int, bytes: Int) {
        let codeSize = unsafe Int(cpu.p.pointee.code_size)
        let lowering = lowering(cpu, codeSize: codeSize)
        let isTranslatable = lowering.is64 || lowering.isFlat
        let code = CodeSize(rawValue: UInt8(codeSize)) ?? .bits64
        var position = 0
        // The block's first op counts its executions.
        unsafe scratch[0] = lowering.blank(offset: offset, length: 0)
        let isCounted = unsafe cpu.p.pointee.counts_instructions != 0
        let header = isCounted ? chargeBlock : noOperation
        unsafe scratch[0].handler =
            tracesBlocks ? traceBlock : translator != nil && isTranslatable ? countBlock : header
        var ops = 1
        var instructions = 0
        while true {
            let rest = unsafe UnsafeRawBufferPointer(
                start: bytes + position, count: min(available - position, Decoder.maximumLength))
            let at = offset + position
            var continuation = Continuation.ends
            do throws(DecodeError) {
                let instruction = unsafe try Decoder.decode(rest, code: code)
                let isAlone =
                    verifier != nil && isTranslatable && instruction.isNotRepeatable || isCounted && instruction.readsTime
                if isAlone {
                    guard instructions > 0 else { return (0, 0) }
                    unsafe lowering.makeCut(offset: at, count: instructions, into: &scratch[ops])
                    return (ops + 1, position)
                }
                unsafe continuation = lowering.lower(instruction, offset: at, into: &scratch[ops])
                position += Int(instruction.length)
            } catch {
                if error == .truncated {
                    // It goes on in the next page, or after the window: the block ends before it.
                    guard instructions > 0 else { return (0, 0) }
                    unsafe lowering.makeCut(offset: at, count: instructions, into: &scratch[ops])
                    return (ops + 1, position)
                }
                unsafe lowering.lower(error, offset: at, into: &scratch[ops])
                position += min(Decoder.maximumLength, rest.count)
            }
            ops += 1
            instructions += 1
            unsafe scratch[0].extra = UInt8(instructions)
            switch continuation {
            case .next where instructions < Self.maximumBlock && offset + position < 4096: continue
            case .next, .cut:
                unsafe lowering.makeCut(offset: offset + position, count: instructions, into: &scratch[ops])
                return (ops + 1, position)
            case .control:
                unsafe lowering.makeControlCut(offset: offset + position, count: instructions, into: &scratch[ops])
                return (ops + 1, position)
            case .ends:
                unsafe scratch[ops - 1].dst = UInt16(instructions)
                return (ops, position)
            case .conditional:
                unsafe scratch[ops - 1].dst = UInt16(instructions)
                unsafe lowering.makeFallThrough(offset: offset + position, into: &scratch[ops])
                return (ops + 1, position)
            }
        }
    }

    /// Decodes the one instruction at `rip`, wherever its bytes lie, with `page_base` set for it.
    func single(_ cpu: CPU) throws(Leave) -> MicroOp {
        let linear = try linearRIP(cpu)
        let host = try hostAddress(cpu, linear)
        let offset = Int(linear & 0xfff)
        let first = min(4096 - offset, Decoder.maximumLength)
        let codeSize = unsafe Int(cpu.p.pointee.code_size)
        let code = CodeSize(rawValue: UInt8(codeSize)) ?? .bits64
        let mode = unsafe UInt16(truncatingIfNeeded: cpu.p.pointee.jump_key)
        unsafe bytes.copyMemory(from: UnsafeRawPointer(bitPattern: host)!, byteCount: first)
        let slot = Self.crossing(host)
        let crossing = unsafe crossings + slot
        // Other bytes may be an instruction that ends in this page, and the next one is then not looked at.
        if unsafe crossing.pointee.host == host && crossing.pointee.mode == mode
            && apus_equal(bytes, &crossing.pointee.bytes, min(first, Int(crossing.pointee.length)))
        {
            let next = try hostAddress(cpu, (linear & ~0xfff) &+ 0x1000)
            let length = unsafe Int(crossing.pointee.length)
            unsafe (bytes + first).copyMemory(from: UnsafeRawPointer(bitPattern: next)!, byteCount: length - first)
            if unsafe apus_equal(bytes, &crossing.pointee.bytes, length) {
                cpu.pageBase = cpu.rip &- (linear & 0xfff)
                return unsafe MicroOp(op: single + 4 * (slot + 1))
            }
        }
        if hostCode.isFull { reset(cpu) }
        let lowering = lowering(cpu, codeSize: codeSize)
        var op = unsafe single
        var count = first
        while true {
            do throws(DecodeError) {
                let instruction = unsafe try Decoder.decode(UnsafeRawBufferPointer(start: bytes, count: count), code: code)
                let length = Int(instruction.length)
                if length > first {
                    unsafe op = single + 4 * (slot + 1)
                    unsafe crossing.pointee = Crossing(host: host, mode: mode, length: instruction.length)
                    // SAFETY: an instruction has at most as many bytes as the field.
                    unsafe withUnsafeMutableBytes(of: &crossing.pointee.bytes) { field in
                        unsafe field.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: length))
                    }
                }
                let continuation = unsafe lowering.lower(instruction, offset: offset, into: &op[0])
                if continuation == .conditional || continuation == .ends { unsafe op[0].dst = 1 }
                unsafe lowering.makeFallThrough(offset: offset + length, into: &op[1])
                break
            } catch {
                if error == .truncated && count < Decoder.maximumLength {
                    let next = try hostAddress(cpu, (linear & ~0xfff) &+ 0x1000)
                    unsafe (bytes + first).copyMemory(
                        from: UnsafeRawPointer(bitPattern: next)!, byteCount: Decoder.maximumLength - first)
                    count = Decoder.maximumLength
                    continue
                }
                unsafe lowering.lower(error, offset: offset, into: &op[0])
                break
            }
        }
        cpu.pageBase = cpu.rip &- (linear & 0xfff)
        return unsafe MicroOp(op: op)
    }

    private static func crossing(_ host: UInt) -> Int { Int(host >> 12 ^ host >> 21) & (crossingCount - 1) }

    /// True for an op of the buffers that `single` fills.
    func isSingle(_ op: MicroOp) -> Bool {
        guard let pointer = unsafe op.op else { return false }
        return unsafe pointer >= UnsafePointer(single) && pointer < UnsafePointer(single + 4 * (Self.crossingCount + 1))
    }
}

extension CPU {
    /// Forgets where code is: jump cache and links into the blocks.
    func forgetCode() {
        unsafe p.pointee.code_generation &+= 1
        unsafe p.pointee.user_generation = owner.fetcher.views.forgetAll()
        unsafe p.pointee.link_from = nil
        updateMemoryMode()
    }
}
