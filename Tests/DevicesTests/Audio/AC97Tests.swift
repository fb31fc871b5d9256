import DeviceModel
import Devices
import GuestMemory
import Testing

@Suite struct AC97Tests {
    private static let list: UInt64 = 0x1_2000
    private static let buffers: UInt64 = 0x2_0000
    private struct Machine {
        let bench: PCIBench
        let audio = RecordedAudio()
        let card: AC97
        init() throws {
            bench = try PCIBench()
            card = AC97(backend: audio, memory: bench.memory, clock: bench.clock, stateName: "ac97")
            try bench.attach(card.function)
        }
        /// Two buffers of `frames` stereo frames each, of which the first interrupts.
        func play(frames: UInt32) throws {
            bench.write(0x02, 0, size: 2)
            bench.write(0x18, 0x0808, size: 2)
            for index in UInt64(0)..<2 {
                let entry = GuestPhysical(AC97Tests.list + index * 8)
                try bench.memory.store(entry, UInt32(AC97Tests.buffers + index * UInt64(frames) * 4))
                try bench.memory.store(entry + 4, frames * 2 | (index == 0 ? 1 << 31 : 0))
            }
            bench.write(0x10, UInt32(AC97Tests.list), window: 1)
            bench.write(0x15, 1, window: 1, size: 1)
            bench.write(0x1B, 0x1D, window: 1, size: 1)
        }
    }

    @Test func codecAndController() throws {
        let machine = try Machine()
        #expect(machine.card.function.readConfiguration(0, size: 4) == 0x2415_8086)
        #expect(machine.bench.read(0x7C) == 0x7600_8384)
        #expect(machine.bench.read(0x30, window: 1) & 0x100 != 0, "The codec is ready")
        #expect(machine.bench.read(0x02, size: 2) == 0x8000)
        machine.bench.write(0x2C, 22050, size: 2)
        #expect(machine.bench.read(0x2C, size: 2) == 22050)
        machine.bench.write(0x2A, 0, size: 2)
        #expect(machine.bench.read(0x2C, size: 2) == 48000, "Without variable rates it is 48 kHz")
        #expect(machine.bench.read(0x34, window: 1, size: 1) == 0)
        #expect(machine.bench.read(0x34, window: 1, size: 1) == 1, "The semaphore is taken")
    }

    @Test func buffersPlayAndEnd() throws {
        let machine = try Machine()
        for index in 0..<960 {
            try machine.bench.memory.store(GuestPhysical(Self.buffers + UInt64(index) * 4), UInt32(index | index << 16))
        }
        try machine.play(frames: 480)
        machine.bench.clock.advance(by: 5_000_000)
        #expect(!machine.bench.interrupts)
        machine.bench.clock.advance(by: 5_000_000)
        #expect(machine.bench.interrupts && machine.bench.read(0x30, window: 1) & 0x40 != 0)
        #expect(machine.bench.read(0x14, window: 1, size: 1) == 1)
        machine.bench.write(0x16, 0x1C, window: 1, size: 2)
        #expect(!machine.bench.interrupts)
        machine.bench.clock.advance(by: 20_000_000)
        #expect(machine.bench.read(0x16, window: 1, size: 2) & 7 == 7, "Halted after the last valid buffer")
        #expect(machine.bench.interrupts && machine.audio.stops == 1)
        #expect(machine.audio.samples == (0..<960).flatMap { [Int16($0), Int16($0)] })
        // The list grows: on it goes.
        machine.bench.write(0x15, 2, window: 1, size: 1)
        #expect(machine.bench.read(0x16, window: 1, size: 2) & 1 == 0)
    }

    @Test func stateMoves() throws {
        let machine = try Machine()
        try machine.play(frames: 4800)
        machine.bench.clock.advance(by: 30_000_000)
        let saved = machine.card.exportState()
        let twin = try Machine()
        twin.bench.clock.advance(by: 30_000_000)
        try twin.card.importState(saved)
        #expect(twin.card.exportState() == saved)
        for one in [machine, twin] { one.bench.clock.advance(by: 10_000_000) }
        #expect(twin.audio.samples.count == 960)
        #expect(twin.bench.read(0x18, window: 1, size: 2) == machine.bench.read(0x18, window: 1, size: 2))
    }

    @Test func randomPokesDoNoHarm() throws {
        let machine = try Machine()
        let registers: [UInt64] =
            [0x00, 0x02, 0x18, 0x2A, 0x2C, 0x32, 0x34, 0x30]
            + (0..<3).flatMap { engine in [0, 4, 5, 6, 8, 0xB].map { UInt64(engine) * 16 + $0 } }
        try machine.bench.poke(registers, seed: 12)
        machine.card.reset()
        machine.bench.open(machine.card.function)
        #expect(machine.bench.read(0x02, size: 2) == 0x8000)
    }
}
