/// Glyphs of 8 by 16 pixels for text consoles: those of the VGA BIOS, taken from its image.
public struct ConsoleFont: Equatable, Sendable {
    /// Size of a glyph in pixels.
    public static let width = 8
    public static let height = 16
    /// Sixteen rows for each of 256 characters, the left pixel in the highest bit.
    private let rows: [UInt8]

    /// The font within a VGA BIOS's image, known by two glyphs: the empty one and the smiling face, which stand first.
    /// Nil where there is none.
    public init?(image: [UInt8]) {
        let first: [UInt8] = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81,
            0x7E, 0, 0, 0, 0,
        ]
        guard image.count >= 4096 else { return nil }
        let start = (0...(image.count - 4096)).first { start in
            image[start + 18] == 0x7E && image[start..<(start + first.count)].elementsEqual(first)
        }
        guard let start else { return nil }
        rows = Array(image[start..<(start + 4096)])
    }

    /// A font of boxes, for hosts without the image: a text can be seen to be there, not read.
    public init() {
        rows = (0..<256).flatMap { (code: Int) -> [UInt8] in
            if code <= 32 { return [UInt8](repeating: 0, count: 16) }
            return [0, 0] + [0x7E] + [UInt8](repeating: 0x42, count: 9) + [0x7E] + [0, 0, 0]
        }
    }

    /// A row of a glyph.
    public func row(_ line: Int, of code: UInt8) -> UInt8 { rows[Int(code) * 16 + line & 0xFFF] }
}
