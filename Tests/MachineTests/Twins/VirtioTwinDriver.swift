import DeviceModel
import Machine
import TestSupport

/// A driver of any virtio device: it agrees on features, sets up its queues, and puts buffers into them that are mostly
/// what the kind of device wants. virtio 1.2.
struct VirtioTwinDriver: TwinDriver {
    /// How registers are reached.
    enum Transport {
        case mmio(UInt64)
        /// The window of a modern function, and a port of a legacy one.
        case pci(UInt64)
        case legacy(UInt64)
    }
    private struct Queue {
        var size: UInt64
        var available: UInt16 = 0
    }
    /// Where the rings and buffers of one of some devices lie. Each has its own: threads of several devices write in no
    /// order that two machines would share.
    private struct Area {
        let rings: UInt64
        let ringCount: Int
        let buffers: UInt64
        let bufferBytes: UInt64
        /// The longest buffer.
        private static let longest: UInt64 = 0x2000

        init(_ index: Int, of count: Int) {
            let (all, room) = (UInt64(0x10_0000 / count) & ~0x3FFF, UInt64(0x8_0000 / count) & ~0xFFF)
            rings = Scratch.start + UInt64(index) * all
            ringCount = min(24, Int(all / 0x4000))
            buffers = 0x30_0000 + UInt64(index) * room
            bufferBytes = room - Self.longest
        }
    }
    let transport: Transport
    let kind: Int
    private let area: Area
    private var queues: [Queue] = []
    private var next: UInt64 = 0

    private init(_ transport: Transport, kind: Int, _ area: Area) {
        self.transport = transport
        self.kind = kind
        self.area = area
    }

    /// One for each virtio device of a machine.
    static func all(_ twin: Twin) -> [any TwinDriver] {
        var found: [(kind: Int, roads: [Transport])] = []
        for window in twin.windows where window.name == "virtio-mmio" {
            guard twin.perform(.read(window.start, 4)) == 0x7472_6976 else { continue }
            let kind = twin.perform(.read(window.start + 8, 4)) ?? 0
            if kind != 0 { found.append((Int(kind), [.mmio(window.start)])) }
        }
        for function in twin.functions where function.vendor == 0x1AF4 && (0x1000...0x107F).contains(function.device) {
            let isOld = function.device < 0x1040
            let old = [0x1000: 1, 0x1001: 2, 0x1002: 5, 0x1003: 3, 0x1004: 8, 0x1005: 4, 0x1009: 9]
            let kind = isOld ? old[Int(function.device)] ?? 0 : Int(function.device) - 0x1040
            let window = function.regions.first { $0.bar == 4 }?.address
            let port = function.regions.first { $0.bar == 0 && $0.isIO }?.address
            found.append((kind, [window.map { .pci($0) }, port.map { .legacy($0) }].compactMap { $0 }))
        }
        return found.enumerated().flatMap { index, device in
            let area = Area(index, of: found.count)
            return device.roads.map { Self($0, kind: device.kind, area) }
        }
    }

    // MARK: Registers

    private enum Register {
        case status
        case featureSelect
        case features
        case driverFeatureSelect
        case driverFeatures
        case queueSelect
        case queueSize
        case notify
        case interruptStatus
    }

