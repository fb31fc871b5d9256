internal import Machine

extension HMPCommandTable {
    /// What `info` shows.
    static let info: [HMPCommand] =
        (infoMachine + infoMemory + infoProcessor + infoDevices + infoInterrupts + infoState + [infoVNC, infoSPICE]).sorted { $0.name < $1.name }

    private static let infoMachine: [HMPCommand] = [
        HMPCommand("mice", "show which guest mouse is receiving events") { (monitor, _, _) throws(MonitorError) in
            let pointers = monitor.machine.pointers
            if pointers.isEmpty { return "No mouse devices connected\n" }
            return pointers.map {
                "\($0.isCurrent ? "*" : " ") Mouse #\($0.index): \($0.name)\($0.isAbsolute ? " (absolute)" : "")\n"
            }.joined()
        },
        HMPCommand("status", "show the current VM status (running|paused)") {
            (monitor, _, _) throws(MonitorError) in
            let state = monitor.machine.runState
            if state.isRunning { return "VM status: running\n" }
            return "VM status: paused" + (state == .paused ? "" : " (\(state.rawValue))") + "\n"
        },
        HMPCommand("version", "show the version") { (_, _, _) throws(MonitorError) in
            let version = CommandLineParser.version
            return "\(version.major).\(version.minor).\(version.micro) (\(CommandLineParser.package))\n"
        },
        HMPCommand("name", "show the current VM name") { (monitor, _, _) throws(MonitorError) in
            let name = monitor.machine.configuration.name
            return name.isEmpty ? "" : printable(name) + "\n"
        },
        HMPCommand("uuid", "show the current VM UUID") { (monitor, _, _) throws(MonitorError) in
            QMPCommandTable.text(ofUUID: monitor.machine.configuration.uuid) + "\n"
        },
        HMPCommand("kvm", "show KVM information") { (monitor, _, _) throws(MonitorError) in
            let engine = monitor.machine.accelerator
            // The first line is the one that people and scripts look for; the others are ours.
            var text = "kvm support: \(engine.isKVM ? "enabled" : "disabled")\n"
            for part in engine.translation { text += "\(part.name): \(part.isOn ? "enabled" : "disabled")\n" }
            if !engine.reason.isEmpty { text += "accelerator: \(engine.name) (\(engine.reason))\n" }
            return text
        },
        HMPCommand("history", "show the command line history") { (_, _, state) throws(MonitorError) in
            state.history.enumerated().map { "\($0.offset): '\($0.element)'\n" }.joined()
        },
    ]

