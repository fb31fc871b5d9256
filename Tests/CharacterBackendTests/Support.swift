import DeviceModel
import HostOS
import Synchronization

import func Glibc.mkfifo

import CharacterBackend

/// A receiver of adjustable room that keeps what it gets.
final class Sink: CharacterEventReceiver {
    struct State {
        var room: Int
        var bytes: [UInt8] = []
        var events: [CharacterEvent] = []
        var overrun = false
    }
    let state: Mutex<State>

    init(room: Int = 1 << 20) { state = Mutex(State(room: room)) }

    func receiveCapacity() -> Int { state.withLock { $0.room } }

    func receive(_ bytes: [UInt8]) {
        state.withLock { state in
            if bytes.count > state.room { state.overrun = true }
            state.room -= bytes.count
            state.bytes += bytes
        }
    }

    func receive(event: CharacterEvent) { state.withLock { $0.events.append(event) } }

    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var events: [CharacterEvent] { state.withLock { $0.events } }
    var overrun: Bool { state.withLock { $0.overrun } }
    func addRoom(_ room: Int) { state.withLock { $0.room += room } }
}

/// A back-end that keeps what is written, for what lies above back-ends.
final class FakePort: HostCharacterPort {
    let label = "fake"
    let filename = "fake"
    let written = Mutex<[UInt8]>([])
    let accepted = Mutex(0)
    let receiver = Mutex<(any CharacterReceiver)?>(nil)

    func write(_ bytes: [UInt8]) { written.withLock { $0 += bytes } }
    func setReceiver(_ receiver: (any CharacterReceiver)?) { self.receiver.withLock { $0 = receiver } }
    func acceptInput() { accepted.withLock { $0 += 1 } }

    var text: String { String(decoding: written.withLock { $0 }, as: UTF8.self) }
    func type(_ text: String) { receiver.withLock { $0 }?.receive(Array(text.utf8)) }
}

extension EventLoop {
    /// Runs rounds until the condition holds; false after ten seconds.
    func turn(until condition: () -> Bool) -> Bool {
        let end = HostClock.monotonic + 120_000_000_000
        let tick = makeTimer {}
        while !condition() {
            if HostClock.monotonic > end { return false }
            tick.arm(after: 2_000_000)
            turn(wait: true)
        }
        tick.cancel()
        return true
    }

    /// Runs rounds for a while.
    func turn(milliseconds: UInt64) {
        let end = HostClock.monotonic + milliseconds * 1_000_000
        _ = turn { HostClock.monotonic >= end }
    }
}

extension Descriptor {
    /// What is there now, waiting up to ten seconds for the first byte.
    func receiveSome() throws -> [UInt8] {
        _ = wait(for: [.read], milliseconds: 120_000)
        return try readAvailable(limit: 1 << 16)
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Makes a FIFO; the library only opens those that exist.
func makeFIFO(_ path: String) throws {
    if unsafe mkfifo(path, 0o600) != 0 { throw FIFOFailure() }
}
struct FIFOFailure: Error {}
