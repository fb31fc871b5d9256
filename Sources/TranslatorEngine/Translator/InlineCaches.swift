internal import CEngine

// Hot code of user mode remembers for each access the page that it met last, beside the code: one comparison then
// decides, and the address of the access waits for no look-up. Where the pages change often the table is better, so a
// block passes through three tiers.

/// How far the translation of a block has come.
enum Tier: UInt32 {
    /// Supervisor code: not counted.
    case plain
    /// Accesses go by the table, and executions are counted.
    case baseline
    /// Accesses have inline caches whose misses are counted, and so are executions.
    case profiled
    /// Accesses have inline caches where those miss seldom.
    case hot

    /// An inline cache stays where it is found right in all but one of so many executions.
    static let hitsForMiss: UInt32 = 16

    var counts: Bool { self == .baseline || self == .profiled }
}

/// What a counting block has beside its code; its inline caches follow.
struct BlockRecord {
    /// Becomes negative when the block is to be promoted.
    var countdown: Int32
    var tier: UInt32
    var cacheCount: UInt32
    var reserved: UInt32 = 0
}

/// The page that an access met last.
struct InlineCache {
    /// Its linear address; `nowhere` with an addend of 0.
    var page: UInt64
    /// Host minus linear address, plus 1.
    var addend: UInt64
    /// The highest offset in a page at which the access ends in it.
    var limit: UInt32
    var misses: UInt32
    /// The number of the access's instruction in its block.
    var index: UInt32
    var reserved: UInt32 = 0

    /// No canonical address is in this page. What is found there without an addend faults.
    static let nowhere: UInt64 = 1 << 63
}

/// The inline caches of one processor that hold something, for the day when their translations end.
@safe final class InlineCaches {
    private let p: UnsafeMutablePointer<apus_vcpu>
    private let log: UnsafeMutablePointer<UInt64>

    init(_ cpu: CPU) {
        unsafe p = cpu.p
        unsafe log = .allocate(capacity: Int(APUS_CACHE_LOG))
        unsafe p.pointee.cache_log = log
        unsafe p.pointee.cache_count = 0
    }
    deinit { unsafe log.deallocate() }

    private func cache(_ index: Int) -> UnsafeMutablePointer<InlineCache> {
        // SAFETY: the log holds addresses of caches of this processor's translated code.
        unsafe UnsafeMutablePointer(bitPattern: UInt(log[index])).unsafelyUnwrapped
    }
    private static func empty(_ cache: UnsafeMutablePointer<InlineCache>) {
        unsafe cache.pointee.page = InlineCache.nowhere
        unsafe cache.pointee.addend = 0
    }

    /// Empties all.
    func drop() {
        for index in 0..<Int(unsafe p.pointee.cache_count) { unsafe Self.empty(cache(index)) }
        unsafe p.pointee.cache_count = 0
    }

    /// Empties those for pages of a range.
    func drop(_ linear: UInt64, pages: Int) {
        dropAll { page, _ in page &- linear < UInt64(pages) << 12 }
    }

    /// Empties those for the page at a host address.
    func drop(host: UInt64) {
        dropAll { page, addend in (page &+ addend &- 1 ^ host) & ~0xfff == 0 }
    }

    @inline(__always) private func dropAll(where isWanted: (_ page: UInt64, _ addend: UInt64) -> Bool) {
        var index = 0
        while unsafe index < Int(p.pointee.cache_count) {
            let cache = unsafe cache(index)
            if unsafe isWanted(cache.pointee.page, cache.pointee.addend) {
                unsafe Self.empty(cache)
                unsafe p.pointee.cache_count -= 1
                unsafe log[index] = log[Int(p.pointee.cache_count)]
            } else {
                index += 1
            }
        }
    }
}

extension BlockTranslator {
    /// Whether the access of the current instruction has an inline cache.
    var usesCache: Bool {
        !isRepeating && tier.rawValue >= Tier.profiled.rawValue && current < 64 && cached >> UInt64(current) & 1 != 0
    }

    /// Begins a block that counts its executions.
    mutating func emitCount() {
        guard tier.counts else { return }
        let record = unsafe takeRecord(
            BlockRecord(countdown: executions, tier: tier.rawValue, cacheCount: 0))
        unsafe blockRecord = record
        unsafe a.modrm(0, wide: false, opcode: 0xff, length: 1, reg: 1, rm: .relative(record))  // dec
        unsafe promotion = a.jump(if: 8)
    }

    /// Compares the page of a linear address with the one that the access met last. Returns the jump for another, and the
    /// cache.
    mutating func emitCacheLookup(
        _ address: RM, size: Int32
    ) -> (miss: UnsafeMutablePointer<UInt8>, cache: UnsafeMutablePointer<UInt8>) {
        window = nil
        let cache = unsafe takeRecord(
            InlineCache(
                page: InlineCache.nowhere, addend: 0, limit: UInt32(4096 - size), misses: 0, index: UInt32(current)))
        cacheCount += 1
        a.loadAddress(Host.addend, address)
        unsafe a.modrm(0, wide: true, opcode: 0x33, length: 1, reg: Host.addend, rm: .relative(cache))
        a.bytes(0x49, 0x81, 0xfd)  // cmp r13, 4096 - size
        a.word32(4096 - size)
        let miss = unsafe a.jump(if: 7)
        unsafe a.load(Host.addend, .relative(cache + 8))
        return unsafe (miss, cache)
    }