    private static let infoMemory: [HMPCommand] = [
        HMPCommand("memdev", "show memory backends") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.memoryBackends.map { backend in
                """
                memory backend: \(backend.id ?? "pc.ram")
                  size:  \(backend.size)
                  merge: \(backend.merges)
                  dump: \(backend.dumps)
                  prealloc: \(backend.preallocates)
                  share: \(backend.isShared)
                  reserve: true
                  policy: \(backend.policy)
                  host nodes: \(backend.hostNodes.map(String.init).joined(separator: ","))

                """
            }.joined() + "\n"
        },
        HMPCommand("numa", "show NUMA information") { (monitor, _, _) throws(MonitorError) in
            let numa = monitor.machine.configuration.numa
            let present = monitor.machine.processors.map(\.index)
            let modules = monitor.machine.memoryModules
            var text = "\(numa.nodes.count) nodes\n"
            for (number, node) in numa.nodes.enumerated() {
                let processors = present.filter { numa.processors.indices.contains($0) && numa.processors[$0] == number }
                let plugged = modules.filter { $0.node == number }.reduce(0) { $0 + $1.size }
                text += "node \(number) cpus:" + processors.map { " \($0)" }.joined() + "\n"
                text += "node \(number) size: \((node.memory + plugged) >> 20) MB\n"
                text += "node \(number) plugged: \(plugged >> 20) MB\n"
            }
            return text
        },
        HMPCommand("memory_size_summary", "show the amount of initially allocated and plugged memory in bytes") {
            (monitor, _, _) throws(MonitorError) in
            "base memory: \(monitor.machine.configuration.memory.size)\nplugged memory: \(monitor.machine.pluggedMemory)\n"
        },
        HMPCommand("memory-devices", "show memory devices") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.memoryModules.map(QMPCommandTable.text).joined()
        },
        HMPCommand("balloon", "show balloon information") { (monitor, _, _) throws(MonitorError) in
            guard let actual = monitor.machine.balloonActual else {
                throw .generic("No balloon device has been activated")
            }
            return "balloon: actual=\(actual >> 20)\n"
        },
        HMPCommand("iothreads", "show iothreads") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.ioThreads.map { "\($0.id):\n  thread_id=\($0.threadID)\n" }.joined()
        },
    ]

    private static let infoProcessor: [HMPCommand] = [
        HMPCommand("cpus", "show infos for each CPU") { (monitor, _, state) throws(MonitorError) in
            monitor.machine.processors.map { processor in
                "\(processor.index == state.processor ? "*" : " ") CPU #\(processor.index): thread_id=\(processor.threadID)\n"
            }.joined()
        },
        HMPCommand(
            "registers", [HMPArgument("cpustate_all", .flag("a")), HMPArgument("vcpu", .expression, optional: true)],
            "show the cpu registers (-a: of all CPUs; vcpu: of that CPU)"
        ) { (monitor, arguments, state) throws(MonitorError) in
            var wanted = [state.processor]
            if arguments.flags.contains("a") {
                wanted = monitor.machine.processors.map(\.index)
            } else if let number = arguments.numbers["vcpu"] {
                guard let index = Int(exactly: number),
                    monitor.machine.processors.contains(where: { $0.index == index })
                else { return "CPU#\(number) not available\n" }
                wanted = [index]
            }
            var text = ""
            for index in wanted {
                let registers = try monitored { () throws(MachineError) in try monitor.machine.registers(of: index) }
                text += "\nCPU#\(index)\n" + RegisterText.text(registers)
            }
            return text
        },
        HMPCommand("mem", "show the active virtual memory mappings") { (monitor, _, state) throws(MonitorError) in
            try PageText.ranges(try pages(monitor, state))
        },
        HMPCommand("tlb", "show virtual to physical memory mappings") { (monitor, _, state) throws(MonitorError) in
            try PageText.pages(try pages(monitor, state))
        },
        HMPCommand("jit", "show dynamic compiler info") { (monitor, _, _) throws(MonitorError) in
            guard let lines = monitor.machine.translationStatistics else {
                throw .generic("JIT information is only available with accel=tcg")
            }
            return lines.map { $0 + "\n" }.joined()
        },
    ]

    private static func pages(_ monitor: HMPInterpreter, _ state: HMPState) throws(MonitorError) -> [PageMapping]? {
        let processor = state.processor
        return try monitored { () throws(MachineError) in
            try monitor.machine.pageMappings(of: processor, limit: 1 << 18)
        }
    }

    private static let infoDevices: [HMPCommand] = [
        HMPCommand("mtree", [HMPArgument("flatview", .flag("f"))], "show memory tree (-f: dump flat view for address spaces)") {
            (monitor, arguments, _) throws(MonitorError) in
            if arguments.flags.contains("f") {
                let views = monitor.machine.addressSpaces.enumerated()
                return views.map { DeviceText.flatView($0.element, $0.offset) }.joined(separator: "\n")
            }
            return monitor.machine.addressSpaces.map(DeviceText.addressSpace).joined(separator: "\n")
        },
        HMPCommand("pci", "show PCI info") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.pciFunctions.map(DeviceText.pciFunction).joined()
        },
        HMPCommand("usb", "show guest USB devices") { (monitor, _, _) throws(MonitorError) in
            DeviceText.usb(monitor.machine.deviceTree)
        },
        HMPCommand("qtree", "show device tree") { (monitor, _, _) throws(MonitorError) in
            DeviceText.bus(monitor.machine.deviceTree, indent: 0)
        },
        HMPCommand(
            "block",
            [
                HMPArgument("nodes", .flag("n")), HMPArgument("verbose", .flag("v")),
                HMPArgument("device", .word, optional: true),
            ], "show info of one block device or all block devices (-n: show named nodes; -v: show details)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let wanted = arguments.words["device"]
            func isWanted(_ device: BlockDeviceStatus) -> Bool {
                wanted == nil || device.device == wanted || device.image?.nodeName == wanted
            }
            var devices = monitor.machine.blockDevices.filter(isWanted)
            if arguments.flags.contains("n") || (wanted != nil && devices.isEmpty) {
                devices = monitor.machine.blockNodes.map { BlockDeviceStatus(device: "", image: $0.image) }
                    .filter(isWanted)
            }
            if let wanted, devices.isEmpty { return "Device '\(printable(wanted))' not found\n" }
            return devices.map { DeviceText.block($0, isVerbose: arguments.flags.contains("v")) }.joined(
                separator: "\n")
        },
        HMPCommand("usernet", "show user network stack connection states") {
            (monitor, _, _) throws(MonitorError) in monitor.machine.userNetworkConnections
        },
        HMPCommand("block-jobs", "show progress of ongoing block device operations") {
            (monitor, _, _) throws(MonitorError) in try blockJobs(monitor)
        },
        HMPCommand("network", "show the network state") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.networks.map { network in
                let card = network.name.isEmpty ? "" : "\(network.name): \(network.text)\n"
                guard let backend = network.backend else { return card }
                return card + (card.isEmpty ? "" : " \\ ") + "\(backend): \(network.backendText)\n"
            }.joined()
        },
        HMPCommand("chardev", "show the character devices") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.characterDevices.map { "\($0.label): filename=\(printable($0.filename))\n" }.joined()
        },
    ]
}
