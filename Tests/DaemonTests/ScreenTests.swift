import HostOS
import RPCWire
import TestSupport
import Testing
import VNC

/// Screens that others look at: their ports, and their passwords.
@Suite("Screens", .serialized, .enabled(if: TestPrograms.hasEmulator))
struct ScreenTests {
    private static let emulators: [String?] = Program.exists(Program.qemu) ? [nil, Program.qemu] : [nil]

    private static func program(_ emulator: String?) -> String {
        emulator.map { "<emulator>\($0)</emulator>" } ?? ""
    }

    private static func take(_ socket: Descriptor, _ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard socket.wait(for: .read, milliseconds: 30_000) != [] else { throw TestClient.Ended(said: "Nothing came") }
            let more = try socket.readAvailable(limit: count - bytes.count)
            guard !more.isEmpty else { throw TestClient.Ended(said: "The screen has hung up") }
            bytes += more
        }
        return bytes
    }
    /// The port of the one screen, as the running machine's definition has it.
    static func port(_ xml: String) throws -> UInt16 {
        let words = xml.split(separator: "<graphics", maxSplits: 1)[1].split(separator: "port='", maxSplits: 1)[1]
        return try #require(UInt16(words.prefix { $0 != "'" }))
    }
    private static func connect(_ port: UInt16) throws -> Descriptor {
        try Socket.connect(anyOf: try SocketAddress.resolve(host: "127.0.0.1", port: "\(port)"))
    }

    /// Whether a viewer with a password is let in.
    private static func lets(_ password: String, into port: UInt16) throws -> Bool {
        let socket = try connect(port)
        _ = try take(socket, 12)
        try socket.writeAll(Array("RFB 003.008\n".utf8))
        let kinds = try take(socket, Int(try take(socket, 1)[0]))
        #expect(kinds == [2])
        try socket.writeAll([2])
        try socket.writeAll(DES.answer(try take(socket, 16), password: password))
        return try take(socket, 4) == [0, 0, 0, 0]
    }

    @Test("A password lets in who has it, until it ends", arguments: emulators)
    func passwords(emulator: String?) throws {
        let daemon = try DaemonProcess()
        let client = try daemon.client()
        func graphics(_ more: String) -> String { "<graphics type='vnc' autoport='yes' listen='127.0.0.1' \(more)/>" }
        let devices = "\(Self.program(emulator))\(graphics("passwd='secret'"))<video><model type='vga'/></video>"
        let xml = TestXML.domain("m", devices: devices)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let shown = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        #expect(!shown.contains("secret"))
        let port = try Self.port(shown)
        #expect(try Self.lets("secret", into: port))
        #expect(try !Self.lets("secreT", into: port))
        func update(_ more: String) throws {
            let address = "<listen type='address' address='127.0.0.1'/>"
            let xml = "<graphics type='vnc' port='\(port)' autoport='yes' listen='127.0.0.1' \(more)>\(address)</graphics>"
            _ = try client.call(Remote.DomainUpdateDeviceFlags.self, .init(dom: domain, xml: xml, flags: 1))
        }
        try update("passwd='another'")
        #expect(try Self.lets("another", into: port))
        try update("passwd='another' passwdValidTo='2020-02-29T12:00:00'")
        #expect(try !Self.lets("another", into: port))
        try update("passwd='another' passwdValidTo='2120-02-29T12:00:00'")
        #expect(try Self.lets("another", into: port))
    }

    /// What Terraform's provider asks for where nobody says more: SPICE, and a port for the guest's agent.
    @Test("A machine with SPICE starts, and greets clients", arguments: emulators)
    func spice(emulator: String?) throws {
        let daemon = try DaemonProcess()
        let client = try daemon.client()
        let devices = """
            \(Self.program(emulator))
            <graphics type='spice' autoport='yes'/><video><model type='qxl'/></video>
            <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <sound model='ich6'/><controller type='usb' model='ich9-ehci1'/>
            <redirdev bus='usb' type='spicevmc'/><redirdev bus='usb' type='spicevmc'/>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
            """
        let xml = TestXML.domain("m", devices: devices)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let shown = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        let socket = try Self.connect(try Self.port(shown))
        // A link to the main channel, with no capabilities.
        let words: [UInt32] = [0x5144_4552, 2, 2, 18, 0]
        var link: [UInt8] = []
        for word in words {
            for shift in [0, 8, 16, 24] as [UInt32] { link.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        link += [1, 0] + [UInt8](repeating: 0, count: 8) + [18, 0, 0, 0]
        try socket.writeAll(link)
        let reply = try Self.take(socket, 16 + 178)
        #expect(Array(reply.prefix(4)) == Array("REDQ".utf8) && reply[16] == 0)
    }
}
