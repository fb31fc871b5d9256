import DeviceModel
import Devices
import GuestMemory
import Synchronization
import Testing

/// Hears what is played.
final class RecordedAudio: AudioBackend, AudioVoice {
    private struct State {
        var samples: [Int16] = []
        var rate = 0
        var stops = 0
    }
    private let state = Mutex(State())
    func makeVoice() -> any AudioVoice { self }
    func close() {}
    func play(_ samples: [Int16], rate: Int, end: UInt64) {
        state.withLock { state in
            state.samples += samples
            if state.samples.count > 1_000_000 { state.samples.removeAll() }
            state.rate = rate
        }
    }
    func stop() { state.withLock { $0.stops += 1 } }
    var samples: [Int16] { state.withLock { $0.samples } }
    var rate: Int { state.withLock { $0.rate } }
    var stops: Int { state.withLock { $0.stops } }
}

@Suite struct HDATests {
    private static let commands: UInt64 = 0x1_0000
    private static let responses: UInt64 = 0x1_1000
    private static let list: UInt64 = 0x1_2000
    private static let buffers: UInt64 = 0x2_0000
    /// The first output stream's descriptor.
    private static let stream: UInt64 = 0x80 + 4 * 0x20

    private struct Machine {
        let bench: PCIBench
        let audio = RecordedAudio()
        let controller: HDAController

        init(model: String = "hda-duplex", mixer: Bool = true) throws {
            bench = try PCIBench()
            let codec = try #require(
                HDACodecPart(model: model, address: 0, hasMixer: mixer, backend: audio))
            controller = HDAController(
                codecs: [codec], isICH9: false, memory: bench.memory, clock: bench.clock, stateName: "hda")
            try bench.attach(controller.function)
        }

        /// Out of reset, with both rings.
        func start() {
            bench.write(0x08, 1)
            bench.write(0x40, UInt32(HDATests.commands))
            bench.write(0x50, UInt32(HDATests.responses))
            bench.write(0x5A, 1, size: 2)
            bench.write(0x5C, 3, size: 1)
            bench.write(0x4C, 2, size: 1)
        }

        /// A verb by the rings.
        func ask(_ node: UInt32, _ verb: UInt32, _ payload: UInt32, wide: Bool = false) throws -> UInt32 {
            let place = bench.read(0x48, size: 2) + 1 & 0xFF
            let word = node << 20 | (wide ? verb << 16 | payload : verb << 8 | payload)
            try bench.memory.store(GuestPhysical(HDATests.commands + UInt64(place) * 4), word)
            bench.write(0x48, place, size: 2)
            let written = UInt64(bench.read(0x58, size: 2))
            return try bench.memory.load(GuestPhysical(HDATests.responses + written * 8), as: UInt32.self)
        }

