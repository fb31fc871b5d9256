import Testing
import X86

@Suite struct CPUIDModelTests {
    /// Level, extended level, signature and the feature words of leaf 1 and 80000001H (without what every model gets
    /// added: x2APIC, deadline timer, hypervisor), 7.EBX: what the documented processors show.
    @Test(
        arguments: [
            ("qemu64", 0xD, 0x8000_000A, 0x60FB1, 0x2001, 0x78B_FBFD, 0x5, 0x2191_ABFD, 0),
            ("qemu32", 0x4, 0x8000_0004, 0x00663, 0x1, 0x781_ABFD & ~0x1000, 0, 0, 0),
            ("kvm64", 0xD, 0x8000_0008, 0x00F61, 0x2001, 0x78B_FBFF, 0, 0x2010_0800, 0),
            ("kvm32", 0x5, 0x8000_0008, 0x00F61, 0x1, 0x78B_FBFF, 0, 0, 0),
            ("Nehalem", 0xB, 0x8000_0008, 0x106A3, 0x98_2201, 0x78B_FBFF, 1, 0x2010_0800, 0),
            ("Westmere", 0xB, 0x8000_0008, 0x206C1, 0x298_2203, 0x78B_FBFF, 1, 0x2010_0800, 0),
            ("SandyBridge", 0xD, 0x8000_0008, 0x206A1, 0x1698_2203, 0x78B_FBFF, 1, 0x2810_0800, 0),
            ("IvyBridge", 0xD, 0x8000_0008, 0x306A9, 0x7698_2203, 0x78B_FBFF, 1, 0x2810_0800, 0x281),
            ("Haswell", 0xD, 0x8000_0008, 0x306C4, 0x76DA_3203, 0x78B_FBFF, 0x21, 0x2810_0800, 0xFB9),
            ("Skylake-Server", 0xD, 0x8000_0008, 0x50654, 0x76DA_3203, 0x78B_FBFF, 0x121, 0x2C10_0800, 0xD19F_0FB9),
            ("EPYC", 0xD, 0x8000_001E, 0x800F12, 0x76D8_320B, 0x78B_FBFF, 0x40_03F5, 0x2FD3_FBFF, 0x209C_01A9),
        ] as [(String, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)])
    func documentedValues(
        _ name: String, _ level: UInt32, _ xlevel: UInt32, _ signature: UInt32, _ ecx: UInt32, _ edx: UInt32,
        _ extendedECX: UInt32, _ extendedEDX: UInt32, _ seven: UInt32
    ) throws {
        let cpu = try resolved(name)
        let added: UInt32 = 1 << 21 | 1 << 24 | 1 << 31
        #expect(cpu.leaf(0).eax == level)
        #expect(cpu.leaf(0x8000_0000).eax == xlevel)
        #expect(cpu.leaf(1).eax == signature)
        #expect(cpu.leaf(1).ecx == ecx | added)
        #expect(cpu.features[.leaf1EDX] == edx)
        #expect(cpu.features[.extended1ECX] == extendedECX)
        if name != "qemu64" && name != "EPYC" { #expect(cpu.features[.extended1EDX] == extendedEDX) }
        #expect(cpu.features[.leaf7EBX] == seven)
        #expect(cpu.warnings.isEmpty)
        #expect(cpu.shownVendor == (name == "qemu64" || name == "EPYC" ? "AuthenticAMD" : "GenuineIntel"))
    }

    @Test func qemu64IsFamily15Model107() throws {
        let cpu = try resolved("qemu64")
        #expect(cpu.brand == "QEMU Virtual CPU version 2.5+")
        let eax = cpu.leaf(1).eax
        #expect((eax >> 8 & 15, eax >> 4 & 15 | eax >> 12 & 0xF0, eax & 15) == (15, 107, 1))
        #expect(cpu.leaf(0x8000_0008).eax == 0x3028)
        // EDX of 80000001H repeats leaf 1.
        #expect(cpu.leaf(0x8000_0001).edx == 0x2010_0800 | cpu.leaf(1).edx & 0x0183_F3FF)
    }

    @Test func longestBrandFits() throws {
        let brand = String(repeating: "x", count: 48)
        #expect(try resolved("qemu64,model-id=\(brand)").brand == brand)
    }

    @Test func versionsAreAliases() {
        #expect(CPUModel.version(of: "Nehalem") == "Nehalem-v1")
        #expect(CPUModel.version(of: "Nehalem-v2") == "Nehalem-v2")
        #expect(CPUModel.version(of: "Broadwell-noTSX-IBRS") == "Broadwell-v4")
        #expect(CPUModel.named("Nehalem-v1")?.features == CPUModel.named("Nehalem")?.features)
        #expect(CPUModel.named("Nehalem-v9") == nil)
        #expect(CPUModel.named("") == nil)
    }

    @Test func everyNameHasARow() {
        #expect(Set(CPUModel.names).count == CPUModel.names.count)
        for name in CPUModel.names { #expect(CPUModel.named(name)?.name == name) }
    }

    @Test func aVersionChangesWhatItsRowNames() throws {
        let first = try #require(CPUModel.named("Skylake-Server-v1"))
        let third = try #require(CPUModel.named("Skylake-Server-v3"))
        #expect(first.features.subtracting(third.features).names.sorted() == ["clflushopt", "hle", "rtm"])
        #expect(third.features.subtracting(first.features).names == ["spec-ctrl"])
    }

    @Test func everyFeatureHasOneName() throws {
        #expect(Set(CPUFeature.all.map(\.name)).count == CPUFeature.all.count)
        for feature in CPUFeature.all { #expect(CPUFeature(name: feature.name) == feature) }
        for word in FeatureWord.allCases {
            #expect(CPUFeature.all.contains { $0.word == word })
        }
    }

    @Test(
        arguments: [
            ("pni", FeatureWord.leaf1ECX, 0), ("sse4_1", .leaf1ECX, 19), ("sse4-2", .leaf1ECX, 20),
            ("tsc-deadline", .leaf1ECX, 24), ("hypervisor", .leaf1ECX, 31), ("pbe", .leaf1EDX, 31),
            ("ss", .leaf1EDX, 27),
            ("fsgsbase", .leaf7EBX, 0), ("smap", .leaf7EBX, 20), ("avx512vl", .leaf7EBX, 31), ("pku", .leaf7ECX, 3),
            ("la57", .leaf7ECX, 16), ("rdpid", .leaf7ECX, 22), ("pks", .leaf7ECX, 31), ("md-clear", .leaf7EDX, 10),
            ("ssbd", .leaf7EDX, 31), ("avx-vnni", .leaf7Sub1EAX, 4), ("xsaves", .leafDSub1EAX, 3),
            ("lahf_lm", .extended1ECX, 0), ("topoext", .extended1ECX, 22), ("syscall", .extended1EDX, 11),
            ("nx", .extended1EDX, 20), ("pdpe1gb", .extended1EDX, 26), ("3dnow", .extended1EDX, 31),
            ("invtsc", .extended7EDX, 8), ("ibpb", .extended8EBX, 12), ("amd-ssbd", .extended8EBX, 24),
            ("arat", .leaf6EAX, 2), ("kvmclock", .kvmEAX, 3), ("kvm-msi-ext-dest-id", .kvmEAX, 15),
            ("kvmclock-stable-bit", .kvmEAX, 24),
        ] as [(String, FeatureWord, UInt32)])
    func bitsOfNames(_ name: String, _ word: FeatureWord, _ bit: UInt32) throws {
        let feature = try #require(CPUFeature(name: name))
        #expect(feature.word == word && feature.bit == bit)
    }

    @Test func notation() {
        #expect(CPUFeature(name: "pcid")?.description == "CPUID.01H:ECX.pcid [bit 17]")
        #expect(CPUFeature(name: "avx-vnni")?.description == "CPUID.07H.1:EAX.avx-vnni [bit 4]")
        #expect(CPUFeature(name: "nx")?.description == "CPUID.80000001H:EDX.nx [bit 20]")
    }

    @Test func listing() {
        let lines = CPUListing.text.split(separator: "\n").map(String.init)
        #expect(lines.first == "Available CPUs:")
        for name in ["qemu64", "kvm32", "Nehalem", "Skylake-Server-v1", "EPYC", "max", "host"] {
            #expect(lines.contains { $0.hasPrefix("x86 \(name) ") }, "\(name)")
        }
        #expect(lines.contains("Recognized CPUID flags:"))
        #expect(lines.allSatisfy { $0.utf8.count <= 100 })
    }
}
