internal import Display
internal import HostOS
internal import Synchronization

/// Presses keys, holds them and releases them, one sequence after the other: a guest that is slow loses none.
final class KeySequencer: Sendable {
    private enum Step: Sendable {
        case key(UInt8, Bool)
        case wait(UInt64)
    }
    private struct State: Sendable {
        var steps: [Step] = []
        var isRunning = false
    }
    private static let limit = 4096
    private let hub: InputHub
    private let loop: EventLoop
    private let state = Mutex(State())
    private let timer = Mutex<EventTimer?>(nil)

    init(_ hub: InputHub, loop: EventLoop) {
        self.hub = hub
        self.loop = loop
        let made = loop.makeTimer { [weak self] in self?.run() }
        timer.withLock { $0 = made }
    }

    /// Queues a chord: all go down in turn, and after so many milliseconds up again, the last first. False where the
    /// queue is full.
    func press(_ codes: [UInt8], milliseconds: Int) -> Bool {
        let hold = UInt64(min(max(milliseconds, 1), 60_000)) * 1_000_000
        let start = state.withLock { state -> Bool? in
            guard state.steps.count + codes.count * 2 + 2 <= Self.limit else { return nil }
            state.steps += codes.map { Step.key($0, true) } + [Step.wait(hold)]
            state.steps += codes.reversed().map { Step.key($0, false) } + [Step.wait(hold)]
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard let start else { return false }
        if start { run() }
        return true
    }

    private func run() {
        while true {
            let step = state.withLock { state -> Step? in
                guard !state.steps.isEmpty else {
                    state.isRunning = false
                    return nil
                }
                return state.steps.removeFirst()
            }
            switch step {
            case .key(let code, let down)?: hub.key(code, down: down)
            case .wait(let time)?:
                timer.withLock { $0 }?.arm(after: time)
                return
            case nil: return
            }
        }
    }
}
