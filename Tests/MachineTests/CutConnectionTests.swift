import HostOS
import JSON
import Machine
import MachineState
import Synchronization
import TestSupport
import Testing

/// A guest that counts, in memory at 2 MiB.
enum CountingGuest {
    static let counter: UInt64 = 0x20_0000
    /// A multiboot kernel: `inc dword [2 MiB]` for ever.
    static var kernel: [UInt8] {
        var bytes = Samples.kernel
        bytes.replaceSubrange(32..<40, with: [0xFF, 0x05, 0, 0, 0x20, 0, 0xEB, 0xF8])
        return bytes + [UInt8](repeating: 0, count: 4096)
    }
    static func configuration(_ kind: BoardKind, _ folder: String) -> MachineConfiguration {
        var configuration = Samples.configuration(kind)
        configuration.accelerators = [AcceleratorConfiguration(kind: .translator)]
        configuration.boot.kernel = "\(folder)/kernel"
        return configuration
    }
    static func count(_ machine: VirtualMachine) throws -> UInt64 {
        try machine.readPhysical(counter, count: 4).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Hands bytes of one connection on to another address, so many of one direction, and then cuts both: if so told already
/// behind the word that the machine could run.
private final class Scissors: Sendable {
    private let thread: Mutex<HostThread?>

    init(from: String, to: String, bytes: Int, endsAtAnswer: Bool = false) throws {
        let listener = try Socket.listen(SocketAddress.unix(from))
        thread = Mutex(
            try HostThread(name: "scissors") {
                guard !listener.wait(for: [.read], milliseconds: 60_000).isEmpty,
                    let near = try? Socket.accept(listener), let far = try? Socket.connect(SocketAddress.unix(to))
                else { return }
                var left = bytes
                var answers: [UInt8] = []
                forwarding: while left > 0 {
                    // Looked at before the bytes are: those that came before the end are handed on all the same.
                    let isOver = [near, far].contains { $0.wait(for: [.read], milliseconds: 0).rawValue & 0x18 != 0 }
                    var moved = false
                    for (source, target, isForth) in [(near, far, true), (far, near, false)] {
                        guard let part = try? source.readAvailable(limit: isForth ? min(left, 1 << 16) : 1 << 16) else {
                            break forwarding
                        }
                        guard !part.isEmpty else { continue }
                        moved = true
                        if isForth { left -= part.count }
                        guard (try? target.writeAll(part)) != nil else { break forwarding }
                        guard !isForth, endsAtAnswer else { continue }
                        // Pages may be asked for before, of 11 bytes each.
                        answers += part
                        while answers.first == 0x50, answers.count >= 11 { answers.removeFirst(11) }
                        if answers.first == 0x52 { break forwarding }
                    }
                    if !moved {
                        if isOver { break }
                        _ = near.wait(for: [.read], milliseconds: 1)
                    }
                }
                Socket.shutDown(near)
                Socket.shutDown(far)
            })
    }
    func join() { thread.withLock { $0.take() }?.join() }
}

/// A machine on its way whose road ends.
@Suite(.serialized)
struct CutConnectionTests {
    @Test("After a connection that is cut at any byte exactly one machine runs, and its counter never goes back")
    func cut() throws {
        Signals.ignoreBrokenPipes()
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            // How long a stream is, once.
            var source = try RunningMachine(CountingGuest.configuration(.microvm, folder))
            source.wait("counting") { (try? CountingGuest.count(source.machine)) ?? 0 > 0 }
            try source.machine.migrate(to: "exec:cat >\(folder)/whole", descriptor: nil)
            source.wait("whole") { !source.machine.migration.status.isUnderWay }
            let length = Int(try HostFile.size("\(folder)/whole"))
            try source.machine.resume()
            var random = SplitMix64(state: 4)
            var last: UInt64 = 0
            var moves = 0
            for round in 0..<100 {
                let (road, door) = ("\(folder)/road\(round)", "\(folder)/door\(round)")
                var configuration = CountingGuest.configuration(.microvm, folder)
                configuration.incoming = "unix:\(door)"
                let target = try RunningMachine(configuration)
                // Every tenth gets through, else the cut may be anywhere; many are at the end, where it is dangerous.
                let bytes =
                    round % 10 == 9
                    ? Int.max
                    : round % 3 == 0
                        ? Int.random(in: length - 300...length, using: &random)
                        : Int.random(in: 0...length, using: &random)
                let scissors = try Scissors(from: road, to: door, bytes: bytes)
                let before = try CountingGuest.count(source.machine)
                #expect(before >= last)
                try source.machine.migrate(to: "unix:\(road)", descriptor: nil)
                source.wait("the end of round \(round)") { !source.machine.migration.status.isUnderWay }
                scissors.join()
                let moved = source.machine.migration.status == .completed
                if moved {
                    target.wait("running there") { target.machine.runState == .running }
                    #expect(source.machine.runState == .postMigrate && target.machine.runState == .running)
                    moves += 1
                    _ = source.end()
                    source = target
                } else {
                    #expect(bytes < Int.max, "\(source.machine.migration)")
                    source.wait("running here") { source.machine.runState == .running }
                    // A target that nobody reached waits on; it never runs.
                    #expect(target.machine.runState != .running)
                    _ = target.end()
                    #expect(source.machine.runState == .running)
                }
                last = try CountingGuest.count(source.machine)
                #expect(last >= before, "Round \(round) went back from \(before) to \(last)")
                let now = last
                source.wait("counting on") { (try? CountingGuest.count(source.machine)) ?? 0 != now }
            }
            #expect(moves >= 10)
            #expect(source.end() == 0)
        }
    }

    @Test(
        "Memory that follows comes whole, and one machine runs, wherever the connections are cut",
        .enabled(if: MigrationWayTests.hasPageFaults, "needs userfaultfd(2) for faults of the kernel"))
    func cutLate() throws {
        Signals.ignoreBrokenPipes()
        try Samples.withFolder(["kernel": WritingGuest.kernel]) { folder in
            var random = SplitMix64(state: 6)
            var source = try RunningMachine(CountingGuest.configuration(.microvm, folder))
            source.wait("writing") { (try? WritingGuest.word(source.machine, WritingGuest.counter)) ?? 0 > 1 }
            var last: UInt64 = 0
            var (moves, breaks) = (0, 0)
            for round in 0..<(FuzzRounds.factor > 1 ? 100 : 6) {
                var configuration = CountingGuest.configuration(.microvm, folder)
                configuration.incoming = "defer"
                let target = try RunningMachine(configuration)
                for machine in [source.machine, target.machine] {
                    try machine.setMigrationCapabilities([("postcopy-ram", true)])
                }
                try source.machine.setMigrationParameters(["max-bandwidth": .number(64 << 20), "downtime-limit": 1])
                let (road, door) = ("\(folder)/road\(round)", "\(folder)/door\(round)")
                try target.machine.receiveMigration(from: "unix:\(door)", descriptor: nil)
                // The first is cut between the word that it could run and the word that it may.
                var scissors = try Scissors(
                    from: road, to: door, bytes: round == 0 ? Int.max : Int.random(in: 0...10 << 20, using: &random),
                    endsAtAnswer: round == 0)
                let before = try WritingGuest.word(source.machine, WritingGuest.counter)
                #expect(before >= last)
                try source.machine.migrate(to: "unix:\(road)", descriptor: nil)
                source.wait("active") { source.machine.migration.status != .setup }
                try? source.machine.startLateMigration()
                var attempts = 0
                while true {
                    source.wait("the end of round \(round)") {
                        !source.machine.migration.status.isUnderWay || source.machine.migration.status == .postcopyPaused
                    }
                    guard source.machine.migration.status == .postcopyPaused else { break }
                    // It has left, wherever it is: nobody takes it back.
                    #expect(throws: MachineError.self) { try source.machine.resume() }
                    target.wait("broken there") { target.machine.migration.status == .postcopyPaused }
                    (breaks, attempts) = (breaks + 1, attempts + 1)
                    let (again, other) = ("\(folder)/a\(round)-\(attempts)", "\(folder)/b\(round)-\(attempts)")
                    try target.machine.recoverMigration(at: "unix:\(again)", descriptor: nil)
                    scissors.join()
                    scissors = try Scissors(
                        from: other, to: again,
                        bytes: attempts > 2 ? Int.max : Int.random(in: 0...4 << 20, using: &random))
                    try source.machine.resumeMigration(to: "unix:\(other)", descriptor: nil)
                    // Until it has noticed, it is as it was.
                    let began = HostClock.monotonic
                    source.wait("going on") {
                        source.machine.migration.status != .postcopyPaused || HostClock.monotonic - began > 500_000_000
                    }
                }
                scissors.join()
                if source.machine.migration.status == .completed {
                    target.wait("running there") { target.machine.runState == .running }
                    target.wait("all there") { target.machine.migration.status == .completed }
                    #expect(source.machine.runState == .postMigrate)
                    moves += 1
                    _ = source.end()
                    source = target
                } else {
                    #expect(source.machine.migration.status == .failed, "\(source.machine.migration)")
                    source.wait("running here") { source.machine.runState == .running }
                    #expect(target.machine.runState != .running)
                    _ = target.end()
                }
                let now = try WritingGuest.word(source.machine, WritingGuest.counter)
                #expect(now >= before, "Round \(round) went back from \(before) to \(now)")
                source.machine.stop()
                last = try WritingGuest.check(source.machine)
                try source.machine.resume()
            }
            #expect(moves >= 1 && breaks >= 1, "\(moves) moves, \(breaks) breaks")
            #expect(source.end() == 0)
        }
    }

    @Test("A transfer that nobody reads is cancelled within a second")
    func cancel() throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            let machine = try RunningMachine(CountingGuest.configuration(.microvm, folder))
            machine.wait("counting") { (try? CountingGuest.count(machine.machine)) ?? 0 > 0 }
            // On a loaded host a thread may wait for its turn longer than that once.
            var times: [UInt64] = []
            for number in 0..<3 {
                let listener = try Socket.listen(SocketAddress.unix("\(folder)/deaf\(number)"))
                try machine.machine.migrate(to: "unix:\(folder)/deaf\(number)", descriptor: nil)
                machine.wait("under way") { machine.machine.migration.status != .setup }
                let began = HostClock.monotonic
                machine.machine.cancelMigration()
                machine.wait("cancelled") { machine.machine.migration.status == .cancelled }
                machine.wait("running") { machine.machine.runState == .running }
                times.append(HostClock.monotonic - began)
                _ = listener
            }
            #expect(times.contains { $0 < 1_000_000_000 }, "\(times)")
            #expect(machine.end() == 0)
        }
    }

    @Test("A fork leaves the parent and each child with a memory of its own", arguments: [BoardKind.pc, .microvm])
    func fork(kind: BoardKind) throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            var configuration = CountingGuest.configuration(kind, folder)
            if kind == .pc { configuration.devices = [DeviceConfiguration(driver: "vmgenid")] }
            let parent = try RunningMachine(configuration)
            parent.wait("counting") { (try? CountingGuest.count(parent.machine)) ?? 0 > 0 }
            #expect(throws: MachineError.self) {
                try parent.machine.fork(ForkRequest(children: ["unix:\(folder)/nobody"]))
            }
            #expect(throws: MachineError.self) { try parent.machine.fork(ForkRequest(children: ["tcp:localhost:1"])) }
            for generation in 0..<2 {
                var children: [RunningMachine] = []
                for number in 0..<2 {
                    configuration.incoming = "unix:\(folder)/child\(generation)\(number)"
                    children.append(try RunningMachine(configuration))
                }
                let before = try CountingGuest.count(parent.machine)
                try parent.machine.fork(
                    ForkRequest(children: (0..<2).map { "unix:\(folder)/child\(generation)\($0)" }))
                parent.wait("the fork") { !parent.machine.migration.status.isUnderWay }
                try #require(parent.machine.migration.status == .completed, "\(parent.machine.migration)")
                for machine in children + [parent] {
                    machine.wait("running") { machine.machine.runState == .running }
                    let now = try CountingGuest.count(machine.machine)
                    #expect(now >= before)
                    machine.wait("counting on") { (try? CountingGuest.count(machine.machine)) ?? 0 != now }
                }
                // Who stands keeps its number while the others count.
                children[0].machine.stop()
                let stands = try CountingGuest.count(children[0].machine)
                let there = try CountingGuest.count(children[1].machine)
                children[1].wait("counting on") { (try? CountingGuest.count(children[1].machine)) ?? 0 != there }
                #expect(try CountingGuest.count(children[0].machine) == stands)
                if kind == .pc {
                    let all = ([parent] + children).compactMap(\.machine.generation)
                    #expect(Set(all).count == 3)
                }
                for child in children { #expect(child.end() == 0) }
            }
            let now = try CountingGuest.count(parent.machine)
            parent.wait("counting on") { (try? CountingGuest.count(parent.machine)) ?? 0 != now }
            #expect(parent.end() == 0)
        }
    }
}
