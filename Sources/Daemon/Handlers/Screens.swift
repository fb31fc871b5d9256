internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Screens, keys, and who has which address.
    mutating func addScreens() {
        add(Remote.DomainScreenshot.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            let tree = domain.state.withLock { $0.current }
            guard DomainFigures.devices(tree, "video").contains(where: { $0.child("model")?["type"] != "none" }) else {
                throw LibvirtError.operationInvalid("no screens to take screenshot from")
            }
            guard arguments.screen == 0 else { throw LibvirtError.operationInvalid("no such screen ID") }
            let path = call.driver.folder(domain) + "/screen-\(call.header.serial)"
            defer { try? HostFile.remove(path) }
            var mime = "image/png"
            do throws(LibvirtError) {
                try machine.qmp().execute("screendump", ["filename": .string(path), "format": "png"])
            } catch {
                mime = "image/x-portable-pixmap"
                try machine.qmp().execute("screendump", ["filename": .string(path)])
            }
            let file = try call.driver.onHost { () throws(HostError) in
                try HostFile.open(path, HostFile.Mode.read, nonBlocking: true, followsLinks: false)
            }
            let stream = VolumeDownload(call.session, call.header, file, from: 0, length: 0, sparse: false)
            call.afterReply { stream.start() }
            return .init(mime: mime)
        }
        add(Remote.DomainSendKey.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            guard arguments.keycodes.count <= 16 else { throw LibvirtError.rpc("too many keycodes") }
            let keys = try arguments.keycodes.map { (code) throws(LibvirtError) -> JSONValue in
                let number = try KeyCodes.number(code, set: Int32(clamping: arguments.codeset))
                return .object(["type": "number", "data": .number(number)])
            }
            var words: JSONObject = ["keys": .array(keys)]
            if arguments.holdtime > 0 { words["hold-time"] = .number(arguments.holdtime) }
            try call.domain(arguments.dom).running().qmp().execute("send-key", words)
        }
        add(Remote.DomainOpenGraphicsFD.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            let screens = DomainFigures.devices(domain.state.withLock { $0.current }, "graphics")
            guard Int(arguments.idx) < screens.count else {
                throw LibvirtError.internalError("No graphics backend with index \(arguments.idx)")
            }
            guard let kind = screens[Int(arguments.idx)]["type"], kind == "vnc" || kind == "spice" else {
                throw LibvirtError.invalidArgument("Can only open VNC or SPICE graphics backends")
            }
            let pair = try call.driver.onHost { () throws(HostError) in try DescriptorPair.sockets() }
            try machine.qmp().execute("getfd", ["fdname": "graphicsfd"], passing: pair.0)
            try machine.qmp().execute(
                "add_client",
                [
                    "protocol": .string(kind), "fdname": "graphicsfd",
                    "skipauth": .bool(arguments.flags & 1 != 0),
                ])
            call.pass(pair.1)
        }
        add(Remote.DomainInterfaceAddresses.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            _ = try domain.running()
            if arguments.source == UInt32(VirDomainInterfaceAddressesSource.agent) {
                return .init(ifaces: try GuestAgent.interfaces(domain))
            }
            let cards = DomainFigures.devices(domain.state.withLock { $0.current }, "interface")
            let found = cards.compactMap { card -> RemoteDomainInterface? in
                guard let text = card.child("mac")?["address"], let mac = MACAddress(xml: text) else { return nil }
                let isARP = arguments.source == UInt32(VirDomainInterfaceAddressesSource.arp)
                let net = card.child("source")?["network"].flatMap { try? call.networks.find(name: $0) }
                let addresses: [RemoteDomainIPAddr] =
                    isARP
                    ? call.networks.neighbours(card, mac: mac).map {
                        .init(type: $0.contains(":") ? VirIPAddrType.ipv6 : VirIPAddrType.ipv4, addr: $0, prefix: 0)
                    }
                    : (net.map { call.networks.leases($0, mac: mac) } ?? []).map {
                        .init(type: $0.type, addr: $0.ipaddr, prefix: $0.prefix)
                    }
                guard !addresses.isEmpty else { return nil }
                return RemoteDomainInterface(
                    name: card.child("target")?["dev"] ?? "", hwaddr: text, addrs: addresses)
            }
            return .init(ifaces: found)
        }
        add(Remote.DomainInterfaceStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            _ = try domain.running()
            let cards = DomainFigures.devices(domain.state.withLock { $0.current }, "interface")
            let wanted = arguments.device
            guard
                let card = cards.first(where: {
                    $0.child("target")?["dev"] == wanted || $0.child("mac")?["address"] == wanted
                })
            else { throw LibvirtError.invalidArgument("'\(wanted)' is not a known interface") }
            let name = card.child("target")?["dev"] ?? ""
            guard let counters = call.networks.counters(card) ?? InterfaceCounters(name) else {
                throw LibvirtError.operationUnsupported("interface '\(wanted)' has no counters on this host")
            }
            let (rx, tx) = (counters.received, counters.sent)
            return .init(
                rxBytes: rx[0], rxPackets: rx[1], rxErrs: rx[2], rxDrop: rx[3], txBytes: tx[0], txPackets: tx[1],
                txErrs: tx[2], txDrop: tx[3])
        }
        add(Remote.DomainSetMemoryStatsPeriod.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            guard arguments.period >= 0 else {
                throw LibvirtError.invalidArgument("invalid value for collection period")
            }
            let domain = try call.domain(arguments.dom)
            try call.driver.change(domain, flags: arguments.flags & 3) { (tree) throws(LibvirtError) in
                if tree["id"] != nil {
                    guard let path = GuestMemoryFigures.path(tree) else {
                        throw LibvirtError.operationInvalid("Domain doesn't have balloon device")
                    }
                    try domain.running().qmp().execute(
                        "qom-set",
                        [
                            "path": path, "property": "guest-stats-polling-interval",
                            "value": .number(arguments.period),
                        ])
                }
                tree.update("devices") { devices in
                    devices.update("memballoon") { balloon in
                        balloon.remove("stats")
                        if arguments.period > 0 {
                            balloon.insert(
                                .of("stats", ["period": "\(arguments.period)"]), before: ["alias", "address"])
                        }
                    }
                }
            }
        }
        add(Remote.DomainSetLifecycleAction.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let names = ["on_poweroff", "on_reboot", "on_crash"]
            let actions = [
                "destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart",
            ]
            guard Int(arguments.type) < names.count, Int(arguments.action) < actions.count else {
                throw LibvirtError.invalidArgument("lifecycle event or action is out of range")
            }
            let domain = try call.domain(arguments.dom)
            try call.driver.change(domain, flags: arguments.flags & 3) { (tree) throws(LibvirtError) in
                tree.setText(names[Int(arguments.type)], actions[Int(arguments.action)])
            }
        }
    }
}

/// Numbers of keys.
enum KeyCodes {
    /// Keys whose number in Linux's table is not that of the keyboard's first set.
    private static let extended: [UInt32: UInt32] = [
        96: 0x9C, 97: 0x9D, 98: 0xB5, 99: 0x54, 100: 0xB8, 102: 0xC7, 103: 0xC8, 104: 0xC9, 105: 0xCB, 106: 0xCD,
        107: 0xCF, 108: 0xD0, 109: 0xD1, 110: 0xD2, 111: 0xD3, 113: 0xA0, 114: 0xAE, 115: 0xB0, 116: 0xDE, 119: 0xC6,
        125: 0xDB, 126: 0xDC, 127: 0xDD, 183: 0x5D, 184: 0x5E, 185: 0x5F,
    ]

    /// A key's number for the machine, from one of the given set (`virKeycodeSet`).
    static func number(_ code: UInt32, set: Int32) throws(LibvirtError) -> UInt32 {
        switch set {
        case 0:
            if code <= 88 { return code }
            if let number = extended[code] { return number }
        // The keyboard's own sets.
        case 1, 2, 9: return code
        default: break
        }
        throw LibvirtError.invalidArgument("cannot translate keycode \(code) of codeset \(set) to qnum codeset")
    }
}
