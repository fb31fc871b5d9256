internal import CEngine
internal import DeviceModel
internal import HostOS
internal import KVMEngine
internal import Log
internal import X86

/// The engine over /dev/kvm: the one place that names it. The error says why KVM cannot be used, and the way out.
public func makeKVMEngine(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
    guard request.instructionTime == nil else {
        throw MachineBuildError("-icount is not allowed with hardware virtualization")
    }
    let log = Logger("kvm")
    let machine = try MachineBuildError.wrapping { () throws(KVMError) in try KVMVirtualMachine(KVMDevice()) }
    let model = try resolveModel(request, machine)
    for warning in model.warnings { Logger("cpu").warning("\(warning)") }
    if request.processorCount > HostFacts.processorCount {
        log.warning(
            "\(request.processorCount) virtual processors share the host's \(HostFacts.processorCount): guests that "
                + "spin will be slow")
    }
    var wanted = HardwareEngine.Request(
        memory: request.memory, apicIDs: request.apicIDs, model: model, tscOffset: request.tscOffset)
    wanted.hasKernelControllers = request.accelerator.kernelIRQChip == .on
    wanted.hasUserLocalAPICs = request.accelerator.kernelIRQChip == .off
    wanted.dirtyRingEntries = request.accelerator.dirtyRingSize
    wanted.keepsIdleInGuest = request.keepsIdleInGuest
    let topology = request.topology
    wanted.coresAndThreads = (topology.dies * topology.cores, topology.dies * topology.cores * topology.threads)
    if request.accelerator.kernelIRQChip == nil, !machine.device.hasSplitInterruptController {
        log.warning("This KVM cannot split its interrupt controller: PIC, IOAPIC and PIT are the kernel's")
        wanted.hasKernelControllers = true
    }
    let asked = wanted
    let engine = try MachineBuildError.wrapping { () throws(KVMError) in try HardwareEngine(machine, asked) }
    var extras = EngineExtras()
    extras.features = model.features.names
    extras.doorbells = KVMDoorbells(engine)
    if engine.hasKernelControllers { extras.controllers = KVMControllers(engine) }
    extras.connect = { [weak engine] buses in
        if let engine { keepBack(engine, buses) }
    }
    return EngineBox(engine, extras)
}

/// Has KVM keep writes back that do nothing by themselves: those of the index of the RTC's registers, whose data port
/// is the next that is used.
private func keepBack(_ engine: HardwareEngine, _ buses: ProcessorBuses) {
    let index: UInt64 = 0x70
    guard engine.coalesces.ports, buses.io.ranges.contains(where: { $0.start == index && $0.count >= 2 }) else {
        return
    }
    engine.setCoalescedWriteHandler { [weak buses] write in
        let bus = write.isPort ? buses?.io : buses?.memory
        bus?.write(write.address, size: write.size, value: write.value)
    }
    // Where that is refused, each write comes out.
    try? engine.coalesceWrites(isPort: true, address: index, count: 1)
}

/// How this host's KVM translates guests' addresses, as its modules tell it.
var hostTranslation: [(name: String, isOn: Bool)] {
    let support = TranslationSupport.read()
    let named = [("ept", support.ept), ("npt", support.npt), ("vpid", support.vpid)]
    return named.compactMap { name, isOn in isOn.map { (name, $0) } }
}

/// The processor that guests of KVM see: the model without what this host's KVM cannot do.
private func resolveModel(
    _ request: EngineRequest, _ machine: KVMVirtualMachine
) throws(MachineBuildError) -> ResolvedCPU {
    let device = machine.device
    let name = request.processorModel ?? "qemu64"
    let host = HostCPU { leaf, subleaf in
        let answer = apus_host_cpuid(leaf, subleaf)
        return CPUIDRegisters(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx)
    }
    var offered = device.offeredFeatures
    // What hangs on a local APIC in the kernel.
    if request.accelerator.kernelIRQChip == .off { offered.subtract(ofKernelAPICs) }
    do throws(CPUSpecificationError) {
        return try CPUSpecification(parsing: name).resolve(
            CPUEnvironment(
                engine: "host's KVM", offered: offered, topology: Topology(request.topology),
                physicalBits: min(40, device.physicalBits), tscKHz: machine.tscKHz, host: host))
    } catch {
        throw MachineBuildError("-cpu \(name): \(error)")
    }
}

private let ofKernelAPICs = FeatureSet(
    names: """
        x2apic tsc-deadline kvm-pv-eoi kvm-pv-unhalt kvm-asyncpf kvm-asyncpf-int kvm-pv-ipi kvm-poll-control \
        kvm-pv-sched-yield kvm-msi-ext-dest-id
        """)

extension Topology {
    /// The grouping of a machine's processors, as CPUID tells it.
    init(_ machine: ProcessorTopology) {
        var request = Request()
        request.cpus = machine.processors
        request.maxcpus = machine.maximum
        request.sockets = machine.sockets
        request.dies = machine.dies
        request.cores = machine.cores
        request.threads = machine.threads
        self = (try? Topology(request)) ?? Topology()
    }
}
