internal import CEngine
internal import DeviceModel
internal import Execution
internal import GuestMemory
internal import HostOS
internal import Synchronization

/// A guest of a few thousand instructions, to tell a fast engine from a slow one: hardware takes microseconds for it,
/// an interpreter tens, and a /dev/kvm that emulates instruction by instruction milliseconds.
///
/// It runs in flat 32-bit protected mode without paging, where every kind of engine is at its usual speed.
public struct EngineTrial: Sendable {
    /// Instructions that it runs, about.
    public static let instructions = 8000
    private static let entry: UInt64 = 0x1000
    private static let port: UInt16 = 0xF4

    /// A loop of 2000 rounds of four instructions, then OUT.
    private static let code: [UInt8] = [
        0xB9, 0xD0, 0x07, 0x00, 0x00,  // mov ecx, 2000
        0x01, 0xC8,  // add eax, ecx
        0x31, 0xC3,  // xor ebx, eax
        0x49,  // dec ecx
        0x75, 0xF9,  // jnz -7
        0xE6, 0xF4,  // out 0xf4, al
        0xEB, 0xFE,  // jmp -2
    ]

    /// A machine's request with one processor and memory that holds the guest alone.
    func request(like request: EngineRequest, accelerator: AcceleratorConfiguration) throws -> EngineRequest {
        let block = try RAMBlock(name: "trial", size: 0x10000)
        let memory = AddressSpace()
        memory.add(FlatView.Range(start: GuestPhysical(0), count: UInt64(block.size), block: block))
        try memory.write(GuestPhysical(Self.entry), bytes: Self.code)
        var topology = TopologyRequest()
        topology.processors = 1
        return EngineRequest(
            memory: memory, processorCount: 1, apicIDs: [0], processorModel: "qemu64,check=off",
            topology: try ProcessorTopology(topology), ramSize: UInt64(block.size), clock: request.clock,
            accelerator: accelerator)
    }

    /// The faster of two runs in nanoseconds: the first also warms the engine up. A watchdog ends them at the limit,
    /// for an engine may never come back by itself; the answer is then nil.
    func run<CPU: Processor>(_ processor: CPU, limit: UInt64) -> UInt64? where CPU.State == apus_x86_state {
        let watch = Watch()
        let watchdog = try? HostThread(name: "trial watchdog") {
            watch.bell.wait(nanoseconds: limit)
            while !watch.isOver.load(ordering: .acquiring) {
                watch.isLate.store(true, ordering: .releasing)
                processor.kick()
                watch.bell.wait(nanoseconds: 1_000_000)
            }
        }
        guard let watchdog else { return nil }
        defer {
            watch.isOver.store(true, ordering: .releasing)
            watch.bell.ring()
            watchdog.join()
        }
        guard let first = once(processor, watch), let second = once(processor, watch) else { return nil }
        return min(first, second)
    }

    private final class Watch: Sendable {
        let isOver = Atomic<Bool>(false)
        let isLate = Atomic<Bool>(false)
        let bell = Bell()
    }

    private func once<CPU: Processor>(_ processor: CPU, _ watch: Watch) -> UInt64? where CPU.State == apus_x86_state {
        processor.reset()
        var state = processor.state
        let data = apus_x86_segment(base: 0, limit: UInt32.max, selector: 0x10, attributes: 0xC93)
        state.segment.1 = apus_x86_segment(base: 0, limit: UInt32.max, selector: 0x08, attributes: 0xC9B)
        (state.segment.0, state.segment.2, state.segment.3) = (data, data, data)
        state.cr0 = 0x11
        state.rip = Self.entry
        state.waiting_for_sipi = 0
        processor.state = state
        let start = HostClock.monotonic
        while !watch.isLate.load(ordering: .acquiring) {
            switch processor.run() {
            case .portWrite(Self.port, _, _): return HostClock.monotonic - start
            case .interrupted: continue
            default: return nil
            }
        }
        return nil
    }
}
