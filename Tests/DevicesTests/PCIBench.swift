import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

/// A PCI function in a slot with its windows where a test finds them, and what a driver that means no good does to it.
final class PCIBench {
    let memory: AddressSpace
    let clock = ManualClock()
    let lines = RecordedLines()
    let messages = RecordedMessages()
    let io = Bus()
    let mmio = Bus()
    let bus: PCIBus
    /// Where the windows are: their bus, first address, and length.
    private(set) var windows: [Int: (bus: Bus, start: UInt64, count: UInt64)] = [:]

    init() throws {
        memory = try makeMemory()
        bus = PCIBus(
            spaces: PCISpaces(io: io, memory: mmio, ram: memory, msi: messages),
            routing: .swizzled([InterruptLine(sink: lines, number: 11)]))
        clock.advance(by: 1_000_000_000)
    }

    /// Puts a function in slot 3 and opens its windows and its way to memory.
    func attach(_ function: PCIFunction) throws {
        try bus.attach(function, slot: 3)
        open(function)
    }

    /// Opens the windows of a function: after a reset they are closed.
    func open(_ function: PCIFunction) {
        var (port, address): (UInt64, UInt64) = (0xC000, 0xE000_0000)
        for bar in function.bars where bar.kind != .rom {
            let index = (bar.register - PCIRegister.bar0) / 4
            if bar.isIO {
                port = (port + bar.size - 1) & ~(bar.size - 1)
                windows[index] = (io, port, bar.size)
                function.writeConfiguration(bar.register, size: 4, value: UInt32(port))
                port += bar.size
            } else {
                address = (address + bar.size - 1) & ~(bar.size - 1)
                windows[index] = (mmio, address, bar.size)
                function.writeConfiguration(bar.register, size: 4, value: UInt32(address))
                address += bar.size
            }
        }
        function.writeConfiguration(PCIRegister.command, size: 2, value: 7)
    }

    var interrupts: Bool { lines.level(11) }

    func read(_ offset: UInt64, window: Int = 0, size: Int = 4) -> UInt32 {
        guard let window = windows[window] else { return 0 }
        return UInt32(truncatingIfNeeded: window.bus.read(window.start + offset, size: size))
    }
    func write(_ offset: UInt64, _ value: UInt32, window: Int = 0, size: Int = 4) {
        guard let window = windows[window] else { return }
        window.bus.write(window.start + offset, size: size, value: UInt64(value))
    }

    /// Random accesses to all windows, mostly to the registers that are named, over memory that holds random numbers.
    /// Now and then `other` does something of its own.
    func poke(_ registers: [UInt64], seed: UInt64, rounds: Int = 60_000, other: (UInt64) -> Void = { _ in }) throws {
        var random = SplitMix64(state: seed)
        var bytes: [UInt8] = []
        for _ in 0..<8192 {
            let value = random.next() & 0x00FF_FFFF_001F_FFFF
            for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))) }
        }
        try memory.write(GuestPhysical(0x1_0000), bytes: bytes)
        let all = windows.sorted { $0.key < $1.key }.map(\.value)
        for step in 0..<FuzzRounds.times(rounds) {
            let bits = random.next()
            let window = all[Int(bits % UInt64(all.count))]
            let known = registers[Int(bits >> 8 % UInt64(registers.count))]
            let offset = (bits >> 20 & 15 == 0 ? random.next() : known) % window.count
            let size = [1, 2, 4, 4, 4, 8][Int(bits >> 32) % 6]
            var value = random.next()
            switch bits >> 40 & 3 {
            case 0: value &= 0xFF
            case 1: value = 0x1_0000 | value & 0xFFF0
            default: break
            }
            if bits >> 44 & 3 == 0 {
                _ = window.bus.read(window.start + offset, size: size)
            } else {
                window.bus.write(window.start + offset, size: size, value: value)
            }
            if step % 8 == 0 { clock.advance(by: random.next() % 1_000_000) }
            if step % 16 == 0 { other(random.next()) }
        }
    }
}
