import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Testing

@Suite("Memory of KVM", .serialized, .enabled(if: Host.isThere, Host.reason))
struct MemoryTests {
    /// The pages of the guest's RAM that carry the flag, which is then taken away.
    private func takeDirtyPages(_ memory: AddressSpace) -> [Int] {
        guard let block = memory.view.ranges.first?.block else { return [] }
        // SAFETY: one flag byte a page.
        return (0..<block.size >> 12).filter { page in
            let isDirty = unsafe block.pageFlags[page] & RAMBlock.PageFlag.dirtyMigration != 0
            unsafe block.pageFlags[page] = 0
            return isDirty
        }
    }

    @Test("Pages that the guest writes are logged, once for each time that the log is taken")
    func dirtyPages() throws {
        let bench = try Bench(Code.pages, .protected, logsDirtyPages: true)
        try bench.engine.collectDirtyPages()
        _ = takeDirtyPages(bench.memory)

        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        try bench.engine.collectDirtyPages()
        let first = takeDirtyPages(bench.memory)
        #expect(first.contains(0x100) && first.contains(0x103) && !first.contains(0x105))

        try bench.finish()
        #expect(try bench.engine.collectDirtyPages() > 0)
        let second = takeDirtyPages(bench.memory)
        #expect(second.contains(0x105) && !second.contains(0x103))

        #expect(try bench.engine.collectDirtyPages() == 0)
        try bench.engine.setDirtyLogging(false)
        #expect(try bench.engine.collectDirtyPages() == 0)
    }

    @Test("A ROM that is laid over RAM shows in the running guest, and its writes come out")
    func changeWhileRunning() throws {
        let bench = try Bench(Code.watch, .protected)
        let memory = bench.memory
        let rom = try RAMBlock(name: "rom", size: 0x1000)
        let changer = try HostThread(name: "changer") {
            Bell().wait(nanoseconds: 20_000_000)
            // Neighbours that come and go leave the RAM that is read elsewhere as it is.
            for _ in 0..<20 {
                let id = memory.add(FlatView.Range(start: GuestPhysical(0x30_0000), count: 0x1000, block: rom))
                memory.remove(id)
            }
            let block = memory.view.ranges[0].block
            let end = FlatView.Range(start: GuestPhysical(0x20_0000), count: 0x1000, block: rom, writable: false)
            // SAFETY: the block has a page.
            unsafe rom.base.storeBytes(of: 0x77, as: UInt32.self)
            _ = block
            memory.add(end)
        }
        let exits = try bench.finish()
        changer.join()
        #expect(exits.first == .mmioWrite(address: 0x20_0004, size: 4, value: 0x99))
        #expect(bench.processor.state.gpr.3 == 0x77)
    }

    @Test("A range that KVM does not take ends the run in words")
    func refusedSlot() throws {
        let bench = try Bench(Code.spin, .protected)
        let block = try RAMBlock(name: "far", size: 0x1000)
        // Beyond what any processor addresses.
        bench.memory.add(FlatView.Range(start: GuestPhysical(1 << 58), count: 0x1000, block: block))
        guard case .error(let words) = try bench.next() else {
            Issue.record("no error")
            return
        }
        #expect(words.contains("refuses guest memory of 4096 bytes"))
        // With the registers and the code at the instruction pointer.
        #expect(words.contains("CR0=") && words.contains("RIP="), "\(words)")
        #expect(words.contains("code ") && !words.contains("code not"), "\(words)")
    }
}
