extension SMBIOSConfiguration {
    /// Type 8: a connector of the machine (DSP0134, 7.9).
    public struct Connector: Equatable, Sendable {
        /// What is written beside it inside.
        public var internalReference = ""
        /// What is written beside it outside.
        public var externalReference = ""
        /// The outer connector's type.
        public var connectorType: UInt8 = 0
        /// What it is for.
        public var portType: UInt8 = 0

        /// A connector of which nothing is known.
        public init() {}
    }

    /// Type 41: a device on the board (DSP0134, 7.42).
    public struct OnboardDevice: Equatable, Sendable {
        /// The types of devices in the order of their numbers, which begin with 1.
        public static let kinds = [
            "other", "unknown", "video", "scsi", "ethernet", "tokenring", "sound", "pata", "sata", "sas",
        ]
        /// What is written beside it.
        public var designation = ""
        /// Its type's place in `kinds`.
        public var kind = 0
        /// Its number among those of its type.
        public var instance: UInt8 = 1
        /// The bus of PCI that it is on.
        public var bus: UInt8 = 0
        /// Its slot and function there.
        public var address: UInt8 = 0

        /// A device of which nothing is known.
        public init() {}
    }
}

extension SMBIOSTables {
    static func connector(_ connector: SMBIOSConfiguration.Connector, _ number: Int) -> [UInt8] {
        var entry = SMBIOSStructure(type: 8, handle: 0x0800 &+ UInt16(truncatingIfNeeded: number))
        let none: UInt8 = 0
        entry.append(connector.internalReference)
        entry.append(none)
        entry.append(connector.externalReference)
        entry.append([connector.connectorType, connector.portType])
        return entry.bytes
    }

    static func onboardDevice(_ device: SMBIOSConfiguration.OnboardDevice, _ number: Int) -> [UInt8] {
        var entry = SMBIOSStructure(type: 41, handle: 0x2900 &+ UInt16(truncatingIfNeeded: number))
        let enabled: UInt8 = 0x80
        let segment: UInt16 = 0
        entry.append(device.designation)
        entry.append([enabled | UInt8(truncatingIfNeeded: device.kind + 1), device.instance])
        entry.append(segment)
        entry.append([device.bus, device.address])
        return entry.bytes
    }
}
