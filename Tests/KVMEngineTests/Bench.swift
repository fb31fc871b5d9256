import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Synchronization

/// One guest on KVM whose exits a test answers itself. A minute after its start it is kicked until it ends.
final class Bench: Sendable {
    let memory: AddressSpace
    let engine: HardwareEngine
    private let limit: Watch

    /// The guest did not come to the next exit in time.
    struct Late: Error {}
    /// The guest ended otherwise than by its word.
    struct Failed: Error { let exit: Exit? }

    final class Watch: Sendable {
        let isOver = Atomic<Bool>(false)
        let isLate = Atomic<Bool>(false)
        let bell = Bell()
    }

    init(_ code: [UInt8], _ mode: GuestProgram.Mode, logsDirtyPages: Bool = false) throws {
        let program = GuestProgram("bench", mode: mode, code: code)
        memory = try program.makeMemory()
        let engine = try Host.makeEngine(memory)
        self.engine = engine
        if logsDirtyPages { try engine.setDirtyLogging(true) }
        var state = engine.processors[0].state
        program.enter(&state)
        engine.processors[0].state = state
        let watch = Watch()
        limit = watch
        _ = try HostThread(name: "bench limit") { [weak processor = engine.processors[0]] in
            watch.bell.wait(nanoseconds: 60_000_000_000)
            while !watch.isOver.load(ordering: .acquiring) {
                watch.isLate.store(true, ordering: .releasing)
                processor?.kick()
                watch.bell.wait(nanoseconds: 10_000_000)
            }
        }
    }

    deinit {
        limit.isOver.store(true, ordering: .releasing)
        limit.bell.ring()
    }

    var processor: HardwareProcessor { engine.processors[0] }

    /// The next exit. Throws once the guest is late.
    func next() throws -> Exit {
        let exit = processor.run()
        if limit.isLate.load(ordering: .acquiring) { throw Late() }
        return exit
    }

    /// The exits up to the first of the kind.
    func run(until isLast: (Exit) -> Bool) throws -> [Exit] {
        var exits: [Exit] = []
        while true {
            let exit = try next()
            exits.append(exit)
            if isLast(exit) { return exits }
            if exits.count > 100_000 { throw Late() }
        }
    }

    /// The exits up to the write to the exit port.
    @discardableResult
    func finish() throws -> [Exit] {
        let exits = try run {
            switch $0 {
            case .portWrite(GuestLayout.exitPort, _, _), .error, .shutdown: true
            default: false
            }
        }
        guard case .portWrite? = exits.last else { throw Failed(exit: exits.last) }
        return exits
    }

    func word(_ address: UInt64) throws -> UInt32 { try memory.load(GuestPhysical(address), as: UInt32.self) }
}
