internal import DeviceModel

/// What became of a transaction. USB 1.1, 8.4.
enum USBResult: Equatable, Sendable {
    /// Taken; what an IN brings.
    case done([UInt8])
    /// Nothing now: the host asks again.
    case notReady
    /// The endpoint cannot do it.
    case stall
    /// Nobody answers.
    case silence
}

/// The kinds of transactions, by their packets' identifiers.
enum USBToken: UInt8, Sendable {
    case input = 0x69
    case output = 0xE1
    case setup = 0x2D
}

/// What a device does beside the requests that all have in common. A pure model.
protocol USBFunction: Sendable {
    /// Device, configuration and string descriptors.
    var descriptors: USBDescriptors { get }
    /// To the state after a reset of the bus.
    mutating func reset()
    /// A request of a class or interface whose data go to the host; nil where there is none such.
    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16) -> [UInt8]?
    /// A request with data from the host; false where there is none such.
    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16, data: [UInt8]) -> Bool
    /// Data of an endpoint other than 0; nil where there is nothing new.
    mutating func input(endpoint: UInt8, limit: Int) -> [UInt8]?
    /// The state, and taking it.
    func exportState() -> DeviceState
    mutating func importState(_ state: DeviceState) throws(DeviceStateError)
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
        case 0x22: return report.isEmpty ? nil : report
        default: return nil
        }
    }
}

/// A device's side of its control endpoint and its address, around a function. A pure model. USB 1.1, 8.5.2 and 9.4.
struct USBDevice: Sendable {
    private enum Phase: Equatable, Sendable {
        case idle
        case sending(offset: Int)
        case receiving(length: Int)
        case acknowledging
        case stalled
    }
    var function: any USBFunction
    private(set) var address: UInt8 = 0
    private var pendingAddress: UInt8?
    private var configuration: UInt8 = 0
    private var setup = [UInt8](repeating: 0, count: 8)
    private var data: [UInt8] = []
    private var phase = Phase.idle
    private var halted = false

    init(_ function: any USBFunction) { self.function = function }

    /// A reset of the bus.
    mutating func reset() {
        (address, pendingAddress, configuration, phase, halted) = (0, nil, 0, .idle, false)
        function.reset()
    }

    /// A transaction with this device.
    mutating func transact(_ token: USBToken, endpoint: UInt8, output: [UInt8], limit: Int) -> USBResult {
        if endpoint == 0 { return control(token, output, limit) }
        guard token == .input, configuration != 0 else { return .stall }
        if halted { return .stall }
        return function.input(endpoint: endpoint, limit: limit).map { .done(Array($0.prefix(limit))) } ?? .notReady
    }

    // MARK: The control endpoint

    private var value: UInt16 { UInt16(setup[2]) | UInt16(setup[3]) << 8 }
    private var index: UInt16 { UInt16(setup[4]) | UInt16(setup[5]) << 8 }
    private var length: Int { Int(setup[6]) | Int(setup[7]) << 8 }

    private mutating func control(_ token: USBToken, _ output: [UInt8], _ limit: Int) -> USBResult {
        switch token {
        case .setup:
            guard output.count == 8 else { return .stall }
            setup = output
            begin()
            return .done([])
        case .input:
            switch phase {
            case .sending(let offset):
                let part = Array(data[offset..<min(offset + limit, data.count)])
                phase = .sending(offset: offset + part.count)
                return .done(part)
            case .acknowledging:
                phase = .idle
                if let pendingAddress { address = pendingAddress }
                pendingAddress = nil
                return .done([])
            default: return .stall
            }
        case .output:
            switch phase {
            case .sending:
                phase = .idle
                return .done([])
            case .receiving(let length):
                data += output.prefix(length - data.count)
                if data.count == length || output.isEmpty { finish() }
                return phase == .stalled ? .stall : .done([])
            default: return .stall
            }
        }
    }

    private mutating func begin() {
        data = []
        pendingAddress = nil
        if setup[0] & 0x80 != 0 {
            guard let answer = read() else {
                phase = .stalled
                return
            }
            data = Array(answer.prefix(length))
            phase = .sending(offset: 0)
        } else if length > 0 {
            phase = length <= 4096 ? .receiving(length: length) : .stalled
        } else {
            finish()
        }
    }

    private mutating func finish() { phase = write() ? .acknowledging : .stalled }

    private mutating func read() -> [UInt8]? {
        switch (setup[0], setup[1]) {
        case (0x80, 0), (0x81, 0): return [0, 0]
        case (0x82, 0): return [halted ? 1 : 0, 0]
        case (0x80, 6), (0x81, 6): return function.descriptors.descriptor(type: setup[3], index: setup[2])
        case (0x80, 8): return [configuration]
        case (0x81, 10): return [0]
        default: return function.request(type: setup[0], setup[1], value: value, index: index)
        }
    }

    private mutating func write() -> Bool {
        switch (setup[0], setup[1]) {
        case (0, 5):
            guard value < 128 else { return false }
            pendingAddress = UInt8(value)
        case (0, 9):
            guard value <= 1 else { return false }
            (configuration, halted) = (UInt8(value), false)
        case (0, 1), (0, 3): break
        case (1, 11): return value == 0
        case (2, 1): halted = false
        case (2, 3): halted = true
        default: return function.request(type: setup[0], setup[1], value: value, index: index, data: data)
        }
        return true
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = function.exportState()
        saved.set("address", address)
        saved.set("pending-address", pendingAddress ?? 0xFF)
        saved.set("configuration", configuration)
        saved.set("halted", halted)
        saved.set("setup", setup)
        saved.set("data", data)
        let (number, place): (UInt8, Int) =
            switch phase {
            case .idle: (0, 0)
            case .sending(let offset): (1, offset)
            case .receiving(let length): (2, length)
            case .acknowledging: (3, 0)
            case .stalled: (4, 0)
            }
        saved.set("phase", number)
        saved.set("place", place)
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try function.importState(saved)
        address = try saved.integer("address")
        let pending: UInt8 = try saved.integer("pending-address")
        pendingAddress = pending < 128 ? pending : nil
        configuration = try saved.integer("configuration")
        halted = try saved.bool("halted")
        setup = try saved.bytes("setup", count: 8)
        data = try saved.bytes("data")
        let number: UInt8 = try saved.integer("phase")
        let place: Int = try saved.integer("place")
        switch number {
        case 1 where 0...data.count ~= place: phase = .sending(offset: place)
        case 2 where data.count <= place && place <= 4096: phase = .receiving(length: place)
        case 0: phase = .idle
        case 3: phase = .acknowledging
        case 4: phase = .stalled
        default: throw .outOfRange(field: "phase", value: UInt64(number))
        }
    }
}
