internal import DomainModel
internal import HostOS
internal import RPCWire

extension HandlerTable {
    /// The host's network interfaces.
    mutating func addHostInterfaces() {
        add(Remote.ConnectNumOfInterfaces.self, .worker) { (_, _) throws(LibvirtError) in
            .init(num: Int32(clamping: HostInterfaces.all.filter(\.isActive).count))
        }
        add(Remote.ConnectListInterfaces.self, .worker) { (_, arguments) throws(LibvirtError) in
            let names = HostInterfaces.all.filter(\.isActive).map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectNumOfDefinedInterfaces.self, .worker) { (_, _) throws(LibvirtError) in
            .init(num: Int32(clamping: HostInterfaces.all.filter { !$0.isActive }.count))
        }
        add(Remote.ConnectListDefinedInterfaces.self, .worker) { (_, arguments) throws(LibvirtError) in
            let names = HostInterfaces.all.filter { !$0.isActive }.map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectListAllInterfaces.self, .worker) { (_, arguments) throws(LibvirtError) in
            typealias Flags = VirConnectListAllInterfacesFlags
            let filter = ListFilter(flags: arguments.flags)
            let found = HostInterfaces.all.filter { filter.admits($0.isActive, Flags.active, Flags.inactive) }
            return .init(
                ifaces: arguments.needResults != 0 ? found.map(\.reference) : [], ret: UInt32(clamping: found.count))
        }
        add(Remote.InterfaceLookupByName.self, .worker) { (_, arguments) throws(LibvirtError) in
            .init(iface: try HostInterfaces.find(name: arguments.name).reference)
        }
        add(Remote.InterfaceLookupByMACString.self, .worker) { (_, arguments) throws(LibvirtError) in
            .init(iface: try HostInterfaces.find(mac: arguments.mac).reference)
        }
        add(Remote.InterfaceGetXMLDesc.self, .worker) { (_, arguments) throws(LibvirtError) in
            let entry = try HostInterfaces.find(name: arguments.iface.name)
            return .init(xml: XMLWriter.write(HostInterfaces.document(entry)))
        }
        add(Remote.InterfaceIsActive.self, .worker) { (_, arguments) throws(LibvirtError) in
            .init(active: try HostInterfaces.find(name: arguments.iface.name).isActive ? 1 : 0)
        }
    }

