internal import Devices
internal import HostOS
internal import Synchronization

/// How a machine tells its networks where it is: QEMU's `announce-…`.
public struct AnnounceParameters: Sendable {
    /// Milliseconds between the first round and the second, how many more between each and the next, and the most.
    public var initial: UInt64
    public var step: UInt64
    public var most: UInt64
    /// How often.
    public var rounds: UInt64
    /// The names of the cards; nil: all.
    public var cards: [String]?

    /// Rounds of all cards, with values in QEMU's ranges.
    public init(initial: UInt64, most: UInt64, rounds: UInt64, step: UInt64) throws(MachineError) {
        for (name, value, range) in [
            ("announce_initial", initial, 0...100_000), ("announce_max", most, 0...100_000),
            ("announce_rounds", rounds, 1...1000), ("announce_step", step, 1...10_000),
        ] as [(String, UInt64, ClosedRange<UInt64>)] where !range.contains(value) {
            throw .failed(
                "Parameter '\(name)' expects a value between \(range.lowerBound) and \(range.upperBound)")
        }
        (self.initial, self.most, self.rounds, self.step) = (initial, most, rounds, step)
    }

    /// Milliseconds until the next round when so many are done.
    func pause(after done: UInt64) -> UInt64 { min(most, initial + (done - 1) * step) }
}

/// Rounds of announcements on the loop's thread. The last ones asked for count.
final class Announcer: Sendable {
    private struct State: Sendable {
        var parameters: AnnounceParameters?
        var done: UInt64 = 0
        var timer: EventTimer?
    }
    private let state = Mutex(State())

    func start(_ parameters: AnnounceParameters, on loop: EventLoop, _ tell: @escaping @Sendable ([String]?) -> Void) {
        let timer = loop.makeTimer { [weak self] in self?.run(tell) }
        state.withLock { $0 = State(parameters: parameters, timer: timer) }
        timer.arm(after: 0)
    }

    private func run(_ tell: ([String]?) -> Void) {
        let cards = state.withLock { state -> [String]?? in
            guard let parameters = state.parameters, let timer = state.timer else { return nil }
            state.done += 1
            if state.done < parameters.rounds {
                timer.arm(after: parameters.pause(after: state.done) * 1_000_000)
            } else {
                (state.parameters, state.timer) = (nil, nil)
            }
            return parameters.cards
        }
        if let cards { tell(cards) }
    }
}

extension VirtualMachine {
    public func announce(_ parameters: AnnounceParameters) {
        announcer.start(parameters, on: loop) { [weak self] cards in
            guard let self, !self.state.withLock({ $0.hasEnded }) else { return }
            for card in self.board.cards where cards?.contains(card.name) ?? true {
                card.card.announce(self.board.networkStatus.first { $0.name == card.name }?.address ?? [])
            }
        }
    }

    public var announceParameters: AnnounceParameters {
        get throws(MachineError) { try desk.settings.announcement }
    }

    /// The machine has come: frames for it are to come here from now on.
    func announceArrival() {
        if let parameters = try? announceParameters { announce(parameters) }
    }
}