    /// Where a register is, and its size.
    private func place(_ register: Register) -> (UInt64, Int)? {
        switch transport {
        case .mmio(let base):
            let offset: UInt64 =
                switch register {
                case .status: 0x70
                case .featureSelect: 0x14
                case .features: 0x10
                case .driverFeatureSelect: 0x24
                case .driverFeatures: 0x20
                case .queueSelect: 0x30
                case .queueSize: 0x34
                case .notify: 0x50
                case .interruptStatus: 0x60
                }
            return (base + offset, 4)
        case .pci(let base):
            let (offset, size): (UInt64, Int) =
                switch register {
                case .status: (20, 1)
                case .featureSelect: (0, 4)
                case .features: (4, 4)
                case .driverFeatureSelect: (8, 4)
                case .driverFeatures: (12, 4)
                case .queueSelect: (22, 2)
                case .queueSize: (24, 2)
                case .notify: (0x3000, 2)
                case .interruptStatus: (0x1000, 1)
                }
            return (base + offset, size)
        case .legacy(let base):
            let found: (UInt64, Int)? =
                switch register {
                case .status: (18, 1)
                case .features: (0, 4)
                case .driverFeatures: (4, 4)
                case .queueSelect: (14, 2)
                case .queueSize: (12, 2)
                case .notify: (16, 2)
                case .interruptStatus: (19, 1)
                case .featureSelect, .driverFeatureSelect: nil
                }
            return found.map { (base + $0.0, $0.1) }
        }
    }
    private var isPort: Bool { if case .legacy = transport { true } else { false } }
    private func write(_ register: Register, _ value: UInt64) -> [TwinOperation] {
        guard let (address, size) = place(register) else { return [] }
        return [isPort ? .portWrite(address, size, value) : .write(address, size, value)]
    }
    private func read(_ register: Register) -> [TwinOperation] {
        guard let (address, size) = place(register) else { return [] }
        return [isPort ? .portRead(address, size) : .read(address, size)]
    }
    private func configuration(_ offset: UInt64, _ size: Int, _ value: UInt64?) -> [TwinOperation] {
        let base: UInt64 =
            switch transport {
            case .mmio(let base): base + 0x100
            case .pci(let base): base + 0x2000
            case .legacy(let base): base + 20
            }
        if let value { return [isPort ? .portWrite(base + offset, size, value) : .write(base + offset, size, value)] }
        return [isPort ? .portRead(base + offset, size) : .read(base + offset, size)]
    }

    // MARK: Set-up

    private func ring(_ queue: Int) -> UInt64 { area.rings + UInt64(queue) * 0x4000 }

    private mutating func start(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        func look(_ operations: [TwinOperation]) -> UInt64 {
            operations.reduce(0) { twin.perform($1) ?? $0 }
        }
        var operations = write(.status, 0) + write(.status, 1) + write(.status, 3)
        let unwanted: UInt64 = 1 << 34 | 1 << 33 | (random.chance(3) ? 1 << 29 : 0) | (random.chance(3) ? 1 << 28 : 0)
        for half in UInt64(0)..<(isPort ? 1 : 2) {
            let offered = look(write(.featureSelect, half) + read(.features))
            let mask = ~(unwanted >> (half * 32)) & 0xFFFF_FFFF
            operations += write(.featureSelect, half) + write(.driverFeatureSelect, half)
            operations += write(.driverFeatures, offered & mask)
        }
        if !isPort { operations += write(.status, 0xB) }
        queues = []
        for index in 0..<area.ringCount {
            let most = look(write(.queueSelect, UInt64(index)) + read(.queueSize))
            guard most > 0 else { break }
            let size = isPort ? most : min(most, [4, 16, 64][random.below(3)])
            queues.append(Queue(size: size))
            operations += write(.queueSelect, UInt64(index))
            operations += enable(index, size)
        }
        operations += write(.status, isPort ? 7 : 0xF)
        return operations
    }

    private func enable(_ index: Int, _ size: UInt64) -> [TwinOperation] {
        let ring = ring(index)
        let (available, used) = rings(index, size)
        let length = Int(used + size * 8 + 8 - ring)
        let cleared = TwinOperation.store(ring, [UInt8](repeating: 0, count: length))
        switch transport {
        case .mmio(let base):
            let places = [(0x80, ring), (0x90, available), (0xA0, used)] as [(UInt64, UInt64)]
            return [cleared, .write(base + 0x38, 4, size)]
                + places.flatMap { [.write(base + $0.0, 4, $0.1), .write(base + $0.0 + 4, 4, 0)] }
                + [.write(base + 0x44, 4, 1)]
        case .pci(let base):
            let places = [(32, ring), (40, available), (48, used)] as [(UInt64, UInt64)]
            return [cleared, .write(base + 24, 2, size)]
                + places.flatMap { [.write(base + $0.0, 4, $0.1), .write(base + $0.0 + 4, 4, 0)] }
                + [.write(base + 26, 2, UInt64(index & 1)), .write(base + 28, 2, 1)]
        case .legacy(let base): return [cleared, .portWrite(base + 8, 4, ring >> 12)]
        }
    }
    /// The driver's and the device's areas: legacy drivers have no choice (virtio 1.2, 2.7.2).
    private func rings(_ index: Int, _ size: UInt64) -> (UInt64, UInt64) {
        let ring = ring(index)
        guard isPort else { return (ring + 0x1000, ring + 0x2000) }
        let available = ring + size * 16
        return (available, (available + 6 + size * 2 + 4095) & ~4095)
    }

