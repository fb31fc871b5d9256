internal import JSON
internal import Machine

extension HMPCommandTable {
    /// A forward's back-end, where the first of two words names one, and its rule.
    private static func forward(_ arguments: HMPArguments) -> (network: String?, rule: String) {
        let first = arguments.words["netdev_id"] ?? ""
        guard let second = arguments.words["rule"] else { return (nil, first) }
        return (first, second)
    }

    /// Media of drives, the balloon, and back-ends that come and go.
    static let media: [HMPCommand] = [
        HMPCommand(
            "eject", [HMPArgument("force", .flag("f")), HMPArgument("device", .word)],
            "eject a removable medium (use -f to force it)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let drive = MediumTarget.either(arguments.words["device"] ?? "")
            let force = arguments.flags.contains("f")
            try monitored { () throws(MachineError) in try monitor.machine.eject(drive, force: force) }
            return ""
        },
        HMPCommand(
            "change",
            [
                HMPArgument("device", .word), HMPArgument("force", .flag("f")), HMPArgument("filename", .word),
                HMPArgument("format", .word, optional: true), HMPArgument("read-only-mode", .word, optional: true),
            ], "change a removable medium, optional format"
        ) { (monitor, arguments, _) throws(MonitorError) in
            if arguments.words["device"] == "vnc" {
                guard ["password", "passwd"].contains(arguments.words["filename"]), let word = arguments.words["format"]
                else { throw .generic("expects: change vnc password PASSWORD") }
                try monitored { () throws(MachineError) in try monitor.machine.setVNCPassword(word, display: nil) }
                return ""
            }
            let drive = MediumTarget.either(arguments.words["device"] ?? "")
            let format = arguments.words["format"]
            if let format, !BlockNodeOptions.formats.contains(format) {
                throw .generic("there is no format '\(printable(format))'")
            }
            let modes = ["retain", "read-only", "read-write"]
            if let mode = arguments.words["read-only-mode"], !modes.contains(mode) {
                throw .generic("invalid parameter value: \(printable(mode)); valid: \(modes.joined(separator: ", "))")
            }
            let force = arguments.flags.contains("f")
            try monitored { () throws(MachineError) in
                try monitor.machine.changeMedium(
                    drive, file: arguments.words["filename"] ?? "", format: format, force: force)
            }
            return ""
        },
        HMPCommand("balloon", [HMPArgument("target", .expression)], "request the VM to change its memory size (in MB)")
        {
            (monitor, arguments, _) throws(MonitorError) in
            let (bytes, overflow) = (arguments.numbers["target"] ?? 0).multipliedReportingOverflow(by: 1 << 20)
            guard !overflow else { throw .generic("the target is too large") }
            try monitored { () throws(MachineError) in try monitor.machine.setBalloon(bytes) }
            return ""
        },
        HMPCommand("device_del", [HMPArgument("id", .word)], "remove a device") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.removeDevice(arguments.words["id"] ?? "")
            }
            return ""
        },
        HMPCommand("device_add", [HMPArgument("driver[,prop=value][,...]", .word)], "add a device, like -device") {
            (monitor, arguments, _) throws(MonitorError) in
            let text = arguments.words["driver[,prop=value][,...]"] ?? ""
            var builder = ConfigurationBuilder(program: "")
            do throws(OptionError) {
                try DeviceOptions.device(
                    &builder, OptionArgument(option: "device", text: text, values: [:]))
            } catch {
                if case .information(let help) = error { return help }
                throw MonitorError(error)
            }
            for device in builder.configuration.devices {
                try monitored { () throws(MachineError) in try monitor.machine.addDevice(device) }
            }
            return ""
        },
        HMPCommand("chardev-remove", [HMPArgument("id", .word)], "remove a character back-end") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.removeCharacterDevice(arguments.words["id"] ?? "")
            }
            return ""
        },
        HMPCommand("netdev_del", [HMPArgument("id", .word)], "remove a network back-end") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.removeNetwork(arguments.words["id"] ?? "")
            }
            return ""
        },
        HMPCommand("netdev_add", [HMPArgument("type,id=str[,prop=value][,...]", .word)], "add a network back-end") {
            (monitor, arguments, _) throws(MonitorError) in
            var builder = ConfigurationBuilder(program: "")
            let text = arguments.words["type,id=str[,prop=value][,...]"] ?? ""
            do throws(OptionError) {
                try NetworkOptions.netdev(&builder, OptionArgument(option: "netdev", text: text, values: [:]))
            } catch {
                if case .information(let help) = error { return help }
                throw MonitorError(error)
            }
            for network in builder.configuration.networks {
                try monitored { () throws(MachineError) in try monitor.machine.addNetwork(network) }
            }
            return ""
        },
        HMPCommand(
            "hostfwd_add", [HMPArgument("netdev_id", .word), HMPArgument("rule", .word, optional: true)],
            "redirect TCP or UDP connections from host to guest ([netdev_id] [tcp|udp]:[host]:port-[guest]:port)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let (network, rule) = forward(arguments)
            try monitored { () throws(MachineError) in try monitor.machine.addHostForward(network: network, rule) }
            return ""
        },
        HMPCommand(
            "hostfwd_remove", [HMPArgument("netdev_id", .word), HMPArgument("rule", .word, optional: true)],
            "remove host-to-guest TCP or UDP redirection ([netdev_id] [tcp|udp]:[host]:port)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let (network, rule) = forward(arguments)
            try monitored { () throws(MachineError) in try monitor.machine.removeHostForward(network: network, rule) }
            return "host forwarding rule for \(rule) removed\n"
        },
    ]
}
