internal import Display

/// What a virtio input device says that it is, and the events of keys and movements, by Linux's numbers
/// (include/uapi/linux/input-event-codes.h). virtio 1.2, 5.8. A pure model.
struct InputModel {
    /// Which device.
    enum Kind: UInt16 {
        case keyboard = 1
        case mouse = 2
        case tablet = 3
    }
    /// An event.
    struct Event: Equatable {
        var type: UInt16
        var code: UInt16
        var value: UInt32
        var bytes: [UInt8] {
            var bytes: [UInt8] = []
            VirtioConfiguration.append(&bytes, type)
            VirtioConfiguration.append(&bytes, code)
            VirtioConfiguration.append(&bytes, value)
            return bytes
        }
    }
    enum EventType {
        static let synchronise: UInt16 = 0
        static let key: UInt16 = 1
        static let relative: UInt16 = 2
        static let absolute: UInt16 = 3
        static let light: UInt16 = 0x11
        static let `repeat`: UInt16 = 0x14
    }
    private enum Selection {
        static let name: UInt8 = 1
        static let serial: UInt8 = 2
        static let identity: UInt8 = 3
        static let events: UInt8 = 0x11
        static let axis: UInt8 = 0x12
    }
    private static let buttons: [UInt16] = [0x110, 0x111, 0x112, 0x113, 0x114]
    /// Events that wait for room in the driver's ring.
    private static let limit = 512

    let kind: Kind
    let serial: String
    var select: UInt8 = 0
    var subselect: UInt8 = 0
    private(set) var waiting: [Event] = []
    /// What the pointer last told: the driver hears of what differs from it.
    private(set) var event = PointerEvent()

    init(_ kind: Kind, serial: String) {
        self.kind = kind
        self.serial = serial
    }
    mutating func reset() { self = InputModel(kind, serial: serial) }

    // MARK: Configuration

    /// The configuration: selection, size, and what was selected.
    var configuration: [UInt8] {
        let content = Array(selected.prefix(128))
        return [select, subselect, UInt8(content.count), 0, 0, 0, 0, 0] + content
            + [UInt8](repeating: 0, count: 128 - content.count)
    }

    var name: String {
        switch kind {
        case .keyboard: "QEMU Virtio Keyboard"
        case .mouse: "QEMU Virtio Mouse"
        case .tablet: "QEMU Virtio Tablet"
        }
    }

    private var selected: [UInt8] {
        switch (select, subselect) {
        case (Selection.name, 0): Array(name.utf8)
        case (Selection.serial, 0): Array(serial.utf8)
        // A virtual bus, and the maker and products that guests know from QEMU's.
        case (Selection.identity, 0): [6, 0, 0x27, 0x06, UInt8(kind.rawValue), 0, 1, 0]
        case (Selection.events, _): bits(UInt16(subselect))
        case (Selection.axis, 0), (Selection.axis, 1):
            kind == .tablet ? [0, 0, 0, 0, 0xFF, 0x7F] + [UInt8](repeating: 0, count: 14) : []
        default: []
        }
    }

    /// The codes of a type of event as a map.
    private func bits(_ type: UInt16) -> [UInt8] {
        let codes: [UInt16] =
            switch (kind, type) {
            case (.keyboard, EventType.key): (0...255).compactMap { LinuxKeys.code(UInt8($0)) }
            case (.keyboard, EventType.light): [0, 1, 2]
            case (.keyboard, EventType.repeat): [0, 1]
            case (.mouse, EventType.key), (.tablet, EventType.key): Self.buttons
            case (.mouse, EventType.relative): [0, 1, 8]
            case (.tablet, EventType.relative): [8]
            case (.tablet, EventType.absolute): [0, 1]
            default: []
            }
        guard let last = codes.max() else { return [] }
        var map = [UInt8](repeating: 0, count: Int(last) / 8 + 1)
        for code in codes { map[Int(code) / 8] |= 1 << UInt8(code & 7) }
        return map
    }

    // MARK: Events

    mutating func key(_ code: UInt8, down: Bool) {
        guard kind == .keyboard, let number = LinuxKeys.code(code) else { return }
        put([Event(type: EventType.key, code: number, value: down ? 1 : 0)])
    }

    mutating func pointer(_ new: PointerEvent) {
        var list: [Event] = []
        func signed(_ value: Int) -> UInt32 { UInt32(bitPattern: Int32(clamping: value)) }
        if kind == .mouse {
            if new.dx != 0 { list.append(Event(type: EventType.relative, code: 0, value: signed(new.dx))) }
            if new.dy != 0 { list.append(Event(type: EventType.relative, code: 1, value: signed(new.dy))) }
        } else if kind == .tablet {
            if new.x != event.x { list.append(Event(type: EventType.absolute, code: 0, value: signed(new.x))) }
            if new.y != event.y { list.append(Event(type: EventType.absolute, code: 1, value: signed(new.y))) }
        }
        // Linux's wheel turns away from the user by positive numbers.
        if new.dz != 0 { list.append(Event(type: EventType.relative, code: 8, value: signed(-new.dz))) }
        for (bit, code) in [(UInt8(1), 0), (2, 1), (4, 2), (8, 3), (16, 4)]
        where (new.buttons ^ event.buttons) & bit != 0 {
            list.append(
                Event(type: EventType.key, code: Self.buttons[code], value: new.buttons & bit != 0 ? 1 : 0))
        }
        event = new
        if !list.isEmpty { put(list) }
    }

    /// Queues what belongs together; where the driver does not keep up it is lost as a whole.
    private mutating func put(_ events: [Event]) {
        guard waiting.count + events.count < Self.limit else { return }
        waiting += events + [Event(type: EventType.synchronise, code: 0, value: 0)]
    }

    mutating func take() -> Event? { waiting.isEmpty ? nil : waiting.removeFirst() }
    mutating func put(back event: Event) { waiting.insert(event, at: 0) }
    mutating func restore(_ events: [Event], last: PointerEvent) {
        waiting = Array(events.prefix(Self.limit))
        event = last
    }
}

/// Linux's numbers of keys for scan codes of set 1, with bit 7 for those that have the prefix E0.
enum LinuxKeys {
    static func code(_ scan: UInt8) -> UInt16? {
        switch scan {
        // Linux's numbers began as these scan codes.
        case 0x01...0x53, 0x56...0x58: UInt16(scan)
        case 0x54: 99
        case 0x59: 117
        case 0x70: 93
        case 0x73: 89
        case 0x79: 92
        case 0x7B: 94
        case 0x7D: 124
        case 0x9C: 96
        case 0x9D: 97
        case 0xA0: 113
        case 0xAE: 114
        case 0xB0: 115
        case 0xB5: 98
        case 0xB7: 99
        case 0xB8: 100
        case 0xC6: 119
        case 0xC7: 102
        case 0xC8: 103
        case 0xC9: 104
        case 0xCB: 105
        case 0xCD: 106
        case 0xCF: 107
        case 0xD0: 108
        case 0xD1: 109
        case 0xD2: 110
        case 0xD3: 111
        case 0xDB: 125
        case 0xDC: 126
        case 0xDD: 127
        case 0xDE: 116
        default: nil
        }
    }
}
