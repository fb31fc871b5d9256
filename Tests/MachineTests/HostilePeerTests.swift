import DeviceModel
import HostOS
import JSON
import Machine
import MachineState
import Synchronization
import TestSupport
import Testing

/// A receiver that takes all that comes and says what it likes.
private final class Peer: Sendable {
    private let thread: Mutex<HostThread?>

    /// Waits at a path for one connection, and says its words once something has come; then it may close.
    init(_ path: String, says words: [UInt8], closes: Bool) throws {
        try? HostFile.remove(path)
        let listener = try Socket.listen(SocketAddress.unix(path))
        thread = Mutex(
            try HostThread(name: "peer") {
                guard !listener.wait(for: [.read], milliseconds: 60_000).isEmpty,
                    let socket = try? Socket.accept(listener)
                else { return }
                var hasSpoken = false
                while true {
                    let isOver = socket.wait(for: [.read], milliseconds: 20).rawValue & 0x18 != 0
                    guard let part = try? socket.readAvailable(limit: 1 << 20) else { break }
                    if !part.isEmpty, !hasSpoken {
                        hasSpoken = true
                        try? socket.writeAll(words)
                        if closes { Socket.shutDown(socket) }
                    }
                    if part.isEmpty, isOver { break }
                }
            })
    }
    func join() { thread.withLock { $0.take() }?.join() }
}

/// The other end of a machine that goes, saying what no machine says.
@Suite(.serialized)
struct HostilePeerTests {
    private static let ready: UInt8 = 0x52
    /// A word that asks for a page of a block.
    private static func request(_ block: UInt16, _ page: UInt64) -> [UInt8] {
        [0x50, UInt8(truncatingIfNeeded: block), UInt8(block >> 8)]
            + (0..<8).map { UInt8(truncatingIfNeeded: page >> ($0 * 8)) }
    }

    private func source(_ folder: String) throws -> RunningMachine {
        Signals.ignoreBrokenPipes()
        let source = try RunningMachine(CountingGuest.configuration(.microvm, folder))
        source.wait("writing") { rounds(source) > 1 }
        return source
    }
    private func rounds(_ machine: RunningMachine) -> UInt64 {
        (try? WritingGuest.word(machine.machine, WritingGuest.counter)) ?? 0
    }
    /// So little a second that rounds over memory do not end it.
    private static let slow: JSONObject = ["max-bandwidth": .number(64 << 20), "downtime-limit": 1]

