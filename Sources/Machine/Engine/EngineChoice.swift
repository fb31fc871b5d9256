internal import GuestMemory
internal import HostOS
internal import Log

/// Which engine a machine gets: the first of the user's list that can be made, or for `auto` the fastest by trial.
public struct EngineChoice: Sendable {
    /// An engine that there is.
    public struct Candidate: Sendable {
        /// What `-accel` calls it.
        public var kind: AcceleratorConfiguration.Kind
        /// The name in messages.
        public var name: String
        /// Makes it.
        public var make: EngineFactory

        /// A candidate of all parts.
        public init(kind: AcceleratorConfiguration.Kind, name: String, make: @escaping EngineFactory) {
            self.kind = kind
            self.name = name
            self.make = make
        }
    }

    /// The engines of this program.
    public static let candidates: [Candidate] = [
        Candidate(kind: .kvm, name: "kvm") { request throws(MachineBuildError) in try makeKVMEngine(request) },
        Candidate(kind: .translator, name: "tcg") { request throws(MachineBuildError) in
            try makeSoftwareEngine(request)
        },
    ]

    /// The engines to choose among.
    public var candidates: [Candidate]
    /// The longest that one engine may take for the trial, in nanoseconds.
    public var trialLimit: UInt64 = 200_000_000
    private let log = Logger("accel")

    /// A choice among the given engines.
    public init(_ candidates: [Candidate] = Self.candidates) { self.candidates = candidates }

    /// Makes the engine of a request: its accelerator, or the first of the alternatives that can be made.
    public func make(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
        let wanted = [request.accelerator] + request.alternatives
        var failures: [String] = []
        for (index, accelerator) in wanted.enumerated() {
            var attempt = request
            attempt.accelerator = accelerator
            attempt.alternatives = []
            do throws(MachineBuildError) {
                let engine = try accelerator.kind == .automatic ? fastest(attempt) : named(attempt)
                if index > 0 {
                    let words = failures.joined(separator: "; ")
                    log.warning("\(words). Falling back to \(engine.name)")
                    engine.reason = "fallback: " + words
                } else if engine.reason.isEmpty {
                    engine.reason = "as asked for"
                }
                return engine
            } catch {
                failures.append("-accel \(Self.name(accelerator.kind)): \(error)")
            }
        }
        throw MachineBuildError(failures.joined(separator: "; "))
    }

    private static func name(_ kind: AcceleratorConfiguration.Kind) -> String {
        kind == .translator ? "tcg" : kind.rawValue
    }

    private func named(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
        guard let candidate = candidates.first(where: { $0.kind == request.accelerator.kind }) else {
            throw MachineBuildError("not supported")
        }
        return try candidate.make(request)
    }

    /// Times the trial's guest in every engine that opens, and makes the fastest that can be made.
    private func fastest(_ request: EngineRequest) throws(MachineBuildError) -> any MachineEngine {
        var times: [(candidate: Candidate, nanoseconds: UInt64)] = []
        var words: [String] = []
        var untried: [Candidate] = []
        for candidate in candidates {
            do throws(MachineBuildError) {
                if let time = try self.time(candidate, request) {
                    times.append((candidate, time))
                    words.append("\(candidate.name) \((time + 500) / 1000) µs")
                } else {
                    untried.append(candidate)
                    words.append("\(candidate.name) does not end it")
                }
            } catch { words.append("\(candidate.name) cannot be used (\(error))") }
        }
        times.sort { $0.nanoseconds < $1.nanoseconds }
        let result = "trial of \(EngineTrial.instructions) instructions: " + words.joined(separator: ", ")
        var failures: [String] = []
        for candidate in times.map(\.candidate) + untried {
            var attempt = request
            attempt.accelerator.kind = candidate.kind
            do throws(MachineBuildError) {
                let engine = try candidate.make(attempt)
                engine.reason = result
                let words = "Using \(engine.name), \(result)"
                if request.accelerator.tellsChoice { log.announce(words) } else { log.info(words) }
                return engine
            } catch { failures.append("\(candidate.name): \(error)") }
        }
        throw MachineBuildError(failures.isEmpty ? result : failures.joined(separator: "; "))
    }

    /// Nanoseconds of the trial on one engine; nil where it cannot be made, or does not come to the end.
    public func trialTime(_ kind: AcceleratorConfiguration.Kind) -> UInt64? {
        guard let candidate = candidates.first(where: { $0.kind == kind }), let loop = try? EventLoop() else {
            return nil
        }
        var topology = TopologyRequest()
        topology.processors = 1
        guard let single = try? ProcessorTopology(topology) else { return nil }
        let request = EngineRequest(
            memory: AddressSpace(), processorCount: 1, apicIDs: [0], processorModel: nil, topology: single,
            ramSize: 0, clock: MachineClock(loop: loop), accelerator: AcceleratorConfiguration(kind: kind))
        return (try? time(candidate, request)) ?? nil
    }

    private func time(_ candidate: Candidate, _ request: EngineRequest) throws(MachineBuildError) -> UInt64? {
        let trial = EngineTrial()
        var accelerator = request.accelerator
        accelerator.kind = candidate.kind
        let small: EngineRequest
        do { small = try trial.request(like: request, accelerator: accelerator) } catch {
            throw MachineBuildError("\(error)")
        }
        return try candidate.make(small).run(trial, limit: trialLimit)
    }
}
