import TestSupport
import Testing
import X86

@Suite struct CPUIDLeafTests {
    @Test func dynamicBits() throws {
        let cpu = try resolved("Skylake-Server")
        let on = cpu.cpuid(leaf: 1, subleaf: 0, state: .init(osxsave: true, isAPICEnabled: false))
        #expect(on.ecx == cpu.leaf(1).ecx | 1 << 27)
        #expect(on.edx == cpu.leaf(1).edx & ~(1 << 9))
        #expect(cpu.cpuid(leaf: 7, subleaf: 0, state: .init(ospke: true)).ecx == cpu.leaf(7).ecx | 1 << 4)
    }

    @Test func xsaveAreas() throws {
        let cpu = try resolved("Skylake-Server")
        #expect(cpu.xcr0Supported == 0x2E7)
        #expect(cpu.leaf(0xD, 0) == CPUIDRegisters(eax: 0x2E7, ebx: 576, ecx: 2696))
        let avx = ResolvedCPU.State(xcr0: 7)
        #expect(cpu.cpuid(leaf: 0xD, subleaf: 0, state: avx).ebx == 832)
        #expect(cpu.cpuid(leaf: 0xD, subleaf: 1, state: avx) == CPUIDRegisters(eax: 7, ebx: 832))
        #expect(cpu.cpuid(leaf: 0xD, subleaf: 1, state: .init(xcr0: 0x207)).ebx == 840)
        #expect(cpu.cpuid(leaf: 0xD, subleaf: 0, state: .init(xcr0: UInt64.max)).ebx == 2696)
        #expect(cpu.leaf(0xD, 2) == CPUIDRegisters(eax: 256, ebx: 576))
        #expect(cpu.leaf(0xD, 7) == CPUIDRegisters(eax: 1024, ebx: 1664))
        #expect(cpu.leaf(0xD, 9) == CPUIDRegisters(eax: 8, ebx: 2688))
        #expect(cpu.leaf(0xD, 3) == CPUIDRegisters())
        #expect(try resolved("SandyBridge").leaf(0xD, 0) == CPUIDRegisters(eax: 7, ebx: 576, ecx: 832))
        #expect(try resolved("qemu64").leaf(0xD, 0) == CPUIDRegisters())
    }

    @Test func kvmLeaves() throws {
        let environment = CPUEnvironment(
            engine: "translator", offered: FeatureSet(names: "hypervisor kvmclock kvmclock-stable-bit fpu"),
            tscKHz: 2_500_000)
        let cpu = try resolved("max", environment)
        #expect(
            cpu.leaf(0x4000_0000)
                == CPUIDRegisters(eax: 0x4000_0010, ebx: 0x4B4D_564B, ecx: 0x564B_4D56, edx: 0x4D))
        #expect(cpu.leaf(0x4000_0001) == CPUIDRegisters(eax: 0x0100_0008))
        #expect(cpu.leaf(0x4000_0010) == CPUIDRegisters(eax: 2_500_000, ebx: 1_000_000))
        #expect(cpu.leaf(0x4000_0100) == CPUIDRegisters())
        #expect(try resolved("max,kvm=off", environment).leaf(0x4000_0000) == CPUIDRegisters())
        #expect(try resolved("max,-kvmclock", environment).leaf(0x4000_0001).eax == 0x0100_0000)
        #expect(try resolved("qemu64").leaf(0x4000_0000).eax == 0x4000_0001)
    }

    @Test func frequencies() throws {
        let environment = CPUEnvironment(engine: "translator", offered: FeatureSet.named, tscKHz: 2_500_000)
        let cpu = try resolved("max,vendor=GenuineIntel", environment)
        let crystal = cpu.leaf(0x15)
        #expect(UInt64(crystal.ecx) * UInt64(crystal.ebx) / UInt64(crystal.eax) == 2_500_000_000)
        #expect(cpu.leaf(0x16) == CPUIDRegisters(eax: 2500, ebx: 2500, ecx: 100))
        #expect(try resolved("max,tsc-frequency=3000000000", environment).leaf(0x4000_0010).eax == 3_000_000)
    }

    @Test func leavesPastTheHighest() throws {
        let intel = try resolved("Nehalem")
        for leaf in [0xC, 0x100, 0x3FFF_FFFF, 0x5000_0000, 0x8000_0009, 0xFFFF_FFFF] as [UInt32] {
            #expect(intel.leaf(leaf, 1) == intel.leaf(0xB, 1))
        }
        let amd = try resolved("EPYC")
        for leaf in [0xE, 0x8000_001F, 0xC000_0000] as [UInt32] { #expect(amd.leaf(leaf) == CPUIDRegisters()) }
    }

    @Test func levelsFollowFeaturesUnlessTold() throws {
        #expect(try resolved("qemu32,+smep").leaf(0).eax == 7)
        #expect(try resolved("qemu32,+invtsc").leaf(0x8000_0000).eax == 0x8000_0007)
        #expect(try resolved("qemu32,+smep,level=4").leaf(0).eax == 4)
    }

    @Test func monitor() throws {
        #expect(try resolved("EPYC").leaf(5) == CPUIDRegisters(eax: 64, ebx: 64, ecx: 3))
        #expect(try resolved("Haswell").leaf(5) == CPUIDRegisters())
    }

    @Test func randomLeavesNeverTrap() throws {
        var random = SplitMix64(state: 11)
        let names = [
            "qemu32", "486", "Haswell", "EPYC-Milan", "Skylake-Server", "max", "qemu64,level=0,xlevel=0x80000000",
        ]
        for name in names {
            for smp in ["1", "6,sockets=1,cores=3,threads=2", "255", "200,dies=2,cores=50,threads=2"] {
                let cpu = try resolved(name, try machine(smp))
                for step in 0..<2000 {
                    let bits = random.next()
                    let base: UInt32 = [0, 0x4000_0000, 0x8000_0000, UInt32(truncatingIfNeeded: bits)][step % 4]
                    let state = ResolvedCPU.State(
                        osxsave: bits & 1 != 0, ospke: bits & 2 != 0, isAPICEnabled: bits & 4 != 0,
                        xcr0: random.next(), apicID: UInt32(truncatingIfNeeded: random.next()))
                    let subleaf = UInt32(truncatingIfNeeded: random.next()) >> UInt32(step % 32)
                    let leaf = base &+ UInt32(truncatingIfNeeded: bits >> 40) & 0x3F
                    let result = cpu.cpuid(leaf: leaf, subleaf: subleaf, state: state)
                    #expect(result == cpu.cpuid(leaf: leaf, subleaf: subleaf, state: state))
                }
            }
        }
    }
}
