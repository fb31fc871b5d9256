internal import Machine

/// The commands of the monitor for people.
enum HMPCommandTable {
    static let all: [HMPCommand] =
        (life + memory + addresses + objects + media + disks + state + screen + vnc + others + [
            HMPCommand(
                "info", [HMPArgument("subcommand", .word, optional: true)],
                "show various information about the system state"
            ) { (_, _, _) throws(MonitorError) in "" }
        ]).sorted { $0.name < $1.name }

    private static let life: [HMPCommand] = [
        HMPCommand("stop", alias: "s", "stop emulation") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.stop()
            return ""
        },
        HMPCommand("cont", alias: "c", "resume emulation") { (monitor, _, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try monitor.machine.resume() }
            return ""
        },
        HMPCommand("quit", alias: "q", "end the machine") { (monitor, _, state) throws(MonitorError) in
            state.isEnded = true
            monitor.machine.quit(cause: .hostQuit)
            return ""
        },
        HMPCommand("system_reset", "reset the machine") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.reset(cause: .hostReset)
            return ""
        },
        HMPCommand("system_powerdown", "ask the guest to power off") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.powerDown()
            return ""
        },
        HMPCommand("system_wakeup", "wake the guest up from suspend") { (monitor, _, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try monitor.machine.wakeUp() }
            return ""
        },
        HMPCommand("nmi", "inject an NMI") { (monitor, _, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try monitor.machine.injectNMI() }
            return ""
        },
    ]

    private static let memory: [HMPCommand] = [
        HMPCommand(
            "x", [HMPArgument("fmt", .format), HMPArgument("addr", .expression)],
            "virtual memory dump starting at 'addr'"
        ) { (monitor, arguments, state) throws(MonitorError) in
            dump(monitor, arguments, &state, isPhysical: false)
        },
        HMPCommand(
            "xp", [HMPArgument("fmt", .format), HMPArgument("addr", .expression)],
            "physical memory dump starting at 'addr'"
        ) { (monitor, arguments, state) throws(MonitorError) in
            dump(monitor, arguments, &state, isPhysical: true)
        },
        HMPCommand(
            "print", alias: "p", [HMPArgument("fmt", .format), HMPArgument("expr", .expression)],
            "print expression value (use $reg for CPU register access)"
        ) { (_, arguments, _) throws(MonitorError) in
            let value = arguments.numbers["expr"] ?? 0
            switch arguments.format.letter {
            case UInt8(ascii: "d"): return "\(Int64(bitPattern: value))\n"
            case UInt8(ascii: "u"): return "\(value)\n"
            case UInt8(ascii: "o"): return "0" + (value == 0 ? "" : String(value, radix: 8)) + "\n"
            case UInt8(ascii: "c"):
                return MemoryText.item(value, MemoryFormat(count: 1, letter: UInt8(ascii: "c"), size: 1)) + "\n"
            default: return "0x\(String(value, radix: 16))\n"
            }
        },
        HMPCommand("i", [HMPArgument("fmt", .format), HMPArgument("addr", .expression)], "I/O port read") {
            (monitor, arguments, _) throws(MonitorError) in
            let (port, size, letter) = port(arguments)
            let value = UInt64(monitor.machine.readPort(port, size: size))
            return "port\(letter)[0x\(hex(UInt64(port), 4))] = 0x\(hex(value, size * 2))\n"
        },
        HMPCommand(
            "o", [HMPArgument("fmt", .format), HMPArgument("addr", .expression), HMPArgument("val", .expression)],
            "I/O port write"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let (port, size, _) = port(arguments)
            let value = UInt32(truncatingIfNeeded: arguments.numbers["val"] ?? 0)
            monitor.machine.writePort(port, size: size, size == 4 ? value : value & (1 << (size * 8) - 1))
            return ""
        },
        memorySave("memsave", "save to disk virtual memory dump starting at 'addr' of size 'size'", isPhysical: false),
        memorySave("pmemsave", "save to disk physical memory dump starting at 'addr' of size 'size'", isPhysical: true),
    ]

    private static func dump(
        _ monitor: HMPInterpreter, _ arguments: HMPArguments, _ state: inout HMPState, isPhysical: Bool
    ) -> String {
        state.format = arguments.format
        let text = MemoryText(machine: monitor.machine, processor: state.processor, isPhysical: isPhysical)
        return text.dump(arguments.numbers["addr"] ?? 0, arguments.format)
    }

    /// The port, bytes and their letter that `i` and `o` mean.
    private static func port(_ arguments: HMPArguments) -> (UInt16, Int, String) {
        let port = UInt16(truncatingIfNeeded: arguments.numbers["addr"] ?? 0)
        switch arguments.format.size {
        case 1: return (port, 1, "b")
        case 2: return (port, 2, "w")
        default: return (port, 4, "l")
        }
    }

    private static func memorySave(_ name: String, _ help: String, isPhysical: Bool) -> HMPCommand {
        HMPCommand(
            name,
            [
                HMPArgument("addr", .expression), HMPArgument("size", .expression), HMPArgument("filename", .word),
            ], help
        ) { (monitor, arguments, state) throws(MonitorError) in
            let processor = isPhysical ? nil : state.processor
            try monitored { () throws(MachineError) in
                try monitor.machine.saveMemory(
                    arguments.numbers["addr"] ?? 0, size: arguments.numbers["size"] ?? 0, processor: processor,
                    to: arguments.words["filename"] ?? "")
            }
            return ""
        }
    }

    private static let others: [HMPCommand] = [
        HMPCommand("help", alias: "?", [HMPArgument("cmd", .rest, optional: true)], "show the help") {
            (_, arguments, _) throws(MonitorError) in help(arguments.words["cmd"])
        },
        HMPCommand("cpu", [HMPArgument("index", .expression)], "set the default CPU") {
            (monitor, arguments, state) throws(MonitorError) in
            guard let index = Int(exactly: arguments.numbers["index"] ?? 0),
                monitor.machine.processors.contains(where: { $0.index == index })
            else { return "invalid CPU index\n" }
            state.processor = index
            return ""
        },
        HMPCommand("log", [HMPArgument("item1[,...]", .word)], "activate logging of the specified items") {
            (monitor, arguments, _) throws(MonitorError) in
            let text = arguments.words["item1[,...]"] ?? ""
            if isHelp(text) { return ProcessOptions.logHelp }
            let items = text.split(separator: ",").map(String.init)
            for item in items
            where !item.hasPrefix("trace:") && !ProcessOptions.logItems.contains(where: { $0.name == item }) {
                return "invalid log item '\(printable(item))'; 'log help' lists them\n"
            }
            let wanted = items.filter { $0 != "none" }
            try monitored { () throws(MachineError) in try monitor.machine.setLogItems(wanted) }
            return ""
        },
        HMPCommand(
            "gdbserver", [HMPArgument("device", .word, optional: true)],
            "start gdbserver on given device (default 'tcp::1234'), stop with 'none'"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let device = arguments.words["device"] ?? "tcp::1234"
            let isEnd = device == "none"
            try monitored { () throws(MachineError) in try monitor.machine.setDebugServer(isEnd ? nil : device) }
            return isEnd ? "Disabled gdbserver\n" : "Waiting for gdb connection on device '\(printable(device))'\n"
        },
        HMPCommand("logfile", [HMPArgument("filename", .word)], "output logs to 'filename'") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.setLogFile(arguments.words["filename"] ?? "")
            }
            return ""
        },
        HMPCommand(
            "set_link", [HMPArgument("name", .word), HMPArgument("on|off", .word)],
            "change the link status of a network adapter"
        ) { (monitor, arguments, _) throws(MonitorError) in
            guard let isUp = OptionValue.boolean(arguments.words["on|off"] ?? "") else {
                throw .generic("set_link: 'on' or 'off' expected")
            }
            try monitored { () throws(MachineError) in
                try monitor.machine.setLink(arguments.words["name"] ?? "", isUp: isUp)
            }
            return ""
        },
    ]

    private static func help(_ topic: String?) -> String {
        let words = (topic ?? "").split(separator: " ").map(String.init)
        guard let name = words.first else { return all.map { $0.usage() }.joined() }
        if name == "info" {
            let wanted = info.filter { words.count < 2 || $0.answers(to: words[1]) }
            if wanted.isEmpty { return "unknown command: 'info \(printable(words[1]))'\n" }
            return wanted.map { $0.usage(prefix: "info ") }.joined()
        }
        if name == "log" { return ProcessOptions.logHelp }
        let found = all.filter { $0.answers(to: name) }
        if found.isEmpty { return "unknown command: '\(printable(name))'\n" }
        return found.map { $0.usage() }.joined()
    }
}
