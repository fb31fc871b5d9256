import DeviceModel
import HostOS
import Machine
import MachineState
import TestSupport
import Testing

/// Streams that are cut, damaged or forged, taken by a machine that waits for one.
@Suite(.serialized)
struct DamagedStateTests {
    /// `make fuzz` has a million in all: a quarter of each test and board.
    private static func mutations(_ usual: Int) -> Int { FuzzRounds.factor > 1 ? 250_000 : usual }

    /// What a machine of the kind saves, and another that waits for it.
    private func withWaiting(
        _ kind: BoardKind, _ body: (VirtualMachine, SavedBytes) throws -> Void
    ) throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            let first = try RunningMachine(MovedMachineTests.configuration(kind, 1, folder))
            try first.save(to: "\(folder)/one")
            #expect(first.end() == 0)
            var configuration = MovedMachineTests.configuration(kind, 1, folder)
            configuration.incoming = "defer"
            let second = try RunningMachine(configuration)
            try body(second.machine, try SavedBytes("\(folder)/one"))
            #expect(second.machine.runState == .inMigrate)
            #expect(second.end() == 0)
        }
    }

    @Test(
        "A state cut at every KiB is refused, and says in which section and field", arguments: [BoardKind.pc, .microvm])
    func cut(kind: BoardKind) throws {
        try withWaiting(kind) { machine, saved in
            let sections = saved.sections
            for count in stride(from: 0, to: saved.bytes.count, by: 1024) {
                do throws(StateError) {
                    try machine.take(SavedBytes(Array(saved.bytes[..<count])))
                    Issue.record("\(count) bytes were enough")
                } catch {
                    let words = error.description
                    guard count > 16 + 32 + 7 else { continue }
                    // The section that is cut, or the one before its frame.
                    let before = sections.last { $0.contents.lowerBound <= count }
                    #expect(words.contains("'\(before?.name ?? "")'"), "\(count): \(words)")
                }
            }
            // And the whole one is taken all the same.
            try machine.take(SavedBytes(saved.bytes))
        }
    }

    @Test("A damaged byte of any section is noticed there", arguments: [BoardKind.pc, .microvm])
    func damaged(kind: BoardKind) throws {
        try withWaiting(kind) { machine, saved in
            var random = SplitMix64(state: 9)
            let sections = saved.sections.filter { !$0.contents.isEmpty }
            for section in sections {
                for _ in 0..<Self.mutations(2 * sections.count) / sections.count + 1 {
                    var bytes = saved.bytes
                    bytes[Int.random(in: section.contents, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                    do throws(StateError) {
                        try machine.take(SavedBytes(bytes))
                        Issue.record("Section \(section.name) may be anything")
                    } catch { #expect(error.description.contains("'\(section.name)'"), "\(error)") }
                }
            }
            // Frames too: there the section before is named.
            for (before, section) in zip(saved.sections, saved.sections.dropFirst()) {
                var bytes = saved.bytes
                let frame = before.contents.upperBound..<section.contents.lowerBound
                bytes[Int.random(in: frame, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                do throws(StateError) {
                    try machine.take(SavedBytes(bytes))
                    Issue.record("The frame of \(section.name) may be anything")
                } catch { #expect(error.description.contains("'\(before.name)'"), "\(error)") }
            }
        }
    }

    /// A state with something changed: a field that is missing, of another kind, or another number.
    private static func forge(_ state: DeviceState, _ random: inout SplitMix64) -> DeviceState {
        var state = state
        if UInt8.random(in: 0...99, using: &random) == 0 { state.version = Int.random(in: 0...9, using: &random) }
        guard let name = state.fields.keys.sorted().randomElement(using: &random), let value = state.fields[name] else {
            return state
        }
        let odd: [UInt64] = [0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 62, 1 << 63, .max]
        switch (Int.random(in: 0...19, using: &random), value) {
        case (0, _): state.fields[name] = nil
        case (1, _): state.fields[name] = .string("nothing")
        case (2, _): state.fields[name] = .integer(odd.randomElement(using: &random) ?? 0)
        case (3, _): state.fields[name] = .list([])
        case (4, .bytes): state.fields[name] = .bytes([])
        case (_, .integer(let number)):
            let isOdd = Bool.random(using: &random)
            let changed =
                isOdd
                ? odd.randomElement(using: &random) ?? 0 : number ^ 1 << UInt64.random(in: 0...63, using: &random)
            state.fields[name] = .integer(changed)
        case (_, .bytes(var bytes)):
            if bytes.isEmpty || Int.random(in: 0...9, using: &random) == 0 {
                bytes += [UInt8](repeating: 0xFF, count: 9)
            } else {
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
            }
            state.fields[name] = .bytes(bytes)
        case (_, .list(var parts)):
            if parts.isEmpty {
                parts = [DeviceState(version: 1)]
            } else {
                let place = Int.random(in: parts.indices, using: &random)
                switch Int.random(in: 0...9, using: &random) {
                case 0: parts.remove(at: place)
                case 1: parts.append(parts[place])
                default: parts[place] = forge(parts[place], &random)
                }
            }
            state.fields[name] = .list(parts)
        case (_, .string(let text)): state.fields[name] = .string(text + "x")
        }
        return state
    }

    @Test("Forged states with right checksums end in an error or in a machine", arguments: [BoardKind.pc, .microvm])
    func forged(kind: BoardKind) throws {
        try withWaiting(kind) { machine, saved in
            let sections = try saved.values()
            var random = SplitMix64(state: 77)
            var taken = 0
            let rounds = Self.mutations(1500)
            for _ in 0..<rounds {
                let sink = SavedBytes()
                var writer = try StateWriter(sink)
                let places = Set(
                    (0..<Int.random(in: 1...2, using: &random)).map { _ in
                        Int.random(in: sections.indices, using: &random)
                    })
                for (place, section) in sections.enumerated() {
                    let state = places.contains(place) ? Self.forge(section.state, &random) : section.state
                    try writer.write(state, section: section.name)
                }
                try writer.finish()
                do throws(StateError) {
                    try machine.take(SavedBytes(sink.bytes))
                    taken += 1
                    // What was taken can be told again.
                    try machine.tell(SavedBytes())
                } catch { #expect(!error.description.isEmpty) }
            }
            #expect(taken > 0 && taken < rounds)
            try machine.take(SavedBytes(saved.bytes))
        }
    }
}
