internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// All domains, or those of a kind.
    mutating func addDomainLists() {
        add(Remote.ConnectListAllDomains.self, .loop) { (call, arguments) throws(LibvirtError) in
            let store = call.driver.store
            let domains = call.driver.list.all.filter { HandlerTable.matches($0, arguments.flags, store) }
            guard domains.count <= 16384 else {
                throw LibvirtError.rpc("Too many domains '\(domains.count)' for limit '16384'")
            }
            return Remote.ConnectListAllDomains.Result(
                domains: arguments.needResults != 0 ? domains.map(\.reference) : [],
                ret: UInt32(clamping: domains.count))
        }
        add(Remote.ConnectNumOfDomains.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectNumOfDomains.Result(num: Int32(clamping: call.driver.list.all.filter(\.isActive).count))
        }
        add(Remote.ConnectListDomains.self, .loop) { (call, arguments) throws(LibvirtError) in
            let ids = call.driver.list.all.map { $0.state.withLock { $0.id } }.filter { $0 >= 0 }.sorted()
            return Remote.ConnectListDomains.Result(ids: Array(ids.prefix(Int(max(0, arguments.maxids)))))
        }
        add(Remote.ConnectNumOfDefinedDomains.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectNumOfDefinedDomains.Result(
                num: Int32(clamping: call.driver.list.all.filter { !$0.isActive }.count))
        }
        add(Remote.ConnectListDefinedDomains.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = call.driver.list.all.filter { !$0.isActive }.map(\.name)
            return Remote.ConnectListDefinedDomains.Result(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
    }

    /// The filters of `virConnectListAllDomains`: of each group at least one must hold, if any is asked for.
    static func matches(_ domain: Domain, _ flags: UInt32, _ store: DomainStore) -> Bool {
        typealias Flags = VirConnectListAllDomainsFlags
        let (name, active, persistent, state, autostart, hasSnapshot) = domain.state.withLock {
            ($0.name, $0.isActive, $0.definition != nil, $0.state, $0.autostart, !$0.snapshots.isEmpty)
        }
        func group(_ choices: KeyValuePairs<UInt32, Bool>) -> Bool {
            let asked = choices.filter { flags & $0.key != 0 }
            return asked.isEmpty || asked.contains { $0.value }
        }
        let other = ![VirDomainState.running, VirDomainState.paused, VirDomainState.shutoff].contains(state)
        return group([Flags.active: active, Flags.inactive: !active])
            && group([Flags.persistent: persistent, Flags.transient: !persistent])
            && group([
                Flags.running: state == VirDomainState.running, Flags.paused: state == VirDomainState.paused,
                Flags.shutoff: state == VirDomainState.shutoff, Flags.other: other,
            ])
            && group([Flags.autostart: autostart, Flags.noAutostart: !autostart])
            && group([
                Flags.managedsave: flags & Flags.managedsave != 0 && store.hasSaved(name),
                Flags.noManagedsave: flags & Flags.noManagedsave != 0 && !store.hasSaved(name),
            ])
            && group([Flags.hasSnapshot: hasSnapshot, Flags.noSnapshot: !hasSnapshot])
            && group([Flags.hasCheckpoint: false, Flags.noCheckpoint: true])
    }
}
