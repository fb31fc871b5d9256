internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Devices of the host.
extension Run {
    private static let capabilityNames = [
        "system", "pci", "usb_device", "usb", "net", "scsi_host", "scsi_target", "scsi", "storage", "fc_host", "vports",
        "scsi_generic", "drm", "mdev_types", "mdev", "ccw", "css", "vdpa", "ap_card", "ap_queue", "ap_matrix", "vpd",
    ]

    static func nodedevList(_ c: Call) throws {
        try c.exclusive("tree", "cap")
        try c.exclusive("tree", "inactive")
        try c.exclusive("tree", "all")
        var flags: UInt32 = 0
        for name in (c["cap"] ?? "").split(separator: ",") {
            guard let place = capabilityNames.firstIndex(of: String(name)) else {
                throw CommandFailure("Invalid capability type")
            }
            flags |= 1 << UInt32(place)
        }
        typealias Flags = VirConnectListAllNodeDeviceFlags
        if c.has("inactive") { flags |= Flags.inactive }
        if c.has("all") { flags |= Flags.inactive | Flags.active }
        if !c.has("inactive"), !c.has("all") { flags |= Flags.active }
        let devices = try failing("Failed to list node devices") {
            do {
                return try c.ask(Remote.ConnectListAllNodeDevices.self, .init(needResults: 1, flags: flags)).devices
            } catch let error as ClientError where error.code == VirErrorNumber.invalidArg {
                // Daemons from before devices could be defined know no such flags.
                let plain = flags & ~(Flags.inactive | Flags.active)
                return try c.ask(Remote.ConnectListAllNodeDevices.self, .init(needResults: 1, flags: plain)).devices
            }
        }.sorted { isBefore($0.name, $1.name) }
        guard c.has("tree") else {
            for device in devices { c.out("\(device.name)\n") }
            return
        }
        let client = try c.client
        var asked: [(String, UInt32)] = []
        for device in devices {
            asked.append((device.name, try client.begin(Remote.NodeDeviceGetParent.self, .init(name: device.name))))
        }
        let entries = asked.map { name, serial in
            TreeText.Entry(
                name: name,
                parent: name == "computer"
                    ? nil : (try? client.answer(Remote.NodeDeviceGetParent.self, to: serial).parentName) ?? nil)
        }
        c.out(TreeText.text(entries))
    }

    static func nodedevDumpxml(_ c: Call) throws {
        let device = try c.nodeDevice()
        try printXML(c, try c.ask(Remote.NodeDeviceGetXMLDesc.self, .init(name: device.name, flags: 0)).xml)
    }

    static func nodedevDetach(_ c: Call) throws {
        let device = try c.nodeDevice()
        try failing("Failed to detach device \(device.name)") {
            if let driver = c["driver"] {
                try c.ask(
                    Remote.NodeDeviceDetachFlags.self, .init(name: device.name, driverName: driver, flags: 0))
            } else {
                try c.ask(Remote.NodeDeviceDettach.self, .init(name: device.name))
            }
        }
        c.say("Device \(device.name) detached\n")
    }

    private static func change(_ c: Call, _ verb: String, _ done: String, _ body: (String) throws -> Void) throws {
        let device = try c.nodeDevice()
        try failing("Failed to \(verb) \(device.name)") { try body(device.name) }
        c.say("Device \(device.name) \(done)\n")
    }

    static func nodedevReattach(_ c: Call) throws {
        try change(c, "re-attach device", "re-attached") { try c.ask(Remote.NodeDeviceReAttach.self, .init(name: $0)) }
    }

    static func nodedevReset(_ c: Call) throws {
        try change(c, "reset device", "reset") { try c.ask(Remote.NodeDeviceReset.self, .init(name: $0)) }
    }

    static func nodedevDestroy(_ c: Call) throws {
        let device = try c.nodeDevice()
        try failing("Failed to destroy node device '\(device.name)'") {
            try c.ask(Remote.NodeDeviceDestroy.self, .init(name: device.name))
        }
        c.say("Destroyed node device '\(device.name)'\n")
    }

    static func nodedevStart(_ c: Call) throws {
        let device = try c.nodeDevice()
        try failing("Failed to start device \(device.name)") {
            try c.ask(Remote.NodeDeviceCreate.self, .init(name: device.name, flags: 0))
        }
        c.say("Device \(device.name) started\n")
    }

    static func nodedevUndefine(_ c: Call) throws {
        let device = try c.nodeDevice()
        try failing("Failed to undefine node device '\(device.name)'") {
            try c.ask(Remote.NodeDeviceUndefine.self, .init(name: device.name, flags: 0))
        }
        c.say("Undefined node device '\(device.name)'\n")
    }

    static func nodedevCreate(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let device = try failing("Failed to create node device from \(path)") {
            try c.ask(
                Remote.NodeDeviceCreateXML.self, .init(xmlDesc: xml, flags: c.has("validate") ? 1 : 0)
            ).dev
        }
        c.say("Node device \(device.name) created from \(path)\n")
    }

    static func nodedevDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let device = try failing("Failed to define node device from '\(path)'") {
            try c.ask(
                Remote.NodeDeviceDefineXML.self, .init(xmlDesc: xml, flags: c.has("validate") ? 1 : 0)
            ).dev
        }
        c.say("Node device '\(device.name)' defined from '\(path)'\n")
    }

    static func nodedevAutostart(_ c: Call) throws {
        let device = try c.nodeDevice()
        let off = c.has("disable")
        try failing(
            off
                ? "failed to unmark device \(device.name) as autostarted"
                : "failed to mark device \(device.name) as autostarted"
        ) {
            try c.ask(Remote.NodeDeviceSetAutostart.self, .init(name: device.name, autostart: off ? 0 : 1))
        }
        c.say(off ? "Device \(device.name) unmarked as autostarted\n" : "Device \(device.name) marked as autostarted\n")
    }

    static func nodedevInfo(_ c: Call) throws {
        let device = try c.nodeDevice()
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", device.name)
        let parent = (try? c.ask(Remote.NodeDeviceGetParent.self, .init(name: device.name)).parentName) ?? nil
        line("Parent:", parent ?? "")
        let active = (try? c.ask(Remote.NodeDeviceIsActive.self, .init(name: device.name)).active) ?? 0
        line("Active:", active != 0 ? "yes" : "no")
        let persistent = try? c.ask(Remote.NodeDeviceIsPersistent.self, .init(name: device.name)).persistent
        line("Persistent:", persistent.map { $0 != 0 ? "yes" : "no" } ?? "unknown")
        let autostart = try? c.ask(Remote.NodeDeviceGetAutostart.self, .init(name: device.name)).autostart
        line("Autostart:", autostart.map { $0 != 0 ? "yes" : "no" } ?? "no autostart")
    }
}
