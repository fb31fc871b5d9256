internal import DomainModel

/// Network cards, screens and the small devices.
extension MachineCommandLine {
    mutating func addInterface(_ device: inout XMLTree, index: Int, order: [String]) throws(LibvirtError) {
        let alias = name(&device, "net\(index)")
        let host = "host\(alias)"
        switch device["type"] ?? "user" {
        case "user": add("-netdev", "user,id=\(host)")
        case "network":
            // The networks' own switch comes with their driver; until then every card has a network of its own.
            messages.append(
                "interface \(alias): network '\(device.child("source")?["network"] ?? "")' is user-mode NAT")
            add("-netdev", "user,id=\(host)")
        case "bridge", "ethernet":
            let tap = device.child("target")?["dev"]
            add("-netdev", "tap,id=\(host),script=no,downscript=no" + (tap.map { ",ifname=\($0)" } ?? ""))
        case let type: throw LibvirtError.configUnsupported("interface type '\(type)' is not supported")
        }
        let model = device.child("model")?["type"] ?? (emulator.has(device: "rtl8139") ? "rtl8139" : "e1000")
        let driver = model == "virtio" ? "virtio-net-pci" : model
        guard emulator.has(device: driver) else {
            throw LibvirtError.configUnsupported("This QEMU doesn't support '\(driver)'")
        }
        let place = place(device)
        addDevice([
            "driver": driver, "netdev": host, "id": alias, "mac": device.child("mac")?["address"], "bus": place.bus,
            "addr": place.address, "bootindex": bootIndex(device, "network", order),
        ])
    }

    /// Only what no board has by itself; the rest is the board's.
    mutating func addController(_ device: inout XMLTree) {
        let place = place(device)
        switch device["type"] {
        case "virtio-serial":
            let alias = name(&device, "virtio-serial\(device["index"] ?? "0")")
            addDevice(["driver": "virtio-serial-pci", "id": alias, "bus": place.bus, "addr": place.address])
        case "pci": addBridge(&device, place)
        case "usb":
            let alias = name(&device, "usb")
            let model = device["model"] ?? "piix3-uhci"
            let driver = [
                "piix3-uhci": "piix3-usb-uhci", "piix4-uhci": "piix4-usb-uhci", "qemu-xhci": "qemu-xhci",
                "nec-xhci": "nec-usb-xhci",
            ][model]
            guard let driver, emulator.has(device: driver) else { return }
            addDevice(["driver": driver, "id": alias, "bus": place.bus, "addr": place.address])
        case "scsi":
            let alias = name(&device, "scsi\(device["index"] ?? "0")")
            guard emulator.has(device: "virtio-scsi-pci") else { return }
            addDevice(["driver": "virtio-scsi-pci", "id": alias, "bus": place.bus, "addr": place.address])
        default: break
        }
    }

    /// Ports and bridges; the root is the board's.
    private mutating func addBridge(_ device: inout XMLTree, _ place: (bus: String?, address: String?)) {
        let index = device["index"] ?? "0"
        let alias = name(&device, "pci.\(index)")
        switch device["model"] {
        case "pcie-root-port":
            let target = device.child("target")
            addDevice([
                "driver": "pcie-root-port", "port": target?["port"], "chassis": target?["chassis"] ?? index,
                "id": alias, "bus": place.bus, "addr": place.address,
                "multifunction": device.child("address")?["multifunction"],
            ])
        case "pci-bridge", "pcie-to-pci-bridge", "pcie-pci-bridge":
            let driver = device["model"] == "pci-bridge" ? "pci-bridge" : "pcie-pci-bridge"
            addDevice([
                "driver": driver, "chassis_nr": driver == "pci-bridge" ? index : nil, "id": alias, "bus": place.bus,
                "addr": place.address,
            ])
        default: break
        }
    }

    mutating func addBalloon(_ device: inout XMLTree) {
        guard device["model"] != "none" else { return }
        let place = place(device)
        let alias = name(&device, "balloon0")
        guard emulator.has(device: "virtio-balloon-pci") else { return }
        addDevice(["driver": "virtio-balloon-pci", "id": alias, "bus": place.bus, "addr": place.address])
    }

    mutating func addEntropy(_ device: inout XMLTree, index: Int) {
        let place = place(device)
        let alias = name(&device, "rng\(index)")
        let backend = device.child("backend")
        if backend?["model"] == "builtin" {
            add("-object", "rng-builtin,id=obj\(alias)")
        } else {
            add(
                "-object",
                "rng-random,id=obj\(alias),filename=\(MachineCommandLine.escape(backend?.text ?? "/dev/urandom"))")
        }
        let rate = device.child("rate")
        addDevice([
            "driver": "virtio-rng-pci", "rng": "obj\(alias)", "id": alias, "max-bytes": rate?["bytes"],
            "period": rate.map { $0["period"] ?? "1000" }, "bus": place.bus, "addr": place.address,
        ])
    }

    /// VNC, where the emulator has a screen.
    mutating func addGraphics(_ device: inout XMLTree) {
        guard device["type"] == "vnc", emulator.has(device: "VGA"), !arguments.contains("-vnc") else {
            messages.append("graphics of type '\(device["type"] ?? "")' are left out")
            return
        }
        let address = device["listen"] ?? device.child("listen")?["address"] ?? "127.0.0.1"
        if let path = device["socket"] ?? device.child("listen")?["socket"] {
            add("-vnc", "vnc=unix:\(MachineCommandLine.escape(path))")
        } else if let port = device["port"].flatMap({ Int($0) }), port >= 5900, device["autoport"] != "yes" {
            add("-vnc", "\(address):\(port - 5900)")
        } else {
            add("-vnc", "\(address):0,to=1000")
        }
    }

    mutating func addVideo(_ device: inout XMLTree, index: Int) {
        let models = [
            "vga": "VGA", "cirrus": "cirrus-vga", "qxl": "qxl-vga", "virtio": "virtio-vga", "bochs": "bochs-display",
        ]
        guard let driver = models[device.child("model")?["type"] ?? "vga"] else { return }
        guard emulator.has(device: driver) else {
            messages.append("video adapter '\(driver)' is left out")
            return
        }
        let place = place(device)
        let alias = name(&device, "video\(index)")
        addDevice(["driver": driver, "id": alias, "bus": place.bus, "addr": place.address])
    }

    mutating func addInput(_ device: inout XMLTree, index: Int) {
        let alias = name(&device, "input\(index)")
        guard device["bus"] == "usb" else { return }
        let driver = device["type"] == "tablet" ? "usb-tablet" : device["type"] == "keyboard" ? "usb-kbd" : "usb-mouse"
        guard emulator.has(device: driver), arguments.contains(where: { $0.contains(",id=usb") }) else { return }
        addDevice(["driver": driver, "id": alias])
    }
}
