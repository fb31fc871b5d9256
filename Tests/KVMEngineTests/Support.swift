import CEngine
import Execution
import GuestMemory
import GuestPrograms
import KVMEngine
import Testing
import X86

/// This host's KVM, opened once, and what can be told of it beforehand.
enum Host {
    /// The device, or why it does not open.
    static let device: Result<KVMDevice, KVMError> = {
        do throws(KVMError) { return .success(try KVMDevice()) } catch { return .failure(error) }
    }()

    /// Why tests on /dev/kvm are skipped; empty where they run.
    static let reason: Comment = {
        switch device {
        case .success: ""
        case .failure(let error): "\(error.description)"
        }
    }()
    static let isThere = (try? device.get()) != nil

    /// A KVM that emulates ring 0 instruction by instruction: the processor shows no virtualization.
    static let isParavirtual = HostVirtualization.vendorModule == nil

    /// What programs cannot have on a KVM of that kind.
    static let lacking: GuestProgram.Needs =
        (isParavirtual ? paravirtualLacks : []).union(hasAVX2 ? [] : [.avx2])

    /// AVX2 and BMI2 of the host's processor.
    private static let hasAVX2 = apus_host_cpuid(7, 0).ebx & 0x120 == 0x120

    private static let paravirtualLacks: GuestProgram.Needs =
        [
            .softwareInterrupts, .kernelVectors, .narrowPaging, .systemReturn, .userTraps, .userCPUID, .userPorts,
            .decimalAdjustment, .narrowReturn,
        ]

    /// An engine over the given memory, of the host's own model.
    static func makeEngine(
        _ memory: AddressSpace, processors: Int = 1, _ configure: (inout HardwareEngine.Request) -> Void = { _ in }
    ) throws -> HardwareEngine {
        let machine = try KVMVirtualMachine(try device.get())
        var request = HardwareEngine.Request(
            memory: memory, apicIDs: (0..<processors).map { UInt32($0) }, model: try model(machine.tscKHz))
        configure(&request)
        return try HardwareEngine(machine, request)
    }

    /// The most that this KVM offers.
    static func model(_ tscKHz: UInt32? = nil) throws -> ResolvedCPU {
        let device = try device.get()
        let host = HostCPU { leaf, subleaf in
            let answer = apus_host_cpuid(leaf, subleaf)
            return CPUIDRegisters(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx)
        }
        return try CPUSpecification(model: "max").resolve(
            CPUEnvironment(
                engine: "KVM", offered: device.offeredFeatures, physicalBits: min(40, device.physicalBits),
                tscKHz: tscKHz, host: host))
    }
}
