import DeviceModel
import HostOS
import Machine
import MachineState
import Synchronization
import TestSupport
import Testing

/// Two machines of one configuration. The first is driven at random and saved in the middle of its work, the other takes
/// its state; from then on both are asked the same, and answer the same: reads, interrupts, memory, disks and states.
@Suite(.serialized)
struct TwinTests {
    @Test("A device that took a state cannot be told from the one that gave it", arguments: TwinCase.all)
    func twins(_ one: TwinCase) throws {
        if let needs = one.needs, HostFile.status(needs).kind == .nothing { return }
        for seed in 0..<UInt64(FuzzRounds.factor) {
            try Samples.withFolder { folder in
                try Self.withTPMs(one, ["\(folder)/a", "\(folder)/b"]) { try play(one, folder, seed: seed) }
            }
        }
    }

    @Test("Every model of the catalogue has twins, or a reason to have none") func models() {
        let tested = Set(TwinCase.all.flatMap(\.models))
        let known = Set(DeviceCatalogue.all.map(\.name))
        #expect(known.subtracting(tested).subtracting(TwinCase.excused.keys).sorted() == [])
        #expect(tested.subtracting(known).sorted() == [], "These are no models")
        #expect(Set(TwinCase.excused.keys).subtracting(known).sorted() == [], "These are no models")
        #expect(
            tested.intersection(TwinCase.excused.keys).sorted() == [], "These have twins, and a reason to have none")
    }

    @Test("Every class of devices is part of a machine that has a twin") func classes() throws {
        var seen: Set<String> = []
        for one in TwinCase.all where one.needs == nil {
            try Samples.withFolder { folder in
                try HostFolder.make("\(folder)/s")
                let twin = try Twin(one.configuration(folder, shared: "\(folder)/s"))
                for device in twin.machine.parts { seen.insert(String(describing: type(of: device))) }
                twin.end()
            }
        }
        let here = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
        var classes: Set<String> = []
        for folder in ["Devices", "Firmware", "Machine", "DeviceModel"] {
            for path in Self.sources(in: "\(here)/Sources/\(folder)") {
                let text = String(decoding: try HostFile.contents(path), as: UTF8.self)
                for line in text.split(separator: "\n") where line.contains("class ") && line.contains(": ") {
                    let words = line.split { ": ,{<>".contains($0) }
                    guard words.contains("Device"), let place = words.firstIndex(of: "class") else { continue }
                    if place + 1 < words.count { classes.insert(String(words[place + 1])) }
                }
            }
        }
        #expect(classes.count > 40)
        // swtpm is not everywhere, and its twins have tests of their own; vhost-user's devices are behind VirtioPCI.
        #expect(classes.subtracting(seen).subtracting(["TPMDevice"]).sorted() == [])
    }

    private static func sources(in folder: String) -> [String] {
        ((try? HostFolder.names(in: folder)) ?? []).flatMap { name -> [String] in
            name.hasSuffix(".swift")
                ? ["\(folder)/\(name)"] : name.contains(".") ? [] : sources(in: "\(folder)/\(name)")
        }
    }

    // MARK: The play

    private func play(_ one: TwinCase, _ folder: String, seed: UInt64) throws {
        let folders = ["\(folder)/a", "\(folder)/b"]
        try HostFolder.make("\(folder)/shared")
        for name in ["a", "b"] {
            try HostFile.replace("\(folder)/shared/\(name)", with: [UInt8](repeating: 65, count: 700))
            // From now on reads do not change the time of the last one (relatime).
            _ = try HostFile.contents("\(folder)/shared/\(name)")
        }
        _ = try HostFolder.names(in: "\(folder)/shared")
        let twins = try folders.map { try Twin(one.configuration($0, shared: "\(folder)/shared")) }
        defer { for twin in twins { twin.end() } }
        let (first, second) = (twins[0], twins[1])
        var random = SplitMix64(state: 0x7415 &+ seed &* 977)
        var drivers = one.allDrivers(first)
        for function in first.functions {
            for each in TwinOperation.configure(function, 4, 2, 7) { first.perform(each) }
        }
        for place in stride(from: Scratch.wild, to: Scratch.wild + Scratch.wildCount, by: 4096) {
            let share = drivers.compactMap { ($0 as? RegisterDriver)?.share(of: place) }.first ?? Scratch.Share()
            first.perform(.storeWords(place, Scratch.words(128, &random, share)))
        }
        func operations() -> [TwinOperation] {
            let place = drivers.count > 1 && !random.chance(4) ? 1 + random.below(drivers.count - 1) : 0
            return drivers[place].step(&random, first)
        }
        for round in 0..<3 {
            for step in 0..<one.before {
                // What threads have under way at once ends in any order: all but the last has ended.
                let isLast = one.isBusy && step == one.before - 1
                if isLast { first.settle() }
                let list = operations()
                for (place, operation) in list.enumerated() {
                    first.perform(operation)
                    if isLast, operation.mayStartWork, place < list.count - 1 { first.settle() }
                    // What the hub of keys and pointers remembers is no guest's.
                    if case .input = operation { second.perform(operation) }
                }
            }
            first.pause()
            second.pause()
            // One that cannot be saved now, for a folder that its guest has mounted, begins anew.
            if (try? first.save()) == nil { for device in first.machine.parts { device.reset() } }
            let saved = try first.save()
            try Self.copyDisks(from: folders[0], to: folders[1])
            try second.load(saved)
            // Connections of a socket device end, and its driver hears of it.
            if one.forgets { try first.load(saved) }
            let again = try second.save()
            let lost = try TwinDifference.find(saved, again, but: Set(one.living.keys))
            guard lost.isEmpty else {
                Issue.record(
                    """
                    \(one.name), seed \(seed), round \(round): the state that was taken is another:
                    \(lost.joined(separator: "\n"))
                    """)
                return
            }
            for twin in twins {
                _ = twin.engine.takeInterrupts()
                twin.resume()
            }
            guard goOn(one, twins, "seed \(seed), round \(round)", operations) else { return }
            for twin in twins { twin.pause() }
            let states = twins.map { try? $0.save() }
            guard let here = states[0], let there = states[1] else {
                #expect(states[0] == nil && states[1] == nil, "\(one.name), seed \(seed): only one can be saved")
                for twin in twins { twin.resume() }
                continue
            }
            let after = try TwinDifference.find(here, there, but: Set(one.living.keys))
            guard after.isEmpty else {
                Issue.record(
                    "\(one.name), seed \(seed), round \(round): after the same work:\n\(after.joined(separator: "\n"))")
                return
            }
            for name in TwinCase.disks where one.line.contains(name) {
                let contents = try folders.map { try HostFile.contents("\($0)/\(name)") }
                #expect(contents[0] == contents[1], "\(one.name): disk \(name)")
            }
            for twin in twins { twin.resume() }
        }
    }

    /// Has both do the same. False where they have not answered the same.
    private func goOn(_ one: TwinCase, _ twins: [Twin], _ place: String, _ operations: () -> [TwinOperation]) -> Bool {
        var history: [String] = []
        if one.isBusy { for twin in twins { twin.settle() } }
        for _ in 0..<one.after {
            for operation in operations() {
                history.append(operation.description)
                let answers = twins.map { twin -> UInt64? in
                    let answer = twin.perform(operation, stepwise: one.isTimed)
                    if one.isBusy, operation.mayStartWork { twin.settle() }
                    return answer
                }
                let interrupts = twins.map { $0.engine.takeInterrupts() }
                // How often a thread asks for attention before it gets it is its own affair.
                let isSame = one.isBusy ? Set(interrupts[0]) == Set(interrupts[1]) : interrupts[0] == interrupts[1]
                guard answers[0] == answers[1], isSame else {
                    let words = answers.map { $0.map { String($0, radix: 16) } ?? "-" }
                    Issue.record(
                        """
                        \(one.name), \(place): the twins answer \(words), with interrupts \(interrupts) to the last of
                        \(history.suffix(30).joined(separator: "\n"))
                        """)
                    return false
                }
            }
        }
        return true
    }

    private static func copyDisks(from: String, to: String) throws {
        for name in TwinCase.disks + ["f0.raw"] {
            try HostFile.open("\(to)/\(name)", .readWrite).writeAll(
                try HostFile.contents("\(from)/\(name)"), at: 0 as UInt64)
        }
    }

    /// Calls the body with an emulated TPM behind `swtpm` in each folder, where the machine has one.
    private static func withTPMs(_ one: TwinCase, _ folders: [String], _ body: () throws -> Void) throws {
        for folder in folders { try HostFolder.make(folder) }
        guard one.needs != nil else { return try body() }
        let null = try HostFile.open("/dev/null", .readWrite)
        var processes: [HostProcess] = []
        defer {
            for process in processes {
                process.kill()
                _ = process.waitForEnd(milliseconds: 10_000)
                process.reap()
            }
        }
        for folder in folders {
            try HostFolder.make("\(folder)/tpm")
            processes.append(
                try HostProcess.spawn(
                    "/usr/bin/swtpm",
                    arguments: [
                        "swtpm", "socket", "--tpm2", "--tpmstate", "dir=\(folder)/tpm", "--ctrl",
                        "type=unixio,path=\(folder)/swtpm",
                    ], environment: ["PATH=/usr/bin:/bin"], descriptors: [null, null, null]))
            let end = HostClock.monotonic + 60_000_000_000
            while HostFile.status("\(folder)/swtpm").kind == .nothing, HostClock.monotonic < end {
                Bell().wait(nanoseconds: 5_000_000)
            }
        }
        try body()
    }
}
