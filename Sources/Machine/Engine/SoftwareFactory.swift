internal import CEngine
internal import DeviceModel
internal import HostOS
internal import Log
internal import TranslatorEngine
internal import X86

/// The software engine: the one place that names it.
public func makeSoftwareEngine(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
    let model = try resolveModel(request)
    for warning in model.warnings { Logger("cpu").warning("\(warning)") }
    let clock = request.clock
    var software = SoftwareEngineRequest(
        memory: request.memory, apicIDs: request.apicIDs, model: model, now: { clock.now },
        wallClock: request.wallClock ?? { clock.wallClock }, tscOffset: request.tscOffset)
    if let size = request.accelerator.translationBufferSize {
        software.translationCapacity = Int(clamping: size)
    }
    software.trace = request.trace
    software.random = request.random
    if let time = request.instructionTime {
        guard request.processorCount == 1 else {
            throw MachineBuildError("-icount takes one processor, not \(request.processorCount)")
        }
        guard !request.accelerator.verifies else { throw MachineBuildError("-icount and verify=on exclude each other") }
        software.instructionTime = time
        software.tscOffset = 0
    }
    if request.accelerator.verifies {
        guard request.apicIDs.count == 1 else {
            throw MachineBuildError("verify=on takes one processor, not \(request.apicIDs.count)")
        }
        software.verifiesTranslation = true
        software.translationThreshold = 2
    }
    do throws(HostError) {
        if request.writesPerfMap { software.perfMap = try PerfMap() }
        var extras = EngineExtras()
        extras.features = model.features.names
        return EngineBox(try SoftwareEngine(software), extras)
    } catch {
        throw MachineBuildError("Cannot start the software engine: \(error)")
    }
}

/// The processor that guests of the software engine see.
private func resolveModel(_ request: EngineRequest) throws(MachineBuildError) -> ResolvedCPU {
    let tscKHz = request.instructionTime == nil ? SoftwareEngine.tscKHz : SoftwareEngine.countedTSCKHz
    do throws(CPUSpecificationError) {
        var specification = try CPUSpecification(parsing: request.processorModel ?? "qemu64")
        if let wanted = specification.tscFrequency {
            // As KVM does, a frequency within 250 ppm of the one there is counts as the same.
            let own = UInt64(tscKHz) * 1000
            if max(own, wanted) - min(own, wanted) > own / 4000 {
                Logger("cpu").warning("The software engine's TSC runs at \(own) Hz, not at tsc-frequency=\(wanted)")
            }
            specification.tscFrequency = nil
        }
        var topology = Topology.Request()
        topology.cpus = request.topology.processors
        topology.maxcpus = request.topology.maximum
        topology.sockets = request.topology.sockets
        topology.dies = request.topology.dies
        topology.cores = request.topology.cores
        topology.threads = request.topology.threads
        let host = HostCPU { leaf, subleaf in
            let answer = apus_host_cpuid(leaf, subleaf)
            return CPUIDRegisters(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx)
        }
        return try specification.resolve(
            CPUEnvironment(
                engine: "software engine", offered: SoftwareEngine.offeredFeatures,
                topology: (try? Topology(topology)) ?? Topology(), tscKHz: tscKHz, host: host))
    } catch {
        throw MachineBuildError("-cpu \(request.processorModel ?? "qemu64"): \(error)")
    }
}
