import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Synchronization
import Testing
import X86

@Suite("What a machine of KVM has beside its processors", .serialized, .enabled(if: Host.isThere, Host.reason))
struct PlatformTests {
    private func pages(_ block: RAMBlock) -> [Int] {
        // SAFETY: one flag byte a page.
        (0..<block.size >> 12).filter { unsafe block.pageFlags[$0] & RAMBlock.PageFlag.dirtyMigration != 0 }
    }

    /// Says why a test does nothing on this host; true where it does.
    private func lacks(_ what: String, _ capability: Int32) throws -> Bool {
        let isMissing = try Host.device.get().capability(capability) == 0
        if isMissing { print("Skipped: this KVM has no \(what)") }
        return isMissing
    }

    // MARK: Written pages in rings

    private static let rings: Int32 = 192

    @Test("Rings log the same pages as the map, once for each time that the log is taken")
    func ring() throws {
        if try lacks("rings of dirty pages", Self.rings) { return }
        let bench = try Bench(Code.pages, .protected, logsDirtyPages: true) { $0.dirtyRingEntries = 1024 }
        #expect(bench.engine.usesDirtyRings)
        let block = try #require(bench.memory.view.ranges.first?.block)
        try bench.engine.collectDirtyPages()
        // SAFETY: one flag byte a page.
        for page in 0..<block.size >> 12 { unsafe block.pageFlags[page] = 0 }
        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        #expect(try bench.engine.collectDirtyPages() == 2)
        #expect(pages(block) == [0x100, 0x103])
        try bench.finish()
        #expect(try bench.engine.collectDirtyPages() == 1)
        #expect(pages(block) == [0x100, 0x103, 0x105])
        #expect(try bench.engine.collectDirtyPages() == 0)
        try bench.engine.setDirtyLogging(false)
        #expect(try bench.engine.collectDirtyPages() == 0)
    }

    @Test("A ring that fills up is emptied, and no page is lost")
    func fullRing() throws {
        if try lacks("rings of dirty pages", Self.rings) { return }
        let block = try RAMBlock(name: "more", size: 16 << 20)
        // In ring 3: a KVM that emulates ring 0 runs many instructions there before it looks at the ring.
        let bench = try Bench(Code.touch, .user, logsDirtyPages: true, more: block) { $0.dirtyRingEntries = 1024 }
        for index in UInt64(0)..<8 {
            let entry = GuestLayout.pageTables + 0x2000 + (0x80 + index) * 8
            try bench.memory.store(GuestPhysical(entry), 0x1000_0000 + index << 21 | 0x87)
        }
        _ = try bench.run { if case .mmioWrite(GuestLayout.exitAddress, _, _) = $0 { true } else { false } }
        try bench.engine.collectDirtyPages()
        #expect(pages(block) == Array(0..<4000))
    }

    @Test("Slots that go hand over what their pages have in the ring")
    func ringOfGoneSlot() throws {
        if try lacks("rings of dirty pages", Self.rings) { return }
        let bench = try Bench(Code.pages, .protected, logsDirtyPages: true) { $0.dirtyRingEntries = 1024 }
        let block = try #require(bench.memory.view.ranges.first?.block)
        try bench.finish()
        let rom = try RAMBlock(name: "rom", size: 0x1000)
        bench.memory.add(FlatView.Range(start: GuestPhysical(0x10_0000), count: 0x1000, block: rom, writable: false))
        #expect(pages(block).contains(0x100))
        #expect(pages(block).contains(0x105))
    }

