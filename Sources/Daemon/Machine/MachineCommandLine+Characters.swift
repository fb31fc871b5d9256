internal import DomainModel
internal import HostOS

/// Serial ports, consoles and channels.
extension MachineCommandLine {
    /// A character back-end of a device's `<source>`.
    private mutating func addBackend(_ device: inout XMLTree, id: String, defaultPath: String?) throws(LibvirtError) {
        let source = device.child("source")
        let type = device["type"] ?? "pty"
        var words: String
        switch type {
        case "pty", "null", "stdio", "vc": words = "\(type),id=\(id)"
        case "file":
            guard let path = source?["path"] else {
                throw LibvirtError.xml("Missing source path attribute for char device")
            }
            words =
                "file,id=\(id),path=\(MachineCommandLine.escape(path)),append=\(source?["append"] == "on" ? "on" : "off")"
        case "pipe", "dev":
            guard let path = source?["path"] else {
                throw LibvirtError.xml("Missing source path attribute for char device")
            }
            words = "\(type == "pipe" ? "pipe" : "serial"),id=\(id),path=\(MachineCommandLine.escape(path))"
        case "unix":
            guard let path = source?["path"] ?? defaultPath else {
                throw LibvirtError.xml("Missing source path attribute for char device")
            }
            device.update("source") { $0.set("mode", source?["mode"] ?? "bind") }
            device.update("source") { $0.set("path", path) }
            words = "socket,id=\(id),path=\(MachineCommandLine.escape(path))"
            if (source?["mode"] ?? "bind") == "bind" { words += ",server=on,wait=off" }
        case "tcp":
            let host = source?["host"] ?? "127.0.0.1"
            words =
                "socket,id=\(id),host=\(MachineCommandLine.escape(host)),port=\(MachineCommandLine.escape(source?["service"] ?? "0"))"
            if source?["mode"] == "bind" { words += ",server=on,wait=off" }
            if device.child("protocol")?["type"] == "telnet" { words += ",telnet=on" }
        default: throw LibvirtError.configUnsupported("character device type '\(type)' is not supported")
        }
        if let log = device.child("log")?["file"] {
            words +=
                ",logfile=\(MachineCommandLine.escape(log)),logappend=\(device.child("log")?["append"] == "on" ? "on" : "off")"
        }
        add("-chardev", words)
    }

    mutating func addSerial(_ device: inout XMLTree, index: Int) throws(LibvirtError) {
        let alias = name(&device, "serial\(index)")
        try addBackend(&device, id: "char\(alias)", defaultPath: "\(folder)/\(alias).sock")
        let port = MachineCommandLine.number(device.child("target")?["port"]) ?? index
        addDevice(["driver": "isa-serial", "chardev": "char\(alias)", "id": alias, "index": "\(port)"])
    }

    /// The first console of type serial is the first serial port under another name.
    mutating func addConsole(_ device: inout XMLTree, index: Int) throws(LibvirtError) {
        guard device.child("target")?["type"] == "virtio" else {
            _ = name(&device, "serial\(index)")
            return
        }
        addPortBus()
        let alias = name(&device, "console\(index)")
        try addBackend(&device, id: "char\(alias)", defaultPath: "\(folder)/\(alias).sock")
        addDevice(["driver": "virtconsole", "chardev": "char\(alias)", "id": alias])
    }

    mutating func addChannel(_ device: inout XMLTree, index: Int) throws(LibvirtError) {
        guard device["type"] != "spicevmc", device["type"] != "spiceport", device["type"] != "qemu-vdagent" else {
            messages.append("channel of type \(device["type"] ?? "") is left out")
            return
        }
        guard device.child("target")?["type"] == "virtio" else {
            throw LibvirtError.configUnsupported("only virtio channels are supported")
        }
        addPortBus()
        let alias = name(&device, "channel\(index)")
        let port = device.child("target")?["name"] ?? "port\(index)"
        try addBackend(&device, id: "char\(alias)", defaultPath: "\(folder)/\(port.filter { $0 != "/" })")
        addDevice([
            "driver": "virtserialport", "bus": "virtio-serial0.0", "nr": device.child("address")?["port"],
            "chardev": "char\(alias)", "id": alias, "name": port,
        ])
    }

    /// The controller of all virtio ports.
    private mutating func addPortBus() {
        let there = arguments.contains { $0.hasPrefix("virtio-serial-pci") }
        if !there { addDevice(["driver": "virtio-serial-pci", "id": "virtio-serial0"]) }
    }
}
