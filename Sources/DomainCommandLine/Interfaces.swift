internal import DomainModel
internal import JSON

/// Network cards and what they are plugged into.
extension QEMUArguments {
    mutating func interfaces() throws(DefinitionError) {
        var isFirst = true
        for (index, interface) in domain.devices.interfaces.enumerated() {
            let id = "host" + (interface.info.alias ?? "net\(index)")
            if interface.type == .hostdev {
                try assigned(interface)
                continue
            }
            if interface.type == .vhostUser { vhostUserSocket(interface, index) }
            let (backend, vectors) = try backend(interface, index, id)
            add("-netdev", backend)
            var boot = interface.info.bootOrder
            if boot == nil, isFirst { boot = bootIndex("network") }
            isFirst = false
            device(card(interface, index, id, bootIndex: boot, queues: vectors))
        }
    }

    private func card(
        _ interface: NetworkInterface, _ index: Int, _ id: String, bootIndex: UInt32?, queues: UInt32
    ) -> JSONObject {
        let model = interface.model ?? "virtio"
        var object = JSONObject()
        let isVirtio = model.hasPrefix("virtio")
        if isVirtio {
            object["driver"] = .string(domain.virtio("net", model: model == "virtio" ? nil : model, interface.info))
            let driver = interface.driver
            if let mode = driver?.txMode { object["tx"] = .string(mode == "iothread" ? "bh" : "timer") }
            object.set("ioeventfd", driver?.ioeventfd)
            object.set("event_idx", driver?.eventIndex)
            for (name, value) in [
                ("csum", driver?.host.csum), ("gso", driver?.host.gso), ("host_tso4", driver?.host.tso4),
                ("host_tso6", driver?.host.tso6), ("host_ecn", driver?.host.ecn), ("host_ufo", driver?.host.ufo),
                ("mrg_rxbuf", driver?.host.mergeRxBuffers), ("guest_csum", driver?.guest.csum),
                ("guest_tso4", driver?.guest.tso4), ("guest_tso6", driver?.guest.tso6),
                ("guest_ecn", driver?.guest.ecn), ("guest_ufo", driver?.guest.ufo),
            ] { object.set(name, value) }
            if queues > 1 {
                object["mq"] = true
                object["vectors"] = .number(2 * queues + 2)
            }
            object.set("rx_queue_size", driver?.rxQueueSize)
            object.set("tx_queue_size", driver?.txQueueSize)
            object.set("host_mtu", interface.mtu)
            object.set("rss", driver?.rss)
            object.set("hash", driver?.rssHashReport)
            object.set(driver?.virtio)
        } else {
            object["driver"] = .string(model)
        }
        object["netdev"] = .string(id)
        object["id"] = .string(interface.info.alias ?? "net\(index)")
        object.set("mac", interface.mac?.xml)
        object.set("bootindex", bootIndex)
        object.place(interface.info, in: domain)
        object.set(rom: interface.info.rom)
        return object
    }

    private mutating func assigned(_ interface: NetworkInterface) throws(DefinitionError) {
        guard let host = interface.source?.hostAddress?.pci else {
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: interface of type 'hostdev' needs a PCI address")
        }
        var object: JSONObject = [
            "driver": "vfio-pci", "host": .string(host.text), "id": .string(interface.info.alias ?? "hostdev"),
        ]
        object.set("bootindex", interface.info.bootOrder)
        object.place(interface.info, in: domain)
        device(object)
    }

    private mutating func vhostUserSocket(_ interface: NetworkInterface, _ index: Int) {
        let path = Self.escaped(interface.source?.path ?? "")
        let role = interface.source?.mode == "server" ? ",server=on" : reconnect(interface.source?.reconnect)
        add("-chardev", "socket,id=char\(interface.info.alias ?? "net\(index)"),path=\(path)\(role)")
    }