    @Test("Before the machine has left no answer takes it away", arguments: [false, true])
    func before(isLate: Bool) throws {
        guard !isLate || MigrationWayTests.hasPageFaults else { return }
        try Samples.withFolder(["kernel": WritingGuest.kernel]) { folder in
            let source = try source(folder)
            try source.machine.setMigrationCapabilities([("postcopy-ram", isLate)])
            if isLate { try source.machine.setMigrationParameters(Self.slow) }
            var random = SplitMix64(state: 12)
            var answers: [[UInt8]] = [
                [], [0], [0x45], [0x47], [0x42, 0xFF, 0xFF, 0xFF, 0xFF], Self.request(0, .max), Self.request(.max, 0),
                Self.request(0, 0) + [0x45], [0x50, 0, 0],
            ]
            for _ in 0..<FuzzRounds.times(6) {
                answers.append(
                    (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                        .filter { $0 != Self.ready })
            }
            for words in answers {
                // What is cut short goes on with bytes that are no word.
                let peer = try Peer(
                    "\(folder)/peer", says: words + [UInt8](repeating: 0, count: words.isEmpty ? 0 : 12),
                    closes: words.isEmpty)
                let before = rounds(source)
                try source.machine.migrate(to: "unix:\(folder)/peer", descriptor: nil)
                if isLate {
                    source.wait("active") { source.machine.migration.status != .setup }
                    try? source.machine.startLateMigration()
                }
                source.wait("the end of \(words)") { !source.machine.migration.status.isUnderWay }
                #expect(source.machine.migration.status == .failed, "\(words): \(source.machine.migration)")
                source.wait("running") { source.machine.runState == .running }
                source.wait("writing on") { rounds(source) > before }
                peer.join()
            }
            #expect(source.end() == 0)
        }
    }

    @Test(
        "Behind the switch no answer brings the machine back, nor ends it",
        .enabled(if: MigrationWayTests.hasPageFaults, "needs userfaultfd(2) for faults of the kernel"))
    func behind() throws {
        try Samples.withFolder(["kernel": WritingGuest.kernel]) { folder in
            let source = try source(folder)
            try source.machine.setMigrationCapabilities([("postcopy-ram", true)])
            try source.machine.setMigrationParameters(Self.slow)
            let peer = try Peer("\(folder)/peer", says: [Self.ready] + Self.request(7, 1 << 50), closes: false)
            try source.machine.migrate(to: "unix:\(folder)/peer", descriptor: nil)
            source.wait("active") { source.machine.migration.status != .setup }
            try source.machine.startLateMigration()
            source.wait("broken") { source.machine.migration.status == .postcopyPaused }
            peer.join()
            // Sets of missing pages that are none: of another length, of other blocks, too many, cut.
            var sets = DeviceState(version: 1)
            sets.set("blocks", [DeviceState(version: 1)])
            let encoded = StateCoding.encode(sets)
            let length = (0..<4).map { UInt8(truncatingIfNeeded: encoded.count >> ($0 * 8)) }
            var random = SplitMix64(state: 13)
            var answers: [[UInt8]] = [
                [], [0x45], [Self.ready], [0x42], [0x42, 0xFF, 0xFF, 0xFF, 0xFF], [0x42, 0, 0, 0, 0],
                [0x42] + length + encoded,
            ]
            for _ in 0..<FuzzRounds.times(5) {
                answers.append(
                    [0x42, 30, 0, 0, 0] + (0..<30).map { _ in UInt8.random(in: 0...255, using: &random) })
            }
            for words in answers {
                let peer = try Peer("\(folder)/peer", says: words, closes: true)
                try source.machine.resumeMigration(to: "unix:\(folder)/peer", descriptor: nil)
                peer.join()
                source.wait("refusal of \(words)") { source.machine.migration.status == .postcopyPaused }
                #expect(source.machine.runState == .postMigrate)
                #expect(throws: MachineError.self) { try source.machine.resume() }
            }
            // Who says nothing is broken off.
            let mute = try Peer("\(folder)/peer", says: [], closes: false)
            try source.machine.resumeMigration(to: "unix:\(folder)/peer", descriptor: nil)
            source.wait("waiting") { source.machine.migration.status == .postcopyRecover }
            try source.machine.pauseMigration()
            source.wait("broken off") { source.machine.migration.status == .postcopyPaused }
            mute.join()
            #expect(source.end() == 0)
        }
    }

    /// A machine that came and whose memory is to follow, and its sender: nothing but a socket and the stream so far.
    private func withGuest(
        _ folder: String, _ saved: SavedBytes,
        _ body: (RunningMachine, Descriptor, inout StateWriter, SavedBytes) throws -> Void
    ) throws {
        var sections = try saved.values()
        sections[0].state.version = 2
        sections[0].state.set("answers", true)
        sections[0].state.set("lanes", 0)
        sections[0].state.set("late", true)
        sections[0].state.set("token", [UInt8](repeating: 7, count: 16))
        var late = DeviceState(version: 1)
        late.set(
            "blocks",
            try sections[0].state.list("memory").map { block in
                let pages: Int = try block.integer("pages")
                var part = DeviceState(version: 1)
                part.set("pages", pages)
                part.set("bits", [1] + [UInt8](repeating: 0, count: (pages + 63) / 64 * 8 - 1))
                return part
            })
        sections.insert(("late", late), at: 1)
        sections.append(("switch", DeviceState(version: 1)))

        var configuration = MovedMachineTests.configuration(.microvm, 1, folder)
        configuration.incoming = "unix:\(folder)/door"
        try? HostFile.remove("\(folder)/door")
        let machine = try RunningMachine(configuration)
        let socket = try Socket.connect(SocketAddress.unix("\(folder)/door"))
        let sink = SavedBytes()
        var writer = try StateWriter(sink)
        for (name, state) in sections { try writer.write(state, section: name) }
        try socket.writeAll(sink.bytes)
        _ = socket.wait(for: [.read], milliseconds: 60_000)
        #expect(try socket.readAvailable(limit: 1) == [Self.ready])
        try body(machine, socket, &writer, sink)
        Socket.shutDown(socket)
        #expect(machine.end() == 0)
    }

    @Test(
        "A sender whose machine runs here can say nothing that harms it",
        .enabled(if: MigrationWayTests.hasPageFaults, "needs userfaultfd(2) for faults of the kernel"))
    func sender() throws {
        Signals.ignoreBrokenPipes()
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            let first = try RunningMachine(MovedMachineTests.configuration(.microvm, 1, folder))
            try first.save(to: "\(folder)/one")
            #expect(first.end() == 0)
            let saved = try SavedBytes("\(folder)/one")
            let empty = DeviceState(version: 1)
            // Without the word it does not run, and ends when it is told to.
            for isEnd in [false, true] {
                try withGuest(folder, saved) { machine, socket, writer, sink in
                    let start = sink.bytes.count
                    if isEnd { try writer.finish() } else { try writer.write(empty, section: "clock") }
                    try socket.writeAll(Array(sink.bytes[start...]))
                    machine.wait("broken") { machine.machine.migration.status == .postcopyPaused }
                    #expect(machine.machine.runState == .inMigrate)
                }
            }
            let page = [UInt8](repeating: 9, count: 4096)
            let nonsense: [(inout StateWriter) throws -> Void] = [
                { writer in try writer.finish() },
                { writer in try writer.write(empty, section: "late") },
                { writer in
                    try unsafe page.withUnsafeBytes {
                        try unsafe writer.write(
                            [PageRun(first: 1 << 40, count: 1, isZero: false)], of: "pc.ram", pages: $0)
                    }
                },
                { writer in
                    try unsafe page.withUnsafeBytes {
                        try unsafe writer.write([PageRun(first: 0, count: 1, isZero: false)], of: "none", pages: $0)
                    }
                },
            ]
            for say in nonsense {
                try withGuest(folder, saved) { machine, socket, writer, sink in
                    let start = sink.bytes.count
                    try writer.write(empty, section: "go")
                    try say(&writer)
                    try socket.writeAll(Array(sink.bytes[start...]))
                    machine.wait("broken") { machine.machine.migration.status == .postcopyPaused }
                    machine.wait("here") { machine.machine.runState != .inMigrate }
                }
            }
            // Bytes that are nothing, and a connection to go on over that is a stranger's.
            try withGuest(folder, saved) { machine, socket, writer, sink in
                let start = sink.bytes.count
                try writer.write(empty, section: "go")
                try socket.writeAll(Array(sink.bytes[start...]) + [UInt8](repeating: 0xA5, count: 300))
                machine.wait("broken") { machine.machine.migration.status == .postcopyPaused }
                for round in 0..<3 {
                    let door = "\(folder)/again\(round)"
                    try machine.machine.recoverMigration(at: "unix:\(door)", descriptor: nil)
                    let stranger = try Socket.connect(SocketAddress.unix(door))
                    let other = SavedBytes()
                    var words = try StateWriter(other)
                    var resume = DeviceState(version: 1)
                    resume.set("token", [UInt8](repeating: 8, count: 16))
                    try words.write(round == 0 ? resume : empty, section: round == 1 ? "go" : "resume")
                    try stranger.writeAll(round == 2 ? [1, 2, 3] : other.bytes)
                    Socket.shutDown(stranger)
                    machine.wait("refused \(round)") { machine.machine.migration.status == .postcopyPaused }
                    #expect(machine.machine.runState != .inMigrate)
                }
            }
        }
    }
}
