internal import CEngine
internal import HostOS
internal import KVMEngine
internal import Log
internal import X86

/// The engine over /dev/kvm: the one place that names it. The error says why KVM cannot be used, and the way out.
public func makeKVMEngine(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
    let log = Logger("kvm")
    switch request.accelerator.kernelIRQChip {
    case .off:
        throw MachineBuildError("kernel-irqchip=off: not supported, local APICs are the kernel's under KVM")
    case .on: log.debug("kernel-irqchip=on: the kernel has the local APICs, the machine the other controllers")
    case .split, nil: break
    }
    if request.accelerator.dirtyRingSize > 0 {
        log.warning("dirty-ring-size: not supported, pages are logged in a map")
    }
    let machine = try MachineBuildError.wrapping { () throws(KVMError) in try KVMVirtualMachine(KVMDevice()) }
    let model = try resolveModel(request, machine)
    for warning in model.warnings { Logger("cpu").warning("\(warning)") }
    if request.processorCount > HostFacts.processorCount {
        log.warning(
            "\(request.processorCount) virtual processors share the host's \(HostFacts.processorCount): guests that "
                + "spin will be slow")
    }
    let engine = try MachineBuildError.wrapping { () throws(KVMError) in
        try HardwareEngine(
            machine,
            HardwareEngine.Request(
                memory: request.memory, apicIDs: request.apicIDs, model: model, tscOffset: request.tscOffset))
    }
    var extras = EngineExtras()
    extras.doorbells = KVMDoorbells(engine)
    return EngineBox(engine, extras)
}

/// Whether this host's KVM opens.
var isKVMPresent: Bool { (try? KVMDevice()) != nil }

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
    do throws(CPUSpecificationError) {
        return try CPUSpecification(parsing: name).resolve(
            CPUEnvironment(
                engine: "host's KVM", offered: device.offeredFeatures, topology: Topology(request.topology),
                physicalBits: min(40, device.physicalBits), tscKHz: machine.tscKHz, host: host))
    } catch {
        throw MachineBuildError("-cpu \(name): \(error)")
    }
}

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