    @Test("Sizes that no ring has are refused", arguments: [1, 1000, 1025, 1 << 20])
    func ringSize(entries: Int) throws {
        if try lacks("rings of dirty pages", Self.rings) { return }
        let error = #expect(throws: KVMError.self) {
            try Host.makeEngine(AddressSpace()) { $0.dirtyRingEntries = entries }
        }
        #expect(error.map { "\($0)" }?.contains("not \(entries)") == true)
    }

    // MARK: Writes that are kept back

    @Test("Writes that are kept back come in order before the next exit")
    func keptBack() throws {
        let bench = try Bench(Code.keptBack, .protected)
        guard bench.engine.coalesces.memory, bench.engine.coalesces.ports else {
            print("Skipped: this KVM keeps no writes back")
            return
        }
        let seen = Mutex<[CoalescedWrite]>([])
        bench.engine.setCoalescedWriteHandler { write in seen.withLock { $0.append(write) } }
        try bench.engine.coalesceWrites(isPort: true, address: 0x70, count: 1)
        try bench.engine.coalesceWrites(isPort: false, address: GuestLayout.device, count: 8)
        #expect(try bench.next() == .portRead(port: 0x71, size: 1))
        let order = seen.withLock { $0 }
        #expect(order.map(\.address) == [0x70, 0x70, 0xF000_1000, 0xF000_1004, 0x70])
        #expect(order.map(\.value) == [1, 2, 0x1122_3344, 7, 3])
        #expect(order.map(\.size) == [1, 1, 4, 1, 1])
        #expect(order.map(\.isPort) == [true, true, false, false, true])
        bench.processor.complete(read: 0)
        try bench.finish()
        try bench.engine.separateWrites(isPort: true, address: 0x70, count: 1)
        bench.engine.drainCoalescedWrites()
        #expect(seen.withLock { $0.count } == 5)
    }

    @Test("Writes that are not kept back come one by one")
    func notKeptBack() throws {
        let bench = try Bench(Code.keptBack, .protected)
        #expect(try bench.next() == .portWrite(port: 0x70, size: 1, value: 1))
        #expect(try bench.next() == .portWrite(port: 0x70, size: 1, value: 2))
        #expect(try bench.next() == .mmioWrite(address: GuestLayout.device, size: 4, value: 0x1122_3344))
    }

    // MARK: Registers

    @Test("Reads of MSR_CORE_THREAD_COUNT are answered here")
    func coreThreadCount() throws {
        if try lacks("filters of registers", 189) { return }
        let bench = try Bench(Code.readRegister, .protected) { $0.coresAndThreads = (4, 8) }
        try bench.finish()
        #expect(bench.processor.state.gpr.3 == 4 << 16 | 8)
        // Without it there is no such register: a fault, and no IDT to take it.
        let other = try Bench(Code.readRegister, .protected)
        #expect(try other.next() == .shutdown)
    }

    @Test("Guests find KVM's help, and KVM takes their pages")
    func paravirtual() throws {
        let bench = try Bench(Code.paravirtual, .long)
        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        #expect(try bench.word(0x10_0004) == 0x4B4D_564B)  // KVMK
        #expect(try bench.word(0x10_0008) == 0x564B_4D56)
        let shown = try bench.word(0x10_0010)
        let offered = try Host.device.get().supportedCPUID(leaf: 0x4000_0001, subleaf: 0).eax
        #expect(shown & ~offered == 0)
        // Clock, stolen time, ends of interrupts, and where this KVM has them faults, flushes and messages.
        for bit in [3, 5, 6, 4, 14, 9, 11] where offered >> UInt32(bit) & 1 != 0 {
            #expect(shown >> UInt32(bit) & 1 == 1, "bit \(bit)")
        }
        #expect(try bench.word(0x10_1000) & 1 == 0)
        #expect(try bench.word(0x10_1000) > 0, "the clock's version")
        #expect(try bench.word(0x10_1018) != 0, "the clock's factor")
        let state = bench.processor.state
        #expect(state.kvm_system_time == 0x10_1001)
        #expect(state.kvm_steal_time == 0x10_2001)
        #expect(state.kvm_pv_eoi == 0x10_3001)
        if shown >> 14 & 1 != 0 {
            #expect(state.kvm_async_pf == 0x10_4009)
            #expect(state.kvm_async_pf_vector == 0xF3)
        }
        // The whole state comes back on another processor.
        let again = try Bench(Code.paravirtual, .long)
        again.processor.state = state
        #expect(again.processor.state.kvm_async_pf == state.kvm_async_pf)
        #expect(again.processor.state.kvm_steal_time == state.kvm_steal_time)
        try bench.finish()
    }

    @Test("Guests that idle by themselves run; a KVM that cannot says so")
    func idling() throws {
        do {
            let bench = try Bench(Code.pages, .protected) { $0.keepsIdleInGuest = true }
            try bench.finish()
        } catch let error as KVMError {
            #expect("\(error)".contains("4.17"))
        }
    }

    // MARK: KVM's own controllers

    @Test("KVM's timer and 8259A interrupt a guest without an exit")
    func kernelTimer() throws {
        let bench = try Bench(Code.timerInterrupts, .long) { $0.hasKernelControllers = true }
        #expect(bench.engine.hasKernelControllers)
        let exits = try bench.finish()
        #expect(exits.count == 2, "ports 20H, 21H, 40H and 43H are KVM's: \(exits)")
        #expect(try bench.word(0x10_0000) >= 3)
    }

    @Test("A line of KVM's controllers reaches the guest")
    func kernelLine() throws {
        let bench = try Bench(Code.lineInterrupt, .long) { $0.hasKernelControllers = true }
        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        let engine = bench.engine
        // A line for a message leaves the controllers' own where they are.
        let line = try engine.routes.add(address: 0xFEE0_0000, data: 0x55)
        engine.setLine(4, level: true)
        engine.setLine(4, level: false)
        engine.setLine(99, level: true)
        engine.setLine(-1, level: true)
        try bench.finish()
        #expect(try bench.word(0x10_0000) >= 1)
        try engine.routes.remove(line)
    }

    @Test("The state of KVM's controllers is saved, set, reset, and checked")
    func kernelState() throws {
        let bench = try Bench(Code.timerInterrupts, .long) { $0.hasKernelControllers = true }
        let fresh = try bench.engine.controllerState()
        try bench.finish()
        bench.engine.timeStopped()
        let used = try bench.engine.controllerState()
        bench.engine.timeStarted()
        #expect(fresh != used && !fresh.isEmpty)
        let other = try Bench(Code.timerInterrupts, .long) { $0.hasKernelControllers = true }
        #expect(try other.engine.setControllerState(used))
        // The 8259A's mask is byte 3 of what follows the number.
        #expect(try other.engine.controllerState()[8..<24] == used[8..<24])
        #expect(try !other.engine.setControllerState([1, 2, 3]))
        try other.engine.resetControllers()
        #expect(try other.engine.controllerState()[8..<24] == fresh[8..<24])
        let split = try Bench(Code.pages, .protected)
        #expect(try split.engine.controllerState() == [])
        #expect(try !split.engine.setControllerState(used))
    }

    // MARK: The host

    @Test("Nested paging is read from the modules' parameters")
    func translation() throws {
        #expect(TranslationSupport.read(modules: "/nowhere") == TranslationSupport())
        #expect(TranslationSupport().isNested == nil)
        #expect(TranslationSupport(ept: true, npt: nil, vpid: false).isNested == true)
        #expect(TranslationSupport(ept: nil, npt: false, vpid: nil).isNested == false)
    }
}
