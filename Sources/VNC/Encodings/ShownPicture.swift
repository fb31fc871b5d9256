internal import Display

/// What a viewer shows, kept for those that can copy parts of it: so that a picture that moved up or down is found, and
/// need not be sent again.
struct ShownPicture {
    private var width = 0
    private var height = 0
    private var pixels: [UInt32] = []
    /// Rows that must have moved together to be worth it.
    private static let leastRows = 32

    /// Takes over a picture that the viewer shows all of.
    mutating func take(_ picture: borrowing Picture) {
        (width, height, pixels) = (picture.width, picture.height, picture.pixels)
    }
    mutating func forget() { (width, height, pixels) = (0, 0, []) }

    /// The rows of a changed area that the viewer shows already, further up or down: where they are to be, and where
    /// they are. Nil where it is not worth it.
    func move(_ area: PictureRectangle, of picture: borrowing Picture) -> (area: PictureRectangle, from: Int)? {
        guard width == picture.width, height == picture.height, area.height >= 2 * Self.leastRows, area.width >= 64 else {
            return nil
        }
        let new = Self.marks(picture.pixels, width, area)
        let old = Self.marks(pixels, width, area)
        // Where rows that are there once lie now: how far most of them have moved.
        var places: [UInt64: Int] = [:]
        for (row, mark) in old.enumerated() { places[mark] = places[mark] == nil ? row : -1 }
        var votes: [Int: Int] = [:]
        for (row, mark) in new.enumerated() {
            if let place = places[mark], place >= 0, place != row { votes[place - row, default: 0] += 1 }
        }
        guard let best = votes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }), best.value >= Self.leastRows / 4
        else { return nil }
        // The longest run of rows that have moved so far.
        var (start, count, longest) = (0, 0, (start: 0, count: 0))
        for row in new.indices {
            let place = row + best.key
            if old.indices.contains(place), old[place] == new[row] {
                if count == 0 { start = row }
                count += 1
                if count > longest.count { longest = (start, count) }
            } else {
                count = 0
            }
        }
        guard longest.count >= Self.leastRows else { return nil }
        let found = PictureRectangle(
            x: area.x, y: area.y + longest.start, width: area.width, height: longest.count)
        let from = found.y + best.key
        // Marks may be alike where rows are not.
        for row in 0..<found.height {
            let (a, b) = ((from + row) * width + found.x, (found.y + row) * width + found.x)
            guard pixels[a..<a + found.width].elementsEqual(picture.pixels[b..<b + found.width], by: { ($0 ^ $1) & 0xFF_FFFF == 0 })
            else { return nil }
        }
        return (found, from)
    }

    /// A number for each row of an area; equal rows have equal ones.
    private static func marks(_ pixels: [UInt32], _ width: Int, _ area: PictureRectangle) -> [UInt64] {
        (area.y..<area.y + area.height).map { y in
            var mark: UInt64 = 0xCBF2_9CE4_8422_2325
            let start = y * width + area.x
            for place in start..<start + area.width {
                mark = (mark ^ UInt64(pixels[place] & 0xFF_FFFF)) &* 0x100_0000_01B3
                mark ^= mark >> 29
            }
            return mark
        }
    }
}
