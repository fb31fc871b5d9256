import BlockImage
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// Faults below the disk of a running machine, at every point of the image engine's work that a machine comes to: the
/// process lives, the guest sees the error or the machine stops, it goes on when the fault is mended, and the image is
/// clean at the next start.
@Suite(.serialized) struct DiskFaultTests {
    /// What only `apus-img` does: space reserved for a disk that grows, and the emptying of an image.
    private static let elsewhere: Set<BlockEvent> = [.clusterAllocSpace, .emptyImagePrepare]
    private static let policies: [ErrorPolicy] = [.report, .stop, .enospc]

    private final class Sources {
        private var made: [FaultedImage.Shape: FaultedImage] = [:]
        func image(for event: BlockEvent) throws -> FaultedImage {
            let shape = FaultRun.shape(for: event)
            if let found = made[shape] { return found }
            let image = try FaultedImage.make(shape)
            made[shape] = image
            return image
        }
    }

    @Test func withoutFaultsNothingFails() throws {
        let sources = Sources()
        for (number, event) in [BlockEvent.readAIO, .corWrite, .reftableGrow, .reftableUpdate].enumerated() {
            for seed in 0..<3 {
                let run = FaultRun(
                    try sources.image(for: event), event, nil, Self.policies[number % 3], seed: UInt64(seed))
                try run.perform()
                #expect(run.felt.isEmpty && run.wrong.isEmpty, "\(event.rawValue) \(seed): \(run.felt) \(run.wrong)")
            }
        }
    }

    /// A fault for good is never swallowed.
    @Test func faultsForGoodAreFelt() throws {
        let sources = Sources()
        for (number, event) in BlockEvent.allCases.enumerated() where !Self.elsewhere.contains(event) {
            let fault = FaultRun.Fault.all[4 + number % 4]
            let policy = Self.policies[number / 4 % 3]
            var felt: Set<String> = []
            // What a run does varies: some events take another try.
            for seed in UInt64(number)..<UInt64(number + 4) where felt.isEmpty {
                let run = FaultRun(try sources.image(for: event), event, fault, policy, seed: seed)
                try run.perform()
                #expect(run.wrong.isEmpty, "\(event.rawValue), \(fault), \(policy): \(run.wrong) \(run.felt)")
                felt = run.felt
            }
            #expect(!felt.isEmpty, "\(event.rawValue), \(fault), \(policy)")
        }
    }

    /// `make test` takes some of all combinations, `make fuzz` takes them all.
    @Test func randomFaultsBelowAMachine() throws {
        let sources = Sources()
        var cases: [(BlockEvent, FaultRun.Fault, ErrorPolicy)] = []
        for event in BlockEvent.allCases where !Self.elsewhere.contains(event) {
            for fault in FaultRun.Fault.all { for policy in Self.policies { cases.append((event, fault, policy)) } }
        }
        var numbers = SplitMix64(state: 11)
        if FuzzRounds.factor == 1 {
            cases.shuffle(using: &numbers)
            cases = Array(cases.prefix(60))
        }
        for (number, (event, fault, policy)) in cases.enumerated() {
            let run = FaultRun(try sources.image(for: event), event, fault, policy, seed: UInt64(1000 + number))
            try run.perform()
            #expect(run.wrong.isEmpty, "\(number): \(event.rawValue), \(fault), \(policy): \(run.wrong) \(run.felt)")
        }
    }
}
