import TestSupport
import Testing
import X86

@Suite struct CPUIDSpecificationTests {
    private func error(_ text: String) -> CPUSpecificationError? {
        do throws(CPUSpecificationError) {
            _ = try CPUSpecification(parsing: text)
            return nil
        } catch {
            return error
        }
    }

    @Test func everythingAtOnce() throws {
        let s = try CPUSpecification(
            parsing: "Haswell,-avx2,+pcid,smep=off,enforce,check=off,vendor=AuthenticAMD,family=0x17,model=49,"
                + "stepping=3,level=13,xlevel=0x8000001e,phys-bits=46,kvm=off,tsc-frequency=2000000000,l3-cache=on")
        #expect(s.model == "Haswell" && s.enforce && !s.check && !s.kvm)
        #expect(s.vendor == "AuthenticAMD" && s.family == 0x17 && s.modelNumber == 49 && s.stepping == 3)
        #expect(s.level == 13 && s.xlevel == 0x8000_001E && s.physicalBits == 46)
        #expect(s.tscFrequency == 2_000_000_000)
        #expect(s.changes.map(\.feature.name) == ["smep", "pcid", "avx2"])
        #expect(s.changes.map(\.isOn) == [false, true, false])
    }

    @Test func minusIsLast() throws {
        #expect(try !resolved("qemu64,-lm,+lm").has("lm"))
        #expect(try !resolved("qemu64,lm=on,-lm").has("lm"))
        #expect(try resolved("qemu64,lm=off,+lm").has("lm"))
    }

    @Test(arguments: [
        ("", CPUSpecificationError.unknownModel("", nearest: nil)),
        ("haswel", .unknownModel("haswel", nearest: "Haswell")),
        ("zilog80", .unknownModel("zilog80", nearest: nil)),
        ("qemu64,+pcidd", .unknownProperty("pcidd", nearest: "pcid")),
        ("qemu64,+", .unknownProperty("", nearest: nil)),
        ("qemu64,stping=1", .unknownProperty("stping", nearest: "stepping")),
        ("qemu64,family=x", .badValue(property: "family", value: "x", expected: "0 to 270")),
        ("qemu64,family=+1", .badValue(property: "family", value: "+1", expected: "0 to 270")),
        ("qemu64,family=271", .badValue(property: "family", value: "271", expected: "0 to 270")),
        ("qemu64,stepping=16", .badValue(property: "stepping", value: "16", expected: "0 to 15")),
        ("qemu64,phys-bits=53", .badValue(property: "phys-bits", value: "53", expected: "32 to 52")),
        ("qemu64,xlevel=4", .badValue(property: "xlevel", value: "4", expected: "0x80000000 to 0x80000020")),
        (
            "qemu64,vendor=me",
            .badValue(
                property: "vendor", value: "me", expected: "12 characters, such as GenuineIntel")
        ),
        ("qemu64,avx=maybe", .badValue(property: "avx", value: "maybe", expected: "on or off")),
        ("qemu64,hv-relaxed=maybe", .badValue(property: "hv-relaxed", value: "maybe", expected: "on or off")),
        ("qemu64,hv-foo", .unknownProperty("hv-foo", nearest: nil)),
    ])
    func mistakes(_ text: String, _ expected: CPUSpecificationError) {
        #expect(error(text) == expected)
    }

