internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

extension Call {
    var driver: DomainDriver { session.daemon.domains }
    func domain(_ reference: RemoteDomain) throws(LibvirtError) -> Domain { try driver.find(reference) }
}

extension HandlerTable {
    /// What is asked of one domain, without any effect.
    mutating func addDomainQuestions() {
        add(Remote.DomainLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            Remote.DomainLookupByName.Result(dom: try call.driver.find(name: arguments.name).reference)
        }
        add(Remote.DomainLookupByUUID.self, .loop) { (call, arguments) throws(LibvirtError) in
            Remote.DomainLookupByUUID.Result(dom: try call.driver.find(uuid: arguments.uuid).reference)
        }
        add(Remote.DomainLookupByID.self, .loop) { (call, arguments) throws(LibvirtError) in
            Remote.DomainLookupByID.Result(dom: try call.driver.find(id: arguments.id).reference)
        }
        add(Remote.DomainGetState.self, .loop) { (call, arguments) throws(LibvirtError) in
            try call.domain(arguments.dom).state.withLock {
                Remote.DomainGetState.Result(state: $0.state, reason: $0.reason)
            }
        }
        add(Remote.DomainGetInfo.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let (state, machine, memory, current, processors) = domain.state.withLock { state in
                (
                    state.state, state.machine, DomainFigures.memory(state.current),
                    DomainFigures.currentMemory(state.current), DomainFigures.processors(state.current)
                )
            }
            let time = machine.flatMap { ProcessStatistics(process: $0.process.number) }
            return Remote.DomainGetInfo.Result(
                state: UInt8(clamping: state), maxMem: memory, memory: current, nrVirtCpu: UInt16(clamping: processors),
                cpuTime: time.map { $0.user &+ $0.system } ?? 0)
        }
        add(Remote.DomainGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            if arguments.flags & VirDomainXMLFlags.secure != 0, call.session.isReadOnly {
                throw LibvirtError.operationDenied(
                    "virDomainGetXMLDesc with secure flag"
                ).from(VirErrorDomain.none)
            }
            let domain = try call.domain(arguments.dom)
            let tree = domain.state.withLock { state in
                arguments.flags & VirDomainXMLFlags.inactive != 0 ? state.definition ?? state.current : state.current
            }
            let secure = arguments.flags & VirDomainXMLFlags.secure != 0
            return Remote.DomainGetXMLDesc.Result(
                xml: XMLWriter.write(secure ? tree : DomainFigures.withoutSecrets(tree)))
        }
        add(Remote.DomainGetOSType.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try call.domain(arguments.dom).state.withLock { $0.current }
            return Remote.DomainGetOSType.Result(type: tree.at("os", "type")?.text ?? "hvm")
        }
        add(Remote.DomainGetMaxMemory.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try call.domain(arguments.dom).state.withLock { $0.current }
            return Remote.DomainGetMaxMemory.Result(memory: DomainFigures.memory(tree))
        }
        add(Remote.DomainIsActive.self, .loop) { (call, arguments) throws(LibvirtError) in
            Remote.DomainIsActive.Result(active: try call.domain(arguments.dom).isActive ? 1 : 0)
        }
        add(Remote.DomainIsPersistent.self, .loop) { (call, arguments) throws(LibvirtError) in
            let persistent = try call.domain(arguments.dom).state.withLock { $0.definition != nil }
            return Remote.DomainIsPersistent.Result(persistent: persistent ? 1 : 0)
        }
        add(Remote.DomainIsUpdated.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.domain(arguments.dom)
            return Remote.DomainIsUpdated.Result(updated: 0)
        }
        add(Remote.DomainGetAutostart.self, .loop) { (call, arguments) throws(LibvirtError) in
            Remote.DomainGetAutostart.Result(
                autostart: try call.domain(arguments.dom).state.withLock { $0.autostart } ? 1 : 0)
        }
        add(Remote.DomainGetAutostartOnce.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.domain(arguments.dom)
            return Remote.DomainGetAutostartOnce.Result(autostart: 0)
        }
        addSmallQuestions()
    }

    /// The labels of a running machine, by the host's models in their order.
    private static func labels(_ live: XMLTree) -> [RemoteDomainGetSecurityLabelRet] {
        var list: [RemoteDomainGetSecurityLabelRet] = []
        if LabelPolicy.host != nil {
            let label = MachineLabel(live)?.process.description
            list.append(
                .init(
                    label: characters(label ?? ""), enforcing: label != nil && SecurityLabels.isEnforcing ? 1 : 0))
        }
        if let label = MachineConfinement.label(of: live) { list.append(.init(label: characters(label), enforcing: 1)) }
        return list
    }

    private mutating func addSmallQuestions() {
        add(Remote.DomainHasManagedSaveImage.self, .loop) { (call, arguments) throws(LibvirtError) in
            let name = try call.domain(arguments.dom).name
            return Remote.DomainHasManagedSaveImage.Result(result: call.driver.store.hasSaved(name) ? 1 : 0)
        }
        add(Remote.DomainGetSecurityLabel.self, .loop) { (call, arguments) throws(LibvirtError) in
            let live = try call.domain(arguments.dom).state.withLock { $0.live }
            let first = live.map(HandlerTable.labels)?.first
            // Of the model that the host has first, as `NodeGetSecurityModel` tells.
            return first.map { .init(label: $0.label, enforcing: $0.enforcing) } ?? .init(label: [0], enforcing: 0)
        }
        add(Remote.DomainGetSecurityLabelList.self, .loop) { (call, arguments) throws(LibvirtError) in
            let live = try call.domain(arguments.dom).state.withLock { $0.live }
            let labels = live.map(HandlerTable.labels) ?? []
            return Remote.DomainGetSecurityLabelList.Result(labels: labels, ret: Int32(labels.count))
        }
        add(Remote.DomainGetMessages.self, .loop) { (call, arguments) throws(LibvirtError) in
            let messages = try call.domain(arguments.dom).state.withLock { $0.messages }
            // Remarks on what was left out are no taint and no deprecation.
            let wanted = arguments.flags == 0 ? messages : []
            return Remote.DomainGetMessages.Result(msgs: wanted)
        }
        add(Remote.DomainGetControlInfo.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.domain(arguments.dom).running()
            return Remote.DomainGetControlInfo.Result(state: 0, details: 0, stateTime: 0)
        }
    }
}
