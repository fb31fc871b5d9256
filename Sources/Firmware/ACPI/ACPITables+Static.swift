extension ACPITables {
    /// All tables of a board but the roots, in the order in which they are laid out.
    static func tables(_ board: ACPIConfiguration) -> [ACPITable] {
        var tables = [facs(), ACPITable("DSDT", revision: 2, body: DSDT.body(board)), fadt(board), madt(board)]
        if let hpet = board.hpet { tables.append(Self.hpet(hpet)) }
        if let pci = board.pci, let ecam = pci.ecam { tables.append(mcfg(ecam, buses: pci.buses)) }
        if !board.nodeMemory.isEmpty { tables.append(srat(board)) }
        if !board.nodeDistances.isEmpty { tables.append(slit(board.nodeDistances)) }
        if let tpm = board.tpm { tables.append(Self.tpm(tpm)) }
        if let unit = board.remapping { tables.append(dmar(unit.address, bits: unit.addressBits)) }
        tables.append(waet())
        return tables
    }

    /// Firmware ACPI control structure (ACPI 6.5, 5.2.10), version 2, no waking vector.
    private static func facs() -> ACPITable {
        var bytes = Array("FACS".utf8)
        bytes.append(little: UInt32(64))
        bytes += [UInt8](repeating: 0, count: 56)
        bytes[32] = 2
        return ACPITable("FACS", raw: bytes)
    }

    /// Multiple APIC description table (5.2.12), revision 5.
    private static func madt(_ board: ACPIConfiguration) -> ACPITable {
        var body: [UInt8] = []
        body.append(little: board.localAPIC)
        body.append(little: UInt32(board.hasPIC ? 1 : 0))
        for processor in board.processors {
            // Enabled, or online capable: what is neither can never be added.
            let flags: UInt32 = processor.isPresent ? 1 : 2
            if processor.apicID < 255 && processor.uid < 255 {
                body += [0, 8, UInt8(processor.uid), UInt8(processor.apicID)]
                body.append(little: flags)
            } else {
                body += [9, 16, 0, 0]
                body.append(little: processor.apicID)
                body.append(little: flags)
                body.append(little: processor.uid)
            }
        }
        for ioAPIC in board.ioAPICs {
            body += [1, 12, ioAPIC.id, 0]
            body.append(little: ioAPIC.address)
            body.append(little: ioAPIC.gsiBase)
        }
        for wire in board.overrides {
            body += [2, 10, 0, wire.source]
            body.append(little: wire.gsi)
            body.append(little: wire.flags)
        }
        // LINT1 of every processor is the NMI.
        body += [4, 6, 0xFF, 0, 0, 1]
        if board.processors.contains(where: { $0.apicID >= 255 || $0.uid >= 255 }) {
            body += [10, 12, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]
        }
        return ACPITable("APIC", revision: 5, body: body)
    }

    /// HPET description table (IA-PC HPET specification 1.0a, 3.2.4): three comparators, 64-bit counter, legacy
    /// replacement.
    private static func hpet(_ address: UInt32) -> ACPITable {
        var body: [UInt8] = []
        body.append(little: UInt32(0x8086_A201))
        body += genericAddress(.init(.systemMemory, bits: 0, address: UInt64(address)))
        return ACPITable("HPET", revision: 1, body: body + [0, 0, 0, 0])
    }

    /// The TPM (TCG ACPI Specification 1.3, table 7), revision 4, of a client, without a log area.
    private static func tpm(_ tpm: ACPIConfiguration.TPM) -> ACPITable {
        var body: [UInt8] = [0, 0, 0, 0]
        switch tpm {
        // The FIFO has no control area.
        case .fifo:
            body.append(little: UInt64(0))
            body.append(little: UInt32(6))
        case .commandBuffer(let address):
            body.append(little: address + 0x40)
            body.append(little: UInt32(7))
        }
        return ACPITable("TPM2", revision: 4, body: body + [UInt8](repeating: 0, count: 12))
    }

    /// DMA remapping reporting (Intel, Virtualization Technology for Directed I/O 4.1, 8.1 and 8.3): one unit, which has all
    /// devices of segment 0, and no remapping of interrupts.
    private static func dmar(_ address: UInt64, bits: Int) -> ACPITable {
        var body: [UInt8] = [UInt8(bits - 1), 0] + [UInt8](repeating: 0, count: 10)
        // Its type, its length, the flag "all that no other unit has", and a reserved byte.
        body += [0, 0, 16, 0, 1, 0, 0, 0]
        body.append(little: address)
        return ACPITable("DMAR", revision: 1, body: body)
    }

    /// PCI Express memory-mapped configuration space (PCI Firmware Specification 3.3, 4.1.2).
    private static func mcfg(_ address: UInt64, buses: ClosedRange<UInt8>) -> ACPITable {
        var body = [UInt8](repeating: 0, count: 8)
        body.append(little: address)
        return ACPITable("MCFG", revision: 1, body: body + [0, 0, buses.lowerBound, buses.upperBound, 0, 0, 0, 0])
    }

    /// System resource affinity table (5.2.16), revision 3.
    private static func srat(_ board: ACPIConfiguration) -> ACPITable {
        var body: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for processor in board.processors {
            let node = processor.node
            if processor.apicID < 255 && processor.uid < 255 {
                body += [0, 16, UInt8(node & 0xFF), UInt8(processor.apicID), 1, 0, 0, 0, 0]
                body += [UInt8(node >> 8 & 0xFF), UInt8(node >> 16 & 0xFF), UInt8(node >> 24), 0, 0, 0, 0]
            } else {
                body += [2, 24, 0, 0]
                for value: UInt32 in [node, processor.apicID, 1, 0, 0] { body.append(little: value) }
            }
        }
        for memory in board.nodeMemory where memory.count > 0 {
            body += [1, 40]
            body.append(little: memory.node)
            body += [0, 0]
            body.append(little: memory.start)
            body.append(little: memory.count)
            // Enabled, and where that is so hot-pluggable.
            body += [0, 0, 0, 0, memory.isHotpluggable ? 3 : 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        return ACPITable("SRAT", revision: 3, body: body)
    }

    /// System locality information table (5.2.17).
    private static func slit(_ distances: [[UInt8]]) -> ACPITable {
        var body: [UInt8] = []
        body.append(little: UInt64(distances.count))
        for row in distances { body += row }
        return ACPITable("SLIT", revision: 1, body: body)
    }

    /// Windows ACPI emulated devices table: the power management timer need not be read three times.
    private static func waet() -> ACPITable { ACPITable("WAET", revision: 1, body: [2, 0, 0, 0]) }

    /// A generic address structure (5.2.3.2).
    static func genericAddress(_ address: ACPIConfiguration.GenericAddress?) -> [UInt8] {
        guard let address else { return [UInt8](repeating: 0, count: 12) }
        let access: UInt8 = address.bits == 8 ? 1 : address.bits == 16 ? 2 : address.bits == 32 ? 3 : 0
        var bytes: [UInt8] = [address.space.rawValue, address.bits, 0, access]
        bytes.append(little: address.address)
        return bytes
    }
}