    // MARK: Buffers

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if queues.isEmpty || random.chance(60) { return start(&random, twin) }
        switch random.below(20) {
        case 0: return read(.status) + read(.interruptStatus)
        case 1:
            let size = [1, 2, 4][random.below(3)]
            return configuration(
                UInt64(random.below(60)) & ~3, size, random.chance(2) ? nil : random.registerValue(size))
        case 2: return write(.queueSelect, UInt64(random.below(queues.count))) + read(.queueSize)
        case 3 where random.chance(6):
            // A ring that is no ring.
            return [.store(ring(random.below(queues.count)) + random.next() % 0x180 & ~1, random.bytes(2))]
        case 4:
            if case .mmio(let base) = transport { return [.write(base + 0x64, 4, 3)] }
            return [.advance(1 << UInt64(random.below(28)))]
        case 5: return [.input(RegisterDriver.events(&random))]
        default: break
        }
        let index = random.below(min(queues.count, 8))
        var operations: [TwinOperation] = []
        // Requests of disks go one by one: together they end in any order.
        let isDisk = kind == 2 || kind == 8
        for _ in 0..<(isDisk ? 1 : 1 + random.below(3)) { operations += put(index, &random) }
        if isDisk || !random.chance(5) {
            let isWindow = if case .pci = transport { true } else { false }
            guard let (address, size) = place(.notify) else { return operations }
            let place = address + (isWindow ? UInt64(index) * 4 : 0)
            operations.append(isPort ? .portWrite(place, size, UInt64(index)) : .write(place, size, UInt64(index)))
        }
        return operations
    }

    /// A chain of descriptors, and its place in the ring.
    private mutating func put(_ index: Int, _ random: inout SplitMix64) -> [TwinOperation] {
        let pieces = VirtioBuffers.pieces(kind, index, &random, turn: next)
        let size = queues[index].size
        guard !pieces.isEmpty, UInt64(pieces.count) <= size else { return [] }
        var operations: [TwinOperation] = []
        let ring = ring(index)
        let first = next % size
        for (number, piece) in pieces.enumerated() {
            let place = (first + UInt64(number)) % size
            let address = area.buffers + (next + UInt64(number)) * 0x1000 % area.bufferBytes
            if let bytes = piece.bytes { operations.append(.store(address, bytes)) }
            let isLast = number == pieces.count - 1
            let flags: UInt64 = (isLast ? 0 : 1) | (piece.bytes == nil ? 2 : 0)
            let after = UInt32(truncatingIfNeeded: (place + 1) % size) << 16 | UInt32(flags)
            operations.append(
                .storeWords(ring + place * 16, [UInt32(address), 0, UInt32(piece.bytes?.count ?? piece.room), after]))
        }
        next += UInt64(pieces.count)
        let available = rings(index, size).0
        let slot = UInt64(queues[index].available) % size
        queues[index].available &+= 1
        let (number, head) = (queues[index].available, UInt16(first))
        operations.append(.store(available + 4 + slot * 2, [UInt8(head & 0xFF), UInt8(head >> 8)]))
        operations.append(.store(available + 2, [UInt8(number & 0xFF), UInt8(number >> 8)]))
        return operations
    }
}
