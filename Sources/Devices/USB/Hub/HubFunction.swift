internal import DeviceModel

/// A hub of USB 1.1 (chapter 11) with its own power. A pure model.
struct HubFunction: USBFunction {
    /// The most ports of a hub.
    static let portLimit = 8

    private enum Feature {
        static let connection = 0
        static let enable = 1
        static let suspend = 2
        static let reset = 4
        static let power = 8
        static let changes = 16
    }
    private enum Status {
        static let connected: UInt16 = 1
        static let enabled: UInt16 = 2
        static let suspended: UInt16 = 4
        static let power: UInt16 = 0x100
        static let lowSpeed: UInt16 = 0x200
    }
    private struct Port: Sendable {
        var status = Status.power
        /// What changed, by the same bits; a reset that ended is bit 4.
        var change: UInt16 = 0
    }
    private var ports: [Port]
    private let serial: String
    private var effects: [USBEffect] = []
    let speeds: Set<USBSpeed> = [.full]

    init(ports count: Int, serial: String) {
        ports = [Port](repeating: Port(), count: count)
        self.serial = serial
    }

    func descriptors(_ speed: USBSpeed) -> USBDescriptors {
        USBDescriptors(
            device: [18, 1, 0x10, 0x01, 9, 0, 0, 8, 0x09, 0x04, 0xAA, 0x55, 0x01, 0x01, 1, 2, 3, 1],
            configuration: [
                9, 2, 25, 0, 1, 1, 0, 0xC0, 0,
                9, 4, 0, 0, 1, 9, 0, 0, 0,
                7, 5, 0x81, 3, 2, 0, 255,
            ],
            strings: ["Apus", "USB Hub", serial])
    }

    mutating func reset() {
        for index in ports.indices {
            let kept = ports[index].status & (Status.connected | Status.lowSpeed)
            ports[index] = Port(status: Status.power | kept, change: kept & Status.connected)
        }
    }

    // MARK: Ports

    func isEnabled(_ port: Int) -> Bool { ports.indices.contains(port) && ports[port].status & Status.enabled != 0 }

    mutating func connect(_ port: Int, speed: USBSpeed) {
        guard ports.indices.contains(port) else { return }
        ports[port].status = Status.power | Status.connected | (speed == .low ? Status.lowSpeed : 0)
        ports[port].change |= Status.connected
    }
    mutating func disconnect(_ port: Int) {
        guard ports.indices.contains(port) else { return }
        ports[port].status = Status.power
        ports[port].change |= Status.connected
    }

    // MARK: USBFunction

    mutating func takeEffects() -> [USBEffect] {
        defer { effects = [] }
        return effects
    }

    /// The map of ports that changed; port 1 is bit 1.
    mutating func input(endpoint: UInt8, limit: Int) -> USBResult {
        guard endpoint == 1 else { return .stall }
        let map = ports.enumerated().reduce(UInt16(0)) { $1.element.change == 0 ? $0 : $0 | 2 << UInt16($1.offset) }
        return map == 0 ? .notReady : .done([UInt8(map & 0xFF), UInt8(map >> 8)])
    }

    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16) -> [UInt8]? {
        func words(_ values: UInt16...) -> [UInt8] { values.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] } }
        switch (type, number) {
        case (0xA0, 6):
            let map = (ports.count + 8) / 8
            // Ports have power always, and report over-current never.
            let head: [UInt8] = [UInt8(7 + 2 * map), 0x29, UInt8(ports.count), 0x0A, 0, 1, 0]
            return head + [UInt8](repeating: 0, count: map) + [UInt8](repeating: 0xFF, count: map)
        case (0xA0, 0): return words(0, 0)
        case (0xA3, 0):
            guard let port = port(index) else { return nil }
            return words(ports[port].status, ports[port].change)
        default: return nil
        }
    }

    private func port(_ index: UInt16) -> Int? {
        let number = Int(index & 0xFF)
        return number > 0 && number <= ports.count ? number - 1 : nil
    }

    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16, data: [UInt8]) -> Bool {
        if type == 0x20 { return (number == 1 || number == 3) && value <= 1 }
        guard type == 0x23, let port = port(index) else { return false }
        let feature = Int(value)
        let isConnected = ports[port].status & Status.connected != 0
        switch (number, feature) {
        case (3, Feature.reset):
            guard isConnected else { return true }
            ports[port].status = ports[port].status & ~Status.suspended | Status.enabled
            ports[port].change |= 1 << UInt16(Feature.reset)
            effects.append(.resetPort(port))
        case (3, Feature.suspend): if isConnected { ports[port].status |= Status.suspended }
        case (3, Feature.power), (1, Feature.power): break
        case (1, Feature.enable): ports[port].status &= ~Status.enabled
        case (1, Feature.suspend):
            if ports[port].status & Status.suspended != 0 { ports[port].change |= Status.suspended }
            ports[port].status &= ~Status.suspended
        case (1, Feature.changes...(Feature.changes + 4)):
            ports[port].change &= ~(1 << UInt16(feature - Feature.changes))
        default: return false
        }
        return true
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set(
            "ports",
            ports.flatMap { port in
                [port.status, port.change].flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
            })
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let bytes = try saved.bytes("ports", count: ports.count * 4)
        for index in ports.indices {
            func word(_ place: Int) -> UInt16 {
                UInt16(bytes[index * 4 + place]) | UInt16(bytes[index * 4 + place + 1]) << 8
            }
            ports[index] = Port(status: word(0) & 0x0307, change: word(2) & 0x1F)
        }
    }
}
