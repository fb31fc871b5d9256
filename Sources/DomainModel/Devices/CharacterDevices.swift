/// `<serial>`.
public struct SerialPort: XMLMappable {
    public var source = CharacterSource()
    public var target = Target()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try source.mapType(&m)
        if m.isReading { try m.attribute("tty", &source.tty) }
        try source.mapChildren(&m)
        try m.child("target", &target)
        try m.info(&info)
    }

    public struct Target: XMLMappable {
        public var type: String?
        public var port: UInt32?
        public var model: String?
        static let types =
            "isa-serial usb-serial pci-serial spapr-vio-serial system-serial sclp-serial isa-debug usb pci isa"
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, Self.types)
            try m.attribute("port", &port)
            try m.group("model") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.word(
                    "name", &model,
                    "isa-serial usb-serial pci-serial spapr-vty pl011 16550a sclpconsole sclplmconsole isa-debugcon")
            }
        }
    }
}

/// `<parallel>`.
public struct ParallelPort: XMLMappable {
    public var source = CharacterSource()
    public var target = Target()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try source.mapType(&m)
        try source.mapChildren(&m)
        try m.child("target", &target)
        try m.info(&info)
    }

    public struct Target: XMLMappable {
        public var type: String?
        public var port: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.attribute("port", &port)
        }
    }
}

/// `<console>`.
public struct Console: XMLMappable {
    public var source = CharacterSource()
    public var target = Target()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try source.mapType(&m)
        if m.isReading || !m.options.contains(.inactive) { try m.attribute("tty", &source.tty) }
        try source.mapChildren(&m)
        try m.child("target", &target)
        try m.info(&info)
    }

    public struct Target: XMLMappable {
        static let types = "serial xen uml virtio lxc openvz sclp sclplm"
        public var type: String?
        public var port: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            if m.isReading, let text = m.peek("type"), !XMLMapper.isOne(text, of: Self.types) {
                // Who names a serial port's type means the port that is the console.
                guard XMLMapper.isOne(text, of: SerialPort.Target.types) else { throw m.invalid("type", text, "") }
                type = "serial"
                _ = m.take("type")
            } else {
                try m.word("type", &type, Self.types)
            }
            try m.attribute("port", &port)
            var model: XMLTree?
            try m.subtree("model", &model)
        }
    }
}

/// `<channel>`: a named line between host and guest.
public struct Channel: XMLMappable {
    public var source = CharacterSource()
    public var target = Target()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try source.mapType(&m)
        try source.mapChildren(&m)
        if m.isReading, m.peek("type") != nil, !m.has("target") {
            throw DefinitionError.xml("missing target for channel device", line: m.line)
        }
        try m.child("target", &target)
        try m.info(&info)
    }

    public struct Target: XMLMappable {
        public var type = "virtio"
        public var name: String?
        /// Of a running machine: whether the guest has it open.
        public var state: String?
        /// Of a `guestfwd` channel.
        public var address: String?
        public var port: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            if m.isReading, let text = m.peek("type"), !XMLMapper.isOne(text, of: "guestfwd virtio xen none") {
                throw DefinitionError.unsupported(
                    "unknown target type '\(text)' specified for character device", line: m.line)
            }
            try m.attribute("type", &type)
            try m.attribute("address", &address)
            try m.attribute("port", &port)
            try m.attribute("name", &name)
            if m.isReading || !m.options.contains(.inactive) {
                try m.word("state", &state, "connected disconnected")
            }
        }
    }
}

/// `<smartcard>`.
public struct SmartCard: XMLMappable {
    public var mode = "host"
    public var certificates: [String] = []
    public var database: String?
    public var source = CharacterSource()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("mode", &mode)
        guard XMLMapper.isOne(mode, of: "host host-certificates passthrough") else {
            throw DefinitionError.unsupported("unknown smartcard device mode: \(mode)", line: m.line)
        }
        try source.mapType(&m)
        try m.elements("certificate", &certificates)
        try m.element("database", &database)
        try source.mapChildren(&m)
        try m.info(&info)
    }
}

/// `<redirdev>`: a USB device that comes over the display's connection.
public struct RedirectedDevice: XMLMappable {
    public var bus: String? = "usb"
    public var source = CharacterSource()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("bus", &bus, "usb")
        try source.mapType(&m)
        try source.mapChildren(&m)
        try m.info(&info)
    }
}

/// `<redirfilter>`: which USB devices may be redirected.
public struct RedirectionFilter: XMLMappable {
    public var rules: [Rule] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.children("usbdev", &rules) }

    public struct Rule: XMLMappable {
        public var usbClass: String?
        public var vendor: String?
        public var product: String?
        public var version: String?
        public var allow = YesNo.no
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("class", &usbClass)
            try m.attribute("vendor", &vendor)
            try m.attribute("product", &product)
            try m.attribute("version", &version)
            try m.attribute("allow", &allow)
        }
    }
}
