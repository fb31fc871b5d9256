internal import DomainModel
internal import JSON
internal import RPCWire
internal import Synchronization

/// What a machine tells of its screens, disks, memory and cards, for those who subscribed.
extension DomainDriver {
    func handleDeviceEvent(_ name: String, _ data: JSONValue?, _ domain: Domain) {
        switch name {
        case "MIGRATION_PASS":
            if let pass = data?["pass"]?.uint64Value { emit(.migrationIteration(Int32(clamping: pass)), domain) }
        case "VNC_CONNECTED", "SPICE_CONNECTED": viewerChanged(domain, VirDomainEventGraphicsPhase.connect, data)
        case "VNC_INITIALIZED", "SPICE_INITIALIZED":
            viewerChanged(domain, VirDomainEventGraphicsPhase.initialize, data)
        case "VNC_DISCONNECTED", "SPICE_DISCONNECTED":
            viewerChanged(domain, VirDomainEventGraphicsPhase.disconnect, data)
        case "BLOCK_WRITE_THRESHOLD": thresholdPassed(domain, data)
        case "MEMORY_FAILURE": memoryFailed(domain, data)
        case "MEMORY_DEVICE_SIZE_CHANGE":
            guard let alias = data?["id"]?.stringValue, let size = data?["size"]?.uint64Value else { return }
            emit(.memoryDeviceSizeChange(alias, size / 1024), domain)
        case "NIC_RX_FILTER_CHANGED": if let card = data?["name"]?.stringValue { addressChanged(domain, card) }
        default: break
        }
    }

    /// Writes into the live form whether the guest holds its channels open, as the machine says now: of what happened while
    /// no daemon listened nobody tells.
    static func connectPorts(_ live: inout XMLTree, _ machine: RunningMachine) {
        guard DomainFigures.devices(live, "channel").contains(where: { $0.child("target")?["type"] == "virtio" }),
            let ports = (try? machine.monitor?.execute("query-chardev"))?.arrayValue
        else { return }
        live.update("devices") { devices in
            devices.updateChildren { device in
                guard device.name == "channel", device.child("target")?["type"] == "virtio",
                    let alias = device.child("alias")?["name"],
                    let port = ports.first(where: { $0["label"]?.stringValue == "char\(alias)" }),
                    let isOpen = port["frontend-open"]?.boolValue
                else { return }
                device.update("target") { $0.set("state", isOpen ? "connected" : "disconnected") }
            }
        }
    }

    private func viewerChanged(_ domain: Domain, _ phase: Int32, _ data: JSONValue?) {
        func address(_ side: JSONValue?) -> RemoteDomainEventGraphicsAddress {
            let family: Int32 =
                switch side?["family"]?.stringValue {
                case "ipv6": VirDomainEventGraphicsAddressType.ipv6
                case "unix": VirDomainEventGraphicsAddressType.unix
                default: VirDomainEventGraphicsAddressType.ipv4
                }
            // SPICE calls the port by another name.
            let port = side?["service"]?.stringValue ?? side?["port"]?.stringValue ?? ""
            return .init(family: family, node: side?["host"]?.stringValue ?? "", service: port)
        }
        let client = data?["client"]
        var identities: [RemoteDomainEventGraphicsIdentity] = []
        for (type, field) in [("x509dname", "x509_dname"), ("saslUsername", "sasl_username")] {
            if let name = client?[field]?.stringValue { identities.append(.init(type: type, name: name)) }
        }
        emit(
            .graphics(
                .init(
                    phase: phase, local: address(data?["server"]), remote: address(client),
                    scheme: data?["server"]?["auth"]?.stringValue ?? "", identities: identities)), domain)
    }

    private func thresholdPassed(_ domain: Domain, _ data: JSONValue?) {
        guard let node = data?["node-name"]?.stringValue, let mark = data?["write-threshold"]?.uint64Value,
            let excess = data?["amount-exceeded"]?.uint64Value
        else { return }
        let live = domain.state.withLock { $0.live ?? XMLTree("domain") }
        for disk in DomainFigures.devices(live, "disk") {
            let images = DomainFigures.images(disk)
            guard let place = images.firstIndex(where: { DomainFigures.storageNode($0) == node }) else { continue }
            let (target, path) = (disk.child("target")?["dev"] ?? "", DomainFigures.path(images[place]))
            let name = "\(target)[\(images[place].child("source")?["index"] ?? "0")]"
            // The uppermost by the disk's name, as it was always told, and each by the image's.
            for name in place == 0 ? [target, name] : [name] {
                emit(.blockThreshold(name, path: path, threshold: mark, excess: excess), domain)
            }
        }
    }

    private func memoryFailed(_ domain: Domain, _ data: JSONValue?) {
        let action: Int32 =
            switch data?["action"]?.stringValue {
            case "inject": VirDomainMemoryFailureActionType.inject
            case "fatal": VirDomainMemoryFailureActionType.fatal
            case "reset": VirDomainMemoryFailureActionType.reset
            default: VirDomainMemoryFailureActionType.ignore
            }
        var flags: UInt32 = 0
        if data?["flags"]?["action-required"]?.boolValue == true { flags |= VirDomainMemoryFailureFlags.actionRequired }
        if data?["flags"]?["recursive"]?.boolValue == true { flags |= VirDomainMemoryFailureFlags.recursive }
        let isGuest = data?["recipient"]?.stringValue == "guest"
        typealias Recipient = VirDomainMemoryFailureRecipientType
        emit(
            .memoryFailure(recipient: isGuest ? Recipient.guest : Recipient.hypervisor, action: action, flags: flags),
            domain)
    }

    /// The guest may have given its card another address. Asking also lets the machine tell of the next change.
    private func addressChanged(_ domain: Domain, _ card: String) {
        guard
            let filter = try? domain.machine?.monitor?.execute("query-rx-filter", ["name": .string(card)]).arrayValue?
                .first, let new = filter["main-mac"]?.stringValue
        else { return }
        let old = domain.state.withLock { state -> String? in
            var before: String?
            state.live?.update("devices") { devices in
                devices.updateChildren { device in
                    guard device.name == "interface", device.child("alias")?["name"] == card else { return }
                    device.update("mac") { mac in
                        before = mac["currentAddress"] ?? mac["address"]
                        mac.set("currentAddress", new == mac["address"] ? nil : new)
                    }
                }
            }
            return before
        }
        guard let old, old != new else { return }
        try? writeStatus(domain)
        emit(.addressChange(card, old: old, new: new), domain)
    }
}
