import HostOS
import RPCWire
import Testing

/// Debian's virt-viewer on an X server without a screen: what the guest shows is in its window.
@Suite(
    "virt-viewer", .serialized,
    .enabled(if: TestPrograms.hasEmulator && Program.exists("/usr/share/seabios/bios-256k.bin"), "needs SeaBIOS"),
    .enabled(
        if: Program.exists("/usr/bin/virt-viewer") && Program.exists("/usr/bin/Xvfb"), "needs virt-viewer and Xvfb"))
struct ViewerTests {
    /// An X server whose picture is a file.
    private final class Screen {
        let number: String
        private let process: HostProcess
        private let picture: String

        init(_ folder: String) throws {
            let pipe = try DescriptorPair.pipe()
            let null = try HostFile.open("/dev/null", .readWrite)
            process = try HostProcess.spawn(
                "/usr/bin/Xvfb",
                arguments: ["Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-fbdir", folder, "-nolisten", "tcp"],
                environment: ["HOME=\(folder)", "PATH=/usr/bin:/bin"], descriptors: [null, pipe.output, null])
            var line: [UInt8] = []
            while !line.contains(10) {
                guard pipe.input.wait(for: .read, milliseconds: 30_000) != [] else { throw TestClient.Ended(said: "No display") }
                line += try pipe.input.readAvailable(limit: 16)
            }
            number = String(decoding: line.prefix { $0 != 10 }, as: UTF8.self)
            picture = folder + "/Xvfb_screen0"
        }

        /// How many pixels have a colour; a file of the X Window Dump, whose first number is the size of what precedes
        /// the pixels, but for its table of colours.
        func count(red: UInt8, green: UInt8, blue: UInt8) throws -> Int {
            let bytes = try HostFile.contents(picture)
            func word(_ index: Int) -> Int { bytes[index * 4..<index * 4 + 4].reduce(0) { $0 << 8 | Int($1) } }
            let start = word(0) + word(19) * 12
            var count = 0
            for place in stride(from: start, to: bytes.count - 3, by: 4)
            where bytes[place] == blue && bytes[place + 1] == green && bytes[place + 2] == red { count += 1 }
            return count
        }

        deinit {
            process.send(signal: 15)
            if !process.waitForEnd(milliseconds: 20_000) { process.kill() }
            process.reap()
        }
    }

    @Test("It is handed the screen by descriptor, and shows what the guest draws", arguments: ["vnc", "spice"])
    func shows(kind: String) throws {
        let daemon = try DaemonProcess()
        let (client, folder) = (try daemon.client(), daemon.folder)
        _ = try client.call(
            Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.graphics, dom: nil))
        // Nobody can listen on a port of the host, and there is a password: who has the daemon's word needs neither.
        let devices =
            "<graphics type='\(kind)' passwd='secret'><listen type='none'/></graphics><video><model type='vga'/></video>"
        let xml = TestXML.domain("m", devices: devices)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let screen = try Screen(folder)
        let log = try HostFile.open(folder + "/viewer.log", .append)
        let viewer = try HostProcess.spawn(
            "/usr/bin/virt-viewer",
            arguments: [
                "virt-viewer", "--attach", "-c", "qemu+unix:///session?socket=\(folder)/libvirt-sock", "m",
            ],
            environment: [
                "DISPLAY=:\(screen.number)", "HOME=\(folder)", "XDG_RUNTIME_DIR=\(folder)", "PATH=/usr/bin:/bin",
                "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "LC_ALL=C.UTF-8", "GSETTINGS_BACKEND=memory",
            ], descriptors: [log, log, log])
        defer {
            viewer.send(signal: 15)
            if !viewer.waitForEnd(milliseconds: 20_000) { viewer.kill() }
            viewer.reap()
        }
        #expect(try client.event(Remote.DomainEventCallbackGraphics.self).phase == VirDomainEventGraphicsPhase.connect)
        let ready = try client.event(Remote.DomainEventCallbackGraphics.self)
        #expect(ready.phase == VirDomainEventGraphicsPhase.initialize)
        #expect(ready.remote.family == VirDomainEventGraphicsAddressType.unix)
        // The letters of the firmware, which finds nothing to start: light grey, as a VGA has it, and no window of GTK.
        let deadline = HostClock.monotonic + 60_000_000_000
        var count = 0
        while count < 1000, HostClock.monotonic < deadline, !viewer.waitForEnd(milliseconds: 200) {
            count = try screen.count(red: 0xAA, green: 0xAA, blue: 0xAA)
        }
        let said = String(decoding: try HostFile.contents(folder + "/viewer.log"), as: UTF8.self)
        #expect(count >= 1000, "\(said)")
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }
}
