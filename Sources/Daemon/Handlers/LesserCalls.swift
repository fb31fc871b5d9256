internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Calls that few clients make.
extension HandlerTable {
    mutating func addLesserCalls() {
        addSleep()
        addSavingWithParameters()
        add(Remote.DomainPinIOThread.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.pin(
                call, arguments.dom, thread: arguments.iothreadsId, HandlerTable.processors(in: arguments.cpumap),
                arguments.flags)
        }
        add(Remote.DomainAgentSetResponseTimeout.self, .loop) { (call, arguments) throws(LibvirtError) in
            guard arguments.timeout >= -2 else {
                throw LibvirtError.invalidArgument(
                    "guest agent timeout '\(arguments.timeout)' is less than the minimum '-2'")
            }
            try call.domain(arguments.dom).state.withLock { $0.agentPatience = arguments.timeout }
            return .init(result: 0)
        }
        add(Remote.DomainStartDirtyRateCalc.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            guard (1...60).contains(arguments.seconds) else {
                throw LibvirtError.invalidArgument(
                    "seconds=\(arguments.seconds) is invalid, please choose value within [1, 60].")
            }
            try call.domain(arguments.dom).running().qmp().execute(
                "calc-dirty-rate", ["calc-time": .number(Int64(arguments.seconds))])
        }
        add(Remote.DomainOpenGraphics.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            let screens = DomainFigures.devices(domain.state.withLock { $0.current }, "graphics")
            guard Int(arguments.idx) < screens.count else {
                throw LibvirtError.internalError("No graphics backend with index \(arguments.idx)")
            }
            guard let socket = call.descriptors.first else {
                throw LibvirtError.invalidArgument("the call comes without a descriptor")
            }
            let monitor = try domain.running().qmp()
            try monitor.execute("getfd", ["fdname": "graphicsfd"], passing: socket)
            let kind = screens[Int(arguments.idx)]["type"] ?? "vnc"
            try monitor.execute("add_client", ["protocol": .string(kind), "fdname": "graphicsfd"])
        }
        addNetworkPorts()
    }

    // MARK: - Sleep

    private mutating func addSleep() {
        add(Remote.DomainPMSuspendForDuration.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let commands = ["guest-suspend-ram", "guest-suspend-disk", "guest-suspend-hybrid"]
            guard Int(arguments.target) < commands.count else {
                throw LibvirtError.invalidArgument("Unknown suspend target: \(arguments.target)")
            }
            guard arguments.duration == 0 else {
                throw LibvirtError.operationUnsupported("Duration not supported. Use 0 for now")
            }
            // The agent sleeps with its guest: there may be no answer.
            let domain = try call.domain(arguments.dom)
            do throws(LibvirtError) { try GuestAgent.execute(domain, commands[Int(arguments.target)]) } catch {
                guard domain.state.withLock({ $0.state == VirDomainState.pmsuspended || !$0.isActive }) else {
                    throw error
                }
            }
        }
        add(Remote.DomainPMWakeup.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.domain(arguments.dom).running().qmp().execute("system_wakeup")
        }
    }

    // MARK: - Saving

    private static func text(_ parameters: [RemoteTypedParam], _ name: String) -> String? {
        for parameter in parameters where parameter.field == name {
            if case .string(let text) = parameter.value { return text }
        }
        return nil
    }

    private mutating func addSavingWithParameters() {
        @Sendable func check(_ parameters: [RemoteTypedParam]) throws(LibvirtError) {
            for parameter in parameters where !["file", "dxml", "image_format"].contains(parameter.field) {
                throw LibvirtError.invalidArgument("parameter '\(parameter.field)' not supported")
            }
            guard HandlerTable.text(parameters, "image_format").map({ $0 == "raw" }) ?? true else {
                throw LibvirtError.operationUnsupported("only save images of format 'raw' are written")
            }
        }
        add(Remote.DomainSaveParams.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try check(arguments.params)
            let domain = try call.domain(arguments.dom)
            guard let path = HandlerTable.text(arguments.params, "file") else {
                return try call.driver.managedSave(domain, flags: arguments.flags)
            }
            try call.driver.save(
                domain, to: path, document: HandlerTable.text(arguments.params, "dxml"), flags: arguments.flags)
        }
        add(Remote.DomainRestoreParams.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try check(arguments.params)
            guard let path = HandlerTable.text(arguments.params, "file") else {
                throw LibvirtError.invalidArgument("missing path to restore from")
            }
            try call.driver.restore(
                from: path, document: HandlerTable.text(arguments.params, "dxml"), flags: arguments.flags)
        }
    }

