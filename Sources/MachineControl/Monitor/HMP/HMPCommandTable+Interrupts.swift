internal import Machine

extension HMPCommandTable {
    /// Interrupt controllers, and what else is looked at seldom.
    static let infoInterrupts: [HMPCommand] = [
        HMPCommand(
            "lapic", [HMPArgument("apic-id", .expression, optional: true)],
            "show local apic state (apic-id: local apic to read, default is which of current CPU)"
        ) { (monitor, arguments, state) throws(MonitorError) in
            let wanted = arguments.numbers["apic-id"] ?? UInt64(state.processor)
            guard let index = Int(exactly: wanted), monitor.machine.processors.contains(where: { $0.index == index })
            else { return "No CPU available\n" }
            let apic = try monitored { () throws(MachineError) in try monitor.machine.localAPIC(of: index) }
            return InterruptText.local(apic, processor: index)
        },
        HMPCommand("pic", "show PIC state") { (monitor, _, _) throws(MonitorError) in
            InterruptText.controllers(monitor.machine.interruptControllers)
        },
        HMPCommand("qom-tree", [HMPArgument("path", .word, optional: true)], "show QOM composition tree") {
            (monitor, arguments, _) throws(MonitorError) in
            let path = arguments.words["path"] ?? "/machine"
            return ObjectTree(monitor.machine).text(from: path) ?? "Path '\(printable(path))' could not be resolved.\n"
        },
        HMPCommand("roms", "show roms") { (monitor, _, _) throws(MonitorError) in
            let boot = monitor.machine.configuration.boot
            let ranges = monitor.machine.addressSpaces.first?.ranges.filter { $0.kind == "rom" } ?? []
            // Firmware shows through more than one window: the highest is where it begins.
            guard let rom = ranges.last, let path = boot.bios else { return "" }
            let name = path.split(separator: "/").last.map(String.init) ?? path
            return "addr=\(hex(rom.start, 16)) size=0x\(hex(rom.last &- rom.start &+ 1, 6)) mem=rom"
                + " name=\"\(printable(name))\"\n"
        },
    ]
}

/// The texts of `info lapic` and `info pic`.
enum InterruptText {
    private static let modes = ["Fixed", "...", "SMI", "...", "NMI", "INIT", "...", "ExtINT"]

    static func local(_ apic: LocalAPICStatus, processor: Int) -> String {
        var text = "dumping local APIC state for CPU \(left("\(processor)", 2))\n\n"
        for (name, value) in zip(["LVT0", "LVT1", "LVTPC", "LVTERR", "LVTTHMR", "LVTT"], apic.vectors) {
            text += vector(name, value, isTimer: name == "LVTT")
        }
        let divider = apic.timer.divider
        let shift = ((divider & 3 | divider >> 1 & 4) + 1) & 7
        text += "Timer\t DCR=0x\(String(divider, radix: 16)) (divide by \(1 << shift)) initial_count = "
        text += "\(apic.timer.initial) current_count = \(apic.timer.current)\n"
        text += "SPIV\t 0x\(hex(UInt64(apic.spurious), 8)) APIC \(apic.spurious & 0x100 != 0 ? "enabled" : "disabled"), "
        text += "focus=\(apic.spurious & 0x200 != 0 ? "on" : "off"), spurious vec \(apic.spurious & 0xFF)\n"
        text += command(apic) + "ESR\t 0x\(hex(UInt64(apic.errors), 8))\n"
        text += "ISR\t \(vectors(apic.inService, apic))\nIRR\t \(vectors(apic.requests, apic))\n"
        let served: [UInt32] = (0..<256).filter { apic.inService[Int($0) / 32] >> ($0 % 32) & 1 != 0 }
        let highest: UInt32 = served.last ?? 0
        let task = apic.taskPriority & 0xFF
        let priority = task >> 4 >= highest >> 4 ? task : highest & 0xF0
        text += "\nAPR 0x00 TPR 0x\(hex(UInt64(task), 2)) DFR 0x\(hex(UInt64(apic.logical.format >> 28), 2))"
        return text + " LDR 0x\(hex(UInt64(apic.isX2 ? apic.logical.destination : apic.logical.destination >> 24), 2))"
            + " PPR 0x\(hex(UInt64(priority), 2))\n"
    }

