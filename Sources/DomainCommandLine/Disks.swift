internal import DomainModel
internal import JSON

/// Images and the disks that show them.
extension QEMUArguments {
    mutating func disks() throws(DefinitionError) {
        var next: [DiskDevice: UInt32] = [:]
        for disk in domain.devices.disks {
            // With an order of kinds each kind's first device is booted from.
            let kind: String
            switch disk.device {
            case .cdrom: kind = "cdrom"
            case .floppy: kind = "fd"
            case .disk, .lun: kind = "hd"
            }
            let key = disk.device == .lun ? DiskDevice.disk : disk.device
            var index = disk.info.bootOrder
            if index == nil, next[key] == nil, let first = bootIndex(kind) { index = first }
            next[key] = 1
            if disk.type == .vhostUser {
                otherProcess(disk, bootIndex: index)
                continue
            }
            if disk.source != nil { try images(disk) }
            device(try object(disk, bootIndex: index))
        }
    }

    /// A disk that another process has.
    private mutating func otherProcess(_ disk: Disk, bootIndex: UInt32?) {
        let alias = disk.info.alias ?? disk.target.dev
        let path = Self.escaped(disk.source?.path ?? "")
        add("-chardev", "socket,id=chr-vu-\(alias),path=\(path)\(reconnect(disk.source?.reconnect))")
        var object: JSONObject = ["driver": "vhost-user-blk-pci"]
        object.set("num-queues", disk.driver?.queues)
        object.set("queue-size", disk.driver?.queueSize)
        object.set(disk.driver?.virtio)
        object.place(disk.info, in: domain)
        object["chardev"] = .string("chr-vu-\(alias)")
        object["id"] = .string(alias)
        object.set("bootindex", bootIndex)
        device(object)
    }

    /// The node of the disk's top image.
    static func formatNode(_ source: DiskSource) -> String { "libvirt-\(source.index ?? 0)-format" }

    private mutating func images(_ disk: Disk) throws(DefinitionError) {
        guard let source = disk.source else { return }
        let below = try chain(disk.backingStore, disk)
        let isReadOnly = disk.readonly || disk.device == .cdrom
        add("-blockdev", try storage(source, type: disk.type, driver: disk.driver, isLUN: disk.device == .lun))
        var node: JSONObject = [
            "node-name": .string(Self.formatNode(source)), "read-only": .bool(isReadOnly),
        ]
        node.set("discard", disk.driver?.discard)
        node.set("detect-zeroes", disk.driver?.detectZeroes)
        if let cache = Self.cache(disk.driver?.cache) { node["cache"] = cache }
        node["driver"] = .string(Self.format(disk.driver?.type))
        if let encryption = source.encryption ?? disk.encryption, !encryption.secrets.isEmpty {
            let secret = "libvirt-\(source.index ?? 0)-format-encryption-secret0"
            if let reference = encryption.secrets.first {
                secrets.append(Secret(id: secret, reference: reference))
                add(
                    "-object",
                    [
                        "qom-type": "secret", "id": .string(secret), "format": "raw",
                        "file": .string("\(plan.folder)/\(secret)"),
                    ])
            }
            if disk.driver?.type == "qcow2" {
                node["encrypt"] = .object(["format": "luks", "key-secret": .string(secret)])
            } else {
                node["driver"] = "luks"
                node["key-secret"] = .string(secret)
            }
        }
        node["file"] = .string("libvirt-\(source.index ?? 0)-storage")
        if Self.hasBacking(disk.driver?.type) {
            if let below {
                node["backing"] = .string(below)
            } else if !disk.backingStore.isEmpty {
                node["backing"] = .null
            }
        }
        if disk.driver?.copyOnRead == .on {
            add("-blockdev", node)
            node = [
                "driver": "copy-on-read", "node-name": .string("libvirt-CoR-\(disk.target.dev)"),
                "file": .string(Self.formatNode(source)), "discard": "unmap",
            ]
        }
        add("-blockdev", node)
    }

    /// The images below, from the lowest up; the node of the uppermost.
    private mutating func chain(_ store: [Disk.BackingStore], _ disk: Disk) throws(DefinitionError) -> String? {
        guard let image = store.first, let source = image.source else { return nil }
        let below = try chain(image.backingStore, disk)
        add("-blockdev", try storage(source, type: image.type ?? .file, driver: disk.driver, isLUN: false))
        let format = image.format?.type ?? "raw"
        var node: JSONObject = [
            "node-name": .string(Self.formatNode(source)), "read-only": true, "driver": .string(Self.format(format)),
            "file": .string("libvirt-\(source.index ?? 0)-storage"),
        ]
        if let cache = Self.cache(disk.driver?.cache) { node["cache"] = cache }
        if Self.hasBacking(format) { node["backing"] = below.map { JSONValue.string($0) } ?? .null }
        add("-blockdev", node)
        return Self.formatNode(source)
    }