    // MARK: - Threads

    private static func pin(
        _ call: Call, _ reference: RemoteDomain, thread number: UInt32, _ wanted: [Int], _ flags: UInt32
    ) throws(LibvirtError) {
        guard !wanted.isEmpty else { throw LibvirtError.invalidArgument("Empty iothread cpumap list for pinning") }
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            if tree["id"] != nil {
                let machine = try domain.running()
                let all = try machine.qmp().execute("query-iothreads").arrayValue ?? []
                guard let found = all.first(where: { $0["id"]?.stringValue == "iothread\(number)" }),
                    let thread = found["thread-id"]?.intValue
                else { throw LibvirtError.invalidArgument("iothread \(number) not found") }
                try call.driver.onHost { () throws(HostError) in
                    try Affinity.set(thread: machine.hostThreads()(Int32(clamping: thread)), processors: wanted)
                }
            }
            if tree.child("cputune") == nil {
                tree.insert(XMLTree("cputune"), before: HandlerTable.afterTuning.union(["numatune"]))
            }
            tree.update("cputune") { tuning in
                tuning.nodes.removeAll { node in
                    if case .element(let pin) = node {
                        pin.name == "iothreadpin" && pin["iothread"] == "\(number)"
                    } else {
                        false
                    }
                }
                let set = wanted.map(String.init).joined(separator: ",")
                tuning.insert(
                    .of("iothreadpin", ["iothread": "\(number)", "cpuset": set]),
                    before: ["vcpusched", "iothreadsched", "emulatorsched"])
            }
        }
    }

    // MARK: - Ports

    private static func port(
        _ call: Call, _ network: RemoteNetwork, _ uuid: UUIDBytes
    ) throws(LibvirtError) -> (network: String, domain: Domain, card: XMLTree) {
        for domain in call.driver.list.all {
            guard let live = domain.state.withLock({ $0.live }) else { continue }
            for card in DomainFigures.devices(live, "interface") {
                guard let source = card.child("source"), source["portid"] == uuid.description,
                    source["network"] == network.name
                else { continue }
                return (network.name, domain, card)
            }
        }
        let detail = "Network port with UUID \(uuid) does not exist"
        throw LibvirtError(
            code: VirErrorNumber.noNetworkPort, domain: VirErrorDomain.network,
            message: "network port not found: \(detail)",
            detail: detail)
    }

    private mutating func addNetworkPorts() {
        add(Remote.NetworkPortLookupByUUID.self, .worker) { (call, arguments) throws(LibvirtError) in
            _ = try HandlerTable.port(call, arguments.network, arguments.uuid)
            return .init(port: .init(net: arguments.network, uuid: arguments.uuid))
        }
        add(Remote.NetworkPortGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let (_, domain, card) = try HandlerTable.port(call, arguments.port.net, arguments.port.uuid)
            var tree = XMLTree("networkport")
            tree.append(.text("uuid", arguments.port.uuid.description))
            var owner = XMLTree("owner")
            owner.append(.text("name", domain.name))
            owner.append(.text("uuid", domain.uuid.description))
            tree.append(owner)
            if let mac = card.child("mac") { tree.append(mac) }
            var plug = XMLTree.of("plug", ["type": "network"])
            plug.set("bridge", card.child("source")?["bridge"])
            tree.append(plug)
            return .init(xml: XMLWriter.write(tree))
        }
    }
}
