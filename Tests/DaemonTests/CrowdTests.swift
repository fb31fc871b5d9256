import HostOS
import RPCWire
import TestSupport
import Testing

/// Many clients, and clients that behave badly.
@Suite(
    "Crowds", .serialized, .enabled(if: TestPrograms.hasEmulator && HostFile.status(TestPrograms.daemon).kind == .file))
struct CrowdTests {
    @Test("A thousand connections are served, and none is left behind")
    func thousand() throws {
        let daemon = try DaemonProcess()
        let pause = Bell()
        // Its first socket is there before the last one, and before what networks take.
        var before = 0
        for _ in 0..<50 where try Self.descriptors(daemon) != before {
            before = try Self.descriptors(daemon)
            pause.wait(nanoseconds: 500_000_000)
        }
        do {
            var clients: [TestClient] = []
            for _ in 0..<1000 { clients.append(try TestClient(daemon.folder + "/libvirt-sock", opens: true)) }
            for client in clients {
                #expect(try client.call(Remote.ConnectGetType.self, .init()).type == "QEMU")
            }
        }
        for _ in 0..<600 where try Self.descriptors(daemon) > before + 8 { pause.wait(nanoseconds: 100_000_000) }
        let after = try Self.descriptors(daemon)
        #expect(after <= before + 8, "\(before), then \(after)")
    }

    @Test("A client that never reads keeps nobody waiting, and takes bounded memory")
    func neverReads() throws {
        let daemon = try DaemonProcess()
        let greedy = try TestClient(daemon.folder + "/libvirt-sock", opens: true)
        // Questions with long answers, which nobody fetches.
        var sent = 0
        for serial in 0..<20_000 as Range<UInt32> {
            let frame = try Frame.call(Remote.ConnectGetCapabilities.self, .init(), serial: 10 + serial)
            let bytes = frame.bytes
            // SAFETY: the array lives for the call.
            guard case .moved(let count) = unsafe bytes.withUnsafeBytes({ unsafe Socket.send(greedy.socket, $0) }),
                count == bytes.count
            else { break }
            sent += 1
        }
        #expect(sent > 10)
        let client = try daemon.client()
        for _ in 0..<100 { #expect(try client.call(Remote.ConnectGetType.self, .init()).type == "QEMU") }
        #expect(try Self.kibibytes(daemon) < 512 << 10)
        _ = greedy
    }

    private static func descriptors(_ daemon: DaemonProcess) throws -> Int {
        try HostFolder.names(in: "/proc/\(daemon.process.number)/fd").count
    }

    /// Memory that the daemon's process has.
    private static func kibibytes(_ daemon: DaemonProcess) throws -> Int {
        let text = String(decoding: try HostFile.contents("/proc/\(daemon.process.number)/status"), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.filter(\.isNumber)))
    }
}
