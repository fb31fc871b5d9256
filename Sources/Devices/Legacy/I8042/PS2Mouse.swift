/// A PS/2 mouse with wheel and five buttons (IBM PS/2 Technical Reference, "Mouse"; the IntelliMouse extensions).
struct PS2Mouse: Sendable {
    /// Most bytes of movement that wait; further movement is summed up.
    static let queueLimit = 64
    private static let farthest = 1 << 20

    /// 0 plain, 3 with wheel, 4 with wheel and five buttons.
    var kind: UInt8 = 0
    var sampleRate: UInt8 = 100
    var resolution: UInt8 = 2
    var scaling2 = false
    var reporting = false
    var remote = false
    var wrap = false
    /// The command whose argument comes next.
    var command: UInt8?
    /// The last two sample rates: the knock for the extensions.
    var knock: [UInt8] = [0, 0]
    var lastSent: UInt8 = 0
    var replies: [UInt8] = []
    var packets: [UInt8] = []
    /// Movement not yet sent: right, up, wheel towards the user.
    var dx = 0
    var dy = 0
    var dz = 0
    /// Left 1, right 2, middle 4, side 8, extra 16.
    var buttons: UInt8 = 0
    var sentButtons: UInt8 = 0

    var hasData: Bool { !replies.isEmpty || !packets.isEmpty }

    /// The pointer moved by `dx` right, `dy` down and `dz` wheel clicks towards the user; `buttons` are down now.
    mutating func move(dx: Int, dy: Int, dz: Int, buttons: UInt8) {
        func sum(_ a: Int, _ b: Int) -> Int {
            let (sum, overflow) = a.addingReportingOverflow(b)
            return overflow ? (b < 0 ? -Self.farthest : Self.farthest) : min(max(sum, -Self.farthest), Self.farthest)
        }
        guard reporting || remote else {
            self.buttons = buttons & 0x1F
            return
        }
        self.dx = sum(self.dx, dx)
        self.dy = sum(self.dy, dy == .min ? .max : -dy)
        self.dz = sum(self.dz, dz)
        self.buttons = buttons & 0x1F
        fill()
    }

    /// In stream mode, turns movement into packets as far as there is room.
    private mutating func fill() {
        guard reporting, !remote, !wrap else { return }
        while packets.count + 4 <= Self.queueLimit, changed { packets += packet() }
    }

    private var changed: Bool { dx != 0 || dy != 0 || (kind != 0 && dz != 0) || buttons & reported != sentButtons }
    /// The buttons that a packet can tell.
    private var reported: UInt8 { kind == 4 ? 0x1F : 0x07 }

    private mutating func packet() -> [UInt8] {
        func take(_ value: inout Int, _ most: Int) -> Int {
            let part = min(max(value, -most), most)
            value -= part
            return part
        }
        let (x, y) = (take(&dx, 255), take(&dy, 255))
        sentButtons = buttons & reported
        var bytes: [UInt8] = [
            0x08 | buttons & 7 | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), UInt8(truncatingIfNeeded: x),
            UInt8(truncatingIfNeeded: y),
        ]
        switch kind {
        case 3: bytes.append(UInt8(truncatingIfNeeded: take(&dz, 127)))
        case 4: bytes.append(UInt8(truncatingIfNeeded: take(&dz, 7)) & 0x0F | (buttons & 0x18) << 1)
        default: dz = 0
        }
        return bytes
    }

    /// The next byte for the controller.
    mutating func next() -> UInt8? {
        if !replies.isEmpty {
            lastSent = replies.removeFirst()
        } else if !packets.isEmpty {
            lastSent = packets.removeFirst()
            fill()
        } else {
            return nil
        }
        return lastSent
    }

    private mutating func reply(_ bytes: [UInt8]) {
        if replies.count + bytes.count <= 16 { replies += bytes }
    }

    private mutating func setDefaults() {
        sampleRate = 100
        resolution = 2
        scaling2 = false
        reporting = false
        remote = false
        packets = []
        (dx, dy, dz) = (0, 0, 0)
    }

    /// A byte from the controller: a command or its argument.
    mutating func write(_ byte: UInt8) {
        // A command cuts off the packet that is under way.
        packets.removeFirst(packets.count % (kind == 0 ? 3 : 4))
        if wrap && byte != 0xEC && byte != 0xFF { return reply([byte]) }
        if let command {
            self.command = nil
            if byte < 0xE6 { return argument(byte, of: command) }
        }
        switch byte {
        case 0xE6: scaling2 = false
        case 0xE7: scaling2 = true
        case 0xE8, 0xF3: command = byte
        case 0xE9:
            let flags = (remote ? 0x40 : 0) | (reporting ? 0x20 : 0) | (scaling2 ? 0x10 : 0) as UInt8
            let order = (buttons & 1) << 2 | (buttons & 4) >> 1 | (buttons & 2) >> 1
            return reply([0xFA, flags | order, resolution, sampleRate])
        case 0xEA:
            remote = false
            packets = []
        case 0xEB: return reply([0xFA] + packet())
        case 0xEC: wrap = false
        case 0xEE: wrap = true
        case 0xF0:
            remote = true
            packets = []
        case 0xF2: return reply([0xFA, kind])
        case 0xF4: reporting = true
        case 0xF5:
            reporting = false
            packets = []
        case 0xF6: setDefaults()
        case 0xFE: return reply([lastSent])
        case 0xFF:
            setDefaults()
            kind = 0
            wrap = false
            knock = [0, 0]
            replies = []
            return reply([0xFA, 0xAA, 0x00])
        default: return reply([0xFE])
        }
        reply([0xFA])
    }

    private mutating func argument(_ byte: UInt8, of command: UInt8) {
        if command == 0xE8 {
            resolution = byte & 3
        } else {
            sampleRate = byte
            let old = kind
            if knock == [200, 100] && byte == 80 { kind = max(kind, 3) }
            if knock == [200, 200] && byte == 80 { kind = 4 }
            if kind != old { packets = [] }
            knock = [knock[1], byte]
        }
        reply([0xFA])
    }
}
