extension ResolvedCPU {
    /// The CPUID instruction. Any leaf and sub-leaf are allowed: one past the highest gives, as on Intel's processors,
    /// the data of the highest basic leaf, and zeros on AMD's.
    public func cpuid(leaf: UInt32, subleaf: UInt32, state: State) -> CPUIDRegisters {
        switch leaf {
        case 0x4000_0000...0x4FFF_FFFF: hypervisorLeaf(leaf)
        case 0x8000_0000...: leaf <= xlevel ? extendedLeaf(leaf, subleaf, state) : outOfRange(subleaf, state)
        default: leaf <= level ? basicLeaf(leaf, subleaf, state) : outOfRange(subleaf, state)
        }
    }

    private func outOfRange(_ subleaf: UInt32, _ state: State) -> CPUIDRegisters {
        isAMD ? CPUIDRegisters() : basicLeaf(level, subleaf, state)
    }

    private func basicLeaf(_ leaf: UInt32, _ subleaf: UInt32, _ state: State) -> CPUIDRegisters {
        switch leaf {
        case 0:
            return CPUIDRegisters(
                eax: level, ebx: Self.word(vendor, 0), ecx: Self.word(vendor, 8), edx: Self.word(vendor, 4))
        case 1: return identity(state)
        case 2: return isAMD ? CPUIDRegisters() : CPUIDRegisters(eax: 0xFF01)  // descriptor FFH: see leaf 4
        case 4: return isAMD ? CPUIDRegisters() : cacheLeaf(subleaf)
        case 5: return monitorLeaf
        case 6: return CPUIDRegisters(eax: features[.leaf6EAX])
        case 7: return structuredFeatures(subleaf, state)
        case 0xB: return topologyLeaf(subleaf, state, withDies: false)
        case 0xD: return xsaveLeaf(subleaf, state)
        case 0x15: return crystalLeaf
        case 0x16:
            let megahertz = (tscKHz ?? 0) / 1000
            return megahertz == 0 ? CPUIDRegisters() : CPUIDRegisters(eax: megahertz, ebx: megahertz, ecx: 100)
        case 0x1F: return topology.dies > 1 ? topologyLeaf(subleaf, state, withDies: true) : CPUIDRegisters()
        default: return CPUIDRegisters()
        }
    }

    private func identity(_ state: State) -> CPUIDRegisters {
        // Intel counts addressable IDs, AMD threads.
        let count = isAMD ? topology.threadsPerPackage : 1 << topology.packageShift
        let logical = topology.threadsPerPackage > 1 ? UInt32(min(count, 255)) : 0
        let lineUnits: UInt32 = has("clflush") ? 8 : 0
        var ecx = features[.leaf1ECX]
        var edx = features[.leaf1EDX]
        if state.osxsave { ecx |= 1 << 27 }
        if !state.isAPICEnabled { edx &= ~(1 << 9) }
        return CPUIDRegisters(
            eax: signature, ebx: (state.apicID & 0xFF) << 24 | logical << 16 | lineUnits << 8, ecx: ecx, edx: edx)
    }

    private func structuredFeatures(_ subleaf: UInt32, _ state: State) -> CPUIDRegisters {
        switch subleaf {
        case 0:
            return CPUIDRegisters(
                eax: features[.leaf7Sub1EAX] != 0 ? 1 : 0, ebx: features[.leaf7EBX],
                ecx: features[.leaf7ECX] | (state.ospke ? 1 << 4 : 0), edx: features[.leaf7EDX])
        case 1: return CPUIDRegisters(eax: features[.leaf7Sub1EAX])
        default: return CPUIDRegisters()
        }
    }

    /// MONITOR works on lines of 64 bytes and ends at interrupts.
    private var monitorLeaf: CPUIDRegisters {
        has("monitor") ? CPUIDRegisters(eax: 64, ebx: 64, ecx: 3) : CPUIDRegisters()
    }

    /// The ratio to a crystal of 1 GHz, the frequency at which the local APIC's timer counts.
    private var crystalLeaf: CPUIDRegisters {
        guard let tscKHz, tscKHz != 0 else { return CPUIDRegisters() }
        return CPUIDRegisters(eax: 1_000_000, ebx: tscKHz, ecx: 1_000_000_000)
    }

    /// KVM's leaves (Linux, Documentation/virt/kvm/x86/cpuid.rst), and the frequencies that VMware began to tell.
    private func hypervisorLeaf(_ leaf: UInt32) -> CPUIDRegisters {
        guard showsKVM, has("hypervisor") else { return CPUIDRegisters() }
        switch leaf {
        case 0x4000_0000:
            let signature = "KVMKVMKVM"
            return CPUIDRegisters(
                eax: tscKHz == nil ? 0x4000_0001 : 0x4000_0010, ebx: Self.word(signature, 0),
                ecx: Self.word(signature, 4), edx: Self.word(signature, 8))
        case 0x4000_0001: return CPUIDRegisters(eax: features[.kvmEAX])
        case 0x4000_0010: return tscKHz.map { CPUIDRegisters(eax: $0, ebx: 1_000_000) } ?? CPUIDRegisters()
        default: return CPUIDRegisters()
        }
    }

    private func extendedLeaf(_ leaf: UInt32, _ subleaf: UInt32, _ state: State) -> CPUIDRegisters {
        switch leaf {
        case 0x8000_0000:
            return CPUIDRegisters(
                eax: xlevel, ebx: Self.word(vendor, 0), ecx: Self.word(vendor, 8), edx: Self.word(vendor, 4))
        case 0x8000_0001:
            return CPUIDRegisters(eax: signature, ecx: features[.extended1ECX], edx: features[.extended1EDX])
        case 0x8000_0002...0x8000_0004:
            let offset = Int(leaf - 0x8000_0002) * 16
            return CPUIDRegisters(
                eax: Self.word(modelID, offset), ebx: Self.word(modelID, offset + 4),
                ecx: Self.word(modelID, offset + 8), edx: Self.word(modelID, offset + 12))
        case 0x8000_0005: return isAMD ? CPUCache.amdLevel1 : CPUIDRegisters()
        case 0x8000_0006: return isAMD ? CPUCache.amdLevel23 : CPUCache.intelLevel2
        case 0x8000_0007: return CPUIDRegisters(edx: features[.extended7EDX])
        case 0x8000_0008:
            let sizes = UInt32(linearBits) << 8 | UInt32(physicalBits)
            let threads = UInt32(min(topology.threadsPerPackage - 1, 255))
            let ecx = isAMD && threads > 0 ? UInt32(topology.packageShift & 15) << 12 | threads : 0
            return CPUIDRegisters(eax: sizes, ebx: features[.extended8EBX], ecx: ecx)
        case 0x8000_001D: return hasTopologyExtensions ? cacheLeaf(subleaf) : CPUIDRegisters()
        case 0x8000_001E: return hasTopologyExtensions ? unitLeaf(state) : CPUIDRegisters()
        default: return CPUIDRegisters()
        }
    }

    private var hasTopologyExtensions: Bool {
        isAMD && features.contains(CPUFeature(word: .extended1ECX, bit: 22))
    }
}