    /// Out of line, with the linear address in the address register: fills a cache and goes on at `resume`, or falls
    /// through where the table has nothing.
    mutating func emitCacheMiss(
        _ cache: UnsafeMutablePointer<UInt8>, write: Bool, held: UInt8?, resume: UnsafeMutablePointer<UInt8>
    ) {
        unsafe a.lea(Host.addend, .relative(cache))
        unsafe a.call(write ? stubs.cacheWrite : stubs.cacheRead)
        guard let held else { return unsafe a.patch(a.jump(if: 3), to: resume) }
        let nothing = unsafe a.jump(if: 2)
        loadGuest(held, into: Host.address)
        unsafe a.jump(to: resume)
        unsafe a.land(nothing)
    }

    /// Out of line: asks for the next tier.
    mutating func emitPromotion() {
        guard let promotion = unsafe promotion, let record = unsafe blockRecord else { return }
        unsafe a.land(promotion)
        unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: ops)))
        unsafe a.lea(Host.address, .relative(record))
        unsafe a.jump(to: stubs.promote)
        unsafe UnsafeMutableRawPointer(record).assumingMemoryBound(to: BlockRecord.self).pointee.cacheCount = cacheCount
    }

    /// Takes room beside the code.
    mutating func takeRecord<Record>(_ value: Record) -> UnsafeMutablePointer<UInt8> {
        let place = unsafe records
        // SAFETY: `Translator.translate` has made sure of room for all records of a block.
        unsafe UnsafeMutableRawPointer(place).storeBytes(of: value, as: Record.self)
        unsafe records += MemoryLayout<Record>.stride
        return unsafe place
    }
}

extension Assembler {
    /// Called with an inline cache in the addend's register and a linear address in the address register: looks the
    /// address up in the table, fills the cache and leaves its addend in the addend's register, with CF clear. CF is set
    /// where the access leaves its page, or the table has nothing.
    mutating func makeCacheStub(write: Bool) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        bytes(0x50, 0x51)  // push rax; push rcx
        bytes(0x44, 0x89, 0xf0)  // mov eax, r14d
        byte(0x25)  // and eax, 0xfff
        word32(0xfff)
        let cache = { (offset: Int?) in unsafe RM.base(Host.addend, Int32(offset.unsafelyUnwrapped)) }
        modrm(
            0, wide: false, opcode: 0x3b, length: 1, reg: Host.rax, rm: cache(MemoryLayout<InlineCache>.offset(of: \.limit)))
        let crosses = unsafe jump(if: 7)
        rotateRight(Host.rax, Host.address, by: 8)
        modrm(0, wide: true, opcode: 0x23, length: 1, reg: Host.rax, rm: .indexMask)
        load(Host.rax, .table(Host.rax, write ? 8 : 0))
        bytes(0xa8, 1)  // test al, 1
        let absent = unsafe jump(if: 4)
        modrm(
            0, wide: false, opcode: 0xff, length: 1, reg: 0, rm: cache(MemoryLayout<InlineCache>.offset(of: \.misses)))
        modrm(
            0, wide: true, opcode: 0x83, length: 1, reg: 7, rm: cache(MemoryLayout<InlineCache>.offset(of: \.addend)))
        byte(0)
        let isLogged = unsafe jump(if: 5)
        let count = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.cache_count))
        modrm(0, wide: false, opcode: 0x8b, length: 1, reg: Host.rcx, rm: count)
        bytes(0x81, 0xf9)  // cmp ecx, capacity
        word32(Int32(APUS_CACHE_LOG))
        let full = unsafe jump(if: 3)
        modrm(0, wide: false, opcode: 0xff, length: 1, reg: 0, rm: count)
        bytes(0x48, 0xc1, 0xe1)  // shl rcx, 3
        byte(3)
        unsafe modrm(
            0, wide: true, opcode: 0x03, length: 1, reg: Host.rcx,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.cache_log)))
        store(Host.addend, .base(Host.rcx, 0))
        unsafe land(isLogged)
        move(Host.rcx, Host.address)
        bytes(0x48, 0x81, 0xe1)  // and rcx, ~0xfff
        word32(-4096)
        store(Host.rcx, cache(MemoryLayout<InlineCache>.offset(of: \.page)))
        store(Host.rax, cache(MemoryLayout<InlineCache>.offset(of: \.addend)))
        unsafe land(full)
        move(Host.addend, Host.rax)
        bytes(0x59, 0x58)  // pop rcx; pop rax
        bytes(0xf8, 0xc3)  // clc; ret
        unsafe land(crosses)
        unsafe land(absent)
        bytes(0x59, 0x58)
        bytes(0xf9, 0xc3)  // stc; ret
        return unsafe start
    }
}
