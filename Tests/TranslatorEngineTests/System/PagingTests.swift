import CEngine
import Execution
import Testing
import TranslatorEngine
import X86

/// Every combination of rights in page-table entries, control registers and privilege, in every paging mode, beside
/// the manual's rules (SDM volume 3, 4.6 and 4.7) written down once more.
@Suite struct PagingTests {
    private typealias Place = SystemGuest.Place

    enum Structure: CaseIterable { case twoLevel, twoLevelLarge, pae, paeLarge, fourLevel, fourLevel2M, fourLevel1G }
    enum Access: CaseIterable { case read, write, fetch }

    /// Tables for one linear address that leads to `Place.data`, and an identity map of the first 2 or 4 MiB.
    private struct Tables {
        let structure: Structure
        let linear: UInt64
        /// Entries on the way, the leaf last; size of each.
        let path: [UInt64]
        let size: UInt64
        /// The leaf without rights.
        let leaf: UInt64
        /// The entry of the page that the accessing code is in.
        let codeEntry: UInt64
        let isLong: Bool

        init(_ structure: Structure, _ guest: SystemGuest) {
            self.structure = structure
            let t = Place.tables
            let machine = guest.machine
            switch structure {
            case .twoLevel, .twoLevelLarge:
                isLong = false
                size = 4
                linear = 0x50_0000
                for page in UInt64(0)..<1024 { machine.write32(t + 0x1000 + page * 4, UInt32(page << 12 | 3)) }
                machine.write32(t, UInt32(t + 0x1000 | 7))
                codeEntry = t + 0x1000 + 8 * 4
                if structure == .twoLevel {
                    machine.write32(t + 4, UInt32(t + 0x2000 | 7))
                    path = [t + 4, t + 0x2000 + 0x100 * 4]
                    leaf = Place.data
                } else {
                    path = [t + 4]
                    leaf = 0x80
                }
            case .pae, .paeLarge:
                isLong = false
                size = 8
                linear = 0x50_0000
                machine.write64(t, t + 0x1000 | 1)
                for page in UInt64(0)..<512 { machine.write64(t + 0x2000 + page * 8, page << 12 | 3) }
                machine.write64(t + 0x1000, t + 0x2000 | 7)
                codeEntry = t + 0x2000 + 8 * 8
                if structure == .pae {
                    machine.write64(t + 0x1000 + 16, t + 0x3000 | 7)
                    path = [t + 0x1000 + 16, t + 0x3000 + 0x100 * 8]
                    leaf = Place.data
                } else {
                    path = [t + 0x1000 + 16]
                    leaf = 0x80
                }
            case .fourLevel, .fourLevel2M, .fourLevel1G:
                isLong = true
                size = 8
                machine.write64(t, t + 0x1000 | 7)
                machine.write64(t + 0x1000, t + 0x2000 | 7)
                machine.write64(t + 0x2000, t + 0x3000 | 7)
                for page in UInt64(0)..<512 { machine.write64(t + 0x3000 + page * 8, page << 12 | 3) }
                codeEntry = t + 0x3000 + 8 * 8
                linear = structure == .fourLevel1G ? 0x4010_0000 : 0x50_0000
                if structure == .fourLevel {
                    machine.write64(t + 0x2000 + 16, t + 0x4000 | 7)
                    path = [t, t + 0x1000, t + 0x2000 + 16, t + 0x4000 + 0x100 * 8]
                    leaf = Place.data
                } else if structure == .fourLevel2M {
                    path = [t, t + 0x1000, t + 0x2000 + 16]
                    leaf = 0x80
                } else {
                    path = [t, t + 0x1008]
                    leaf = 0x80
                }
            }
        }

        func set(_ guest: SystemGuest, _ entry: UInt64, _ value: UInt64) {
            if size == 4 { guest.machine.write32(entry, UInt32(truncatingIfNeeded: value)) } else { guest.machine.write64(entry, value) }
        }
        func get(_ guest: SystemGuest, _ entry: UInt64) -> UInt64 {
            size == 4 ? UInt64(guest.machine.read32(entry)) : guest.machine.read64(entry)
        }
    }

