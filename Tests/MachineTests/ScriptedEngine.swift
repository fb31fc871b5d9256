import CEngine
import DeviceModel
import Execution
import HostOS
import Machine
import Synchronization

/// A processor that leaves `run` with the exits of a list, one list a life; after the last it waits for a kick.
final class ScriptedProcessor: Processor {
    struct Inner: Sendable {
        var lives: [[Exit]]
        var life = 0
        var step = 0
        var answers: [UInt64] = []
        var vectors: [UInt8?] = []
        var kicked = false
        var runs = 0
        var nmis = 0
        var resets = 0
    }
    let index: Int
    let inner: Mutex<Inner>
    private let registers = Mutex(apus_x86_state())
    private let bell = Bell()

    init(index: Int, lives: [[Exit]]) {
        self.index = index
        inner = Mutex(Inner(lives: lives))
    }

    func run() -> Exit {
        while true {
            let exit = inner.withLock { inner -> Exit? in
                inner.runs += 1
                if inner.kicked {
                    inner.kicked = false
                    return .interrupted
                }
                guard inner.life < inner.lives.count, inner.step < inner.lives[inner.life].count else { return nil }
                defer { inner.step += 1 }
                return inner.lives[inner.life][inner.step]
            }
            if let exit { return exit }
            bell.wait(nanoseconds: nil)
        }
    }
    func complete(read value: UInt64) { inner.withLock { $0.answers.append(value) } }
    func acknowledge(vector: UInt8?) { inner.withLock { $0.vectors.append(vector) } }
    func kick() {
        inner.withLock { $0.kicked = true }
        bell.ring()
    }
    func injectNMI() { inner.withLock { $0.nmis += 1 } }
    var state: apus_x86_state {
        get { registers.withLock { $0 } }
        set { registers.withLock { $0 = newValue } }
    }
    var hasOutstandingAccess: Bool { false }
    /// The first reset is that of power-on; each later one begins the next life.
    func reset() {
        registers.withLock { $0 = apus_x86_state() }
        inner.withLock { inner in
            if inner.resets > 0 {
                inner.life += 1
                inner.step = 0
            }
            inner.resets += 1
        }
    }
}

/// An engine of scripted processors that remembers its interrupts.
final class ScriptedEngine: Engine {
    let name: String
    let processors: [ScriptedProcessor]
    let request: EngineRequest
    let messages = Mutex<[UInt32]>([])
    let line = Mutex(false)

    init(_ request: EngineRequest, name: String = "scripted", lives: [[Exit]]) {
        self.request = request
        self.name = name
        processors = (0..<request.processorCount).map { ScriptedProcessor(index: $0, lives: $0 == 0 ? lives : []) }
    }
    func deliverMSI(address: UInt64, data: UInt32) { messages.withLock { $0.append(data) } }
    func setExternalInterrupt(_ level: Bool) { line.withLock { $0 = level } }
}

/// A machine on a scripted engine, with its loop.
final class Bench: Sendable {
    let loop: EventLoop
    let machine: VirtualMachine
    let engine: ScriptedEngine
    let events = Mutex<[MachineEvent.Kind]>([])
    let timedOut = Atomic<Bool>(false)

    init(_ configuration: MachineConfiguration, _ lives: [Exit]...) throws {
        loop = try EventLoop()
        let made = Mutex<ScriptedEngine?>(nil)
        machine = try VirtualMachine(configuration, loop: loop) { request throws(MachineBuildError) in
            let engine = ScriptedEngine(request, lives: lives)
            made.withLock { $0 = engine }
            return EngineBox(engine)
        }
        engine = made.withLock { $0 }!
        _ = machine.subscribe { [weak self] event in self?.events.withLock { $0.append(event.kind) } }
    }

    var first: ScriptedProcessor { engine.processors[0] }

    /// Runs to the end, of two minutes at most.
    @discardableResult
    func run() throws -> Int32 {
        let limit = loop.makeTimer { [self] in
            timedOut.store(true, ordering: .relaxed)
            loop.stop()
        }
        limit.arm(after: 120_000_000_000)
        try machine.start()
        loop.run()
        limit.cancel()
        machine.close()
        return timedOut.load(ordering: .relaxed) ? -1 : machine.exitStatus
    }
}

/// Configurations for tests.
enum Samples {
    static func configuration(_ kind: BoardKind, processors: Int = 1) -> MachineConfiguration {
        var configuration = MachineConfiguration()
        configuration.board.kind = kind
        configuration.board.hpet = kind == .pc
        configuration.memory.size = 32 << 20
        configuration.topology.processors = processors
        return configuration
    }
    static let powerOff = Exit.portWrite(port: 0x604, size: 2, value: 0x2000)

    /// A multiboot kernel of a header and a HLT, loaded at 1 MiB.
    static var kernel: [UInt8] {
        let flags: UInt32 = 0x0001_0000
        let words: [UInt32] = [
            0x1BAD_B002, flags, 0 &- 0x1BAD_B002 &- flags, 0x10_0000, 0x10_0000, 0x10_0040, 0x10_0040, 0x10_0020,
        ]
        var bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } }
        bytes += [UInt8](repeating: 0xF4, count: 64 - bytes.count)
        return bytes
    }

    /// A folder with files that goes when the body is done.
    static func withFolder<R>(_ files: [String: [UInt8]] = [:], _ body: (String) throws -> R) throws -> R {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        for (name, bytes) in files { try HostFile.open("\(folder)/\(name)", .replace).writeAll(bytes) }
        return try body(folder)
    }
}
