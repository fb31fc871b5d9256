internal import CEngine
internal import GuestMemory
internal import HostOS
internal import SystemPackage

/// The memory of one processor's working structure, its TLBs and jump cache.
@safe final class ProcessorStorage {
    /// The structure, in a file so that translated code can see it below each of its tables.
    private let structure: Mapping
    private let file: HostOS.Descriptor
    private let mapping: Mapping
    private let codeJumps: UnsafeMutablePointer<apus_code_entry>
    private let vcpu: UnsafeMutablePointer<apus_vcpu>
    private var ranges: UnsafeMutablePointer<apus_ram_range>
    private static let rangeCapacity = 256

    init() throws(HostError) {
        // Three more for the interpreter where it is compared with translated code.
        let tlbBytes = 6 * Int(APUS_TLB_SIZE) * MemoryLayout<apus_tlb_entry>.stride
        let jumpBytes = unsafe Int(APUS_JUMP_SIZE) * MemoryLayout<apus_jump_entry>.stride
        let codeBytes = Int(APUS_JUMP_SIZE) * MemoryLayout<apus_code_entry>.stride
        file = try HostOS.Descriptor.memoryFile(name: "apus-processor", count: FlatTables.headerBytes)
        structure = try .shared(file.file, count: FlatTables.headerBytes)
        mapping = try .anonymous(count: tlbBytes + jumpBytes + codeBytes)
        // SAFETY: the mappings are zeroed and aligned to pages; the second holds three parts one after the other.
        unsafe vcpu = structure.base.assumingMemoryBound(to: apus_vcpu.self)
        let tlbs = unsafe mapping.base.assumingMemoryBound(to: apus_tlb_entry.self)
        unsafe codeJumps = (mapping.base + tlbBytes + jumpBytes).assumingMemoryBound(to: apus_code_entry.self)
        unsafe ranges = .allocate(capacity: Self.rangeCapacity)
        unsafe apus_vcpu_connect(
            vcpu, tlbs,
            (mapping.base + tlbBytes).assumingMemoryBound(to: apus_jump_entry.self), ranges)
    }

    deinit { unsafe ranges.deallocate() }

    /// Makes what translates code for this processor, with a parent's code where there is one. Accesses go by the TLB
    /// where that is chosen, or the host has too little address space for tables and nothing is chosen. Throws where the
    /// host lacks something.
    func makeTranslator(
        _ threshold: UInt64, promotion: Int32, capacity: Int, isTagged: Bool? = nil,
        from parent: FrozenCode.Processor? = nil, of files: [HostOS.Descriptor] = []
    ) throws(HostError) -> Translator {
        func make(isTagged: Bool) throws(HostError) -> Translator {
            unsafe try Translator(
                cpu, file.file, jumps: codeJumps, threshold: threshold, promotion: promotion, capacity: capacity,
                isTagged: isTagged, from: parent, of: files)
        }
        if let isTagged { return try make(isTagged: isTagged) }
        if let translator = try? make(isTagged: false) { return translator }
        return try make(isTagged: true)
    }

    var cpu: CPU { unsafe CPU(vcpu: vcpu) }
    var apicState: UnsafeMutablePointer<apus_local_apic> { unsafe apus_vcpu_apic(vcpu) }

    /// Writes the physical map down as the page walk reads it. Ranges past the capacity are left out: boards make
    /// some dozens.
    func setRanges(_ view: FlatView) {
        var count = 0
        // The largest first: most accesses are to the main memory.
        for range in view.ranges.sorted(by: { $0.count > $1.count }).prefix(Self.rangeCapacity) {
            let page = Int(range.offset >> 12)
            unsafe ranges[count] = apus_ram_range(
                start: range.start.rawValue, count: range.count,
                host: range.block.base.assumingMemoryBound(to: UInt8.self) + Int(range.offset),
                page_flags: range.block.pageFlags + page, granules: range.block.codeGranules + page,
                writable: range.writable ? 1 : 0)
            count += 1
        }
        unsafe vcpu.pointee.range_count = UInt64(count)
    }
}
