internal import CEngine

/// A picture of 32-bit pixels, `0x00RRGGBB` with a top byte that means nothing, which knows what of it changed when.
///
/// It is cut into tiles of 16 by 16 pixels. Each has the stamp of its last change, so that any number of viewers can
/// follow without being known here: one remembers the stamp that it has seen, and asks for what is newer.
public struct Picture: Sendable {
    /// Pixels along each side of a tile.
    public static let tile = 16
    /// The largest picture, along each side.
    public static let limit = 16384

    /// Size in pixels.
    public private(set) var width: Int
    public private(set) var height: Int
    /// Row after row, without gaps.
    public private(set) var pixels: [UInt32]
    /// The stamp of changes that are being made: rises with each `begin`.
    public private(set) var stamp: UInt64 = 1
    /// The stamp at which the picture got its size.
    public private(set) var sizeStamp: UInt64 = 1
    private var tiles: [UInt64]
    /// Tiles in a row.
    public private(set) var columns: Int
    /// Rows of tiles.
    public private(set) var rows: Int

    /// A black picture; sides are cut to 1 through `limit`.
    public init(width: Int, height: Int) {
        self.width = min(max(width, 1), Self.limit)
        self.height = min(max(height, 1), Self.limit)
        columns = (self.width + Self.tile - 1) / Self.tile
        rows = (self.height + Self.tile - 1) / Self.tile
        pixels = [UInt32](repeating: 0, count: self.width * self.height)
        tiles = [UInt64](repeating: 1, count: columns * rows)
    }

    /// Starts a round of changes, which get a new stamp.
    public mutating func begin() { stamp += 1 }

    /// Gives the picture another size, and black; nothing where it has that size.
    public mutating func resize(width: Int, height: Int) {
        guard width != self.width || height != self.height else { return }
        let now = stamp
        self = Picture(width: width, height: height)
        stamp = now
        sizeStamp = now
        for index in tiles.indices { tiles[index] = now }
    }

    /// Takes a row's pixels, and marks the tiles that they change. `source` has a pixel for each of the row's.
    public mutating func setRow(_ y: Int, from source: UnsafePointer<UInt32>) {
        guard y >= 0, y < height else { return }
        let (width, stamp, first) = (width, stamp, y / Self.tile * columns)
        unsafe pixels.withUnsafeMutableBufferPointer { pixels in
            // SAFETY: the row lies within the picture, and the caller's has the same length.
            let row = unsafe pixels.baseAddress.unsafelyUnwrapped + y * width
            if unsafe apus_equal(row, source, width * 4) { return }
            for column in 0..<columns {
                let start = column * Self.tile
                let count = min(Self.tile, width - start)
                if unsafe apus_equal(row + start, source + start, count * 4) { continue }
                // Bytes, as the source may be memory that a guest writes meanwhile.
                unsafe UnsafeMutableRawPointer(row + start).copyMemory(from: source + start, byteCount: count * 4)
                tiles[first + column] = stamp
            }
        }
    }

    /// Takes a row's pixels.
    public mutating func setRow(_ y: Int, _ source: [UInt32]) {
        guard source.count >= width else { return }
        // SAFETY: the array has a pixel for each of the row's.
        unsafe source.withUnsafeBufferPointer { unsafe setRow(y, from: $0.baseAddress.unsafelyUnwrapped) }
    }

    /// Fills everything with one colour.
    public mutating func fill(_ colour: UInt32) {
        let row = [UInt32](repeating: colour, count: width)
        for y in 0..<height { setRow(y, row) }
    }

    /// The pixel at a place, without its top byte; black outside.
    public func pixel(_ x: Int, _ y: Int) -> UInt32 {
        guard x >= 0, y >= 0, x < width, y < height else { return 0 }
        return pixels[y * width + x] & 0xFF_FFFF
    }

    /// Whether anything is newer than a stamp.
    public func hasChanged(since stamp: UInt64) -> Bool { tiles.contains { $0 > stamp } }

    /// What is newer than a stamp within a region, as rectangles of whole tiles cut to the region: runs of tiles, and
    /// equal runs below one another joined.
    public func changes(since stamp: UInt64, in region: PictureRectangle) -> [PictureRectangle] {
        let bounds = region.cut(to: PictureRectangle(x: 0, y: 0, width: width, height: height))
        guard bounds.width > 0, bounds.height > 0 else { return [] }
        var result: [PictureRectangle] = []
        var above: [Int] = []
        for row in bounds.y / Self.tile...(bounds.y + bounds.height - 1) / Self.tile {
            var here: [Int] = []
            var column = bounds.x / Self.tile
            let last = (bounds.x + bounds.width - 1) / Self.tile
            while column <= last {
                guard tiles[row * columns + column] > stamp else {
                    column += 1
                    continue
                }
                let start = column
                while column <= last, tiles[row * columns + column] > stamp { column += 1 }
                let run = PictureRectangle(
                    x: start * Self.tile, y: row * Self.tile, width: (column - start) * Self.tile, height: Self.tile
                ).cut(to: bounds)
                if let joined = above.first(where: {
                    result[$0].x == run.x && result[$0].width == run.width && result[$0].y + result[$0].height == run.y
                }) {
                    result[joined].height += run.height
                    here.append(joined)
                } else {
                    here.append(result.count)
                    result.append(run)
                }
            }
            above = here
        }
        return result
    }
}

/// A rectangle of pixels.
public struct PictureRectangle: Equatable, Sendable {
    /// Left edge.
    public var x: Int
    /// Upper edge.
    public var y: Int
    /// Size; of one that is empty, 0 or less.
    public var width: Int
    public var height: Int

    /// A rectangle of a place and a size.
    public init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    /// What it shares with another.
    public func cut(to other: PictureRectangle) -> PictureRectangle {
        let (left, top) = (max(x, other.x), max(y, other.y))
        return PictureRectangle(
            x: left, y: top, width: max(0, min(x + width, other.x + other.width) - left),
            height: max(0, min(y + height, other.y + other.height) - top))
    }
}
