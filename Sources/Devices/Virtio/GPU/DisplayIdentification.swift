/// What a monitor says that it is: a block of EDID 1.4 (VESA Enhanced Extended Display Identification Data Standard,
/// release A) whose preferred mode is the size that is wanted.
enum DisplayIdentification {
    /// The block of 128 bytes of a monitor of so many pixels at about 75 Hz.
    static func block(width: Int, height: Int, name: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 128)
        bytes.replaceSubrange(0..<8, with: [0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0])
        // The maker as three letters of five bits: RHT, which guests know from QEMU's monitors.
        bytes.replaceSubrange(8..<18, with: [0x49, 0x14, 0x34, 0x12, 1, 0, 0, 0, 30, 24])
        // Version 1.4; digital, eight bits a colour, DisplayPort; size in centimetres at 100 dots an inch.
        bytes[18] = 1
        bytes[19] = 4
        bytes[20] = 0xA5
        bytes[21] = UInt8(clamping: width * 254 / 10000)
        bytes[22] = UInt8(clamping: height * 254 / 10000)
        bytes[23] = 120
        // sRGB; the first detailed mode is the native one.
        bytes[24] = 6
        bytes.replaceSubrange(25..<35, with: [0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54])
        // 640x480, 800x600, 1024x768 at 60 Hz.
        bytes[35] = 0x21
        bytes[36] = 0x08
        // Further modes that every guest knows, as width and shape.
        let standard: [(Int, UInt8)] = [
            (1920, 3), (1680, 0), (1440, 0), (1280, 2), (1280, 0), (1600, 1), (1152, 1), (1024, 1),
        ]
        for (index, mode) in standard.enumerated() {
            bytes[38 + index * 2] = UInt8(clamping: mode.0 / 8 - 31)
            bytes[39 + index * 2] = mode.1 << 6
        }
        bytes.replaceSubrange(54..<72, with: timing(width, height))
        bytes.replaceSubrange(72..<90, with: [0, 0, 0, 0xFD, 0, 50, 125, 30, 160, 100, 0, 10, 32, 32, 32, 32, 32, 32])
        var text = Array(name.utf8.prefix(13))
        if text.count < 13 { text.append(10) }
        text += [UInt8](repeating: 32, count: 13 - text.count)
        bytes.replaceSubrange(90..<108, with: [0, 0, 0, 0xFC, 0] + text)
        bytes[111] = 0x10
        bytes[127] = 0 &- bytes.reduce(0, &+)
        return bytes
    }

    /// A detailed timing with blanking of a quarter and a few lines.
    private static func timing(_ width: Int, _ height: Int) -> [UInt8] {
        // Fields have twelve bits.
        let (wide, high) = (min(width, 4095), min(height, 4095))
        let (blank, lines) = (wide * 35 / 100, high * 35 / 1000 + 3)
        let clock = min((wide + blank) * (high + lines) * 75 / 10_000, 65535)
        let (front, sync) = (wide * 25 / 100, wide * 3 / 100)
        func low(_ value: Int) -> UInt8 { UInt8(truncatingIfNeeded: value) }
        return [
            low(clock), low(clock >> 8), low(wide), low(blank), low((wide >> 8) << 4 | blank >> 8), low(high),
            low(lines),
            low((high >> 8) << 4 | lines >> 8), low(front), low(sync), 0x55,
            low((front >> 8 & 3) << 6 | (sync >> 8 & 3) << 4),
            low(wide * 254 / 1000), low(high * 254 / 1000),
            low(((wide * 254 / 1000) >> 8) << 4 | (high * 254 / 1000) >> 8), 0, 0, 0x18,
        ]
    }
}