    /// One combination.
    private struct Case {
        var access: Access
        var user: Bool
        var leafBits: UInt64  // writable 2, user 4
        var leafNX: Bool
        var parentBits: UInt64
        var wp: Bool
        var smep: Bool
        var smap: Bool
        var ac: Bool

        /// The page fault's error code, nil where the access is allowed.
        func expected(hasParent: Bool, hasNX: Bool) -> UInt64? {
            let rights = hasParent ? leafBits & parentBits : leafBits
            let isUser = rights & 4 != 0
            let isWritable = rights & 2 != 0
            var denied = false
            if user {
                denied = !isUser || access == .write && !isWritable
            } else {
                if access == .write && !isWritable && wp { denied = true }
                if isUser && access == .fetch && smep { denied = true }
                if isUser && access != .fetch && smap && !ac { denied = true }
            }
            if access == .fetch && leafNX && hasNX { denied = true }
            guard denied else { return nil }
            var error: UInt64 = 1 | (access == .write ? 2 : 0) | (user ? 4 : 0)
            if access == .fetch && (hasNX || smep) { error |= 16 }
            return error
        }
    }

    private func enter(_ guest: SystemGuest, _ tables: Tables, _ item: Case, code: [UInt8]) {
        guest.code(code)
        var state = guest.cpu.state
        let large: UInt64 = 0x10
        state.cr0 = 0x8000_0011 | (item.wp ? 0x1_0000 : 0)
        state.cr4 = tables.size == 4 ? large : tables.isLong ? 0x20 : 0x30
        if item.smep { state.cr4 |= 1 << 20 }
        if item.smap { state.cr4 |= 1 << 21 }
        state.cr3 = Place.tables
        state.efer = tables.isLong ? 0xd00 : tables.size == 8 ? 0x800 : 0
        state.cr2 = 0
        state.rip = Place.code
        state.rflags = 2 | (item.ac ? 0x40000 : 0)
        state.gpr.6 = tables.linear
        state.gpr.4 = item.user ? Place.userStack : Place.stack
        let level: UInt16 = item.user ? 3 : 0
        let flags: UInt16 = level << 5
        let long = tables.isLong
        let code = item.user ? (long ? SystemGuest.Selector.userCode64 : SystemGuest.Selector.userCode)
            : long ? SystemGuest.Selector.code64 : SystemGuest.Selector.code
        state.segment.1 = apus_x86_segment(base: 0, limit: .max, selector: code, attributes: (long ? 0xa9b : 0xc9b) | flags)
        let data = apus_x86_segment(
            base: 0, limit: .max, selector: item.user ? SystemGuest.Selector.userData : SystemGuest.Selector.data,
            attributes: 0xc93 | flags)
        state.segment.2 = data
        state.segment.3 = data
        guest.cpu.state = state
    }

    private static let code: [Access: [UInt8]] = [
        .read: [0x8a, 0x06, 0x0f, 0x0b],  // mov al, [rsi]; ud2
        .write: [0x88, 0x06, 0x0f, 0x0b],  // mov [rsi], al; ud2
        .fetch: [0xff, 0xe6],  // jmp rsi, where UD2 is
    ]

