/// The slots of all PCI buses of a machine, and who has which.
struct PCISlots {
    /// What may be plugged in.
    enum Connection: Equatable {
        /// A device of conventional PCI.
        case pci
        /// A device of PCI Express.
        case express
        /// A port of the Express root, several to a slot.
        case rootPort
        /// A bridge to conventional PCI that itself is an Express device.
        case expressBridge
        /// What the Express root alone takes, a slot each.
        case rootDevice
    }

    struct Bus {
        var model: String
        /// The functions in use of each slot, a bit each.
        var functions: [UInt8]
        /// The slot holds ports of one kind, so that further ones may join.
        var holdsPorts: [Bool]
        var slots: ClosedRange<UInt32>

        init(model: String) {
            self.model = model
            functions = Array(repeating: 0, count: 32)
            holdsPorts = Array(repeating: false, count: 32)
            switch model {
            case "pcie-root-port", "pcie-switch-downstream-port": slots = 0...0
            case "pcie-switch-upstream-port", "dmi-to-pci-bridge", "pcie-expander-bus", "pci-expander-bus":
                slots = 0...31
            default: slots = 1...31
            }
        }

        func takes(_ connection: Connection) -> Bool {
            switch model {
            case "pci-root", "pci-bridge", "pcie-to-pci-bridge", "pci-expander-bus", "dmi-to-pci-bridge":
                connection == .pci
            case "pcie-root": connection == .rootPort || connection == .rootDevice
            case "pcie-root-port", "pcie-switch-downstream-port": connection == .express || connection == .expressBridge
            case "pcie-expander-bus": connection == .rootPort
            default: false
            }
        }
    }

    var buses: [Bus] = []
    /// The machine's root is PCI Express.
    var isExpress: Bool { buses.first?.model == "pcie-root" }

    /// Marks an address as taken.
    mutating func reserve(_ address: PCIAddress, holdsPort: Bool = false) throws(DefinitionError) {
        guard address.domain == 0 else { throw DefinitionError.xml("Only PCI domain 0 is available") }
        guard address.bus < buses.count else {
            throw DefinitionError.xml(
                "PCI bus index \(address.bus) is too large: no controller has that index")
        }
        let slot = Int(address.slot & 31)
        let bit = UInt8(1) << UInt8(address.function & 7)
        guard buses[Int(address.bus)].functions[slot] & bit == 0 else {
            throw DefinitionError.xml("Attempted double use of PCI Address \(address.text)")
        }
        buses[Int(address.bus)].functions[slot] |= bit
        buses[Int(address.bus)].holdsPorts[slot] = holdsPort
    }

    func isFree(bus: UInt32 = 0, slot: UInt32) -> Bool {
        bus < buses.count && buses[Int(bus)].functions[Int(slot & 31)] == 0
    }

    /// The next free place for such a device, reserved; `nil` when no bus has one.
    mutating func place(_ connection: Connection, functions: UInt8 = 1) -> PCIAddress? {
        for index in buses.indices where buses[index].takes(connection) {
            for slot in buses[index].slots {
                let used = buses[index].functions[Int(slot)]
                if connection == .rootPort, used != 0, buses[index].holdsPorts[Int(slot)], used != 0xFF {
                    let function = UInt32((~used).trailingZeroBitCount)
                    buses[index].functions[Int(slot)] |= 1 << UInt8(function)
                    return PCIAddress(bus: UInt32(index), slot: slot, function: function)
                }
                if used == 0 {
                    buses[index].functions[Int(slot)] = functions
                    buses[index].holdsPorts[Int(slot)] = connection == .rootPort
                    return PCIAddress(bus: UInt32(index), slot: slot, function: 0)
                }
            }
        }
        return nil
    }

    /// The models of the controllers that must be added before such a device fits; each brings the next bus.
    func growth(for connection: Connection) -> [String] {
        switch connection {
        case .pci:
            return isExpress ? ["pcie-root-port", "pcie-to-pci-bridge"] : ["pci-bridge"]
        case .express, .expressBridge: return ["pcie-root-port"]
        case .rootPort, .rootDevice: return []
        }
    }

    /// How a controller itself is plugged in; `nil` for a root.
    static func connection(ofController model: String?) -> Connection? {
        switch model {
        case "pcie-root-port": .rootPort
        case "pcie-to-pci-bridge": .expressBridge
        case "dmi-to-pci-bridge", "pcie-expander-bus": .rootDevice
        case "pci-bridge", "pci-expander-bus": .pci
        case "pcie-switch-upstream-port", "pcie-switch-downstream-port": .express
        default: nil
        }
    }
}
