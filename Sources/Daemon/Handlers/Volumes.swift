internal import DomainModel
internal import HostOS
internal import RPCWire

extension HandlerTable {
    /// Volumes.
    mutating func addVolumes() {
        add(Remote.StoragePoolNumOfVolumes.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(num: Int32(clamping: try call.storage.volumes(try call.storage.find(arguments.pool)).count))
        }
        add(Remote.StoragePoolListVolumes.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = try call.storage.volumes(try call.storage.find(arguments.pool)).map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.StoragePoolListAllVolumes.self, .loop) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            let volumes = try call.storage.volumes(pool)
            return .init(
                vols: arguments.needResults != 0 ? volumes.map { $0.reference(pool) } : [],
                ret: UInt32(clamping: volumes.count))
        }
        add(Remote.StorageVolLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            return .init(vol: try call.storage.volume(pool, arguments.name).reference(pool))
        }
        add(Remote.StorageVolLookupByKey.self, .loop) { (call, arguments) throws(LibvirtError) in
            let (pool, volume) = try call.storage.volume(key: arguments.key)
            return .init(vol: volume.reference(pool))
        }
        add(Remote.StorageVolLookupByPath.self, .loop) { (call, arguments) throws(LibvirtError) in
            let (pool, volume) = try call.storage.volume(path: arguments.path)
            return .init(vol: volume.reference(pool))
        }
        add(Remote.StorageVolGetInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            let (_, volume) = try call.storage.volume(arguments.vol)
            return .init(type: Int8(clamping: volume.kind), capacity: volume.capacity, allocation: volume.allocation)
        }
        add(Remote.StorageVolGetInfoFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            let (_, volume) = try call.storage.volume(arguments.vol)
            let physical = arguments.flags & VirStorageVolInfoFlags.getPhysical != 0
            return .init(
                type: Int8(clamping: volume.kind), capacity: volume.capacity,
                allocation: physical ? volume.physical : volume.allocation)
        }
        add(Remote.StorageVolGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(xml: XMLWriter.write(try call.storage.volume(arguments.vol).1.document))
        }
        add(Remote.StorageVolGetPath.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(name: try call.storage.volume(arguments.vol).1.path)
        }
        addVolumeChanges()
    }

    private mutating func addVolumeChanges() {
        add(Remote.StorageVolCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            return .init(vol: try call.storage.create(pool, arguments.xml).reference(pool))
        }
        add(Remote.StorageVolCreateXMLFrom.self, .worker) { (call, arguments) throws(LibvirtError) in
            let pool = try call.storage.find(arguments.pool)
            let (_, source) = try call.storage.volume(arguments.clonevol)
            return .init(vol: try call.storage.create(pool, arguments.xml, from: source).reference(pool))
        }
        add(Remote.StorageVolDelete.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.storage.delete(arguments.vol)
        }
        add(Remote.StorageVolResize.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.storage.resize(arguments.vol, arguments.capacity, flags: arguments.flags)
        }
        add(Remote.StorageVolWipe.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.storage.wipe(arguments.vol)
        }
        add(Remote.StorageVolWipePattern.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            guard arguments.algorithm == 0 else {
                throw StorageDriver.fail(
                    .operationUnsupported("wiping algorithm \(arguments.algorithm) not supported"))
            }
            try call.storage.wipe(arguments.vol)
        }
        add(Remote.ConnectFindStoragePoolSources.self, .worker) { (_, arguments) throws(LibvirtError) in
            guard ["netfs", "logical", "iscsi"].contains(arguments.type) else {
                throw StorageDriver.fail(
                    .noSupport("pool type '\(arguments.type)' does not support source discovery"))
            }
            if arguments.type != "netfs" {
                var list = XMLTree("sources")
                let found =
                    arguments.type == "logical"
                    ? try VolumeGroup.sources() : try TargetPool.sources(arguments.srcSpec)
                for source in found { list.append(source) }
                return .init(xml: XMLWriter.write(list))
            }
            if arguments.srcSpec?.contains("<host") != true {
                throw StorageDriver.fail(.invalidArgument("hostname must be specified for netfs sources"))
            }
            // Nobody announces anything that this host could find without its administrator's tools.
            return .init(xml: "<sources>\n</sources>\n")
        }
    }

    /// Volumes that flow in or out.
    mutating func addVolumeStreams() {
        add(Remote.StorageVolDownload.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let (_, volume) = try call.storage.volume(arguments.vol)
            let sparse = arguments.flags & VirStorageVolDownloadFlags.sparseStream != 0
            let file = try call.driver.onHost { () throws(HostError) in
                try HostFile.open(volume.path, HostFile.Mode.read)
            }
            let stream = VolumeDownload(
                call.session, call.header, file, from: arguments.offset, length: arguments.length, sparse: sparse)
            call.afterReply { stream.start() }
        }
        add(Remote.StorageVolUpload.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let (_, volume) = try call.storage.volume(arguments.vol)
            let offset = Int64(clamping: arguments.offset)
            let file = try call.driver.onHost { () throws(HostError) in
                let file = try HostFile.open(volume.path, HostFile.Mode.readWrite)
                try HostFile.seek(file, offset)
                return file
            }
            let stream = VolumeUpload(call.session, call.header, file, at: offset, length: arguments.length)
            // Before the answer: the client sends as soon as it has that.
            _ = call.session.open(stream, call.header)
        }
    }
}