    private static func vector(_ name: String, _ value: UInt32, isTimer: Bool) -> String {
        let mode = Int(value >> 8 & 7)
        let kind = value >> 17 & 3 == 1 ? "periodic" : value >> 17 & 3 == 2 ? "tsc-deadline" : "one-shot"
        var text = "\(name)\t 0x\(hex(UInt64(value), 8)) \(value & 0x2000 != 0 ? "active-lo" : "active-hi") "
        text += left(value & 0x8000 != 0 ? "level" : "edge", 5) + " " + left(value & 0x10000 != 0 ? "masked" : "", 6)
        text += " " + left(value & 0x1000 != 0 ? "pending" : "", 7) + " " + left(isTimer ? kind : "", 12) + " "
        text += left(modes[mode], 6)
        return text + (mode == 4 ? "\n" : " (vec \(value & 0xFF))\n")
    }

    private static func command(_ apic: LocalAPICStatus) -> String {
        let (low, high) = apic.command
        let isLogical = low & 0x800 != 0
        let shorthand = ["no-shorthand", "self", "all-self", "all"][Int(low >> 18 & 3)]
        var text = "ICR\t 0x\(hex(UInt64(low), 8)) \(isLogical ? "logical" : "physical") "
        text += (low & 0x8000 != 0 ? "level " : "edge ") + (low & 0x4000 != 0 ? "assert " : "de-assert ") + shorthand
        text += "\nICR2\t 0x\(hex(UInt64(high), 8))"
        if low >> 18 & 3 != 0 { return text + "\n" }
        let destination = apic.isX2 ? high : high >> 24
        let kind = apic.isX2 ? "X2APIC ID" : "APIC ID"
        return text + (isLogical ? " mask \(hex(UInt64(destination), 8)) (\(kind))\n" : " cpu \(destination) (\(kind))\n")
    }

    private static func vectors(_ bits: [UInt32], _ apic: LocalAPICStatus) -> String {
        let set = (0..<256).filter { bits[$0 / 32] >> UInt32($0 % 32) & 1 != 0 }
        guard !set.isEmpty else { return "(none)" }
        return set.map { "\($0)" + (apic.levels[$0 / 32] >> UInt32($0 % 32) & 1 != 0 ? "(level)" : "") }
            .joined(separator: " ")
    }

    static func controllers(_ status: InterruptControllerStatus) -> String {
        var text = ""
        if !status.entries.isEmpty {
            text += "ioapic0: ver=0x20 id=0x\(hex(UInt64(status.id), 2)) sel=0x\(hex(UInt64(status.select), 2))"
            text += status.select >= 0x10 ? " (redir[\((status.select - 0x10) / 2)])\n" : "\n"
            for (pin, entry) in status.entries.enumerated() { text += input(pin, entry) }
            text += left("  IRR", 10) + " " + inputs(status.requests)
            var waiting: UInt32 = 0
            for (pin, entry) in status.entries.enumerated() where pin < 32 && entry & 0x4000 != 0 {
                waiting |= 1 << UInt32(pin)
            }
            text += left("  Remote IRR", 10) + " " + inputs(waiting)
        }
        for (number, chip) in status.legacy.enumerated().reversed() {
            text += "pic\(number): irr=\(hex(UInt64(chip.requests), 2)) imr=\(hex(UInt64(chip.mask), 2)) "
            text += "isr=\(hex(UInt64(chip.inService), 2)) hprio=\(chip.highest) irq_base=\(hex(UInt64(chip.base), 2)) "
            text += "rr_sel=\(chip.readsInService ? 1 : 0) elcr=\(hex(UInt64(chip.levels), 2)) fnm=\(chip.isNested ? 1 : 0)\n"
        }
        return text
    }

    private static func input(_ pin: Int, _ entry: UInt64) -> String {
        let modes = ["fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT"]
        var text = "  pin \(left("\(pin)", 2)) 0x\(hex(entry, 16)) dest=\(String(entry >> 56, radix: 16)) "
        text += "vec=\(left("\(entry & 0xFF)", 3)) \(entry & 0x2000 != 0 ? "active-lo" : "active-hi") "
        text += left(entry & 0x8000 != 0 ? "level" : "edge", 5) + " " + left(entry & 0x10000 != 0 ? "masked" : "", 6)
        return text + " " + left(modes[Int(entry >> 8 & 7)], 6) + " \(entry & 0x800 != 0 ? "logical" : "physical")\n"
    }

    private static func inputs(_ bits: UInt32) -> String {
        guard bits != 0 else { return "(none)\n" }
        return (0..<32).filter { bits >> UInt32($0) & 1 != 0 }.map { left("\($0)", 2) }.joined(separator: " ") + "\n"
    }
}
