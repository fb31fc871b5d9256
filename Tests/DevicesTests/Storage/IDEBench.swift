import DeviceModel
import Devices
import GuestMemory
import Testing

/// A controller with a disk and a CD drive on the first channel, and what a driver does with it.
final class IDEBench {
    static let masterPort: UInt64 = 0xC000
    static let table: UInt64 = 0x1_0000
    static let data: UInt64 = 0x10_0000

    let memory: AddressSpace
    let disk: FakeDisk
    let disc: FakeDisk
    let line = RecordedLines()
    let io = Bus()
    let bus: PCIBus
    let controller: IDEController
    private let base: UInt64 = 0x1F0

    init(
        disk: FakeDisk = FakeDisk(sectors: 4096), disc: FakeDisk = FakeDisk(sectors: 4 * 1000, isReadOnly: true),
        _ change: (inout IDEDriveProperties) -> Void = { _ in }
    ) throws {
        memory = try makeMemory()
        self.disk = disk
        self.disc = disc
        bus = PCIBus(spaces: PCISpaces(io: io, memory: Bus(), ram: memory))
        var properties = IDEDriveProperties(.disk, number: 1)
        let line = line
        change(&properties)
        controller = IDEController(
            units: [
                [
                    IDEUnit(properties, backend: disk), IDEUnit(IDEDriveProperties(.cdrom, number: 2), backend: disc),
                ]
            ],
            memory: memory,
            lines: IDEController.interrupts.map { InterruptLine(sink: line, number: $0) },
            scheduler: InlineScheduler())
        controller.attach(to: io)
        try bus.attach(controller.function, slot: 1, function: 1)
        controller.function.writeConfiguration(PCIRegister.bar0 + 16, size: 4, value: UInt32(Self.masterPort))
        controller.function.writeConfiguration(PCIRegister.command, size: 2, value: 5)
    }

    var interrupt: Bool { line.level(14) }
    func read(_ register: UInt64) -> UInt8 { UInt8(io.read(base + register, size: 1)) }
    func write(_ register: UInt64, _ value: UInt8) { io.write(base + register, size: 1, value: UInt64(value)) }
    var status: UInt8 { UInt8(io.read(0x3F6, size: 1)) }
    func setControl(_ value: UInt8) { io.write(0x3F6, size: 1, value: UInt64(value)) }
    /// Whether there was an interrupt, acknowledged by reading the status.
    func takeInterrupt() -> Bool {
        let was = interrupt
        _ = read(7)
        return was && !interrupt
    }

    /// A command with a 28-bit address.
    func command(_ code: UInt8, lba: UInt32 = 0, count: UInt8 = 0, feature: UInt8 = 0, unit: UInt8 = 0) {
        write(6, 0xE0 | unit << 4 | UInt8(lba >> 24 & 15))
        write(1, feature)
        write(2, count)
        write(3, UInt8(lba & 0xFF))
        write(4, UInt8(lba >> 8 & 0xFF))
        write(5, UInt8(lba >> 16 & 0xFF))
        write(7, code)
    }
    /// A command with a 48-bit address.
    func extended(_ code: UInt8, lba: UInt64 = 0, count: UInt16 = 0, feature: UInt8 = 0) {
        write(6, 0xE0)
        write(1, 0)
        write(1, feature)
        write(2, UInt8(count >> 8))
        write(2, UInt8(count & 0xFF))
        for byte in [3, 0, 4, 1, 5, 2] as [UInt64] {
            write(3 + byte % 3, UInt8(truncatingIfNeeded: lba >> (byte * 8)))
        }
        write(7, code)
    }
    func readData(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let word = io.read(base, size: 2)
            bytes += [UInt8(word & 0xFF), UInt8(word >> 8)]
        }
        return bytes
    }
    func writeData(_ bytes: [UInt8]) {
        for index in stride(from: 0, to: bytes.count, by: 2) {
            io.write(base, size: 2, value: UInt64(bytes[index]) | UInt64(bytes[index + 1]) << 8)
        }
    }
    func words(_ bytes: [UInt8]) -> [UInt16] {
        stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
    }
    /// The characters of words, each with the first in its high byte.
    func text(_ words: ArraySlice<UInt16>) -> String {
        String(decoding: words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }, as: UTF8.self)
    }

    // MARK: DMA

    /// Regions of the bus master's table.
    func setTable(_ regions: [(address: UInt64, count: Int)]) throws {
        for (index, region) in regions.enumerated() {
            let place = GuestPhysical(Self.table + UInt64(index * 8))
            try memory.store(place, UInt32(region.address))
            try memory.store(
                place + 4, UInt32(region.count & 0xFFFF) | (index == regions.count - 1 ? 1 << 31 : 0))
        }
        io.write(Self.masterPort + 4, size: 4, value: Self.table)
    }
    func startMaster(toMemory: Bool) {
        io.write(Self.masterPort + 2, size: 1, value: 0x66)
        io.write(Self.masterPort, size: 1, value: toMemory ? 9 : 1)
    }
    var masterStatus: UInt8 { UInt8(io.read(Self.masterPort + 2, size: 1)) }
    func stopMaster() { io.write(Self.masterPort, size: 1, value: 0) }

    // MARK: Packets

    /// Sends a packet and reads what comes, in pieces of `limit` bytes. Nil: the drive reports an error.
    func packet(_ bytes: [UInt8], limit: UInt16 = 2048) -> [UInt8]? {
        command(0xA0, lba: UInt32(limit) << 8, unit: 1)
        guard status & 8 != 0, read(2) & 3 == 1 else { return nil }
        writeData(bytes + [UInt8](repeating: 0, count: 12 - bytes.count))
        var result: [UInt8] = []
        while status & 8 != 0 {
            guard takeInterrupt(), read(2) & 3 == 2 else { return nil }
            let count = Int(read(4)) | Int(read(5)) << 8
            result += readData((count + 1) & ~1).prefix(count)
        }
        guard takeInterrupt(), read(2) & 3 == 3 else { return nil }
        return status & 1 == 0 ? result : nil
    }
    /// Sense key, code and qualifier of the last packet's failure.
    func sense() -> [UInt8] {
        guard let bytes = packet([3, 0, 0, 0, 18]), bytes.count == 18 else { return [] }
        return [bytes[2], bytes[12], bytes[13]]
    }
}
