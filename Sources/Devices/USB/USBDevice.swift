internal import DeviceModel

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
    /// Endpoints that are halted, a bit each; those that bring data from bit 16 on.
    private var halted: UInt32 = 0
    /// The speed at which it was connected.
    var speed: USBSpeed

    init(_ function: any USBFunction, speed: USBSpeed = .full) {
        self.function = function
        self.speed = speed
    }

    /// A reset of the bus.
    mutating func reset() {
        (address, pendingAddress, configuration, phase, halted) = (0, nil, 0, .idle, 0)
        function.reset()
    }

    /// A transaction with this device.
    mutating func transact(_ token: USBToken, endpoint: UInt8, output: [UInt8], limit: Int) -> USBResult {
        if endpoint == 0 { return control(token, output, limit) }
        guard configuration != 0, token != .setup else { return .stall }
        let bit = Self.bit(endpoint, isInput: token == .input)
        if halted & bit != 0 { return .stall }
        let result: USBResult
        if token == .input {
            switch function.input(endpoint: endpoint, limit: limit) {
            case .done(let bytes): result = .done(bytes.count > limit ? Array(bytes.prefix(limit)) : bytes)
            case let other: result = other
            }
        } else {
            result = function.output(endpoint: endpoint, output)
        }
        if result == .stall { halted |= bit }
        return result
    }

    private static func bit(_ endpoint: UInt8, isInput: Bool) -> UInt32 {
        1 << UInt32(endpoint & 15 | (isInput ? 16 : 0))
    }
    /// The bit of the endpoint that a request is about.
    private var haltBit: UInt32 { Self.bit(setup[4], isInput: setup[4] & 0x80 != 0) }

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
        case (0x82, 0): return [halted & haltBit != 0 ? 1 : 0, 0]
        case (0x80, 6), (0x81, 6): return function.descriptors(speed).descriptor(type: setup[3], index: setup[2])
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
            (configuration, halted) = (UInt8(value), 0)
        // Features of the device; SuperSpeed's delays (USB 3.0, 9.4.12 and 9.4.13).
        case (0, 1), (0, 3), (0, 48), (0, 49): break
        case (1, 11): return value == 0
        case (2, 1): halted &= ~haltBit
        case (2, 3): halted |= haltBit
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
        saved.set("speed", speed.rawValue)
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
        halted = try saved.integer("halted")
        let speed: UInt8 = try saved.integer("speed")
        guard let known = USBSpeed(rawValue: speed) else { throw .outOfRange(field: "speed", value: UInt64(speed)) }
        self.speed = known
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
