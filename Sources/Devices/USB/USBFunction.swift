internal import DeviceModel

/// How fast a device speaks, by xHCI's default numbers (eXtensible Host Controller Interface 1.1, 7.2.2.1.1).
enum USBSpeed: UInt8, Sendable, CaseIterable {
    case full = 1
    case low = 2
    case high = 3
    case superSpeed = 4

    /// Bytes of a packet of a bulk endpoint.
    var bulkPacket: Int {
        switch self {
        case .low: 8
        case .full: 64
        case .high: 512
        case .superSpeed: 1024
        }
    }
    /// The byte of a device descriptor that tells the packets of endpoint 0: for SuperSpeed a power of two.
    var controlPacket: UInt8 {
        switch self {
        case .low, .full: 8
        case .high: 64
        case .superSpeed: 9
        }
    }
}

/// What became of a transaction. USB 1.1, 8.4.
package enum USBResult: Equatable, Sendable {
    /// Taken; what an IN brings: whole packets, and a shorter one at the end where that ends the transfer.
    case done([UInt8])
    /// Nothing now: the host asks again.
    case notReady
    /// The endpoint cannot do it.
    case stall
    /// Nobody answers.
    case silence
}

/// The kinds of transactions, by their packets' identifiers.
package enum USBToken: UInt8, Sendable {
    case input = 0x69
    case output = 0xE1
    case setup = 0x2D
}

/// What a function wants done that it cannot do by itself.
enum USBEffect: Equatable, Sendable {
    /// A keyboard's lights: num 1, caps 2, scroll 4.
    case lights(UInt8)
    /// The device at a hub's port, from 0, is reset.
    case resetPort(Int)
    /// Work on a disk; the function hears of its end.
    case disk(USBDiskWork)
}

/// Work on the disk behind a function, one piece at a time.
enum USBDiskWork: Equatable, Sendable {
    case read(offset: UInt64, count: Int)
    case write(offset: UInt64, bytes: [UInt8], isForced: Bool)
    case flush
    case discard(offset: UInt64, length: UInt64)
    case zero(offset: UInt64, length: UInt64, unmaps: Bool)
}

/// What a device does beside the requests that all have in common. A pure model.
protocol USBFunction: Sendable {
    /// The speeds that it has.
    var speeds: Set<USBSpeed> { get }
    /// Device, configuration and string descriptors at a speed.
    func descriptors(_ speed: USBSpeed) -> USBDescriptors
    /// To the state after a reset of the bus.
    mutating func reset()
    /// A request of a class or interface whose data go to the host; nil where there is none such.
    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16) -> [UInt8]?
    /// A request with data from the host; false where there is none such.
    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16, data: [UInt8]) -> Bool
    /// Data of an endpoint other than 0, `limit` bytes at most.
    mutating func input(endpoint: UInt8, limit: Int) -> USBResult
    /// Data for an endpoint other than 0; all of them are taken, or none.
    mutating func output(endpoint: UInt8, _ data: [UInt8]) -> USBResult
    /// What is to be done since it was last asked.
    mutating func takeEffects() -> [USBEffect]
    /// Work on the disk has ended: with its bytes, or nil where it failed.
    mutating func diskEnded(_ bytes: [UInt8]?)
    /// The state, and taking it.
    func exportState() -> DeviceState
    mutating func importState(_ state: DeviceState) throws(DeviceStateError)
}

extension USBFunction {
    mutating func output(endpoint: UInt8, _ data: [UInt8]) -> USBResult { .stall }
    mutating func takeEffects() -> [USBEffect] { [] }
    mutating func diskEnded(_ bytes: [UInt8]?) {}
}

/// What a device says that it is. USB 1.1, 9.6.
struct USBDescriptors: Sendable {
    var device: [UInt8]
    var configuration: [UInt8]
    /// The report descriptor of a human interface device.
    var report: [UInt8] = []
    /// Strings from number 1 on.
    var strings: [String]

    func descriptor(type: UInt8, index: UInt8) -> [UInt8]? {
        switch type {
        case 1: return device
        case 2: return index == 0 ? configuration : nil
        case 3:
            if index == 0 { return [4, 3, 0x09, 0x04] }
            guard index <= strings.count else { return nil }
            let units = strings[Int(index) - 1].utf16.prefix(126).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
            return [UInt8(units.count + 2), 3] + units
        case 6 where device[3] == 2:
            // What it would be at the other speed: the same, of one configuration. USB 2.0, 9.6.2.
            return [10, 6, device[2], device[3], device[4], device[5], device[6], 64, 1, 0]
        case 15 where device[3] >= 3:
            // No link power management; of SuperSpeed's: all speeds, works from full speed on. USB 3.0, 9.6.2.
            return [5, 15, 22, 0, 2, 7, 16, 2, 0, 0, 0, 0, 10, 16, 3, 0, 0x0E, 0, 1, 10, 0xFF, 0x07]
        case 0x22: return report.isEmpty ? nil : report
        default: return nil
        }
    }
}