    @Test(arguments: Structure.allCases)
    func rightsAndBits(structure: Structure) throws {
        let isLong = [.fourLevel, .fourLevel2M, .fourLevel1G].contains(structure)
        let guest = try SystemGuest(isLong ? .long : .protected)
        let tables = Tables(structure, guest)
        let leafEntry = tables.path[tables.path.count - 1]
        let parent = tables.path.count > 1 && structure != .fourLevel1G ? tables.path[tables.path.count - 2] : nil
        let parentPointer = parent.map { tables.get(guest, $0) & ~0xfff } ?? 0
        // The four-level large page shares its parent with the code.
        let hasParent = parent != nil && structure != .fourLevel2M
        var failures = 0
        for number in 0..<(3 * 2 * 8 * 4 * 16) {
            func bit(_ index: Int) -> Bool { (number / 3) >> index & 1 != 0 }
            let item = Case(
                access: Access.allCases[number % 3], user: bit(0), leafBits: (bit(1) ? 2 : 0) | (bit(2) ? 4 : 0),
                leafNX: bit(3) && tables.size == 8, parentBits: (bit(4) ? 2 : 0) | (bit(5) ? 4 : 0), wp: bit(6),
                smep: bit(7), smap: bit(8), ac: bit(9))
            tables.set(guest, tables.codeEntry, 0x8000 | 1 | 2 | (item.user ? 4 : 0))
            let leaf = tables.leaf | 1 | item.leafBits | (item.leafNX ? 1 << 63 : 0)
            tables.set(guest, leafEntry, leaf)
            if hasParent, let parent { tables.set(guest, parent, parentPointer | 1 | item.parentBits) }
            guest.machine.write(Place.data, [0x0f, 0x0b])
            enter(guest, tables, item, code: Self.code[item.access] ?? [])
            let end = guest.runQuietly()
            let expected = item.expected(hasParent: hasParent, hasNX: tables.size == 8)
            let after = tables.get(guest, leafEntry)
            var problem: String?
            if let expected {
                let error = isLong ? guest.machine.read64(guest.gpr(4)) : UInt64(guest.machine.read32(guest.gpr(4)))
                if end != .exception(14) || error != expected || guest.cpu.state.cr2 != tables.linear {
                    problem = "\(end), error \(error), not \(expected), CR2 \(guest.cpu.state.cr2)"
                } else if after & 0x40 != 0 {
                    problem = "dirty after a fault"
                }
            } else if end != .exception(6) {
                problem = "\(end) where the access is allowed"
            } else if after & 0x60 != (item.access == .write ? 0x60 : 0x20) {
                problem = "accessed and dirty bits are \(after & 0x60)"
            } else if let parent, hasParent, tables.get(guest, parent) & 0x20 == 0 {
                problem = "the parent's accessed bit is clear"
            }
            if let problem {
                failures += 1
                if failures < 5 { Issue.record("\(structure) \(item): \(problem)") }
            }
        }
        #expect(failures == 0)
    }

    @Test(arguments: Structure.allCases)
    func reservedBits(structure: Structure) throws {
        let isLong = [.fourLevel, .fourLevel2M, .fourLevel1G].contains(structure)
        let guest = try SystemGuest(isLong ? .long : .protected)
        let tables = Tables(structure, guest)
        let leafEntry = tables.path[tables.path.count - 1]
        // The model's physical addresses have 40 bits.
        let reserved: [Int]
        switch structure {
        case .twoLevel: reserved = []
        case .twoLevelLarge: reserved = [21]
        case .pae, .fourLevel: reserved = [40, 51]
        case .paeLarge, .fourLevel2M: reserved = [40, 51, 13, 20]
        case .fourLevel1G: reserved = [40, 51, 13, 20, 29]
        }
        for bit in reserved {
            for access in Access.allCases {
                tables.set(guest, leafEntry, tables.leaf | 7 | 1 << UInt64(bit))
                let item = Case(
                    access: access, user: false, leafBits: 7, leafNX: false, parentBits: 7, wp: false, smep: false,
                    smap: false, ac: false)
                enter(guest, tables, item, code: Self.code[access] ?? [])
                #expect(guest.runQuietly() == .exception(14), "\(structure) bit \(bit)")
                let error = UInt64(guest.machine.read32(guest.gpr(4)))
                #expect(error & 0xf == 9 | (access == .write ? 2 : 0), "\(structure) bit \(bit) \(access)")
            }
        }
    }