        /// Two buffers of `bytes`, the second of which interrupts, at 48 kHz stereo of 16 bits.
        func play(bytes: UInt32) throws {
            for index in UInt64(0)..<2 {
                let entry = GuestPhysical(HDATests.list + index * 16)
                try bench.memory.store(entry, HDATests.buffers + index * UInt64(bytes))
                try bench.memory.store(entry + 8, UInt64(bytes) | (index == 1 ? 1 << 32 : 0))
            }
            bench.write(HDATests.stream + 0x18, UInt32(HDATests.list))
            bench.write(HDATests.stream + 0x08, bytes * 2)
            bench.write(HDATests.stream + 0x0C, 1, size: 2)
            bench.write(HDATests.stream + 0x12, 0x0011, size: 2)
            _ = try ask(2, 0x706, 0x50)
            bench.write(0x20, 1 << 31 | 1 << 4)
            bench.write(HDATests.stream, 5 << 20 | 0x06)
        }
    }

    @Test func codecsAnswer() throws {
        let machine = try Machine()
        #expect(machine.controller.function.readConfiguration(0, size: 4) == 0x2668_8086)
        #expect(machine.bench.read(0x0E, size: 2) == 0)
        machine.start()
        #expect(machine.bench.read(0x0E, size: 2) == 1, "Codec 0 tells that it is there")
        #expect(try machine.ask(0, 0xF00, 0) == 0x1AF4_0022)
        #expect(try machine.ask(0, 0xF00, 4) == 0x0001_0001)
        #expect(try machine.ask(1, 0xF00, 4) == 0x0002_0004)
        #expect(try machine.ask(3, 0xF1C, 0) == 0x0101_4010)
        #expect(machine.bench.read(0x5D, size: 1) & 1 == 1)
        // A codec that is not there does not answer.
        let before = machine.bench.read(0x58, size: 2)
        let place = machine.bench.read(0x48, size: 2) + 1
        try machine.bench.memory.store(GuestPhysical(Self.commands + UInt64(place) * 4), UInt32(0x700F_0000))
        machine.bench.write(0x48, place, size: 2)
        #expect(machine.bench.read(0x58, size: 2) == before)
        // Without the rings.
        machine.bench.write(0x60, 0x000F_0000)
        machine.bench.write(0x68, 1, size: 2)
        #expect(machine.bench.read(0x68, size: 2) & 3 == 2 && machine.bench.read(0x64) == 0x1AF4_0022)
    }

    @Test func streamsPlayByTheClock() throws {
        let machine = try Machine(mixer: false)
        machine.start()
        for index in 0..<4800 {
            let sample = UInt32(UInt16(bitPattern: Int16(index))) | UInt32(UInt16(bitPattern: Int16(-index))) << 16
            try machine.bench.memory.store(GuestPhysical(Self.buffers + UInt64(index) * 4), sample)
        }
        try machine.play(bytes: 2400 * 4)
        for _ in 0..<4 { machine.bench.clock.advance(by: 10_000_000) }
        #expect(!machine.bench.interrupts && machine.audio.samples.count == 1920 * 2)
        #expect(machine.bench.read(Self.stream + 4) == 1920 * 4)
        for _ in 0..<6 { machine.bench.clock.advance(by: 10_000_000) }
        #expect(machine.bench.interrupts, "The second buffer has ended")
        #expect(machine.audio.rate == 48000)
        #expect(machine.audio.samples == (0..<4800).flatMap { [Int16($0), Int16(-$0)] })
        // The rings have interrupted too (bit 30).
        #expect(machine.bench.read(0x24) & ~(1 << 30) == 1 << 31 | 1 << 4)
        machine.bench.write(Self.stream + 3, 4, size: 1)
        #expect(!machine.bench.interrupts)
        #expect(machine.bench.read(Self.stream + 4) == 0, "The list begins anew")
        machine.bench.write(Self.stream, 0)
        #expect(machine.audio.stops == 1)
    }

    @Test func theMixerMutesAndDamps() throws {
        let machine = try Machine()
        machine.start()
        for index in 0..<UInt64(4800) {
            try machine.bench.memory.store(GuestPhysical(Self.buffers + index * 4), UInt32(0x4000_4000))
        }
        // 20 dB down on the left, mute on the right.
        _ = try machine.ask(2, 0x3, 0xA000 | UInt32(0x4A - 20), wide: true)
        _ = try machine.ask(2, 0x3, 0x9080, wide: true)
        try machine.play(bytes: 2400 * 4)
        machine.bench.clock.advance(by: 10_000_000)
        let samples = machine.audio.samples
        #expect(samples.count == 960 && samples.allSatisfy { $0 == 0 || (1630...1645).contains($0) })
        #expect(samples[0] > 0 && samples[1] == 0, "\(samples.prefix(8))")
    }

    @Test func malformedLists() throws {
        let machine = try Machine()
        machine.start()
        try machine.play(bytes: 0)
        machine.bench.clock.advance(by: 50_000_000)
        machine.bench.write(Self.stream, 0)
        machine.bench.write(Self.stream + 0x1C, 0xFFFF_FFFF)
        machine.bench.write(Self.stream, 5 << 20 | 0x1E)
        machine.bench.clock.advance(by: 50_000_000)
        #expect(machine.bench.read(Self.stream + 3, size: 1) & 0x10 != 0, "There is no such list")
        #expect(machine.bench.read(Self.stream, size: 1) & 2 == 0)
    }

    @Test func stateMoves() throws {
        let machine = try Machine(mixer: false)
        machine.start()
        for index in 0..<UInt64(4800) {
            try machine.bench.memory.store(GuestPhysical(Self.buffers + index * 4), UInt32(index))
        }
        try machine.play(bytes: 2400 * 4)
        machine.bench.clock.advance(by: 20_000_000)
        let saved = machine.controller.exportState()
        let twin = try Machine(mixer: false)
        twin.bench.clock.advance(by: 20_000_000)
        let size = 4800 * 4
        try twin.bench.memory.write(
            GuestPhysical(Self.list), bytes: try machine.bench.memory.bytes(GuestPhysical(Self.list), count: 64))
        try twin.bench.memory.write(
            GuestPhysical(Self.buffers), bytes: try machine.bench.memory.bytes(GuestPhysical(Self.buffers), count: size))
        try twin.controller.importState(saved)
        #expect(twin.controller.exportState() == saved)
        for one in [machine, twin] { one.bench.clock.advance(by: 10_000_000) }
        #expect(twin.audio.samples.count == 960)
        #expect(Array(machine.audio.samples.suffix(960)) == twin.audio.samples)
        var other = saved
        other.fields["model"] = .list([])
        #expect(throws: DeviceStateError.self) { try twin.controller.importState(other) }
    }

    @Test func randomPokesDoNoHarm() throws {
        let machine = try Machine()
        machine.start()
        let registers: [UInt64] =
            [0x08, 0x0C, 0x20, 0x34, 0x40, 0x48, 0x4A, 0x4C, 0x50, 0x58, 0x5C, 0x60, 0x68, 0x70]
            + (0..<8).flatMap { stream in
                [0, 3, 4, 8, 0xC, 0x12, 0x18].map { 0x80 + UInt64(stream) * 0x20 + $0 }
            }
        try machine.bench.poke(registers, seed: 11) { bits in
            // A reset would end most runs.
            machine.bench.write(0x08, 1)
            if bits & 7 == 0 { machine.start() }
        }
        machine.controller.reset()
        machine.bench.open(machine.controller.function)
        #expect(machine.bench.read(0x08) == 0)
    }
}
