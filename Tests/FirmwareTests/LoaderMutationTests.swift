import Firmware
import GuestMemory
import TestSupport
import Testing

/// Headers with random damage load or fail; they never trap and never write where the map has no RAM.
@Test func damagedHeadersNeverTrap() throws {
    let guest = try TestGuest(ram: 8 << 20)
    typealias Segment = SyntheticKernel.Segment
    let seeds: [[UInt8]] = [
        SyntheticKernel.linux(preferred: 0x10_0000, initSize: 0x8000),
        SyntheticKernel.elf(
            wide: true, entry: 0x10_0000,
            segments: [
                Segment(physical: 0x10_0000, bytes: [UInt8](repeating: 1, count: 64), memoryCount: 256),
                Segment(type: 4, physical: 0, bytes: SyntheticKernel.pvhNote(entry: 0x10_0000)),
            ]),
        SyntheticKernel.elf(
            wide: false, entry: 0x10_0000,
            segments: [Segment(physical: 0x10_0000, bytes: SyntheticKernel.multibootHeader(flags: 0))]),
        SyntheticKernel.multibootHeader(
            flags: 1 << 16, addresses: [0x10_0000, 0x10_0000, 0, 0x10_1000, 0x10_0000])
            + [UInt8](repeating: 0, count: 64),
    ]
    var random = SplitMix64(state: 42)
    var loaded = 0
    var failed = 0
    for round in 0..<FuzzRounds.times(8000) {
        var image = seeds[round % seeds.count]
        let interesting = round % seeds.count == 0 ? 0x1F1..<0x268 : 0..<image.count
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: interesting, using: &random)
            let values: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)]
            image[place] = values[Int.random(in: 0..<values.count, using: &random)]
        }
        if round % 5 == 0 { image.removeLast(Int.random(in: 0...image.count, using: &random)) }
        var boot = BootRequest(kernel: ByteImage(name: "k", bytes: image), memory: guest.map)
        boot.commandLine = "quiet"
        boot.modules = [BootModule(source: ByteImage(name: "i", bytes: [1, 2, 3]))]
        do throws(LoadError) {
            let state = try KernelLoader.load(boot, into: guest.memory)
            #expect(state.kernel.upperBound <= 8 << 20)
            loaded += 1
        } catch {
            #expect(!error.description.contains("\n"))
            failed += 1
        }
    }
    #expect(loaded > 100)
    #expect(failed > 1000)
}
