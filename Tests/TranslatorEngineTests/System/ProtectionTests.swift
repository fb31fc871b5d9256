import CEngine
import Testing
import TranslatorEngine

/// Segments, gates, tasks and virtual-8086 mode of 32-bit protected mode.
@Suite struct ProtectionTests {
    private typealias Place = SystemGuest.Place
    private typealias Selector = SystemGuest.Selector

    /// The error code on top of the stack of the handler that the guest ended in.
    private func error(_ guest: SystemGuest) -> UInt32 { guest.machine.read32(guest.gpr(4)) }

    @Test func limitsAndTypes() throws {
        struct Row {
            var name: String
            var attributes: UInt16
            var limit: UInt32
            var code: [UInt8]
            var end: SystemGuest.End
        }
        let read: [UInt8] = [0x8b, 0x03]  // mov eax, [ebx]
        let write: [UInt8] = [0x89, 0x03]  // mov [ebx], eax
        let stack: [UInt8] = [0x36, 0x8b, 0x03]  // mov eax, ss:[ebx]
        let rows = [
            Row(name: "within the limit", attributes: 0xc93, limit: 0x1003, code: read, end: .port(0)),
            Row(name: "last byte beyond the limit", attributes: 0xc93, limit: 0x1002, code: read, end: .exception(13)),
            Row(name: "stack beyond its limit", attributes: 0xc93, limit: 0x0fff, code: stack, end: .port(0)),
            Row(name: "read of read-only data", attributes: 0xc91, limit: .max, code: read, end: .port(0)),
            Row(name: "write to read-only data", attributes: 0xc91, limit: .max, code: write, end: .exception(13)),
            Row(name: "read of readable code", attributes: 0xc9b, limit: .max, code: read, end: .port(0)),
            Row(name: "write to code", attributes: 0xc9b, limit: .max, code: write, end: .exception(13)),
            Row(name: "read of execute-only code", attributes: 0xc99, limit: .max, code: read, end: .exception(13)),
            Row(name: "above an expand-down limit", attributes: 0xc97, limit: 0xfff, code: read, end: .port(0)),
            Row(name: "at an expand-down limit", attributes: 0xc97, limit: 0x1000, code: read, end: .exception(13)),
            Row(name: "small expand-down", attributes: 0x897, limit: 0xfff, code: read, end: .port(0)),
            Row(name: "null", attributes: 0, limit: 0, code: read, end: .exception(13)),
        ]
        for row in rows {
            let guest = try SystemGuest(.protected)
            guest.code([0xbb, 0x00, 0x10, 0x00, 0x00] + row.code + [0xb0, 0x00] + SystemGuest.end)
            var state = guest.cpu.state
            state.segment.3 = apus_x86_segment(
                base: 0, limit: row.limit, selector: row.attributes == 0 ? 0 : 0x50, attributes: row.attributes)
            guest.cpu.state = state
            #expect(guest.run() == row.end, "\(row.name)")
            if row.end == .exception(13) { #expect(error(guest) == 0, "\(row.name)") }
        }
    }

    @Test func loadsOfSelectors() throws {
        struct Row {
            var selector: UInt16
            var descriptor: UInt64
            var end: SystemGuest.End
            var error: UInt32
            var segment: UInt8 = 3
        }
        let rows = [
            Row(selector: 0x50, descriptor: 0x00cf_9300_0000_ffff, end: .port(0), error: 0),
            Row(selector: 0x50, descriptor: 0x00cf_1300_0000_ffff, end: .exception(11), error: 0x50),
            Row(selector: 0x51, descriptor: 0x00cf_9300_0000_ffff, end: .exception(13), error: 0x50),
            Row(selector: 0x53, descriptor: 0x00cf_f300_0000_ffff, end: .port(0), error: 0),
            Row(selector: 0x50, descriptor: 0x00cf_9900_0000_ffff, end: .exception(13), error: 0x50),
            Row(selector: 0x50, descriptor: 0x0000_8900_0000_0067, end: .exception(13), error: 0x50),
            Row(selector: 0x100, descriptor: 0, end: .exception(13), error: 0x100),
            Row(selector: 0x54, descriptor: 0, end: .exception(13), error: 0x54),
            Row(selector: 0x00, descriptor: 0, end: .port(0), error: 0),
            Row(selector: 0x00, descriptor: 0, end: .exception(13), error: 0, segment: 2),
            Row(selector: 0x50, descriptor: 0x00cf_1300_0000_ffff, end: .exception(12), error: 0x50, segment: 2),
            Row(selector: 0x50, descriptor: 0x00cf_9100_0000_ffff, end: .exception(13), error: 0x50, segment: 2),
            Row(selector: 0x53, descriptor: 0x00cf_f300_0000_ffff, end: .exception(13), error: 0x50, segment: 2),
        ]
        for row in rows {
            let guest = try SystemGuest(.protected)
            guest.descriptor(0x50, row.descriptor)
            let value = [UInt8(truncatingIfNeeded: row.selector), UInt8(row.selector >> 8)]
            // mov eax, selector; mov segment, ax; mov al, 0
            guest.code([0xb8] + value + [0, 0, 0x8e, 0xc0 | row.segment << 3, 0xb0, 0] + SystemGuest.end)
            var state = guest.cpu.state
            state.segment.6 = apus_x86_segment(base: 0, limit: 0, selector: 0, attributes: 0)
            guest.cpu.state = state
            #expect(guest.run() == row.end, "\(row)")
            if row.end != .port(0) { #expect(error(guest) == row.error, "\(row)") }
            if row.descriptor == 0x00cf_9300_0000_ffff && row.end == .port(0) {
                #expect(guest.machine.read64(Place.gdt + 0x50) == row.descriptor)
            }
        }
    }

    /// From ring 3 by a call gate with two parameters to ring 0, and back by RETF 8.
    @Test func callGateCopiesParameters() throws {
        let guest = try SystemGuest(.protected)
        // Gate: code 08H at 9000H, two parameters, DPL 3, 32-bit.
        guest.descriptor(0x50, 0x0000_ec02_0008_9000)
        guest.enterUser()
        guest.code([
            0x68, 0x11, 0, 0, 0,  // push 11H
            0x68, 0x22, 0, 0, 0,  // push 22H
            0x9a, 0, 0, 0, 0, 0x53, 0x00,  // call 53H:0
            0x8c, 0xca,  // mov edx, cs
            0x0f, 0x0b,  // ud2
        ])
        guest.code([
            0x8b, 0x44, 0x24, 0x08,  // mov eax, [esp + 8]: 22H
            0x8b, 0x5c, 0x24, 0x0c,  // mov ebx, [esp + 12]: 11H
            0x8b, 0x74, 0x24, 0x10,  // mov esi, [esp + 16]: old esp
            0x8b, 0x7c, 0x24, 0x14,  // mov edi, [esp + 20]: old ss
            0x8c, 0xc9,  // mov ecx, cs
            0xca, 0x08, 0x00,  // retf 8
        ], at: 0x9000)
        #expect(guest.run() == .exception(6))
        #expect(guest.gpr(0) & 0xffff_ff00 == 0)
        #expect(guest.gpr(3) == 0x11)
        #expect(guest.gpr(6) == Place.userStack - 8)
        #expect(guest.gpr(7) & 0xffff == 0x2b)
        #expect(guest.gpr(1) & 0xffff == 0x08)
        // The frame of #UD: eip, cs, eflags, esp, ss
        let frame = guest.gpr(4)
        #expect(guest.machine.read32(frame + 4) & 0xffff == 0x23)
        #expect(UInt64(guest.machine.read32(frame + 12)) == Place.userStack)
    }

    private func task(_ guest: SystemGuest, _ selector: UInt16, at base: UInt64, entry: UInt64, link: UInt16 = 0) {
        guest.descriptor(selector, 0x0000_8900_0000_0067 | base << 16)
        for offset in stride(from: UInt64(0), to: 104, by: 4) { guest.machine.write32(base + offset, 0) }
        guest.machine.write32(base, UInt32(link))
        guest.machine.write32(base + 0x20, UInt32(entry))
        guest.machine.write32(base + 0x24, 2)
        guest.machine.write32(base + 0x28, 0x1234)  // eax
        guest.machine.write32(base + 0x38, 0x5000)  // esp
        for (index, value) in [0x10, 0x08, 0x10, 0x10, 0x10, 0x10].enumerated() {
            guest.machine.write32(base + 0x48 + UInt64(index) * 4, UInt32(value))
        }
    }

    /// JMP to a task, CALL of another, and IRET back from it.
    @Test func taskSwitches() throws {
        let guest = try SystemGuest(.protected)
        task(guest, 0x50, at: 0xc000, entry: 0x9000)
        task(guest, 0x58, at: 0xd000, entry: 0x9100)
        guest.code([0xbb, 0x77, 0, 0, 0, 0xea, 0, 0, 0, 0, 0x50, 0])  // mov ebx, 77H; jmp 50H:0
        guest.code([
            0x9a, 0, 0, 0, 0, 0x58, 0,  // call 58H:0
            0x9c, 0x5b,  // pushf; pop ebx
            0x0f, 0x20, 0xc1,  // mov ecx, cr0
            0xb0, 0x00,
        ] + SystemGuest.end, at: 0x9000)
        guest.code([0x9c, 0x5a, 0x89, 0x15, 0, 0, 0x10, 0, 0xcf], at: 0x9100)  // pushf; pop edx; mov [data], edx; iretd
        #expect(guest.run() == .port(0))
        #expect(guest.gpr(0) == 0x1200)
        // The first task: busy bit clear, EBX saved, EIP after the jump.
        #expect(guest.machine.read64(Place.gdt + 0x38) >> 40 & 15 == 9)
        #expect(guest.machine.read32(Place.tss + 0x34) == 0x77)
        #expect(guest.machine.read32(Place.tss + 0x20) == 0x800c)
        // The called task ran with NT and linked back; the caller stays busy, the called is free again.
        #expect(guest.machine.read32(Place.data) & 0x4000 != 0)
        #expect(guest.machine.read16(0xd000) == 0x50)
        #expect(guest.machine.read64(Place.gdt + 0x50) >> 40 & 15 == 11)
        #expect(guest.machine.read64(Place.gdt + 0x58) >> 40 & 15 == 9)
        #expect(guest.gpr(3) & 0x4000 == 0)
        #expect(guest.gpr(1) & 8 != 0)
    }

    /// A double fault by a task gate, with its error code on the new task's stack.
    @Test func taskGateTakesDoubleFault() throws {
        let guest = try SystemGuest(.protected)
        task(guest, 0x50, at: 0xc000, entry: 0x9000)
        guest.machine.write64(Place.idt + 8 * 8, 0x0000_8500_0050_0000)
        guest.machine.write64(Place.idt + 13 * 8, 0)
        guest.code([0xb8, 0x50, 0x01, 0, 0, 0x8e, 0xd8])  // mov eax, 150H; mov ds, ax: #GP without a gate
        guest.code([0x58, 0x04, 0x5a] + SystemGuest.end, at: 0x9000)  // pop eax; add al, 5AH
        #expect(guest.run() == .port(0x5a))
        #expect(guest.machine.read32(Place.tss + 0x20) == 0x8005)
    }

    @Test func withoutDoubleFaultGateItIsShutdown() throws {
        for mode in [SystemGuest.Mode.protected, .long] {
            let guest = try SystemGuest(mode)
            var state = guest.cpu.state
            state.idtr.limit = 0
            guest.cpu.state = state
            guest.code([0x0f, 0x0b])
            #expect(guest.run() == .shutdown)
        }
    }

    /// A page fault while a page fault is delivered: #DF on a stack of its own.
    @Test func doubleFaultOnItsOwnStack() throws {
        let guest = try SystemGuest(.long)
        guest.gate(8, 0x8e, ist: 3)
        guest.machine.write64(Place.tss + 36 + 16, 0x5000)
        guest.code([
            0x48, 0xbc, 0, 0, 0, 0, 0, 0x70, 0, 0,  // movabs rsp, 700000000000H
            0x50,  // push rax
        ])
        #expect(guest.run() == .exception(8))
        #expect(guest.gpr(4) == 0x5000 - 48)
        #expect(guest.machine.read64(0x5000 - 48) == 0)
        #expect(guest.machine.read64(0x5000 - 16) == 0x7000_0000_0000)
    }

    /// Into virtual-8086 mode by IRET, out by INT, with all segments in the frame; back by IRET of the monitor.
    @Test func virtual8086() throws {
        let guest = try SystemGuest(.protected)
        guest.gate(0x60, 0xee, target: 0x9000)
        guest.code([
            0x68, 0x04, 0x04, 0, 0,  // push 404H: gs
            0x68, 0x03, 0x03, 0, 0,  // fs
            0x68, 0x02, 0x02, 0, 0,  // ds
            0x68, 0x01, 0x01, 0, 0,  // es
            0x68, 0x00, 0x07, 0, 0,  // ss
            0x68, 0x00, 0x01, 0, 0,  // esp
            0x68, 0x02, 0x32, 0x02, 0,  // eflags: VM, IOPL 3, IF
            0x68, 0x00, 0x09, 0, 0,  // cs 900H
            0x68, 0x00, 0x01, 0, 0,  // eip 100H
            0xcf,
        ])
        // At 9100H, 16-bit code: mov ax, es; mov bx, 1234H; push bx; int 60H
        guest.code([0x8c, 0xc0, 0xbb, 0x34, 0x12, 0x53, 0xcd, 0x60, 0x0f, 0x0b], at: 0x9100)
        guest.code([
            0x8c, 0xd9,  // mov ecx, ds: null
            0xb0, 0x99,
        ] + SystemGuest.end, at: 0x9000)
        #expect(guest.run() == .port(0x99))
        let frame = guest.gpr(4)
        let words = (0..<9).map { guest.machine.read32(frame + $0 * 4) }
        #expect(words[0] == 0x108)
        #expect(words[1] == 0x900)
        #expect(words[2] & 0x2_3200 == 0x2_3200)
        #expect(words[3] == 0xfe)
        #expect(Array(words[4...]) == [0x700, 0x101, 0x202, 0x303, 0x404])
        #expect(guest.gpr(1) & 0xffff == 0)
        #expect(guest.machine.read16(0x70fe) == 0x1234)
        #expect(guest.gpr(4) == Place.stack - 0x1000 - 36)
    }

    /// IOPL below 3: sensitive instructions of virtual-8086 mode are #GP(0).
    @Test(arguments: [[0xfa], [0xfb], [0x9c], [0x9d], [0xcd, 0x60], [0xcf], [0xf4]] as [[UInt8]])
    func virtual8086WithoutPrivilege(code: [UInt8]) throws {
        let guest = try SystemGuest(.protected)
        var state = guest.cpu.state
        state.rflags = 0x2_0002
        for path in [\apus_x86_state.segment.0, \.segment.2, \.segment.3] {
            state[keyPath: path] = apus_x86_segment(base: 0x7000, limit: 0xffff, selector: 0x700, attributes: 0xf3)
        }
        state.segment.1 = apus_x86_segment(base: 0x8000, limit: 0xffff, selector: 0x800, attributes: 0xfb)
        state.rip = 0
        state.gpr.4 = 0x100
        guest.cpu.state = state
        guest.code(code)
        #expect(guest.run() == .exception(13))
        #expect(error(guest) == 0)
    }

    /// Ports in ring 3: the map of the task segment decides.
    @Test func portPermissions() throws {
        for (port, allowed) in [(0x10, true), (0x11, false), (0x1f, true), (0x3f, true), (0x40, false)] as [(UInt8, Bool)] {
            let guest = try SystemGuest(.protected)
            var state = guest.cpu.state
            state.segment.7.limit = 0x67 + 9
            guest.cpu.state = state
            guest.machine.write32(Place.tss + 0x64, 0x68 << 16)
            for offset in UInt64(0)..<8 { guest.machine.write(Place.tss + 0x68 + offset, [0]) }
            guest.machine.write(Place.tss + 0x6a, [0x02])
            guest.machine.write(Place.tss + 0x70, [0xff, 0xff])
            guest.enterUser()
            guest.code([0xe4, port, 0x0f, 0x0b])  // in al, port; ud2
            #expect(guest.run() == .exception(allowed ? 6 : 13), "\(port)")
        }
    }

    /// SYSENTER and SYSEXIT.
    @Test func fastCalls() throws {
        let guest = try SystemGuest(.protected)
        // SYSENTER's segments follow its selector: code, stack, then user code and stack.
        guest.descriptor(0x50, 0x00cf_9b00_0000_ffff)
        var state = guest.cpu.state
        state.sysenter_cs = 0x50
        state.sysenter_esp = 0x5000
        state.sysenter_eip = 0x9000
        guest.cpu.state = state
        guest.enterUser()
        guest.code([0x0f, 0x34])
        guest.code([
            0x8c, 0xcb,  // mov ebx, cs
            0x89, 0xe6,  // mov esi, esp
            0xba, 0x00, 0x91, 0x00, 0x00,  // mov edx, 9100H
            0xb9, 0x00, 0x00, 0x03, 0x00,  // mov ecx, user stack
            0x0f, 0x35,  // sysexit
        ], at: 0x9000)
        guest.code([0x8c, 0xcf, 0x8c, 0xd5, 0x0f, 0x0b], at: 0x9100)  // mov edi, cs; mov ebp, ss; ud2
        #expect(guest.run() == .exception(6))
        #expect(guest.gpr(3) & 0xffff == 0x50)
        #expect(guest.gpr(6) == 0x5000)
        #expect(guest.gpr(7) & 0xffff == 0x63)
        #expect(guest.gpr(5) & 0xffff == 0x6b)
    }
}
