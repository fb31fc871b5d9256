public import Display
public import GuestMemory

/// A picture in guest memory, of which the guest tells by a file of fw_cfg: `ramfb`. (QEMU, docs/specs and
/// include/hw/display/ramfb; the layout of `etc/ramfb` is 28 bytes, big-endian.)
public final class RAMFramebuffer: PictureSource {
    /// The file that the guest writes.
    public static let file = "etc/ramfb"
    /// Its length.
    public static let fileSize = 28
    private static let widest: UInt32 = 16000
    private static let highest: UInt32 = 12000

    /// What the file says.
    package struct Layout: Equatable {
        package var address: UInt64
        package var bytesPerPixel: Int
        package var width: Int
        package var height: Int
        package var stride: Int
        /// Red is the lowest byte of a pixel.
        package var isReversed: Bool

        /// Nil for a file that describes no picture.
        package init?(_ bytes: [UInt8]) {
            guard bytes.count >= RAMFramebuffer.fileSize else { return nil }
            func number(_ start: Int, _ count: Int) -> UInt64 {
                (0..<count).reduce(0) { $0 << 8 | UInt64(bytes[start + $1]) }
            }
            let (code, width, height) = (number(8, 4), UInt32(number(16, 4)), UInt32(number(20, 4)))
            // FourCC codes of the kernel's DRM: XR24, AR24, XB24, AB24, RG24, RG16.
            switch code {
            case 0x3432_5258, 0x3432_5241: (bytesPerPixel, isReversed) = (4, false)
            case 0x3432_4258, 0x3432_4241: (bytesPerPixel, isReversed) = (4, true)
            case 0x3432_4752: (bytesPerPixel, isReversed) = (3, false)
            case 0x3631_4752: (bytesPerPixel, isReversed) = (2, false)
            default: return nil
            }
            guard 1...RAMFramebuffer.widest ~= width, 1...RAMFramebuffer.highest ~= height else { return nil }
            address = number(0, 8)
            self.width = Int(width)
            self.height = Int(height)
            let given = Int(number(24, 4))
            stride = given == 0 ? self.width * bytesPerPixel : given
            guard address != 0, stride >= self.width * bytesPerPixel, stride <= 1 << 20 else { return nil }
        }
    }

    private let memory: AddressSpace
    private let contents: @Sendable () -> [UInt8]?

    /// A picture that `contents` tells of: the file's bytes.
    public init(memory: AddressSpace, contents: @escaping @Sendable () -> [UInt8]?) {
        self.memory = memory
        self.contents = contents
    }

    public func draw(into picture: inout Picture) {
        guard let bytes = contents(), let layout = Layout(bytes) else {
            picture.fill(0)
            return
        }
        picture.resize(width: layout.width, height: layout.height)
        var row = [UInt32](repeating: 0, count: picture.width)
        for y in 0..<picture.height {
            let place = GuestPhysical(layout.address &+ UInt64(y * layout.stride))
            guard let line = try? memory.bytes(place, count: picture.width * layout.bytesPerPixel) else {
                for x in row.indices { row[x] = 0 }
                picture.setRow(y, row)
                continue
            }
            for x in 0..<picture.width {
                let start = x * layout.bytesPerPixel
                let (first, second) = (UInt32(line[start]), UInt32(line[start + 1]))
                if layout.bytesPerPixel == 2 {
                    let value = first | second << 8
                    row[x] = (value >> 11 & 31) << 19 | (value >> 5 & 63) << 10 | (value & 31) << 3
                } else {
                    let third = UInt32(line[start + 2])
                    row[x] = layout.isReversed ? first << 16 | second << 8 | third : third << 16 | second << 8 | first
                }
            }
            picture.setRow(y, row)
        }
    }
}