    private static func hasBacking(_ format: String?) -> Bool {
        ["qcow2", "qcow", "qed", "vmdk"].contains(format ?? "raw")
    }

    private static func format(_ name: String?) -> String {
        switch name {
        case nil, "auto", "none", "fat", "dir", "iso": "raw"
        case "vhd": "vpc"
        case let name?: name
        }
    }

    private static func cache(_ mode: String?) -> JSONValue? {
        switch mode {
        case "none": .object(["direct": true, "no-flush": false])
        case "writethrough": .object(["direct": false, "no-flush": false])
        case "writeback": .object(["direct": false, "no-flush": false])
        case "directsync": .object(["direct": true, "no-flush": false])
        case "unsafe": .object(["direct": false, "no-flush": true])
        default: nil
        }
    }

    private func storage(
        _ source: DiskSource, type: DiskSourceType, driver: Disk.Driver?, isLUN: Bool
    ) throws(DefinitionError) -> JSONObject {
        var node = try protocolNode(source, type)
        node.set("aio", driver?.io)
        node["node-name"] = .string("libvirt-\(source.index ?? 0)-storage")
        if let cache = Self.cache(driver?.cache) { node["cache"] = cache }
        node["auto-read-only"] = true
        node["discard"] = "unmap"
        return node
    }

    private func protocolNode(_ source: DiskSource, _ type: DiskSourceType) throws(DefinitionError) -> JSONObject {
        switch type {
        case .file, .volume:
            guard let path = source.localPath else {
                throw DefinitionError(.internalError, "internal error: disk of type '\(type.rawValue)' has no path")
            }
            let isDevice = type == .volume && path.hasPrefix("/dev/")
            return ["driver": isDevice ? "host_device" : "file", "filename": .string(path)]
        case .block: return ["driver": "host_device", "filename": .string(source.localPath ?? "")]
        case .dir: return ["driver": "vvfat", "dir": .string(source.localPath ?? ""), "floppy": false]
        case .network: return try network(source)
        case .nvme, .vhostUser:
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: disk type '\(type.rawValue)' is not supported here")
        }
    }

    private func network(_ source: DiskSource) throws(DefinitionError) -> JSONObject {
        func server(_ host: DiskSource.Host?, port: String) -> JSONValue {
            if host?.transport == "unix" {
                return .object(["type": "unix", "path": .string(host?.socket ?? "")])
            }
            return .object([
                "type": "inet", "host": .string(host?.name ?? "localhost"), "port": .string(host?.port ?? port),
            ])
        }
        let host = source.hosts.first
        switch source.networkProtocol {
        case "nbd":
            var node: JSONObject = ["driver": "nbd", "server": server(host, port: "10809")]
            node.set("export", source.name)
            return node
        case "http", "https", "ftp", "ftps":
            let scheme = source.networkProtocol ?? "http"
            let port = host?.port.map { ":\($0)" } ?? ""
            let query = source.query.map { "?\($0)" } ?? ""
            return [
                "driver": .string(scheme),
                "url": .string("\(scheme)://\(host?.name ?? "")\(port)/\(source.name ?? "")\(query)"),
            ]
        case "iscsi":
            let parts = (source.name ?? "").split(separator: "/", maxSplits: 1)
            return [
                "driver": "iscsi", "portal": .string("\(host?.name ?? ""):\(host?.port ?? "3260")"),
                "target": .string(parts.first.map { String($0) } ?? ""),
                "lun": .number(parts.count > 1 ? UInt32(parts[1]) ?? 0 : 0), "transport": "tcp",
            ]
        case "rbd":
            let parts = (source.name ?? "").split(separator: "/", maxSplits: 1)
            var node: JSONObject = [
                "driver": "rbd", "pool": .string(parts.first.map { String($0) } ?? ""),
                "image": .string(parts.count > 1 ? String(parts[1]) : ""),
            ]
            if !source.hosts.isEmpty {
                node["server"] = .array(
                    source.hosts.map { .object(["host": .string($0.name ?? ""), "port": .string($0.port ?? "6789")]) })
            }
            node.set("snapshot", source.snapshot)
            node.set("conf", source.configFile)
            node.set("user", source.auth?.username)
            return node
        case "ssh":
            var node: JSONObject = ["driver": "ssh", "path": .string(source.name ?? "")]
            node["server"] = .object(["host": .string(host?.name ?? ""), "port": .string(host?.port ?? "22")])
            node.set("user", source.identity?.username)
            return node
        default:
            throw DefinitionError(
                .configUnsupported,
                "unsupported configuration: disk protocol '\(source.networkProtocol ?? "")' is not supported here")
        }
    }

