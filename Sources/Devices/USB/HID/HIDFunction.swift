internal import DeviceModel
internal import Display

/// A keyboard, mouse or tablet (USB, Device Class Definition for Human Interface Devices, 1.11). A pure model.
struct HIDFunction: USBFunction {
    /// Which of them.
    enum Kind: UInt8, Sendable {
        case keyboard
        case mouse
        case tablet
    }
    let kind: Kind
    /// Whether it is one of USB 1.1, which knows no high speed.
    let isOld: Bool
    var speeds: Set<USBSpeed> { isOld ? [.full] : [.full, .high] }
    private let serial: String
    /// Whether reports are those of the boot protocol.
    private var usesBootProtocol = false
    private var idle: UInt8 = 0
    /// Keyboard: the modifiers, and the keys that are down in their order.
    private var modifiers: UInt8 = 0
    private var keys: [UInt8] = []
    /// The keyboard's lights as the class has them: num 1, caps 2, scroll 4.
    private(set) var lights: UInt8 = 0
    /// Pointers: the movement that is not reported yet, the place, and the buttons.
    private var dx = 0
    private var dy = 0
    private var dz = 0
    private var x = 0
    private var y = 0
    private var buttons: UInt8 = 0
    /// Reports that wait: a press and its release both count.
    private var queue: [[UInt8]] = []
    private static let queueLimit = 16

    init(_ kind: Kind, isOld: Bool = false, serial: String = "42") {
        self.kind = kind
        self.isOld = isOld
        self.serial = serial
    }

    func descriptors(_ speed: USBSpeed) -> USBDescriptors {
        HIDDescriptors.of(kind, isOld ? .full : speed, version: isOld ? 0x11 : 0x20, serial: serial)
    }
    mutating func reset() { self = HIDFunction(kind, isOld: isOld, serial: serial) }
    private var toldLights: UInt8 = 0
    mutating func takeEffects() -> [USBEffect] {
        guard lights != toldLights else { return [] }
        toldLights = lights
        return [.lights(lights)]
    }

    // MARK: Input

    /// A key by its scan code of set 1, with bit 7 for those that have the prefix E0.
    mutating func key(_ code: UInt8, down: Bool) {
        let usage = HIDUsages.usage(code)
        guard usage != 0 else { return }
        if usage >= 0xE0 {
            let bit = UInt8(1) << (usage & 7)
            modifiers = down ? modifiers | bit : modifiers & ~bit
        } else {
            keys.removeAll { $0 == usage }
            if down { keys.append(usage) }
        }
        enqueue(keyboardReport)
    }

    mutating func pointer(_ event: PointerEvent) {
        func sum(_ a: Int, _ b: Int) -> Int { min(max(a + min(max(b, -0x10000), 0x10000), -0x10000), 0x10000) }
        let isClick = event.buttons != buttons
        (dx, dy, dz) = (sum(dx, event.dx), sum(dy, event.dy), sum(dz, event.dz))
        (x, y) = (min(max(event.x, 0), PointerEvent.limit), min(max(event.y, 0), PointerEvent.limit))
        if isClick {
            // What moved before the click is told before it.
            if hasMoved { enqueue(takePointerReport()) }
            buttons = event.buttons & 0x1F
            enqueue(takePointerReport())
        } else {
            hasMoved = true
        }
    }
    private var hasMoved = false

    private mutating func enqueue(_ report: [UInt8]) {
        if queue.count < Self.queueLimit { queue.append(report) } else { queue[Self.queueLimit - 1] = report }
    }

    private var keyboardReport: [UInt8] {
        // More than six keys at once are told as a roll-over.
        let shown = keys.count > 6 ? [UInt8](repeating: 1, count: 6) : keys
        return [modifiers, 0] + shown + [UInt8](repeating: 0, count: 6 - shown.count)
    }

    private mutating func takePointerReport() -> [UInt8] {
        func take(_ value: inout Int) -> UInt8 {
            let part = min(max(value, -127), 127)
            value -= part
            return UInt8(truncatingIfNeeded: part)
        }
        defer { hasMoved = dx != 0 || dy != 0 || dz != 0 }
        // The class's wheel turns away from the user by positive numbers.
        dz = -dz
        defer { dz = -dz }
        if kind == .tablet {
            (dx, dy) = (0, 0)
            return [buttons, UInt8(x & 0xFF), UInt8(x >> 8), UInt8(y & 0xFF), UInt8(y >> 8), take(&dz)]
        }
        let report = [buttons & 7, take(&dx), take(&dy)]
        let wheel = take(&dz)
        return usesBootProtocol ? report : report + [wheel]
    }

    // MARK: USBFunction

    mutating func input(endpoint: UInt8, limit: Int) -> USBResult {
        guard endpoint == 1 else { return .stall }
        if !queue.isEmpty { return .done(queue.removeFirst()) }
        return hasMoved ? .done(takePointerReport()) : .notReady
    }

    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16) -> [UInt8]? {
        guard type == 0xA1 else { return nil }
        switch number {
        case 1: return kind == .keyboard ? keyboardReport : takePointerReport()
        case 2: return [idle]
        case 3: return [usesBootProtocol ? 0 : 1]
        default: return nil
        }
    }

    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16, data: [UInt8]) -> Bool {
        guard type == 0x21 else { return false }
        switch number {
        case 9: if kind == .keyboard, let first = data.first { lights = first & 7 }
        case 10: idle = UInt8(value >> 8)
        case 11: usesBootProtocol = value == 0
        default: return false
        }
        return true
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("boot", usesBootProtocol)
        saved.set("idle", idle)
        saved.set("modifiers", modifiers)
        saved.set("keys", keys)
        saved.set("lights", lights)
        saved.set("moved", hasMoved)
        for (name, value) in [("dx", dx), ("dy", dy), ("dz", dz), ("x", x), ("y", y)] { saved.set(name, value) }
        saved.set("buttons", buttons)
        saved.set("queue", queue.flatMap { [UInt8($0.count)] + $0 })
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = HIDFunction(kind, isOld: isOld, serial: serial)
        new.usesBootProtocol = try saved.bool("boot")
        new.idle = try saved.integer("idle")
        new.modifiers = try saved.integer("modifiers")
        new.keys = Array(try saved.bytes("keys").prefix(256))
        new.lights = try saved.integer("lights")
        new.hasMoved = try saved.bool("moved")
        func limited(_ name: String, _ range: ClosedRange<Int>) throws(DeviceStateError) -> Int {
            let value: Int = try saved.integer(name)
            guard range.contains(value) else {
                throw .outOfRange(field: name, value: UInt64(truncatingIfNeeded: value))
            }
            return value
        }
        new.dx = try limited("dx", -0x10000...0x10000)
        new.dy = try limited("dy", -0x10000...0x10000)
        new.dz = try limited("dz", -0x10000...0x10000)
        new.x = try limited("x", 0...PointerEvent.limit)
        new.y = try limited("y", 0...PointerEvent.limit)
        new.buttons = try saved.integer("buttons")
        var bytes = try saved.bytes("queue")[...]
        while let count = bytes.first, new.queue.count < Self.queueLimit {
            guard bytes.count > Int(count), count <= 8 else { throw .outOfRange(field: "queue", value: UInt64(count)) }
            new.queue.append(Array(bytes.dropFirst().prefix(Int(count))))
            bytes = bytes.dropFirst(Int(count) + 1)
        }
        self = new
    }
}
