import CEngine
import Execution
import GuestMemory
import TranslatorEngine
import X86

/// RAM from address 0 and processors of the software engine, without devices: what the small guests of these tests
/// run on.
final class GuestMachine {
    let memory = AddressSpace()
    let block: RAMBlock
    let engine: SoftwareEngine
    let model: ResolvedCPU
    var cpu: SoftwareProcessor { engine.processors[0] }

    /// `margin` bytes of the block before the guest's RAM, and behind it, are not the guest's.
    init(
        size: Int = 4 << 20, margin: Int = 0, processors: Int = 1, named name: String = "max", threshold: UInt64? = nil,
        change: (inout SoftwareEngineRequest) -> Void = { _ in }
    ) throws {
        block = try RAMBlock(name: "test", size: size + 2 * margin)
        memory.add(
            FlatView.Range(start: GuestPhysical(0), count: UInt64(size), block: block, offset: UInt64(margin)))
        let host = HostCPU { leaf, subleaf in
            let answer = apus_host_cpuid(leaf, subleaf)
            return CPUIDRegisters(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx)
        }
        model = try CPUSpecification(parsing: name).resolve(
            CPUEnvironment(engine: "tests", offered: SoftwareEngine.offeredFeatures, host: host))
        var request = SoftwareEngineRequest(
            memory: memory, apicIDs: (0..<UInt32(processors)).map { $0 }, model: model,
            now: { TestClock.now }, wallClock: { 0 }, translationThreshold: threshold)
        change(&request)
        engine = try SoftwareEngine(request)
    }

    /// Writes as a device does.
    func write(_ address: UInt64, _ bytes: [UInt8]) { try? memory.write(GuestPhysical(address), bytes: bytes) }
    func write64(_ address: UInt64, _ value: UInt64) { try? memory.store(GuestPhysical(address), value) }
    func write32(_ address: UInt64, _ value: UInt32) { try? memory.store(GuestPhysical(address), value) }
    func read64(_ address: UInt64) -> UInt64 { (try? memory.load(GuestPhysical(address), as: UInt64.self)) ?? 0 }
    func read32(_ address: UInt64) -> UInt32 { (try? memory.load(GuestPhysical(address), as: UInt32.self)) ?? 0 }
    func read16(_ address: UInt64) -> UInt16 { (try? memory.load(GuestPhysical(address), as: UInt16.self)) ?? 0 }
}
