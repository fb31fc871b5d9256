/// What is at the host's end of a character device.
public enum CharacterType: String, XMLValue {
    case null, vc, pty, dev, file, pipe, stdio, udp, tcp, unix, spicevmc, spiceport, nmdm, dbus
    case vdagent = "qemu-vdagent"
}

/// The host's end of a serial port, console, channel, smart card, redirected device or random number source.
///
/// The type is an attribute of the device's own element; the rest are child elements of it.
public struct CharacterSource: Equatable, Sendable {
    public var type: CharacterType?
    /// The path of a running machine's terminal, which libvirt repeats on `<console>`.
    public var tty: String?
    /// One end; two for `udp`, which names where to listen and where to send.
    public var ends: [End] = []
    public var networkProtocol: String?
    public var log: Log?
    public init() {}
    public init(_ type: CharacterType) { self.type = type }

    /// The path of the first end that has one.
    public var path: String? { ends.first { $0.path != nil }?.path }

    /// The attributes on the device's element.
    mutating func mapType(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, let text = m.peek("type"), CharacterType(rawValue: text) == nil {
            throw DefinitionError.unsupported(
                "unknown type presented to host for character device: \(text)", line: m.line)
        }
        try m.attribute("type", &type)
    }

    mutating func mapChildren(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.children("source", &ends)
        try m.group("protocol") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("type", &networkProtocol, "raw telnet telnets tls")
        }
        try m.child("log", &log)
    }

    /// `<source>`.
    public struct End: XMLMappable {
        public var type: String?
        public var mode: String?
        public var path: String?
        public var append: OnOff?
        public var host: String?
        public var service: String?
        public var tls: YesNo?
        public var channel: String?
        public var master: String?
        public var slave: String?
        public var reconnect: Reconnect?
        /// Of a `qemu-vdagent` channel.
        public var clipboardCopyPaste: YesNo?
        public var mouseMode: String?
        public var securityLabels: [DeviceSecurityLabel] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "unix")
            try m.word("mode", &mode, "bind connect server client")
            try m.attribute("path", &path)
            try m.attribute("host", &host)
            try m.attribute("service", &service)
            try m.attribute("append", &append)
            try m.attribute("tls", &tls)
            try m.attribute("channel", &channel)
            try m.attribute("master", &master)
            try m.attribute("slave", &slave)
            try m.child("reconnect", &reconnect)
            try m.group("clipboard") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("copypaste", &clipboardCopyPaste)
            }
            try m.choice("mouse", "mode", &mouseMode, "server client")
            try m.children("seclabel", &securityLabels)
        }
    }

    /// `<log>`: a file that keeps what the guest wrote.
    public struct Log: XMLMappable {
        public var file = ""
        public var append: OnOff?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("file", &file)
            try m.attribute("append", &append)
        }
    }
}
