internal import JSON
internal import Machine

extension HMPCommandTable {
    /// Runs a handler of an option on a word, for what it puts into a configuration; help is an answer.
    private static func read(
        _ monitor: HMPInterpreter, _ name: String, _ text: String,
        _ handler: (inout ConfigurationBuilder, OptionArgument) throws(OptionError) -> Void
    ) throws(MonitorError) -> (configuration: MachineConfiguration, help: String?) {
        var builder = ConfigurationBuilder(program: "")
        builder.configuration.board = monitor.machine.configuration.board
        do throws(OptionError) {
            try handler(&builder, OptionArgument(option: name, text: text, values: [:]))
            try builder.finishDrives()
        } catch {
            if case .information(let help) = error { return (builder.configuration, help) }
            throw MonitorError(error)
        }
        return (builder.configuration, nil)
    }

    /// Objects, drives, and what firmware starts.
    static let objects: [HMPCommand] = [
        HMPCommand("object_add", [HMPArgument("[qom-type=]type,id=str[,prop=value][,...]", .rest)], "create an object") {
            (monitor, arguments, _) throws(MonitorError) in
            let text = arguments.words["[qom-type=]type,id=str[,prop=value][,...]"] ?? ""
            let (wanted, help) = try read(monitor, "object", text, ObjectOptions.object)
            if let help { return help }
            for object in wanted.objects {
                try monitored { () throws(MachineError) in try monitor.machine.addObject(object) }
            }
            return ""
        },
        HMPCommand("object_del", [HMPArgument("id", .word)], "destroy an object") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.removeObject(arguments.words["id"] ?? "")
            }
            return ""
        },
        HMPCommand(
            "drive_add",
            [
                HMPArgument("node", .flag("n")), HMPArgument("[[<domain>:]<bus>:]<slot>", .word),
                HMPArgument("[file=file][,if=type][,...]", .word),
            ], "add drive to PCI storage controller (-n: a node of the block graph)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let text = arguments.words["[file=file][,if=type][,...]"] ?? ""
            if arguments.flags.contains("n") {
                let (wanted, help) = try read(monitor, "blockdev", text, BlockNodeOptions.blockdev)
                if let help { return help }
                for node in wanted.blockNodes {
                    try monitored { () throws(MachineError) in try monitor.machine.addBlockNode(node) }
                }
                return ""
            }
            let (wanted, help) = try read(monitor, "drive", text, DriveOptions.drive)
            if let help { return help }
            for drive in wanted.drives {
                guard drive.interface == .none else {
                    return "Can't hot-add drive to type \(drive.interface.rawValue)\n"
                }
                try monitored { () throws(MachineError) in try monitor.machine.addDrive(drive) }
            }
            return "OK\n"
        },
        HMPCommand("boot_set", [HMPArgument("bootdevice", .word)], "define new values for the boot device list") {
            (monitor, arguments, _) throws(MonitorError) in
            let order = arguments.words["bootdevice"] ?? ""
            var seen: Set<Character> = []
            for letter in order {
                guard "abcdn".contains(letter) else { return "Invalid boot device '\(printable(String(letter)))'\n" }
                guard seen.insert(letter).inserted else { return "Boot device '\(letter)' was given twice\n" }
            }
            try monitored { () throws(MachineError) in try monitor.machine.setBootOrder(order) }
            return "boot device list now set to \(printable(order))\n"
        },
    ]

    /// Addresses and what they lead to.
    static let addresses: [HMPCommand] = [
        HMPCommand(
            "gva2gpa", [HMPArgument("addr", .expression)],
            "print the guest physical address corresponding to a guest virtual address"
        ) { (monitor, arguments, state) throws(MonitorError) in
            let processor = state.processor
            let found = try monitored { () throws(MachineError) in
                try monitor.machine.physicalAddress(arguments.numbers["addr"] ?? 0, processor: processor)
            }
            return found.map { "gpa: 0x\(String($0, radix: 16))\n" } ?? "Unmapped\n"
        },
        HMPCommand(
            "gpa2hva", [HMPArgument("addr", .expression)],
            "print the host virtual address corresponding to a guest physical address"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let address = arguments.numbers["addr"] ?? 0
            let text = "0x" + String(address, radix: 16)
            guard let found = monitor.machine.hostAddress(address) else {
                return "No memory is mapped at address \(text)\n"
            }
            return "Host virtual address for \(text) (\(found.block)) is 0x\(String(found.address, radix: 16))\n"
        },
    ]
}
