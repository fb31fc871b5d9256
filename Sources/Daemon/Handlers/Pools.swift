internal import DomainModel
internal import RPCWire
internal import Synchronization

extension Call {
    var storage: StorageDriver { session.daemon.storage }

    /// Tells subscribers of a pool's life.
    func tell(_ pool: StoragePool, _ event: Int32) {
        let reference = pool.reference
        session.daemon.deliver(.storagePool, VirStoragePoolEventID.lifecycle, of: pool.uuid) { number in
            try? Frame.event(
                Remote.StoragePoolEventLifecycle.self,
                .init(callbackID: number, pool: reference, event: event, detail: 0))
        }
    }
}

extension HandlerTable {
    /// What is asked about pools.
    mutating func addPools() {
        add(Remote.ConnectNumOfStoragePools.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.storage.all.filter(\.isActive).count))
        }
        add(Remote.ConnectListStoragePools.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = call.storage.all.filter(\.isActive).map(\.reference.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectNumOfDefinedStoragePools.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.storage.all.filter { !$0.isActive }.count))
        }
        add(Remote.ConnectListDefinedStoragePools.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = call.storage.all.filter { !$0.isActive }.map(\.reference.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectListAllStoragePools.self, .loop) { (call, arguments) throws(LibvirtError) in
            let pools = call.storage.all.filter { HandlerTable.matches($0, arguments.flags) }
            return .init(
                pools: arguments.needResults != 0 ? pools.map(\.reference) : [], ret: UInt32(clamping: pools.count))
        }
        add(Remote.StoragePoolLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(pool: try call.storage.find(name: arguments.name).reference)
        }
        add(Remote.StoragePoolLookupByUUID.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(pool: try call.storage.find(uuid: arguments.uuid).reference)
        }
        add(Remote.StoragePoolLookupByVolume.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(pool: try call.storage.find(name: arguments.vol.pool).reference)
        }
        add(Remote.StoragePoolLookupByTargetPath.self, .loop) { (call, arguments) throws(LibvirtError) in
            guard let pool = call.storage.all.first(where: { $0.isActive && $0.path == arguments.path }) else {
                throw StorageDriver.noPool("no storage pool with matching target path '\(arguments.path)'")
            }
            return .init(pool: pool.reference)
        }
        add(Remote.StoragePoolGetInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            let space = pool.space
            let state = pool.isActive ? VirStoragePoolState.running : VirStoragePoolState.inactive
            return .init(
                state: UInt8(clamping: state), capacity: space.capacity, allocation: space.allocation,
                available: space.available)
        }
        add(Remote.StoragePoolGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            let inactive = arguments.flags & VirStorageXMLFlags.inactive != 0
            return .init(xml: XMLWriter.write(pool.document(inactive: inactive)))
        }
        add(Remote.StoragePoolGetAutostart.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(autostart: try call.storage.find(arguments.pool).state.withLock { $0.autostart } ? 1 : 0)
        }
        add(Remote.StoragePoolIsActive.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(active: try call.storage.find(arguments.pool).isActive ? 1 : 0)
        }
        add(Remote.StoragePoolIsPersistent.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(persistent: try call.storage.find(arguments.pool).state.withLock { $0.persistent } ? 1 : 0)
        }
    }

    private static func matches(_ pool: StoragePool, _ flags: UInt32) -> Bool {
        typealias Flags = VirConnectListAllStoragePoolsFlags
        let (active, persistent, autostart) = pool.state.withLock { ($0.active, $0.persistent, $0.autostart) }
        func group(_ choices: KeyValuePairs<UInt32, Bool>) -> Bool {
            let asked = choices.filter { flags & $0.key != 0 }
            return asked.isEmpty || asked.contains { $0.value }
        }
        // Kinds of pools begin at bit 6.
        let kinds = flags & 0x3F_FFC0
        let own: [String: UInt32] = [
            "dir": Flags.dir, "fs": Flags.fs, "netfs": Flags.netfs, "disk": Flags.disk, "logical": Flags.logical,
        ]
        let kind = own[pool.state.withLock { $0.definition["type"] } ?? ""] ?? Flags.dir
        return group([Flags.active: active, Flags.inactive: !active])
            && group([Flags.persistent: persistent, Flags.transient: !persistent])
            && group([Flags.autostart: autostart, Flags.noAutostart: !autostart])
            && (kinds == 0 || kinds & kind != 0)
    }

    /// What is done with pools.
    mutating func addPoolChanges() {
        add(Remote.StoragePoolDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.define(arguments.xml)
            call.tell(pool, VirStoragePoolEventLifecycleType.defined)
            return .init(pool: pool.reference)
        }
        add(Remote.StoragePoolCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.create(arguments.xml, flags: arguments.flags)
            call.tell(pool, VirStoragePoolEventLifecycleType.started)
            return .init(pool: pool.reference)
        }
        add(Remote.StoragePoolCreate.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try call.storage.start(pool, flags: arguments.flags)
            call.tell(pool, VirStoragePoolEventLifecycleType.started)
        }
        add(Remote.StoragePoolBuild.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try call.storage.build(pool, flags: arguments.flags)
            call.tell(pool, VirStoragePoolEventLifecycleType.created)
        }
        add(Remote.StoragePoolDestroy.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try call.storage.stop(pool)
            call.tell(pool, VirStoragePoolEventLifecycleType.stopped)
        }
        add(Remote.StoragePoolDelete.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try call.storage.delete(pool)
            call.tell(pool, VirStoragePoolEventLifecycleType.deleted)
        }
        add(Remote.StoragePoolUndefine.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try call.storage.undefine(pool)
            call.tell(pool, VirStoragePoolEventLifecycleType.undefined)
        }
        add(Remote.StoragePoolRefresh.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let pool = try call.storage.find(arguments.pool)
            try pool.requireActive()
            try pool.refresh()
            let reference = pool.reference
            call.session.daemon.deliver(.storagePool, VirStoragePoolEventID.refresh, of: pool.uuid) { number in
                try? Frame.event(Remote.StoragePoolEventRefresh.self, .init(callbackID: number, pool: reference))
            }
        }
        add(Remote.StoragePoolSetAutostart.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.storage.setAutostart(try call.storage.find(arguments.pool), arguments.autostart != 0)
        }
    }
}
