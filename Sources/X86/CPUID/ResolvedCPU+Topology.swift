extension ResolvedCPU {
    /// Leaves 0BH and 1FH: the levels of the topology (Intel SDM volume 2, CPUID). Only 1FH knows dies.
    func topologyLeaf(_ subleaf: UInt32, _ state: State, withDies: Bool) -> CPUIDRegisters {
        // Type of the level, width of the fields up to it, threads in it.
        var levels: [(type: UInt32, shift: Int, count: Int)] = [(1, topology.threadWidth, topology.threads)]
        if withDies {
            levels.append((2, topology.dieShift, topology.threads * topology.cores))
            levels.append((5, topology.packageShift, topology.threadsPerPackage))
        } else {
            levels.append((2, topology.packageShift, topology.threadsPerPackage))
        }
        let number = subleaf & 0xFF
        guard subleaf < UInt32(levels.count) else { return CPUIDRegisters(ecx: number, edx: state.apicID) }
        let level = levels[Int(subleaf)]
        return CPUIDRegisters(
            eax: UInt32(level.shift), ebx: UInt32(min(level.count, 0xFFFF)), ecx: level.type << 8 | number,
            edx: state.apicID)
    }

    /// Leaf 8000001EH of AMD: the compute unit (core) and the node (die) of a thread.
    func unitLeaf(_ state: State) -> CPUIDRegisters {
        let core = state.apicID >> UInt32(topology.threadWidth) & 0xFF
        let node = state.apicID >> UInt32(topology.dieShift) & 0xFF
        return CPUIDRegisters(
            eax: state.apicID, ebx: UInt32(min(topology.threads - 1, 255)) << 8 | core,
            ecx: UInt32(min(topology.dies - 1, 7)) << 8 | node)
    }

    /// Leaf 4 of Intel, 8000001DH of AMD: one cache a sub-leaf.
    func cacheLeaf(_ subleaf: UInt32) -> CPUIDRegisters {
        guard subleaf < UInt32(CPUCache.all.count) else { return CPUIDRegisters() }
        let cache = CPUCache.all[Int(subleaf)]
        // Numbers of addressable IDs, less one.
        let sharing = (1 << (cache.isShared ? topology.dieShift : topology.threadWidth)) - 1
        let cores = (1 << (topology.packageShift - topology.threadWidth)) - 1
        var eax = cache.type | cache.level << 5 | 1 << 8 | UInt32(min(sharing, 0xFFF)) << 14
        if !isAMD { eax |= UInt32(min(cores, 63)) << 26 }
        return CPUIDRegisters(
            eax: eax, ebx: (CPUCache.line - 1) | (cache.ways - 1) << 22, ecx: cache.sets - 1,
            edx: cache.isShared ? 2 : 0)
    }
}

/// The caches that every model shows: a guest schedules by them, and gains nothing from exact sizes.
struct CPUCache {
    /// 1 data, 2 instructions, 3 both.
    var type: UInt32
    /// 1 to 3.
    var level: UInt32
    /// Associativity.
    var ways: UInt32
    /// Sets.
    var sets: UInt32
    /// By all cores of a die; the others are a core's own.
    var isShared: Bool

    /// Bytes of a line.
    static let line: UInt32 = 64

    /// 32 KiB for data and for instructions, 512 KiB of level 2, 16 MiB of level 3.
    static let all: [CPUCache] = [
        CPUCache(type: 1, level: 1, ways: 8, sets: 64, isShared: false),
        CPUCache(type: 2, level: 1, ways: 8, sets: 64, isShared: false),
        CPUCache(type: 3, level: 2, ways: 8, sets: 1024, isShared: false),
        CPUCache(type: 3, level: 3, ways: 16, sets: 16384, isShared: true),
    ]

    /// Leaf 80000005H (AMD64 APM volume 3, E.4.4): TLBs of 64 entries, fully associative; both level-1 caches.
    static let amdLevel1 = CPUIDRegisters(
        eax: 0xFF40_FF40, ebx: 0xFF40_FF40, ecx: 0x2008_0140, edx: 0x2008_0140)
    /// Leaf 80000006H: TLBs of level 2 (512 entries, 4 ways), 512 KiB of level 2, 32 times 512 KiB of level 3.
    static let amdLevel23 = CPUIDRegisters(
        eax: 0, ebx: 0x4200_4200, ecx: 0x0200_6140, edx: 0x0080_8140)
    /// The same of Intel, which tells of level 2 only.
    static let intelLevel2 = CPUIDRegisters(ecx: 0x0200_6040)
}
