internal import BlockImage
internal import DeviceModel
internal import HostOS
internal import Log
internal import MachineState
internal import Synchronization
internal import TLS

// Memory that goes while the guest runs, and the moment when it stands.
extension VirtualMachine {
    /// Sends memory again and again, until what is left is little. What is left.
    func sendWhileRunning(
        _ writer: inout StateWriter, _ pages: GuestPages, _ road: Road
    ) throws(StateError) -> [PageSet] {
        guard board.engine.movable != nil else { return pages.all }
        setDirtyLog(true)
        // What is marked until here goes with the first round.
        _ = takeDirty(pages)
        let throttle = ProcessorThrottle(self)
        defer { throttle.end() }
        var left = pages.touched()
        var hopeless = 0
        while true {
            let settings = desk.settings
            road.setLimit(settings.bandwidth)
            let began = HostClock.monotonic
            let before = road.written
            let (round, pagesBefore) = (desk.information.rounds, desk.information.fullPages)
            let unsent = UnsentPages(pages.blocks) { [desk] in desk.state.withLock { $0.wantsLate } }
            let stay = try send(left, &writer, pages, road, skipsZeroes: round == 0, unsent: unsent)
            if !runState.isRunning { return stay ?? left }
            left = takeDirty(pages)
            if let stay { for index in left.indices { left[index].formUnion(stay[index]) } }
            let nanoseconds = max(1, HostClock.monotonic - began)
            let sent = max(1, road.written - before)
            let size = left.reduce(0) { $0 + UInt64($1.size) }
            // Bytes of memory a millisecond, at least one: packed pages are fewer bytes on the way.
            let moved = settings.packing == nil ? sent : max(sent, (desk.information.fullPages &- pagesBefore) << 12)
            let speed = max(1, moved * 1_000_000 / nanoseconds)
            let expected = (size << 12) / speed
            change { information in
                information.rounds += 1
                information.remaining = size << 12
                information.expectedDowntime = expected
                information.dirtyRate = UInt64(Double(size) * 1e9 / Double(nanoseconds))
                information.megabitsPerSecond = Double(sent) * 8000 / Double(nanoseconds)
                information.throttle = throttle.percent
            }
            if settings.has("events") { emit(.migrationPass(round + 1)) }
            if expected <= settings.downtimeLimit || desk.state.withLock({ $0.wantsLate }) { return left }
            if settings.has("auto-converge") {
                hopeless = (size << 12) * 100 > sent * settings.throttle.trigger ? hopeless + 1 : 0
                if hopeless >= 2 {
                    hopeless = 0
                    throttle.increase(settings.throttle)
                }
            }
        }
    }

    /// The pages written since the last time, with the machine standing for the moment.
    func takeDirty(_ pages: GuestPages) -> [PageSet] {
        control.withLock { _ in
            group.whileParked { _ in
                guard let engine = board.engine.movable else { return pages.all }
                do throws(MachineError) { try engine.markDirtyPages() } catch { return pages.all }
                let taken = pages.takeDirty()
                engine.dirtyPagesTaken()
                return taken
            }
        }
    }

    /// Stops the machine on the loop's thread, behind what guests asked for and timers that fire. Whether it ran.
    func standForMigration() throws(StateError) -> Bool {
        let shared = StandRequest()
        loop.post { [self] in
            if shared.claim() { shared.finish(halt(as: .finishMigrate)) }
        }
        while true {
            if let ran = shared.wait() { return ran }
            // A monitor that waits for this migration does so on the loop's thread: nothing else happens there.
            if desk.state.withLock({ $0.loopWaits }), shared.claim() { return halt(as: .finishMigrate) }
            if state.withLock({ $0.hasEnded }) { throw .cancelled }
        }
    }
}

/// Whether a machine has come to stand, told from one thread to another.
private final class StandRequest: Sendable {
    private let answer = Mutex<Bool?>(nil)
    private let isTaken = Mutex(false)
    private let bell = Bell()

    /// True for the first who asks.
    func claim() -> Bool {
        isTaken.withLock { isTaken in
            defer { isTaken = true }
            return !isTaken
        }
    }

    func finish(_ ran: Bool) {
        answer.withLock { $0 = ran }
        bell.ring()
    }
    func wait() -> Bool? {
        if let known = answer.withLock({ $0 }) { return known }
        bell.wait(nanoseconds: 50_000_000)
        return answer.withLock { $0 }
    }
}

/// The words after the stream, where the other end can speak.
enum MigrationWord {
    /// The receiver has everything and could run.
    static let ready: UInt8 = 0x52
    /// The sender will not run any more.
    static let go: UInt8 = 0x47
    /// A fork's memory comes with this.
    static let memory: UInt8 = 0x4D
}
