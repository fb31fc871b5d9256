/// Serial ports, consoles and channels.
extension Domain {
    /// The first console of a PC is its first serial port: who names one gets the other.
    mutating func fillInConsoles() {
        for index in devices.consoles.indices {
            if devices.consoles[index].target.type == nil { devices.consoles[index].target.type = "serial" }
            devices.consoles[index].target.port = UInt32(index)
        }
        if let first = devices.consoles.first, first.target.type == "serial" {
            if devices.serials.isEmpty {
                var serial = SerialPort()
                serial.source = first.source
                serial.info = first.info
                serial.source.tty = nil
                devices.serials.append(serial)
            }
        } else if !devices.serials.isEmpty {
            var console = Console()
            console.target.type = "serial"
            console.target.port = 0
            devices.consoles.insert(console, at: 0)
        }
        fillInSerials()
        if devices.consoles.first?.target.type == "serial", let serial = devices.serials.first {
            let tty = devices.consoles[0].source.tty
            devices.consoles[0].source = serial.source
            devices.consoles[0].source.tty = tty
            devices.consoles[0].info = DeviceInfo()
            devices.consoles[0].info.alias = serial.info.alias
        }
        for index in devices.parallels.indices where devices.parallels[index].target.port == nil {
            devices.parallels[index].target.port = Self.next(devices.parallels.compactMap(\.target.port))
        }
        for index in devices.channels.indices
        where devices.channels[index].source.type == .spicevmc && devices.channels[index].target.name == nil {
            devices.channels[index].target.name = "com.redhat.spice.0"
        }
        for index in devices.parallels.indices { devices.parallels[index].source.fillIn() }
        for index in devices.channels.indices { devices.channels[index].source.fillIn() }
        for index in devices.consoles.indices { devices.consoles[index].source.fillIn() }
        for index in devices.redirdevs.indices { devices.redirdevs[index].source.fillIn() }
        for index in devices.smartcards.indices { devices.smartcards[index].source.fillIn() }
        for index in devices.rngs.indices { devices.rngs[index].backend.source.fillIn() }
        for index in devices.channels.indices where devices.channels[index].source.type == .unix {
            for end in devices.channels[index].source.ends.indices
            where devices.channels[index].source.ends[end].mode == nil {
                devices.channels[index].source.ends[end].mode = "connect"
            }
        }
    }

    private static func next(_ used: [UInt32]) -> UInt32 { used.max().map { $0 == .max ? $0 : $0 + 1 } ?? 0 }

    private mutating func fillInSerials() {
        for index in devices.serials.indices {
            if devices.serials[index].target.port == nil {
                devices.serials[index].target.port = Self.next(devices.serials.compactMap(\.target.port))
            }
            var target = devices.serials[index].target
            if target.type == nil {
                switch devices.serials[index].info.address {
                case .usb: target.type = "usb-serial"
                case .pci: target.type = "pci-serial"
                default: target.type = "isa-serial"
                }
            }
            if target.model == nil {
                switch target.type {
                case "isa-serial", "usb-serial", "pci-serial": target.model = target.type
                case "isa-debug": target.model = "isa-debugcon"
                default: break
                }
            }
            devices.serials[index].target = target
            devices.serials[index].source.fillIn()
        }
    }

    /// Ports on the virtio consoles' controllers, from 1. A console without one stays so in the definition, as libvirt
    /// has it.
    mutating func fillInVirtioSerialAddresses() {
        var used: Set<UInt64> = []
        func key(_ controller: UInt32, _ port: UInt32) -> UInt64 { UInt64(controller) << 32 | UInt64(port) }
        for channel in devices.channels {
            if case .virtioSerial(let controller, _, let port)? = channel.info.address, port != 0 {
                used.insert(key(controller, port))
            }
        }
        for console in devices.consoles {
            if case .virtioSerial(let controller, _, let port)? = console.info.address {
                used.insert(key(controller, port))
            }
        }
        let limits = devices.controllers.filter { $0.type == .virtioSerial }
            .map { (index: $0.index ?? 0, ports: min($0.ports ?? 31, 511)) }
        func place(from first: UInt32, on wanted: UInt32?) -> DeviceAddress? {
            for limit in limits where wanted == nil || limit.index == wanted {
                var port = first
                while port < max(limit.ports, 1) {
                    if used.insert(key(limit.index, port)).inserted {
                        return .virtioSerial(controller: limit.index, bus: 0, port: port)
                    }
                    port += 1
                }
            }
            return nil
        }
        for index in devices.channels.indices where devices.channels[index].target.type == "virtio" {
            var wanted: UInt32?
            if case .virtioSerial(let controller, _, let port)? = devices.channels[index].info.address {
                if port != 0 { continue }
                wanted = controller
            } else if devices.channels[index].info.address != nil {
                continue
            }
            devices.channels[index].info.address = place(from: 1, on: wanted) ?? devices.channels[index].info.address
        }
    }
}

extension CharacterSource {
    /// A stream of TCP is raw unless it says otherwise.
    mutating func fillIn() {
        if type == .tcp, networkProtocol == nil { networkProtocol = "raw" }
    }
}
