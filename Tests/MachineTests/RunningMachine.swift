import DeviceModel
import HostOS
import Machine
import MachineState
import Synchronization
import Testing

/// A machine with its loop on a thread.
final class RunningMachine {
    let machine: VirtualMachine
    private let loop: EventLoop
    private let thread: HostThread
    private final class Flag: Sendable { let isSet = Atomic(false) }
    private let isOver = Flag()

    /// A machine; `look` sees what its engine is made from.
    init(
        _ configuration: MachineConfiguration, look: @escaping @Sendable (EngineRequest) -> Void = { _ in }
    ) throws {
        let loop = try EventLoop()
        self.loop = loop
        machine = try VirtualMachine(configuration, loop: loop) { request throws(MachineBuildError) in
            look(request)
            return try EngineChoice().make(request)
        }
        try machine.start()
        thread = try HostThread(name: "loop") { [isOver] in
            loop.run()
            isOver.isSet.store(true, ordering: .releasing)
        }
    }
    func wait(_ what: String, seconds: UInt64 = 90, _ isSo: () -> Bool) {
        let end = HostClock.monotonic + seconds * 1_000_000_000
        while !isSo() {
            // A machine that has ended does nothing more; what it did last counts.
            guard HostClock.monotonic < end, !isOver.isSet.load(ordering: .acquiring) || isSo() else {
                Issue.record("\(what): \(machine.migration)")
                return
            }
            Bell().wait(nanoseconds: 2_000_000)
        }
    }
    func save(to path: String) throws {
        try machine.migrate(to: "file:\(path)", descriptor: nil)
        wait("save") { !machine.migration.status.isUnderWay }
        #expect(machine.migration.status == .completed && machine.runState == .postMigrate)
    }
    func end() -> Int32 {
        machine.quit(cause: .hostQuit)
        return finish()
    }
    /// Waits for the end.
    func finish() -> Int32 {
        thread.join()
        machine.close()
        return machine.exitStatus
    }
}

/// A saved machine in memory, read or written.
final class SavedBytes: StateSink, StateSource {
    private(set) var bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }
    convenience init(_ path: String) throws { self.init(try HostFile.contents(path)) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) { unsafe self.bytes.append(contentsOf: bytes) }
    func read(_ buffer: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        let count = min(buffer.count, bytes.count - position)
        unsafe buffer.copyBytes(from: bytes[position..<position + count])
        position += count
        return count
    }

    /// The values of its sections, in order.
    func values() throws -> [(name: String, state: DeviceState)] {
        var reader = try StateReader(SavedBytes(bytes))
        let nowhere = Nowhere()
        var found: [(name: String, state: DeviceState)] = []
        while true {
            switch try reader.next(nowhere) {
            case .values(let name, let state): found.append((name, state))
            case .memory: break
            case .end: return found
            }
        }
    }

    /// Its sections: names, and where their contents lie.
    var sections: [(name: String, contents: Range<Int>)] {
        func number(_ at: Int, _ count: Int) -> Int { (0..<count).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
        var found: [(name: String, contents: Range<Int>)] = []
        var at = 16
        while at + 32 <= bytes.count {
            let length = number(at + 2, 2)
            let name = String(decoding: bytes[at + 32..<at + 32 + length], as: UTF8.self)
            let start = at + 32 + length
            found.append((name, start..<start + number(at + 8, 8)))
            at = start + number(at + 8, 8)
        }
        return found
    }
}

/// Takes pages and forgets them.
@safe final class Nowhere: PageReceiver {
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 20, alignment: 4096)
    deinit { unsafe memory.deallocate() }
    func memory(block: String, run: PageRun) -> UnsafeMutableRawBufferPointer? {
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<Int(run.count) * 4096])
    }
    func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]? { [UInt8](repeating: 0, count: count) }
}