    /// INVLPG, a new CR3, and global pages that outlive it.
    @Test(arguments: [nil, 1] as [UInt64?])
    func invalidation(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        let tables = Tables(.fourLevel, guest)
        guest.machine.write(Place.data, [0x11])
        guest.machine.write(Place.data + 0x1000, [0x22])
        let entry = tables.path[3]
        guest.machine.write64(entry, Place.data | 3)
        // The entry is written through its identity mapping.
        guest.code([
            0xbe, 0x00, 0x00, 0x50, 0x00,  // mov esi, 500000H
            0xbf] + (0..<4).map { UInt8(truncatingIfNeeded: entry >> ($0 * 8)) } + [  // mov edi, entry
            0x8a, 0x0e,  // mov cl, [rsi]: 11H
            0x81, 0x07, 0x00, 0x10, 0x00, 0x00,  // add dword ptr [rdi], 1000H
            0x0f, 0x01, 0x3e,  // invlpg [rsi]
            0x8a, 0x2e,  // mov ch, [rsi]: 22H
            0x81, 0x2f, 0x00, 0x10, 0x00, 0x00,  // sub dword ptr [rdi], 1000H
            0x0f, 0x20, 0xd8,  // mov rax, cr3
            0x0f, 0x22, 0xd8,  // mov cr3, rax
            0x8a, 0x1e,  // mov bl, [rsi]: 11H
            0x83, 0x27, 0xfe,  // and dword ptr [rdi], ~1
            0x0f, 0x01, 0x3e,  // invlpg [rsi]
            0x8a, 0x3e,  // mov bh, [rsi]: faults
        ])
        #expect(guest.run() == .exception(14))
        #expect(guest.gpr(1) & 0xffff == 0x2211)
        #expect(guest.gpr(3) & 0xff == 0x11)
        #expect(guest.cpu.state.cr2 == 0x50_0000)
    }

    /// INVPCID of each type, where the entry has changed before.
    @Test(arguments: [nil, 1] as [UInt64?], [0, 1, 2, 3] as [UInt8])
    func invalidationByIdentifier(threshold: UInt64?, type: UInt8) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        try #require(guest.machine.model.has("invpcid"))
        let tables = Tables(.fourLevel, guest)
        guest.machine.write(Place.data, [0x11])
        guest.machine.write(Place.data + 0x1000, [0x22])
        // The descriptor: no identifier, and the page.
        guest.machine.write64(Place.data + 0x100, 0)
        guest.machine.write64(Place.data + 0x108, 0x50_0000)
        let entry = tables.path[3]
        guest.machine.write64(entry, Place.data | 3)
        func words(_ value: UInt64) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        guest.code(
            [0xbe, 0x00, 0x00, 0x50, 0x00]  // mov esi, 500000H
                + [0xbf] + words(entry)  // mov edi, entry
                + [0xbb] + words(Place.data + 0x100)  // mov ebx, descriptor
                + [0xb8, type, 0, 0, 0]  // mov eax, type
                + [
                    0x8a, 0x0e,  // mov cl, [rsi]: 11H
                    0x81, 0x07, 0x00, 0x10, 0x00, 0x00,  // add dword ptr [rdi], 1000H
                    0x66, 0x0f, 0x38, 0x82, 0x03,  // invpcid rax, [rbx]
                    0x8a, 0x2e,  // mov ch, [rsi]: 22H
                    0xb8, 0x04, 0x00, 0x00, 0x00,  // mov eax, 4
                    0x66, 0x0f, 0x38, 0x82, 0x03,  // invpcid rax, [rbx]: no such type
                ])
        #expect(guest.run() == .exception(13))
        #expect(guest.gpr(1) & 0xffff == 0x2211)
    }
}

extension SystemGuest {
    /// Runs without a watchdog, for guests that surely end, and ends the exit's instruction.
    func runQuietly() -> End {
        var result = End.timeOut
        switch cpu.run() {
        case .portWrite(Self.endPort, _, let value): result = .port(value)
        case .portWrite(Self.vectorPort, _, let value): result = .exception(value & 0xff)
        case .shutdown: return .shutdown
        case .error(let words): return .error(words)
        default: break
        }
        cpu.kick()
        _ = cpu.run()
        return result
    }
}
