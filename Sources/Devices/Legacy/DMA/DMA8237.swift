internal import DeviceModel

/// One 8237A DMA controller as a pure model: four channels, each a place and a count. (Intel 8237A data sheet.)
package struct DMA8237: Equatable, Sendable {
    struct Channel: Equatable, Sendable {
        var baseAddress: UInt16 = 0
        var baseCount: UInt16 = 0
        var address: UInt16 = 0
        var count: UInt16 = 0
        var mode: UInt8 = 0
        /// Bits 16 to 23 of addresses, of a latch beside the controller.
        var page: UInt8 = 0
        /// The count has passed 0.
        var isDone = false

        /// 1 writes to memory, 2 reads from it, 0 only counts.
        var direction: UInt8 { mode >> 2 & 3 }
        var reloads: Bool { mode & 0x10 != 0 }
        var descends: Bool { mode & 0x20 != 0 }
    }

    var channels = [Channel](repeating: Channel(), count: 4)
    private var flipFlop = false
    private var command: UInt8 = 0
    private var requests: UInt8 = 0
    /// Channels that are switched off.
    private(set) var mask: UInt8 = 0x0F

    package init() {}

    /// A register, 0 to 15.
    package mutating func read(_ register: Int) -> UInt8 {
        switch register {
        case 0...7:
            let channel = channels[register / 2]
            let value = register & 1 == 0 ? channel.address : channel.count
            defer { flipFlop.toggle() }
            return UInt8(truncatingIfNeeded: flipFlop ? value >> 8 : value)
        case 8:
            var status = requests << 4
            for index in channels.indices where channels[index].isDone {
                status |= 1 << UInt8(index)
                channels[index].isDone = false
            }
            return status
        case 15: return mask | 0xF0
        default: return 0
        }
    }

    package mutating func write(_ register: Int, _ value: UInt8) {
        switch register {
        case 0...7: writeChannel(register / 2, isCount: register & 1 != 0, value)
        case 8: command = value
        case 9:
            let bit: UInt8 = 1 << (value & 3)
            requests = value & 4 != 0 ? requests | bit : requests & ~bit
        case 10:
            let bit: UInt8 = 1 << (value & 3)
            mask = value & 4 != 0 ? mask | bit : mask & ~bit
        case 11: channels[Int(value & 3)].mode = value
        case 12: flipFlop = false
        case 13:
            mask = 0x0F
            (flipFlop, command, requests) = (false, 0, 0)
            for index in channels.indices { channels[index].isDone = false }
        case 14: mask = 0
        case 15: mask = value & 0x0F
        default: break
        }
    }

    private mutating func writeChannel(_ index: Int, isCount: Bool, _ value: UInt8) {
        func merged(_ old: UInt16) -> UInt16 {
            flipFlop ? old & 0x00FF | UInt16(value) << 8 : old & 0xFF00 | UInt16(value)
        }
        if isCount {
            channels[index].baseCount = merged(channels[index].baseCount)
            channels[index].count = channels[index].baseCount
        } else {
            channels[index].baseAddress = merged(channels[index].baseAddress)
            channels[index].address = channels[index].baseAddress
        }
        flipFlop.toggle()
    }

    /// Whether a channel would move something now.
    func isReady(_ index: Int) -> Bool { mask >> UInt8(index) & 1 == 0 && command & 4 == 0 }

    /// Moves a channel on by up to `most` bytes. Returns where in memory they lie, in order, and whether its count ended.
    mutating func advance(_ index: Int, most: Int) -> (places: [(address: UInt64, count: Int)], isDone: Bool) {
        guard isReady(index), most > 0 else { return ([], false) }
        var channel = channels[index]
        var places: [(address: UInt64, count: Int)] = []
        var left = min(most, Int(channel.count) + 1)
        let isDone = left == Int(channel.count) + 1
        channel.count &-= UInt16(truncatingIfNeeded: left)
        // Addresses do not leave their 64 KiB.
        while left > 0 {
            let page = UInt64(channel.page) << 16
            let run = channel.descends ? 1 : min(left, 65536 - Int(channel.address))
            places.append((page | UInt64(channel.address), run))
            channel.address = channel.descends ? channel.address &- 1 : channel.address &+ UInt16(truncatingIfNeeded: run)
            left -= run
        }
        if isDone {
            channel.isDone = true
            if channel.reloads {
                channel.address = channel.baseAddress
                channel.count = channel.baseCount
            } else {
                mask |= 1 << UInt8(index)
            }
        }
        channels[index] = channel
        return (places, isDone)
    }

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("switches", [command, requests, mask, flipFlop ? 1 : 0])
        state.set(
            "channels",
            channels.map { channel in
                var part = DeviceState(version: 1)
                part.set("base-address", channel.baseAddress)
                part.set("base-count", channel.baseCount)
                part.set("address", channel.address)
                part.set("count", channel.count)
                part.set("mode", [channel.mode, channel.page, channel.isDone ? 1 : 0])
                return part
            })
        return state
    }
    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let switches = try state.bytes("switches", count: 4)
        (command, requests, mask, flipFlop) = (switches[0], switches[1] & 15, switches[2] & 15, switches[3] != 0)
        for (index, part) in try state.list("channels", count: 4).enumerated() {
            var channel = Channel()
            channel.baseAddress = try part.integer("base-address")
            channel.baseCount = try part.integer("base-count")
            channel.address = try part.integer("address")
            channel.count = try part.integer("count")
            let mode = try part.bytes("mode", count: 3)
            (channel.mode, channel.page, channel.isDone) = (mode[0], mode[1], mode[2] != 0)
            channels[index] = channel
        }
    }
}
