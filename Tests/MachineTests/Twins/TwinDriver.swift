import DeviceModel
import Machine
import TestSupport

/// What a guest's driver does next. It may look at the first twin by reads that change nothing.
protocol TwinDriver {
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation]
}

/// Accesses to whatever registers there are, structures at random in memory, time that goes on, keys and movements.
struct RegisterDriver: TwinDriver {
    /// A run of registers.
    struct Area {
        var isPort: Bool
        var start: UInt64
        var count: UInt64
        /// Which of the shares of wild memory is its device's.
        var share = 0
    }
    let areas: [Area]
    let functions: [PCIFunctionStatus]
    private let shares: [Scratch.Share]
    let hasInput: Bool

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        switch random.below(32) {
        case 0, 1: return [.advance(1 << UInt64(random.below(24)))]
        case 2: return [.advance(1 << UInt64(24 + random.below(4)))]
        case 3, 4:
            let share = shares[random.below(shares.count)]
            // All of it in the share.
            let place = min(Scratch.address(&random, share), share.start + share.count - 256)
            return [.storeWords(place, Scratch.words(16 + random.below(48), &random, share))]
        case 5 where hasInput: return [.input(Self.events(&random))]
        case 6 where !functions.isEmpty:
            let place = random.below(functions.count)
            let function = functions[place]
            // Windows stay where they are; whether they answer may change, and is soon right again.
            let offset = UInt64(0x34 + random.below(0xCC)) & ~3
            if random.chance(3) { return TwinOperation.look(function, UInt64(random.below(64)) * 4, 4) }
            return TwinOperation.configure(function, offset, 4, random.registerValue(4, shares[place % shares.count]))
                + TwinOperation.configure(function, 4, 2, random.chance(8) ? random.registerValue(2) : 7)
        default: break
        }
        guard !areas.isEmpty else { return [] }
        let area = areas[random.below(areas.count)]
        let size = area.isPort ? [1, 1, 2, 4][random.below(4)] : [1, 2, 4, 4, 4, 8][random.below(6)]
        let near = random.chance(2) ? min(area.count, 0x100) : area.count
        let offset = (random.next() % near) & ~(UInt64(size) - 1)
        guard offset + UInt64(size) <= area.count else { return [] }
        let place = area.start + offset
        if random.chance(3) { return [area.isPort ? .portRead(place, size) : .read(place, size)] }
        let value = random.registerValue(size, shares[area.share % shares.count])
        return [area.isPort ? .portWrite(place, size, value) : .write(place, size, value)]
    }

    static func events(_ random: inout SplitMix64) -> [InputEvent] {
        switch random.below(5) {
        case 0:
            [
                .relative(isVertical: false, random.below(300) - 150),
                .relative(isVertical: true, random.below(300) - 150),
            ]
        case 1: [.absolute(isVertical: false, random.below(32768)), .absolute(isVertical: true, random.below(32768))]
        case 2: [.button(1 << UInt8(random.below(3)), isDown: random.chance(2))]
        case 3: [.wheel(random.below(3) - 1)]
        default: [.key(UInt8(1 + random.below(0x58)), isDown: random.chance(2))]
        }
    }

    /// The share that an address of wild memory is in.
    func share(of address: UInt64) -> Scratch.Share? {
        shares.first { $0.start <= address && address < $0.start + $0.count }
    }

    /// Registers of the functions at the given slots, and of ports and windows whose names are told.
    init(_ twin: Twin, hasInput: Bool = true, _ isMine: (PCIFunctionStatus) -> Bool, names: Set<String> = []) {
        functions = twin.functions.filter(isMine)
        var areas: [Area] = []
        for (index, function) in functions.enumerated() {
            for region in function.regions where region.bar < 6 {
                guard let start = region.address else { continue }
                areas.append(Area(isPort: region.isIO, start: start, count: region.size, share: index))
            }
        }
        for range in twin.ports where names.contains(range.name) || names.contains("all") {
            areas.append(Area(isPort: true, start: range.start, count: range.count))
        }
        for range in twin.windows where names.contains(range.name) || names.contains("all") {
            areas.append(Area(isPort: false, start: range.start, count: range.count, share: areas.count))
        }
        let count = max(functions.count, areas.contains { !$0.isPort } && functions.isEmpty ? areas.count : 1)
        shares = (0..<min(count, 8)).map { Scratch.Share($0, of: min(count, 8)) }
        self.areas = areas
        self.hasInput = hasInput
    }
}
