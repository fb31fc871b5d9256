import DeviceModel
import MachineState
import TestSupport
import Testing

@Suite("The stream of a machine's state")
struct StreamTests {
    @Test("What is written comes back")
    func roundTrip() throws {
        let sink = Bytes()
        try Sample.write(to: sink)
        let pages = Pages(10, fill: 0xFF)
        let items = try Sample.read(sink.bytes, pages)
        #expect(
            items == [
                .values(section: "serial0", Sample.device), .memory(block: "ram", pages: 6),
                .values(section: "empty", DeviceState(version: 1)), .end,
            ])
        let all = pages.all
        #expect(all[0..<8192].allSatisfy { $0 == 0xFF })
        #expect((0..<8192).allSatisfy { all[8192 + $0] == UInt8(truncatingIfNeeded: $0 / 7) })
        #expect(all[16384..<20480].allSatisfy { $0 == 0xFF } && all[20480..<32768].allSatisfy { $0 == 0 })
        #expect((0..<4096).allSatisfy { all[36864 + $0] == UInt8(truncatingIfNeeded: ($0 + 8192) / 7) })
    }

    @Test("A stream cut anywhere is refused as one that ends too early")
    func truncated() throws {
        let sink = Bytes()
        try Sample.write(to: sink)
        for count in 0..<sink.bytes.count {
            do throws(StateError) {
                _ = try Sample.read(Array(sink.bytes[0..<count]))
                Issue.record("\(count) bytes were enough")
            } catch {
                switch error {
                case .truncated(let section): #expect(section != nil || count < 16 + 32 + 7)
                case .ends(let section): #expect(["serial0", "ram", "empty"].contains(section))
                case .malformed(let section, let field, let problem):
                    #expect(["serial0", "empty"].contains(section) && problem == "The section ends here")
                    #expect(field == "start" || field.hasPrefix("field '"))
                case .notAState: #expect(count < 16)
                default: Issue.record("\(count) bytes: \(error)")
                }
            }
        }
    }

    @Test("Any byte that is changed is noticed, and no page of a damaged section is written")
    func mutated() throws {
        let sink = Bytes()
        try Sample.write(to: sink)
        var random = SystemRandomNumberGenerator.seeded
        // With the usual factor of `make fuzz` a million.
        for _ in 0..<FuzzRounds.times(FuzzRounds.factor > 1 ? 50_000 : 4000) {
            var bytes = sink.bytes
            var places: Set<Int> = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                guard places.insert(at).inserted else { continue }
                bytes[at] ^= UInt8.random(in: 1...255, using: &random)
            }
            guard !places.isEmpty else { continue }
            let pages = Pages(10, fill: 0xAA)
            do throws(StateError) {
                _ = try Sample.read(bytes, pages)
                Issue.record("Bytes \(places.sorted()) may be anything")
            } catch {
                let words = error.description
                let isNamed = ["'serial0'", "'ram'", "'empty'", "'end'", "'head'", "the first section"].contains {
                    words.contains($0)
                }
                #expect(isNamed || places.contains { $0 < 16 }, "\(words)")
            }
            // What was damaged itself is not in memory; whole sections before it may be.
            if places.contains(where: { Sample.memory(of: sink.bytes).contains($0) }) {
                #expect(pages.all.allSatisfy { $0 == 0xAA })
            }
        }
    }

    @Test("Values with right checksums and wrong contents are refused by their fields")
    func malformedValues() {
        let good = StateCoding.encode(Sample.device)
        var random = SystemRandomNumberGenerator.seeded
        for _ in 0..<FuzzRounds.times(45_000) {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            do throws(StateError) {
                let state = try StateCoding.decode(bytes, section: "serial0")
                // What is taken is written as it was.
                #expect(StateCoding.encode(state) == bytes)
            } catch {
                #expect(error.description.hasPrefix("Section 'serial0', "))
            }
        }
    }

    @Test("Values that would take far more memory than bytes are refused before they do")
    func manyValues() {
        // Lists of states without fields, each of six bytes; lists of lists of them.
        let states = [UInt8](repeating: 0, count: 6 * 0xFFFF)
        let list: [UInt8] = [1, 0, 0, 0, 1, 0, 1, 0x61, 4, 0xFF, 0xFF] + states
        let bytes: [UInt8] = [1, 0, 0, 0, 1, 0, 1, 0x61, 4, 0xFF, 0xFF] + (0..<9).flatMap { _ in list }
        do throws(StateError) {
            _ = try StateCoding.decode(bytes, section: "serial0")
            Issue.record("So many are taken")
        } catch { #expect(error.description == "Section 'serial0', field 'a[3].a[65529]': There are too many values") }
    }

    @Test("A run outside the block is refused before anything is written")
    func foreignPages() throws {
        for run in [PageRun(first: 9, count: 2, isZero: true), PageRun(first: .max, count: 1, isZero: true)] {
            let sink = Bytes()
            var writer = try StateWriter(sink)
            let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            try unsafe writer.write([PageRun(first: 0, count: 1, isZero: true), run], of: "ram", pages: empty)
            let pages = Pages(10, fill: 1)
            #expect(throws: StateError.self) { try Sample.read(sink.bytes, pages) }
            #expect(pages.all.allSatisfy { $0 == 1 })
        }
    }

    @Test("What is no state, and a state of the future, are named as such")
    func foreign() throws {
        #expect(throws: StateError.notAState) { try Sample.read(Array("QEVM, and more than that".utf8)) }
        let sink = Bytes()
        try Sample.write(to: sink)
        sink.bytes[8] = 9
        #expect(throws: StateError.format(9)) { try Sample.read(sink.bytes) }
    }

    @Test("The form does not change: this is a section as the first release wrote it")
    func golden() throws {
        var state = DeviceState(version: 1)
        state.set("a", UInt8(5))
        state.set("b", [1, 2] as [UInt8])
        let bytes = StateCoding.encode(state)
        #expect(
            bytes == [
                1, 0, 0, 0, 2, 0, 1, 0x61, 1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0x62, 2, 2, 0, 0, 0, 1, 2,
            ])
        var sum = StateChecksum()
        sum.add(bytes)
        #expect(sum.value == Golden.checksum)
    }
}

/// Numbers that the first release wrote.
enum Golden {
    static let checksum: UInt64 = 4_922_891_740_223_184_526
}

extension SystemRandomNumberGenerator {
    static var seeded: SplitMix64 { SplitMix64(state: 20) }
}
