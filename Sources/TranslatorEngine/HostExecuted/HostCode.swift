internal import CEngine
package import HostOS
internal import Synchronization
package import X86

/// Machine code made for single guest instructions: an arena of stubs that is mapped twice, writable and executable.
///
/// Stubs with the same bytes are made once. The arena never frees a single stub: when it is full, `isFull` is true and
/// instructions that need a new stub lower to an op that leaves the loop and asks for its block again; whoever keeps
/// the decoded blocks then drops them all, on every processor, and calls `reset`. Any thread.
package final class HostCode: Sendable {
    /// Bytes of the arena.
    package let capacity: Int
    /// The extensions of the host's processor, one bit for each `Feature`. What it lacks is not lowered.
    let hostFeatures: UInt64
    // Only written under the lock, and only beyond what has been handed out.
    private let writable: Mapping
    private let executable: Mapping
    private let state = Mutex(State())

    private struct State {
        var used = 0
        var full = false
        var known: [[UInt8]: UInt] = [:]
    }

    /// An empty arena of `capacity` bytes (a multiple of the page size).
    package convenience init(capacity: Int = 4 << 20) throws(HostError) { try self.init(capacity: capacity, at: .low) }

    private init(capacity: Int, at place: Mapping.Place) throws(HostError) {
        let file = try HostOS.Descriptor.memoryFile(name: "apus-host-code", count: capacity)
        self.capacity = capacity
        writable = try Mapping.shared(file.file, count: capacity)
        executable = try Mapping.shared(file.file, count: capacity, protection: [.read, .execute], at: place)
        hostFeatures = HostCode.readFeatures()
    }

    /// An arena with a parent's stubs at their addresses. What is needed again is made again.
    convenience init(
        copyOf stubs: FrozenCode.Piece, at address: UInt, capacity: Int, _ file: HostOS.Descriptor
    ) throws(HostError) {
        guard stubs.count <= capacity else { throw HostError.noDescriptor("keep a parent's stubs") }
        try self.init(capacity: capacity, at: .exactly(address))
        // SAFETY: the bytes lie in the mapping, and nobody else has it yet.
        let target = unsafe UnsafeMutableRawBufferPointer(start: writable.base, count: stubs.count)
        guard case .moved(stubs.count) = unsafe file.read(into: target, at: stubs.offset) else {
            throw HostError.noDescriptor("read a parent's stubs")
        }
        state.withLock { $0.used = stubs.count }
    }
    /// The stubs that were made, and where copies need to have them.
    var contents: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: executable.base, count: used) }
    var firstAddress: UInt { UInt(bitPattern: executable.base) }

    /// True from the first stub that found no room until `reset`.
    package var isFull: Bool { state.withLock { $0.full } }
    /// Bytes of stubs made.
    package var used: Int { state.withLock { $0.used } }

    /// Forgets all stubs. No processor may hold an op that was lowered before.
    package func reset() { state.withLock { $0 = State() } }

    /// The address of a stub with these bytes, 0 where there is no room.
    func stub(_ bytes: [UInt8]) -> UInt {
        state.withLock { state in
            if let address = state.known[bytes] { return address }
            let start = (state.used + 15) & ~15
            guard start + bytes.count <= capacity else {
                state.full = true
                return 0
            }
            // SAFETY: the range lies in both mappings, which live as long as this object, and beyond every stub that
            // some processor may be executing.
            unsafe bytes.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(start: writable.base + start, count: source.count)
                    .copyMemory(from: source)
            }
            state.used = start + bytes.count
            let address = unsafe UInt(bitPattern: executable.base + start)
            state.known[bytes] = address
            return address
        }
    }

    /// True where the host can execute an instruction of that extension.
    func offers(_ feature: Feature) -> Bool { hostFeatures >> UInt64(feature.rawValue) & 1 != 0 }

    /// What an engine may offer to guests besides SSE4.2 because this host executes it or because it needs no host.
    package static var offeredFeatures: FeatureSet {
        var offered = FeatureSet(names: "aes pclmulqdq sha-ni gfni adx bmi1 bmi2")
        if hostEnablesAVX { offered.formUnion(FeatureSet(names: "avx avx2 fma f16c vaes vpclmulqdq")) }
        offered.formIntersection(readHost())
        return offered.union(FeatureSet(names: "xsave xsaveopt xsavec clflushopt clwb 3dnowprefetch"))
    }

    private static func readHost() -> FeatureSet {
        FeatureSet(reading: { leaf, subleaf in
            let r = apus_host_cpuid(leaf, subleaf)
            return CPUIDRegisters(eax: r.eax, ebx: r.ebx, ecx: r.ecx, edx: r.edx)
        })
    }
    /// Leaf D's EBX is the size of the state enabled in XCR0, which with AVX is at least 832 (SDM volume 1, 13.2).
    static var hostEnablesAVX: Bool {
        apus_host_cpuid(1, 0).ecx >> 27 & 1 != 0 && apus_host_cpuid(13, 0).ebx >= 832
    }

    private static func readFeatures() -> UInt64 {
        let host = readHost()
        let enablesAVX = hostEnablesAVX
        var bits: UInt64 = 0
        for feature in Feature.allCases {
            let name: String
            var needsAVX = false
            switch feature {
            case .sse3: name = "pni"
            case .sse41: name = "sse4.1"
            case .sse42: name = "sse4.2"
            case .pclmul: name = "pclmulqdq"
            case .sha: name = "sha-ni"
            case .cmov, .mmx, .sse, .sse2, .ssse3, .aes, .gfni, .adx, .bmi1, .bmi2: name = "\(feature)"
            case .avx, .avx2, .fma, .f16c, .vaes:
                name = "\(feature)"
                needsAVX = true
            case .vpclmul:
                name = "vpclmulqdq"
                needsAVX = true
            default: name = "fpu"  // not by stubs
            }
            guard let known = CPUFeature(name: name), host.contains(known), enablesAVX || !needsAVX else { continue }
            bits |= 1 << UInt64(feature.rawValue)
        }
        return bits
    }
}