    /// The host's devices.
    mutating func addNodeDevices() {
        add(Remote.NodeNumOfDevices.self, .worker) { (_, arguments) throws(LibvirtError) in
            let wanted = arguments.cap
            let found = NodeDevices().all.filter { wanted == nil || $0.type == wanted }
            return .init(num: Int32(clamping: found.count))
        }
        add(Remote.NodeListDevices.self, .worker) { (_, arguments) throws(LibvirtError) in
            let wanted = arguments.cap
            let found = NodeDevices().all.filter { wanted == nil || $0.type == wanted }
            return .init(names: Array(found.map(\.name).prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectListAllNodeDevices.self, .worker) { (_, arguments) throws(LibvirtError) in
            // The upper half of the flags is about activity; all that is here is active and not defined.
            let kinds = arguments.flags & 0x0FFF_FFFF
            let inactiveOnly = arguments.flags & 0xC000_0000 == 1 << 30
            let found = inactiveOnly ? [] : NodeDevices().all.filter { kinds == 0 || $0.kind & kinds != 0 }
            let devices = found.map { RemoteNodeDevice(name: $0.name) }
            return .init(devices: arguments.needResults != 0 ? devices : [], ret: UInt32(clamping: devices.count))
        }
        add(Remote.NodeDeviceLookupByName.self, .worker) { (_, arguments) throws(LibvirtError) in
            .init(dev: RemoteNodeDevice(name: try NodeDevices().find(arguments.name).name))
        }
        add(Remote.NodeDeviceGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let devices = NodeDevices()
            let tree = devices.document(try devices.find(arguments.name), call.session.daemon.host)
            return .init(xml: XMLWriter.write(tree))
        }
        add(Remote.NodeDeviceGetParent.self, .worker) { (_, arguments) throws(LibvirtError) in
            .init(parentName: try NodeDevices().find(arguments.name).parent)
        }
        add(Remote.NodeDeviceNumOfCaps.self, .worker) { (_, arguments) throws(LibvirtError) in
            _ = try NodeDevices().find(arguments.name)
            return .init(num: 1)
        }
        add(Remote.NodeDeviceListCaps.self, .worker) { (_, arguments) throws(LibvirtError) in
            let entry = try NodeDevices().find(arguments.name)
            return .init(names: arguments.maxnames > 0 ? [entry.type] : [])
        }
        add(Remote.NodeDeviceIsActive.self, .worker) { (_, arguments) throws(LibvirtError) in
            _ = try NodeDevices().find(arguments.name)
            return .init(active: 1)
        }
        add(Remote.NodeDeviceIsPersistent.self, .worker) { (_, arguments) throws(LibvirtError) in
            _ = try NodeDevices().find(arguments.name)
            return .init(persistent: 1)
        }
        add(Remote.NodeDeviceGetAutostart.self, .worker) { (_, arguments) throws(LibvirtError) in
            _ = try NodeDevices().find(arguments.name)
            return .init(autostart: 1)
        }
        add(Remote.NodeDeviceDestroy.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.nodeDeviceOfNoKind(arguments.name)
        }
        add(Remote.NodeDeviceUndefine.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.nodeDeviceOfNoKind(arguments.name)
        }
        add(Remote.NodeDeviceCreateXML.self, .worker) { (_, arguments) throws(LibvirtError) in
            throw HandlerTable.newNodeDevice(arguments.xmlDesc)
        }
        add(Remote.NodeDeviceDefineXML.self, .worker) { (_, arguments) throws(LibvirtError) in
            throw HandlerTable.newNodeDevice(arguments.xmlDesc)
        }
        add(Remote.NodeDeviceCreate.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            _ = try NodeDevices().find(arguments.name)
            throw LibvirtError.operationInvalid("Device is already active").from(VirErrorDomain.nodedev)
        }
        add(Remote.NodeDeviceSetAutostart.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            _ = try NodeDevices().find(arguments.name)
            throw LibvirtError.operationUnsupported("Unsupported device type").from(VirErrorDomain.nodedev)
        }
    }

    /// Drivers of the host's devices are not changed here.
    mutating func addNodeDeviceDrivers() {
        typealias Refusal = @Sendable (String) throws(LibvirtError) -> Void
        let detach: Refusal = { (name) throws(LibvirtError) in
            _ = try NodeDevices().find(name)
            let hasVFIO = HostFile.status("/dev/vfio/vfio").kind != .nothing
            let words = hasVFIO
                ? "devices of the host keep their drivers: bind '\(name)' to vfio-pci by the host's own tools"
                : "VFIO device assignment is currently not supported on this system"
            throw LibvirtError(
                code: VirErrorNumber.argumentUnsupported, message: "argument unsupported: " + words, detail: words)
        }
        add(Remote.NodeDeviceDettach.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            try detach(arguments.name)
        }
        add(Remote.NodeDeviceDetachFlags.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            try detach(arguments.name)
        }
        add(Remote.NodeDeviceReAttach.self, .worker) { (_, arguments) throws(LibvirtError) -> Void in
            let device = try NodeDevices().find(arguments.name)
            guard device.type == "pci" else {
                throw LibvirtError.invalidArgument("device \(arguments.name) is not a PCI device")
            }
            try detach(arguments.name)
        }
    }

    /// Devices of the host are neither made nor taken away here: only virtual ports of fibre channel adapters and
    /// mediated devices could be.
    private static func nodeDeviceOfNoKind(_ name: String) throws(LibvirtError) {
        _ = try NodeDevices().find(name)
        throw LibvirtError.configUnsupported("Unsupported device type").from(VirErrorDomain.nodedev)
    }

    /// Why a device cannot be made, in the order in which libvirt looks.
    private static func newNodeDevice(_ text: String) -> LibvirtError {
        let tree: XMLTree
        do throws(DefinitionError) { tree = try XMLReader.parse(text, document: "(node_device_definition)") } catch {
            return LibvirtError(error, VirErrorDomain.nodedev)
        }
        guard tree.name == "device" else {
            return LibvirtError.xml("expecting root element of 'device', not '\(tree.name)'")
                .from(VirErrorDomain.nodedev)
        }
        let error: LibvirtError
        switch tree.child("capability")?["type"] {
        case nil: error = .internalError("no device capabilities for 'new device'")
        case "scsi_host": error = .internalError("Could not find parent device for 'new device'")
        case "mdev": error = .internalError("Cannot find 'mdevctl' in path: No such file or directory")
        default: error = .configUnsupported("Unsupported device type")
        }
        return error.from(VirErrorDomain.nodedev)
    }
}
