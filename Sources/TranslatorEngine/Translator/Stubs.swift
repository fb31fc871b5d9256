internal import CEngine

/// The common pieces of translated code, at the start of the code cache.
@safe struct TranslatedStubs {
    /// A C function: enters translated code. (structure, code) -> op
    var enter: UnsafeMutablePointer<UInt8>
    /// Called with the op in the addend's register and a linear address in the address register: executes the op in
    /// the interpreter and returns where that ends at the next op.
    var slow: UnsafeMutablePointer<UInt8>
    /// The same without a linear address.
    var step: UnsafeMutablePointer<UInt8>
    /// Jumped to with the op: has it interpreted, and goes to the code that it leads to, or leaves.
    var end: UnsafeMutablePointer<UInt8>
    /// Jumped to with a branch's op and the place of its displacement: goes to its target.
    var link: UnsafeMutablePointer<UInt8>
    /// Jumped to with the target's rIP in the address register.
    var indirect: UnsafeMutablePointer<UInt8>
    /// The same with the op of the transfer, and `TransferMiss`, in the addend's register.
    var transfer: UnsafeMutablePointer<UInt8>
    /// Jumped to with a branch's op and the address of its record.
    var far: UnsafeMutablePointer<UInt8>
    /// Where the signal handler sends a fault of translated code.
    var fault: UnsafeMutablePointer<UInt8>
    /// Jumped to with an op and `WindowMiss`, and a window's first address in the address register: goes on in the
    /// interpreter.
    var window: UnsafeMutablePointer<UInt8>
    /// Called to fill an inline cache.
    var cacheRead: UnsafeMutablePointer<UInt8>
    var cacheWrite: UnsafeMutablePointer<UInt8>
    /// Jumped to with a block's first op and its record: goes on in the next tier.
    var promote: UnsafeMutablePointer<UInt8>
    /// Jumped to with an op: leaves, to go on there.
    var leave: UnsafeMutablePointer<UInt8>
    /// Jumped to with a block's first op, which does not fit before the limit of counted instructions: leaves.
    var limit: UnsafeMutablePointer<UInt8>
    /// Jumped to with the op of a SYSCALL or SYSRET, the flags in the structure.
    var systemCall: UnsafeMutablePointer<UInt8>
    var systemReturn: UnsafeMutablePointer<UInt8>
}

private func field(_ offset: Int?) -> Int { unsafe offset.unsafelyUnwrapped }

/// Guest registers that live in host registers, with their number there.
let pinnedRegisters: [(guest: UInt8, host: UInt8)] = [
    (0, 0), (1, 1), (2, 2), (3, 3), (4, Host.guestStack), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9), (10, 10), (11, 11),
    (12, 12),
]

extension Assembler {
    private mutating func spillAll() {
        for (guest, host) in pinnedRegisters { store(host, .state(Int(guest) * 8)) }
        storeMXCSR()
    }
    private mutating func reloadAll() {
        for (guest, host) in pinnedRegisters { load(host, .state(Int(guest) * 8)) }
    }

    /// Calls a function of the structure with (structure, addend register, address register); RSP is aligned.
    private mutating func callHelper(_ function: Int?) {
        unsafe load(Host.rdi, .field(MemoryLayout<apus_vcpu>.offset(of: \.self_pointer)))
        move(Host.rsi, Host.addend)
        move(Host.rdx, Host.address)
        modrm(0, wide: false, opcode: 0xff, length: 1, reg: 2, rm: .field(function))
    }

