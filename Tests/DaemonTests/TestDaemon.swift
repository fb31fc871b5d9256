import Daemon
import Glibc
import HostOS
import RPCWire

/// A daemon of the test's own, in a folder that goes with it.
final class TestDaemon: Sendable {
    let folder: String
    let daemon: DaemonInstance
    private let keepsFolder: Bool

    init(folder: String? = nil, emulator: String = TestPrograms.emulator) throws {
        self.folder = try folder ?? HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        keepsFolder = folder != nil
        daemon = try DaemonInstance(paths: DaemonPaths.below(self.folder), emulators: [emulator])
    }

    deinit {
        daemon.stop()
        if !keepsFolder { HostFile.removeTree(folder) }
    }

    func client(readOnly: Bool = false, opens: Bool = true) throws -> TestClient {
        let client = try TestClient("\(folder)/libvirt-sock\(readOnly ? "-ro" : "")")
        client.daemon = self
        if opens { _ = try client.call(Remote.ConnectOpen.self, .init(name: "qemu:///session", flags: 0)) }
        return client
    }
}

/// What tests find beside them.
enum TestPrograms {
    static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    /// Our own machine, which the tests' build makes too.
    static let emulator = root + "/.build/release/apus-vmm"
    static let kernel = root + "/guest/vmlinuz"
    static let initramfs = root + "/guest/initramfs.cpio.gz"

    /// Machines under a daemon within the tests' process do not end steadily yet: their tests run when asked for.
    static var startsMachines: Bool { unsafe getenv("APUS_DAEMON_MACHINES") != nil }
    static let whyNotStarted = "unsteady so far; APUS_DAEMON_MACHINES=1 runs them"

    static var hasEmulator: Bool { HostFile.status(emulator).kind == .file }
    static var hasGuest: Bool {
        hasEmulator && HostFile.status(kernel).kind == .file && HostFile.status(initramfs).kind == .file
    }
    static var hasVirsh: Bool { HostFile.status("/usr/bin/virsh").kind == .file }
}

/// A client that waits for each answer, and keeps what comes in between.
final class TestClient {
    struct Failure: Error, CustomStringConvertible {
        let error: RemoteError
        var description: String { "\(error.code): \(error.message ?? "")" }
    }
    struct Ended: Error {}

    let socket: Descriptor
    /// Alive as long as its client.
    var daemon: TestDaemon?
    private var decoder = FrameDecoder()
    private var serial: UInt32 = 0
    private(set) var kept: [Frame] = []

    init(_ path: String) throws {
        socket = try Socket.connect(SocketAddress.unix(path))
    }

    /// The next frame; an error when the daemon closes or says nothing for a minute.
    func next() throws -> Frame {
        while true {
            if let frame = try decoder.next() { return frame }
            guard socket.wait(for: .read, milliseconds: 60_000).contains(.read) else { throw Ended() }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let (transfer, passed) = unsafe buffer.withUnsafeMutableBytes { unsafe Socket.receive(socket, into: $0) }
            guard case .moved(let count) = transfer else { throw Ended() }
            decoder.feed(buffer.prefix(count), descriptors: passed)
        }
    }

    func send(_ frame: Frame) throws { try socket.writeAll(frame.bytes) }

    /// The answer to a frame with this serial.
    func answer(_ serial: UInt32) throws -> Frame {
        while true {
            let frame = try next()
            if frame.header.messageType == .reply || frame.header.messageType == .replyWithDescriptors,
                frame.header.serial == serial
            {
                return frame
            }
            kept.append(frame)
        }
    }

    func call<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws -> Procedure.Result {
        serial += 1
        try send(Frame.call(type, arguments, serial: serial))
        let frame = try answer(serial)
        var reader = XDRReader(frame.payload)
        if frame.header.status == RPCStatus.error.rawValue { throw Failure(error: try RemoteError(from: &reader)) }
        return try Procedure.Result(from: &reader)
    }

    /// The error that a call must end with.
    func failure<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws -> RemoteError? {
        do {
            _ = try call(type, arguments)
            return nil
        } catch let failure as Failure {
            return failure.error
        }
    }

    /// The next event of a procedure.
    func event<Event: RPCEvent>(_ type: Event.Type) throws -> Event.Body {
        while true {
            if let index = kept.firstIndex(where: {
                $0.header.messageType == .message && $0.header.procedure == Event.number
            }) {
                var reader = XDRReader(kept.remove(at: index).payload)
                return try Event.Body(from: &reader)
            }
            kept.append(try next())
        }
    }
}

/// Definitions for tests.
enum TestXML {
    static func domain(_ name: String, uuid: String? = nil, devices: String = "", kernel: String? = nil) -> String {
        """
        <domain type='qemu'>
          <name>\(name)</name>
          \(uuid.map { "<uuid>\($0)</uuid>" } ?? "")
          <memory unit='MiB'>128</memory>
          <vcpu>1</vcpu>
          <os>
            <type arch='x86_64' machine='pc'>hvm</type>
            \(kernel.map { "<kernel>\($0)</kernel><initrd>\(TestPrograms.initramfs)</initrd><cmdline>console=ttyS0</cmdline>" } ?? "")
          </os>
          <features><acpi/></features>
          <devices>\(devices)</devices>
        </domain>
        """
    }
}
