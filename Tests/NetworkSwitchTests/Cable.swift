import DomainModel
import HostOS
import Network
import NetworkSwitch
import Testing

/// A running network in a folder of its own, without a process.
final class TestNetwork {
    let folder: String
    let network: NetworkInstance
    let paths: NetworkPaths
    private let thread: NetworkThread

    init(_ xml: String = NetworkPlan.defaultXML, folder: String? = nil) throws {
        self.folder = try folder ?? HostFile.makeTemporaryFolder(prefix: "/tmp/apus-sw-")
        let plan = try NetworkPlan(try VirtualNetwork(xml: xml))
        paths = NetworkPaths(run: self.folder + "/run", state: self.folder + "/state")
        try HostFolder.make(paths.folder(plan.name))
        try HostFolder.make(paths.state)
        thread = try NetworkThread(name: "test")
        network = try NetworkInstance(plan, paths: paths, loop: thread.loop)
        try network.open()
    }

    /// Ends the network, but not its folder.
    func end() {
        network.close()
        thread.stop()
    }

    deinit {
        network.close()
        thread.stop()
        HostFile.removeTree(folder)
    }

    /// A machine on a port of its own.
    func cable(_ number: UInt8, _ change: (inout PortSettings) -> Void = { _ in }) throws -> Cable {
        let mac: [UInt8] = [0x52, 0x54, 0, 0, 0, number]
        var settings = PortSettings(name: "vnet\(number)")
        settings.address = HardwareAddress(mac)
        change(&settings)
        try network.addPort(settings)
        let path = paths.portSocket("default", settings.name)
        let cable = Cable(try Socket.connect(try SocketAddress.unix(path)), mac)
        let name = settings.name
        try #require(waits { self.network.vswitch.ports.contains { $0.settings.name == name && $0.isConnected } })
        return cable
    }

    func counters(_ number: UInt8) -> PortCounters {
        network.vswitch.ports.first { $0.settings.name == "vnet\(number)" }?.counters ?? PortCounters()
    }
}

/// The machine's end of a port: frames behind their lengths.
final class Cable {
    let socket: Descriptor
    let mac: [UInt8]
    private var pending: [UInt8] = []
    private var frames: [[UInt8]] = []

    init(_ socket: Descriptor, _ mac: [UInt8]) {
        self.socket = socket
        self.mac = mac
    }

    func send(_ frame: [UInt8]) throws {
        let count = frame.count
        try socket.writeAll(
            [UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + frame)
    }

    /// A frame of a made-up protocol to somebody.
    func frame(to: [UInt8], _ text: String = "hello", from: [UInt8]? = nil) -> [UInt8] {
        to + (from ?? mac) + [0x88, 0xB5] + Array(text.utf8) + [UInt8](repeating: 0, count: 40)
    }

    private func read(milliseconds: Int32) {
        guard socket.wait(for: [.read], milliseconds: milliseconds).contains(.read) else { return }
        pending += (try? socket.readAvailable(limit: 1 << 18)) ?? []
        while pending.count >= 4 {
            let count = pending[..<4].reduce(0) { $0 << 8 | Int($1) }
            guard pending.count >= 4 + count else { return }
            frames.append(Array(pending[4..<4 + count]))
            pending.removeFirst(4 + count)
        }
    }

    /// Reads what has come.
    func drain() { read(milliseconds: 0) }

    /// The first frame that matches, waited for generously.
    func take(_ matches: ([UInt8]) -> Bool) -> [UInt8]? {
        var found: [UInt8]?
        _ = waits {
            read(milliseconds: 50)
            if let place = frames.firstIndex(where: matches) { found = frames.remove(at: place) }
            return found != nil
        }
        return found
    }

    /// The first frame that matches among those that came.
    func came(_ matches: ([UInt8]) -> Bool) -> [UInt8]? { frames.first(where: matches) }

    /// How many of the frames that have come match; those that come at once are waited for.
    func count(_ matches: ([UInt8]) -> Bool) -> Int {
        read(milliseconds: 1)
        return frames.count(where: matches)
    }

    func takes(_ text: String) -> Bool { take { String(decoding: $0, as: UTF8.self).contains(text) } != nil }

    /// Whether a frame with one of the texts is among those that came before one with another.
    func has(_ texts: String..., before last: String) -> Bool {
        guard takes(last) else { return true }
        return frames.contains { frame in texts.contains { String(decoding: frame, as: UTF8.self).contains($0) } }
    }
}

/// Waits for something that another thread brings about, generously.
func waits(for condition: () -> Bool) -> Bool {
    let end = HostClock.monotonic + 120_000_000_000
    let pause = Bell()
    while !condition() {
        if HostClock.monotonic > end { return false }
        pause.wait(nanoseconds: 1_000_000)
    }
    return true
}

let everybody = [UInt8](repeating: 0xFF, count: 6)

/// Numbers that are the same in every run.
struct FixedGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state = state &* 6364136223846793005 &+ 1442695040888963407
        return state ^ state >> 29
    }
}
