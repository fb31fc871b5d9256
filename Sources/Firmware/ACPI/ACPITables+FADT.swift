extension ACPITables {
    /// Fixed ACPI description table (ACPI 6.5, 5.2.9), revision 6.3.
    static func fadt(_ board: ACPIConfiguration) -> ACPITable {
        var table = ACPITable("FACP", revision: 6, body: [UInt8](repeating: 0, count: 276 - ACPITable.headerCount))
        table.pointers = [.init(offset: 40, size: 4, target: "DSDT"), .init(offset: 140, size: 8, target: "DSDT")]
        table.bytes.store(little: board.sci, at: 46)
        table.bytes[131] = 3
        let wbinvd: UInt32 = 1 << 0
        let c1Everywhere: UInt32 = 1 << 2
        let noFixedSleepButton: UInt32 = 1 << 5
        var flags = wbinvd | c1Everywhere | noFixedSleepButton
        // IAPC_BOOT_ARCH: legacy devices, i8042, no VGA, no RTC.
        var bootArchitecture: UInt16 = 0
        if !board.serialPorts.isEmpty || board.hasI8042 { bootArchitecture |= 1 << 0 }
        if board.hasI8042 { bootArchitecture |= 1 << 1 }
        if !board.hasVGA { bootArchitecture |= 1 << 2 }
        if !board.hasRTC { bootArchitecture |= 1 << 5 }
        table.bytes.store(little: bootArchitecture, at: 109)
        // No C2 and C3: their latencies are over the limits.
        table.bytes.store(little: UInt16(0xFFF), at: 96)
        table.bytes.store(little: UInt16(0xFFF), at: 98)
        if board.hasRTC { table.bytes[108] = 0x32 }
        if let reset = board.resetRegister {
            flags |= 1 << 10
            table.bytes.store(genericAddress(reset), at: 116)
            table.bytes[128] = board.resetValue
        }
        // More than eight processors do not fit the flat logical destination mode.
        if board.processors.count > 8 { flags |= 1 << 18 }
        switch board.power {
        case .fixed(let power):
            table.pointers.append(.init(offset: 36, size: 4, target: "FACS"))
            let timerIs32Bit: UInt32 = 1 << 8
            flags |= timerIs32Bit
            setFixed(power, in: &table.bytes)
        case .reduced(let power):
            let controlMethodPowerButton: UInt32 = 1 << 4
            let hardwareReduced: UInt32 = 1 << 20
            flags |= controlMethodPowerButton | hardwareReduced
            table.bytes.store(genericAddress(.init(.systemMemory, bits: 8, address: power.sleepControl)), at: 244)
            table.bytes.store(genericAddress(.init(.systemMemory, bits: 8, address: power.sleepStatus)), at: 256)
        }
        table.bytes.store(little: flags, at: 112)
        return table
    }

    private static func setFixed(_ power: ACPIConfiguration.FixedPower, in bytes: inout [UInt8]) {
        bytes.store(little: UInt32(power.smiCommand), at: 48)
        bytes[52] = power.acpiEnable
        bytes[53] = power.acpiDisable
        // Each block in its old form (port, length in bytes) and its new one.
        let blocks: [(port: UInt16, count: UInt8, old: Int, oldCount: Int, new: Int)] = [
            (power.eventBlock, 4, 56, 88, 148), (power.controlBlock, 2, 64, 89, 172),
            (power.timerBlock, 4, 76, 91, 208), (power.gpeBlock, power.gpeCount, 80, 92, 220),
        ]
        for block in blocks where block.port != 0 && block.count > 0 {
            bytes.store(little: UInt32(block.port), at: block.old)
            bytes[block.oldCount] = block.count
            let bits = UInt8(min(Int(block.count) * 8, 255))
            bytes.store(genericAddress(.init(.systemIO, bits: bits, address: UInt64(block.port))), at: block.new)
            // The register is accessed in pieces of the guest's choice.
            bytes[block.new + 3] = block.old == 76 ? 3 : 0
        }
    }
}