    private func object(_ disk: Disk, bootIndex: UInt32?) throws(DefinitionError) -> JSONObject {
        var object = JSONObject()
        let suffix = disk.device == .cdrom ? "cd" : "hd"
        if case .drive(let controller, let bus, let target, let unit)? = disk.info.address {
            try placeOnBus(disk, &object, suffix, controller: controller, bus: bus, target: target, unit: unit)
        } else if disk.target.bus == .usb {
            object["driver"] = "usb-storage"
            object.place(disk.info, in: domain)
        } else if disk.target.bus == .sd {
            object["driver"] = "sd-card"
        } else {
            object["driver"] = .string(domain.virtio("blk", model: disk.model, disk.info))
            if let thread = disk.driver?.iothread { object["iothread"] = .string("iothread\(thread)") }
            object.set("ioeventfd", disk.driver?.ioeventfd)
            object.set("event_idx", disk.driver?.eventIndex)
            object.set("num-queues", disk.driver?.queues)
            object.set("queue-size", disk.driver?.queueSize)
            object.set(disk.driver?.virtio)
            object.place(disk.info, in: domain)
        }
        if disk.shareable { object["share-rw"] = true }
        if let source = disk.source {
            object["drive"] = .string(
                disk.driver?.copyOnRead == .on ? "libvirt-CoR-\(disk.target.dev)" : Self.formatNode(source))
        }
        object["id"] = .string(disk.info.alias ?? disk.target.dev)
        object.set("bootindex", bootIndex)
        finish(disk, &object)
        return object
    }

    private func finish(_ disk: Disk, _ object: inout JSONObject) {
        object.set("logical_block_size", disk.blockIO?.logicalBlockSize)
        object.set("physical_block_size", disk.blockIO?.physicalBlockSize)
        object.set("discard_granularity", disk.blockIO?.discardGranularity)
        if let wwn = disk.wwn, let value = UInt64(wwn, radix: 16) { object["wwn"] = .number(value) }
        object.set("rotation_rate", disk.target.rotationRate)
        object.set("vendor", disk.vendor)
        object.set("product", disk.product)
        if disk.target.bus == .usb { object["removable"] = .bool(disk.target.removable == .on) }
        switch disk.driver?.cache {
        case "none", "writeback", "unsafe": object["write-cache"] = "on"
        case "writethrough", "directsync": object["write-cache"] = "off"
        default: break
        }
        object.set("serial", disk.serial)
        if disk.device != .floppy {
            object.set("werror", disk.driver?.errorPolicy.map { $0 == "enospace" ? "enospc" : $0 })
            let reads = disk.driver?.readErrorPolicy ?? disk.driver?.errorPolicy
            object.set("rerror", reads.map { $0 == "enospace" ? "report" : $0 })
        }
    }

    private func placeOnBus(
        _ disk: Disk, _ object: inout JSONObject, _ suffix: String, controller: UInt32, bus: UInt32, target: UInt32,
        unit: UInt32
    ) throws(DefinitionError) {
        let alias = disk.info.alias ?? disk.target.dev
        switch disk.target.bus {
        case .ide:
            object["driver"] = .string("ide-\(suffix)")
            object["bus"] = .string("ide.\(bus)")
            object["unit"] = .number(unit)
        case .sata:
            object["driver"] = .string("ide-\(suffix)")
            let name = domain.devices.controllers.first { $0.type == .sata && $0.index == controller }?.info.alias
            object["bus"] = .string("\(name ?? "sata\(controller)").\(unit)")
        case .fdc:
            object["driver"] = "floppy"
            object["unit"] = .number(unit)
        case .scsi:
            object["driver"] = .string(disk.device == .lun ? "scsi-block" : "scsi-\(suffix)")
            object["bus"] = .string("scsi\(controller).0")
            let model = domain.devices.controllers.first { $0.type == .scsi && $0.index == controller }?.model
            if model == "lsilogic" {
                object["scsi-id"] = .number(unit)
            } else {
                object["channel"] = .number(bus)
                object["scsi-id"] = .number(target)
                object["lun"] = .number(unit)
            }
            if disk.device != .lun { object["device_id"] = .string("drive-\(alias)") }
        default:
            throw DefinitionError(.configUnsupported, "unsupported configuration: disk '\(alias)' has a drive address")
        }
    }
}