    /// The back-end, and how many queues it has.
    private func backend(
        _ interface: NetworkInterface, _ index: Int, _ id: String
    ) throws(DefinitionError) -> (JSONObject, UInt32) {
        let queues = interface.driver?.queues ?? 1
        var object: JSONObject
        if let attachment = plan.attachments[index] { return (attached(attachment, interface, id), queues) }
        let source = interface.source
        switch interface.type {
        case .user, .network, .null:
            object = user(interface, id)
        case .ethernet:
            object = ["type": "tap", "id": .string(id)]
            object.set("ifname", interface.target?.dev)
            object["script"] = .string(interface.script ?? "no")
            object["downscript"] = .string(interface.downScript ?? "no")
            if queues > 1 { object["queues"] = .number(queues) }
        case .bridge:
            object = ["type": "bridge", "id": .string(id)]
            object.set("br", source?.bridge)
        case .vhostUser:
            object = [
                "type": "vhost-user", "chardev": .string("char\(interface.info.alias ?? "net\(index)")"),
                "id": .string(id),
            ]
            if queues > 1 { object["queues"] = .number(queues) }
        case .udp:
            object = ["type": "socket", "id": .string(id)]
            object["udp"] = .string("\(source?.address ?? "127.0.0.1"):\(source?.port ?? 0)")
            object["localaddr"] = .string("\(source?.local?.address ?? ""):\(source?.local?.port ?? 0)")
        case .mcast:
            object = ["type": "socket", "id": .string(id)]
            object["mcast"] = .string("\(source?.address ?? "230.0.0.1"):\(source?.port ?? 0)")
        case .server:
            object = ["type": "socket", "id": .string(id)]
            object["listen"] = .string("\(source?.address ?? ""):\(source?.port ?? 0)")
        case .client:
            object = ["type": "socket", "id": .string(id)]
            object["connect"] = .string("\(source?.address ?? "127.0.0.1"):\(source?.port ?? 0)")
        case .direct, .internalNetwork, .vdpa, .hostdev, .vds:
            throw DefinitionError(
                .configUnsupported,
                "unsupported configuration: interface of type '\(interface.type.rawValue)' needs a device of the host")
        }
        return (object, queues)
    }

    private func user(_ interface: NetworkInterface, _ id: String) -> JSONObject {
        var object: JSONObject = ["type": "user", "id": .string(id)]
        for address in interface.addresses {
            if address.family == "ipv6" {
                object["ipv6-prefix"] = .string(address.address)
                object.set("ipv6-prefixlen", address.prefix)
            } else {
                object["net"] = .string(address.prefix.map { "\(address.address)/\($0)" } ?? address.address)
            }
        }
        var forwards: [JSONValue] = []
        for forward in interface.portForwards {
            let address = forward.address.map { $0.contains(":") ? "[\($0)]" : $0 } ?? ""
            for range in forward.ranges where range.exclude != .yes {
                guard let start = range.start, start <= 65535 else { continue }
                let count = min((range.end ?? start) >= start ? (range.end ?? start) - start : 0, 1023)
                for offset in 0...count {
                    let to = (range.to ?? start) &+ offset
                    let text = "\(forward.networkProtocol):\(address):\(start + offset)-:\(to)"
                    forwards.append(.object(["str": .string(text)]))
                }
            }
        }
        if !forwards.isEmpty { object["hostfwd"] = .array(forwards) }
        return object
    }

    private func attached(
        _ attachment: LaunchPlan.Attachment, _ interface: NetworkInterface, _ id: String
    ) -> JSONObject {
        switch attachment {
        case .user: return user(interface, id)
        case .userNetwork(let network):
            var object = user(interface, id)
            object["net"] = .string(network.network)
            object["host"] = .string(network.host)
            object["dns"] = .string(network.nameServer)
            object.set("dhcpstart", network.dhcpStart)
            object.set("domainname", network.domainName)
            if network.isRestricted { object["restrict"] = .bool(true) }
            return object
        case .openTap(let queues, let vhost):
            var object: JSONObject = ["type": "tap", queues.contains(":") ? "fds" : "fd": .string(queues)]
            if let vhost {
                object["vhost"] = true
                object[vhost.contains(":") ? "vhostfds" : "vhostfd"] = .string(vhost)
            }
            object["id"] = .string(id)
            return object
        case .tapName(let name):
            var object: JSONObject = [
                "type": "tap", "ifname": .string(name), "script": "no", "downscript": "no", "id": .string(id),
            ]
            if let queues = interface.driver?.queues, queues > 1 { object["queues"] = .number(queues) }
            return object
        case .bridge(let name): return ["type": "bridge", "br": .string(name), "id": .string(id)]
        case .stream(let path, let options):
            var object: JSONObject = [
                "type": "stream", "id": .string(id), "server": false,
                "addr": .object(["type": "unix", "path": .string(path)]),
            ]
            for option in options.members { object[option.name] = option.value }
            return object
        case .datagram(let descriptor):
            return [
                "type": "dgram", "id": .string(id),
                "local": .object(["type": "fd", "str": .string("\(descriptor)")]),
            ]
        }
    }
}