    /// Loads the GS base anew where the mode has changed.
    private mutating func refreshTable() {
        unsafe load(Host.rcx, .field(MemoryLayout<apus_vcpu>.offset(of: \.flat_base)))
        unsafe modrm(
            0, wide: true, opcode: 0x3b, length: 1, reg: Host.rcx,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.gs_loaded)))
        let same = unsafe jump(if: 4)
        unsafe store(Host.rcx, .field(MemoryLayout<apus_vcpu>.offset(of: \.gs_loaded)))
        setTableBase(Host.rcx)
        unsafe land(same)
    }

    private mutating func restoreAndReturn() {
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 0, rm: .register(Host.rsp))
        byte(8)
        for register in [UInt8(15), 14, 13, 12, 5, 3] {
            if register & 8 != 0 { byte(0x41) }
            byte(0x58 | register & 7)
        }
        byte(0xc3)
    }

    mutating func begin() -> UnsafeMutablePointer<UInt8> {
        while unsafe UInt(bitPattern: cursor) & 15 != 0 { byte(0x90) }
        return unsafe cursor
    }

    /// What translated code calls to have an op interpreted; a return address is on the stack.
    private mutating func makeCall(_ function: Int?) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        spillAll()
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 5, rm: .register(Host.rsp))
        byte(8)
        callHelper(function)
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 0, rm: .register(Host.rsp))
        byte(8)
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 7, rm: .register(Host.rax))  // cmp rax, 1
        byte(1)
        let leaves = unsafe jump(if: 5)
        refreshTable()
        loadMXCSR()
        reloadAll()
        byte(0xc3)
        unsafe land(leaves)
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 0, rm: .register(Host.rsp))
        byte(8)
        restoreAndReturn()
        return unsafe start
    }

    /// What translated code jumps to when it leaves: a function says where the interpreter goes on.
    private mutating func makeLeave(_ function: Int?) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        spillAll()
        callHelper(function)
        restoreAndReturn()
        return unsafe start
    }
    /// What translated code jumps to for its next code, which a function finds; `common` goes there.
    private mutating func makeJump(
        _ function: Int?, _ common: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        spillAll()
        callHelper(function)
        unsafe jump(to: common)
        return unsafe start
    }

    private var controlField: RM { unsafe .field(MemoryLayout<apus_vcpu>.offset(of: \.translated_mxcsr)) }
    private mutating func loadMXCSR() { modrm(0, wide: false, opcode: 0x0fae, length: 2, reg: 2, rm: controlField) }
    private mutating func storeMXCSR() { modrm(0, wide: false, opcode: 0x0fae, length: 2, reg: 3, rm: controlField) }

    mutating func makeStubs() -> TranslatedStubs {
        // enter(rdi structure, rsi code)
        let enter = unsafe begin()
        for register in [UInt8(3), 5, 12, 13, 14, 15] {
            if register & 8 != 0 { byte(0x41) }
            byte(0x50 | register & 7)
        }
        modrm(0, wide: true, opcode: 0x83, length: 1, reg: 5, rm: .register(Host.rsp))
        byte(8)
        unsafe load(Host.rax, .base(Host.rdi, Int32(field(MemoryLayout<apus_vcpu>.offset(of: \.flat_base)))))
        unsafe store(Host.rax, .base(Host.rdi, Int32(field(MemoryLayout<apus_vcpu>.offset(of: \.gs_loaded)))))
        setTableBase(Host.rax)
        move(Host.addend, Host.rsi)
        loadMXCSR()
        reloadAll()
        bytes(0x41, 0xff, 0xe5)  // jmp r13

        let slow = unsafe makeCall(MemoryLayout<apus_vcpu>.offset(of: \.translated_slow))
        let step = unsafe makeCall(MemoryLayout<apus_vcpu>.offset(of: \.translated_step))

        let window = unsafe makeLeave(MemoryLayout<apus_vcpu>.offset(of: \.translated_window))
        let limit = unsafe makeLeave(MemoryLayout<apus_vcpu>.offset(of: \.translated_limit))

        // leave
        let leave = unsafe begin()
        spillAll()
        move(Host.rax, Host.addend)
        restoreAndReturn()

        // link, and what indirect jumps do without a hit
        let link = unsafe begin()
        spillAll()
        unsafe callHelper(MemoryLayout<apus_vcpu>.offset(of: \.translated_link))
        let common = unsafe cursor
        bytes(0xa8, 1)  // test al, 1
        let leavesLink = unsafe jump(if: 4)
        move(Host.addend, Host.rax)
        refreshTable()
        loadMXCSR()
        reloadAll()
        bytes(0x49, 0xff, 0xcd)  // dec r13
        bytes(0x41, 0xff, 0xe5)  // jmp r13
        unsafe land(leavesLink)
        restoreAndReturn()

        // What an indirect jump does without a hit: the target in the address register.
        let indirect = unsafe begin()
        immediate(Host.addend, 0)
        let transfer = unsafe makeJump(MemoryLayout<apus_vcpu>.offset(of: \.translated_jump), common)
        let far = unsafe makeJump(MemoryLayout<apus_vcpu>.offset(of: \.translated_far), common)
        let promote = unsafe makeJump(MemoryLayout<apus_vcpu>.offset(of: \.translated_promote), common)
        let end = unsafe makeJump(MemoryLayout<apus_vcpu>.offset(of: \.translated_end), common)

        let cacheRead = unsafe makeCacheStub(write: false)
        let cacheWrite = unsafe makeCacheStub(write: true)

        let systemCall = unsafe makeSystemCall(end: end, indirect: indirect)
        let systemReturn = unsafe makeSystemReturn(end: end, indirect: indirect)

        let fault = unsafe begin()
        for register in UInt8(0)..<16 {
            let place = RM.state(VectorLayout.scratch + 32 * Int(register))
            if host.hasWideVectors {
                vex(0, map: 1, wide: false, is256: true, vvvv: 0, opcode: 0x11, reg: register, rm: place)
            } else {
                modrm(0, wide: false, opcode: 0x0f11, length: 2, reg: register, rm: place)
            }
        }
        spillAll()
        unsafe callHelper(MemoryLayout<apus_vcpu>.offset(of: \.translated_fault))
        restoreAndReturn()
        return unsafe TranslatedStubs(
            enter: enter, slow: slow, step: step, end: end, link: link, indirect: indirect, transfer: transfer,
            far: far,
            fault: fault,
            window: window, cacheRead: cacheRead, cacheWrite: cacheWrite, promote: promote, leave: leave,
            limit: limit, systemCall: systemCall, systemReturn: systemReturn)
    }

    /// Looks the target in the address register up in the jump table and goes there; to the stub without a hit.
    mutating func indirectJump(_ stub: UnsafeMutablePointer<UInt8>) {
        for unsafe miss in unsafe indirectJump() { unsafe patch(miss, to: stub) }
    }
    /// The same; returns the jumps that are taken without a hit.
    mutating func indirectJump() -> [UnsafeMutablePointer<UInt8>] {
        var misses: [UnsafeMutablePointer<UInt8>] = unsafe []
        unsafe modrm(
            0, wide: false, opcode: 0x83, length: 1, reg: 7,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.pending)))
        byte(0)
        unsafe misses.append(jump(if: 5))
        rotateRight(Host.addend, Host.address, by: 12)
        bytes(0x4d, 0x31, 0xf5)  // xor r13, r14
        bytes(0x41, 0x81, 0xe5)  // and r13d, size - 1
        word32(Int32(APUS_JUMP_SIZE - 1))
        bytes(0x41, 0xc1, 0xe5)  // shl r13d, 5
        byte(5)
        unsafe modrm(
            0, wide: true, opcode: 0x03, length: 1, reg: Host.addend,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.code_jumps)))
        modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.address, rm: .base(Host.addend, 0))
        unsafe misses.append(jump(if: 5))
        unsafe load(Host.address, .field(MemoryLayout<apus_vcpu>.offset(of: \.jump_key)))
        modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.address, rm: .base(Host.addend, 8))
        let hit = unsafe jump(if: 4)
        load(Host.address, .base(Host.addend, 0))
        unsafe misses.append(jump())
        unsafe land(hit)
        load(Host.address, .base(Host.addend, 16))
        unsafe store(Host.address, .field(MemoryLayout<apus_vcpu>.offset(of: \.page_base)))
        modrm(0, wide: false, opcode: 0xff, length: 1, reg: 4, rm: .base(Host.addend, 24))
        return unsafe misses
    }

    /// A direct jump to another page, remembered in `record` with the key and page for which it was found. Returns the
    /// jumps for all others.
    mutating func farJump(_ record: UnsafeMutablePointer<UInt8>) -> [UnsafeMutablePointer<UInt8>] {
        var misses: [UnsafeMutablePointer<UInt8>] = unsafe []
        unsafe load(Host.addend, .field(MemoryLayout<apus_vcpu>.offset(of: \.jump_key)))
        unsafe modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.addend, rm: .relative(record))
        unsafe misses.append(jump(if: 5))
        unsafe load(Host.addend, .field(MemoryLayout<apus_vcpu>.offset(of: \.page_base)))
        unsafe modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.addend, rm: .relative(record + 8))
        unsafe misses.append(jump(if: 5))
        unsafe modrm(
            0, wide: false, opcode: 0x83, length: 1, reg: 7,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.pending)))
        byte(0)
        unsafe misses.append(jump(if: 5))
        unsafe load(Host.addend, .relative(record + 16))
        unsafe store(Host.addend, .field(MemoryLayout<apus_vcpu>.offset(of: \.page_base)))
        unsafe modrm(0, wide: false, opcode: 0xff, length: 1, reg: 4, rm: .relative(record + 24))
        return unsafe misses
    }
}

/// What a jump to another page remembers. Beside the code, not in it: a processor that writes to code that it executes
/// starts anew.
struct FarRecord {
    /// The jump key and page base for which the rest is good.
    var key: UInt64
    var page: UInt64
    /// The target's page base, and its code.
    var target: UInt64
    var code: UInt64

    static let empty = FarRecord(key: .max, page: 0, target: 0, code: 0)
}