    @Test(arguments: [
        ("hv-relaxed", ["hv-relaxed"]), ("hv_relaxed,hv_time=on", ["hv-relaxed", "hv-time"]),
        ("hv_spinlocks=0x1fff,hv-vapic", ["hv-spinlocks", "hv-vapic"]), ("+hv_vapic", ["hv-vapic"]),
        ("hv-passthrough=on,hv-vendor-id=KVMKVMKVM", ["hv-passthrough", "hv-vendor-id"]),
        ("hv-relaxed=off", []), ("hv-relaxed,hv-relaxed=off", []), ("hv-no-nonarch-coresharing=auto", []),
    ])
    func hyperVIsTakenWithOneWarning(_ text: String, _ asked: [String]) throws {
        #expect(try CPUSpecification(parsing: "qemu64,\(text)").hyperV == asked)
        let warnings = try resolved("qemu64,check=off,\(text)").warnings
        #expect(
            warnings
                == (asked.isEmpty ? [] : ["No Hyper-V enlightenment is offered: " + asked.joined(separator: ", ")]))
    }

    @Test func enforceRefusesHyperV() {
        #expect(throws: CPUSpecificationError.hyperV("hv-time")) { try resolved("qemu64,enforce,hv_time=on") }
    }

    @Test(arguments: [
        ("tsc-frequency=2500000000", 2_500_000_000), ("tsc-freq=2.5G", 2_500_000_000), ("tsc-freq=2500M", 2_500_000_000),
        ("tsc_freq=1000000000", 1_000_000_000),
    ])
    func frequencyOfTheCounter(_ text: String, _ hertz: UInt64) throws {
        #expect(try CPUSpecification(parsing: "qemu64,\(text)").tscFrequency == hertz)
    }

    @Test func help() {
        #expect(CPUSpecification.isHelp("?") && CPUSpecification.isHelp("help") && !CPUSpecification.isHelp("host"))
    }

    @Test func missingFeaturesWarnOrFail() throws {
        var offered = try resolved("Haswell").features
        offered.remove(try #require(CPUFeature(name: "pcid")))
        let poor = CPUEnvironment(engine: "translator", offered: offered)
        let cpu = try resolved("Haswell", poor)
        #expect(cpu.warnings == ["The translator lacks the requested CPU feature CPUID.01H:ECX.pcid [bit 17]"])
        #expect(!cpu.has("pcid"))
        #expect(try resolved("Haswell,check=off", poor).warnings.isEmpty)
        #expect(try resolved("Haswell,-pcid,enforce", poor).warnings.isEmpty)
        let pcid = try #require(CPUFeature(name: "pcid"))
        #expect(throws: CPUSpecificationError.missing(engine: "translator", features: [pcid])) {
            try resolved("Haswell,enforce", poor)
        }
    }

    @Test func dispensableFeaturesGoInSilenceUnlessAskedFor() throws {
        var offered = FeatureSet.named
        for name in ["svm", "vme"] { offered.remove(try #require(CPUFeature(name: name))) }
        let poor = CPUEnvironment(engine: "translator", offered: offered)
        #expect(try resolved("qemu64", poor).warnings.isEmpty)
        #expect(try resolved("qemu64,+svm", poor).warnings.count == 1)
        #expect(try resolved("qemu64,enforce", poor).warnings.isEmpty)
    }

    @Test func featuresWithoutTheirGroundGo() throws {
        let cpu = try resolved("Haswell,-avx")
        #expect(!cpu.has("avx2") && !cpu.has("fma") && !cpu.has("f16c") && cpu.has("xsave"))
        #expect(cpu.warnings.isEmpty)
        #expect(try resolved("Haswell,-xsave,+avx2").warnings.count == 1)
    }

    @Test func maxIsAllThatIsOffered() throws {
        let offered = FeatureSet(names: "fpu apic lm sse sse2 hypervisor x2apic")
        let cpu = try resolved("max", CPUEnvironment(engine: "translator", offered: offered))
        #expect(offered.subtracting(cpu.features).isEmpty)
        #expect(cpu.features.names.allSatisfy { offered.names.contains($0) })
        #expect(cpu.warnings.isEmpty)
    }

    @Test func hostIsTheHostsWithinWhatIsOffered() throws {
        let host = HostCPU(
            vendor: "GenuineIntel", family: 6, model: 143, stepping: 8, modelID: "Fast CPU",
            features: FeatureSet(names: "fpu lm apic avx512f avx2 avx xsave"), physicalBits: 46)
        let offered = FeatureSet(names: "fpu lm apic avx xsave hypervisor rdrand")
        let environment = CPUEnvironment(engine: "translator", offered: offered, tscKHz: 2_000_000, host: host)
        let cpu = try resolved("host", environment)
        #expect(cpu.features.names.sorted() == ["apic", "avx", "fpu", "hypervisor", "lm", "xsave"])
        #expect(cpu.brand == "Fast CPU")
        #expect(cpu.leaf(1).eax == 0x806F8)
        #expect(cpu.leaf(0).eax == 0x16)
        #expect(try resolved("host,host-phys-bits=on", environment).physicalBits == 46)
        #expect(throws: CPUSpecificationError.noHost) { try resolved("host") }
    }

    @Test func hostReadsBackWhatAResolvedProcessorShows() throws {
        let cpu = try resolved("Skylake-Server,-hypervisor")
        let host = HostCPU(reading: { cpu.leaf($0, $1) })
        #expect(host.vendor == "GenuineIntel" && host.family == 6 && host.model == 85 && host.stepping == 4)
        #expect(host.modelID == "Intel Xeon Processor (Skylake)")
        #expect(host.physicalBits == 40)
        var expected = cpu.features
        expected[.kvmEAX] = 0
        #expect(host.features == expected)
    }

    @Test func physicalWidths() throws {
        #expect(try resolved("qemu64").leaf(0x8000_0008).eax & 0xFF == 40)
        #expect(try resolved("qemu64,phys-bits=46").leaf(0x8000_0008).eax & 0xFF == 46)
        #expect(try resolved("kvm32").physicalBits == 36)
        #expect(try resolved("qemu32").physicalBits == 32)
    }

    @Test func randomTextNeverTraps() {
        var random = SplitMix64(state: 3)
        let alphabet = Array("qemu64,+-=?hv_oxf0129 \u{e9}\0".unicodeScalars)
        for _ in 0..<FuzzRounds.times(3000) {
            var text = Bool.random(using: &random) ? "qemu64," : ""
            for _ in 0..<Int(random.next() % 24) {
                text.unicodeScalars.append(alphabet[Int(random.next() % UInt64(alphabet.count))])
            }
            if let failure = error(text) { #expect(!failure.description.isEmpty) }
        }
    }
}
