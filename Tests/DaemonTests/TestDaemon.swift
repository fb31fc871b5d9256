import Daemon
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
    /// The daemon, which the tests' build makes too.
    static let daemon = root + "/.build/release/apus"
    static let imageTool = root + "/.build/release/apus-img"
    static let kernel = root + "/guest/vmlinuz"
    static let initramfs = root + "/guest/initramfs.cpio.gz"
    /// Debian's kernel with drivers of real hardware.
    static let stockKernel = root + "/guest/stock/vmlinuz"
    static let stockInitramfs = root + "/guest/stock/initramfs.cpio.gz"

    static var hasEmulator: Bool { HostFile.status(emulator).kind == .file }
    static var hasGuest: Bool {
        hasEmulator && HostFile.status(daemon).kind == .file && HostFile.status(kernel).kind == .file
            && HostFile.status(initramfs).kind == .file
    }
    static var hasStockGuest: Bool { hasGuest && HostFile.status(stockInitramfs).kind == .file }
    static var hasVirsh: Bool { HostFile.status("/usr/bin/virsh").kind == .file }
}

/// `apus daemon` as a process of its own, as users run it. Its folder and whatever machines it leaves go with it.
final class DaemonProcess: Sendable {
    let folder: String
    let process: HostProcess
    private let keepsFolder: Bool

    /// - Parameters:
    ///   - way: what goes before the program: the way into a network namespace.
    ///   - tools: a folder of programs that come before the host's.
    init(
        folder: String? = nil, emulator: String = TestPrograms.emulator, way: [String] = [], options: [String] = [],
        tools: String? = nil, environment: [String] = []
    ) throws {
        self.folder = try folder ?? HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        keepsFolder = folder != nil
        let null = try HostFile.open("/dev/null", .readWrite)
        let log = try HostFile.open(self.folder + "/daemon.log", .append, permissions: 0o600)
        process = try HostProcess.spawn(
            way.first ?? TestPrograms.daemon,
            arguments: (way.isEmpty ? ["apus"] : way + [TestPrograms.daemon])
                + ["daemon", "--root", self.folder, "--emulator", emulator] + options,
            environment: [
                "LC_ALL=C", "PATH=\(tools.map { $0 + ":" } ?? "")/usr/sbin:/usr/bin:/sbin:/bin", "HOME=\(self.folder)",
            ] + environment,
            descriptors: [null, log, log])
        // It opens its sockets when it has taken everything up. Those of a daemon that was killed answer for a moment longer,
        // where a process that it was starting has yet to become its program.
        while !isServing(itself: way.isEmpty) {
            if process.waitForEnd(milliseconds: 5) { throw TestClient.Ended(said: "The daemon ended: \(said)") }
        }
    }

    private func isServing(itself: Bool) -> Bool {
        guard let socket = try? Socket.connect(SocketAddress.unix(folder + "/libvirt-sock")) else { return false }
        return !itself || (try? PeerCredentials(of: socket))?.processID == process.number
    }

    /// The end of what it said.
    var said: String { String(decoding: ((try? HostFile.contents(folder + "/daemon.log")) ?? []).suffix(2_000), as: UTF8.self) }

    /// Ends it without a word.
    func kill() {
        process.kill()
        _ = process.waitForEnd(milliseconds: 60_000)
        process.reap()
    }

    deinit {
        process.send(signal: 15)
        if !process.waitForEnd(milliseconds: 60_000) { kill() }
        process.reap()
        if !keepsFolder { DaemonProcess.clear(folder) }
    }

    /// The number of a machine's process, as the daemon wrote it down.
    static func machine(_ folder: String, _ name: String) throws -> Int32? {
        let status = String(decoding: try HostFile.contents("\(folder)/run/qemu/\(name).xml"), as: UTF8.self)
        return (status.split(separator: "pid='").dropFirst().first?.prefix { $0.isNumber }).flatMap { Int32($0) }
    }

    /// Ends the machines that a daemon left in a folder, and takes it away.
    static func clear(_ folder: String) {
        for file in (try? HostFolder.names(in: folder + "/run/qemu")) ?? [] where file.hasSuffix(".xml") {
            if let number = try? machine(folder, String(file.dropLast(4))) { try? HostProcess(number: number).kill() }
        }
        HostFile.removeTree(folder)
    }

    func client() throws -> TestClient {
        let client = try TestClient(folder + "/libvirt-sock", opens: true)
        client.daemon = self
        return client
    }
}

/// A client that waits for each answer, and keeps what comes in between.
final class TestClient {
    struct Failure: Error, CustomStringConvertible {
        let error: RemoteError
        var description: String { "\(error.code): \(error.message ?? "")" }
    }
    /// The daemon closed the connection, ended, or said nothing for a minute.
    struct Ended: Error { let said: String }

    let socket: Descriptor
    /// Alive as long as its client.
    var daemon: AnyObject?
    private var decoder = FrameDecoder()
    private var serial: UInt32 = 0
    private(set) var kept: [Frame] = []

    init(_ address: SocketAddress) throws {
        Signals.ignoreBrokenPipes()
        socket = try Socket.connect(address)
    }

    convenience init(_ path: String, opens: Bool = false) throws {
        try self.init(try SocketAddress.unix(path))
        if opens { _ = try call(Remote.ConnectOpen.self, .init(name: "qemu:///session", flags: 0)) }
    }

    /// The next frame; an error when the daemon closes or says nothing for a minute.
    func next() throws -> Frame {
        while true {
            if let frame = try decoder.next() { return frame }
            guard socket.wait(for: .read, milliseconds: 60_000).contains(.read) else {
                throw Ended(said: "The daemon said nothing for a minute")
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let (transfer, passed) = unsafe buffer.withUnsafeMutableBytes { unsafe Socket.receive(socket, into: $0) }
            guard case .moved(let count) = transfer else { throw Ended(said: "The daemon closed: \(transfer)") }
            decoder.feed(buffer.prefix(count), descriptors: passed)
        }
    }

    /// A daemon that is gone is an error, whatever the process does about SIGPIPE.
    func send(_ frame: Frame) throws { try send(bytes: frame.bytes) }

    func send(bytes: [UInt8]) throws {
        var rest = bytes
        while !rest.isEmpty {
            // SAFETY: the array lives for the call.
            switch unsafe rest.withUnsafeBytes({ unsafe Socket.send(socket, $0) }) {
            case .moved(let count): rest.removeFirst(count)
            case .wouldBlock: _ = socket.wait(for: .write, milliseconds: 60_000)
            case .failed, .end: throw Ended(said: "The daemon takes no more")
            }
        }
    }

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
