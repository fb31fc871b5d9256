extension FwCfgItems {
    /// What every firmware asks about its machine.
    public struct Machine: Sendable {
        /// In the order of its text form.
        public var uuid = [UInt8](repeating: 0, count: 16)
        /// Where RAM lies.
        public var memory: PCMemory
        /// Processors at start.
        public var processors: UInt16
        /// The highest possible APIC id and one.
        public var maximumProcessors: UInt16
        /// There is no display.
        public var isHeadless = false
        /// `-boot menu=on`.
        public var showsBootMenu = false
        /// `-boot splash-time=`, milliseconds.
        public var bootMenuWait: UInt16?
        /// `-boot reboot-timeout=`, milliseconds.
        public var rebootTimeout: UInt32?
        /// Boot devices by their OpenFirmware paths, the first first.
        public var bootOrder: [String] = []
        /// SLP_TYP of suspending to RAM and to disk; nil where guests may not.
        public var sleepTypeMemory: UInt8?
        public var sleepTypeDisk: UInt8?

        /// A machine without boot options.
        public init(memory: PCMemory, processors: UInt16, maximumProcessors: UInt16) {
            self.memory = memory
            self.processors = processors
            self.maximumProcessors = maximumProcessors
        }
    }

    /// Sets the machine's items and adds its files (`etc/e820`, `bootorder`, …).
    public mutating func add(_ machine: Machine) throws(FwCfgError) {
        set(Key.uuid, bytes: machine.uuid)
        set(Key.ramSize, machine.memory.low + machine.memory.high)
        set(Key.noGraphic, UInt16(machine.isHeadless ? 1 : 0))
        set(Key.processors, machine.processors)
        set(Key.maximumProcessors, machine.maximumProcessors)
        set(Key.bootMenu, UInt16(machine.showsBootMenu ? 1 : 0))
        set(Key.irq0Override, UInt32(1))
        try add(file: "etc/e820", bytes: machine.memory.firmwareMap.e820)
        // S0 to S5: bit 7 says that there is the state, the low bits are its SLP_TYP.
        let (memory, disk) = (machine.sleepTypeMemory.map { $0 | 0x80 }, machine.sleepTypeDisk.map { $0 | 0x80 })
        try add(file: "etc/system-states", bytes: [0x80, 0, 0, memory ?? 0, disk ?? 0, 0x80])
        if let wait = machine.bootMenuWait {
            try add(file: "etc/boot-menu-wait", bytes: [UInt8(wait & 0xFF), UInt8(wait >> 8)])
        }
        if let timeout = machine.rebootTimeout {
            var bytes: [UInt8] = []
            bytes.append(little: timeout)
            try add(file: "etc/boot-fail-wait", bytes: bytes)
        }
        if !machine.bootOrder.isEmpty {
            try add(file: "bootorder", bytes: Array(machine.bootOrder.joined(separator: "\n").utf8) + [0])
        }
    }

    /// Adds ACPI tables for the firmware to install.
    public mutating func add(_ tables: ACPITables) throws(FwCfgError) {
        for file in tables.firmwareFiles { try add(file: file.name, bytes: file.bytes) }
    }

    /// Adds SMBIOS tables for the firmware to install.
    public mutating func add(_ tables: SMBIOSTables) throws(FwCfgError) {
        for file in tables.firmwareFiles { try add(file: file.name, bytes: file.bytes) }
    }

    /// Sets the items from which a firmware boots a Linux kernel: its real-mode part with the boot loader's fields
    /// filled in as a boot loader of type 0xB0 does, the rest, the command line and the initial RAM disk, which
    /// lies below `lowMemory`, the end of RAM under 4 GiB less what the firmware needs.
    public mutating func add(
        linux kernel: ByteImage, commandLine: String, initrd: [UInt8], lowMemory: UInt64
    ) throws(LoadError) {
        let header = try LinuxHeader(file: kernel, prefix: kernel.prefix(KernelLoader.probeCount))
        let text = Array(commandLine.utf8)
        guard text.count <= header.commandLineLimit else {
            throw .commandLineTooLong(file: kernel.name, count: text.count, limit: header.commandLineLimit)
        }
        let setupAddress: UInt32 = 0x10000
        let commandLineAddress: UInt32 = 0x20000
        let limit = min(header.initrdMaximum + 1, lowMemory)
        guard UInt64(initrd.count) <= limit else {
            throw .initrdDoesNotFit(file: "initrd", count: UInt64(initrd.count), available: limit)
        }
        let initrdAddress = UInt32(truncatingIfNeeded: (limit - UInt64(initrd.count)) & ~4095)
        var setup = Array(kernel.bytes[0..<Int(header.kernelOffset)])
        setup[0x210] = 0xB0
        setup[0x211] |= 0x80
        setup.store(little: UInt16(commandLineAddress - setupAddress - 0x200), at: 0x224)
        setup.store(little: commandLineAddress, at: 0x228)
        setup.store(little: initrd.isEmpty ? 0 : initrdAddress, at: 0x218)
        setup.store(little: UInt32(initrd.count), at: 0x21C)
        set(Key.setupAddress, setupAddress)
        set(Key.setupSize, UInt32(setup.count))
        set(Key.setupData, bytes: setup)
        set(Key.kernelAddress, UInt32(0x10_0000))
        set(Key.kernelSize, UInt32(clamping: header.kernelCount))
        set(Key.kernelData, bytes: Array(kernel.bytes[Int(header.kernelOffset)...]))
        set(Key.commandLineAddress, commandLineAddress)
        set(Key.commandLineSize, UInt32(text.count + 1))
        set(Key.commandLineData, bytes: text + [0])
        set(Key.initrdAddress, initrd.isEmpty ? 0 : initrdAddress)
        set(Key.initrdSize, UInt32(initrd.count))
        set(Key.initrdData, bytes: initrd)
    }
}
