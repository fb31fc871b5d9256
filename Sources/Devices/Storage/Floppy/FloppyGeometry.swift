/// How a diskette is laid out.
public struct FloppyGeometry: Equatable, Sendable {
    /// Tracks a side.
    public let tracks: Int
    /// 1 or 2.
    public let heads: Int
    /// Sectors of 512 bytes a track.
    public let sectors: Int
    /// What the CMOS memory of a PC calls the drive that reads it: 2 (1.2 MB), 4 (1.44 MB), 5 (2.88 MB).
    public let driveType: UInt8
    /// The data rate as the controller has it: 0 (500), 1 (300), 2 (250), 3 (1000 kbit/s).
    public let rate: UInt8

    init(_ tracks: Int, _ heads: Int, _ sectors: Int, type: UInt8, rate: UInt8) {
        self.tracks = tracks
        self.heads = heads
        self.sectors = sectors
        driveType = type
        self.rate = rate
    }

    /// Bytes of the whole.
    public var size: UInt64 { UInt64(tracks * heads * sectors * 512) }
    /// An empty drive's, and that of images of no known size.
    public static let usual = FloppyGeometry(80, 2, 18, type: 4, rate: 0)

    private static let known: [FloppyGeometry] = [
        usual, FloppyGeometry(80, 2, 36, type: 5, rate: 3), FloppyGeometry(80, 2, 15, type: 2, rate: 0),
        FloppyGeometry(80, 2, 9, type: 4, rate: 2), FloppyGeometry(40, 2, 9, type: 2, rate: 1),
        FloppyGeometry(40, 1, 9, type: 2, rate: 1), FloppyGeometry(40, 2, 8, type: 2, rate: 1),
        FloppyGeometry(40, 1, 8, type: 2, rate: 1), FloppyGeometry(80, 2, 20, type: 4, rate: 0),
        FloppyGeometry(80, 2, 21, type: 4, rate: 0), FloppyGeometry(82, 2, 21, type: 4, rate: 0),
        FloppyGeometry(80, 2, 24, type: 5, rate: 3),
    ]

    /// The layout of an image of so many bytes: the one of just that size, or the smallest that holds it.
    public static func of(size: UInt64) -> FloppyGeometry {
        known.first { $0.size == size } ?? known.filter { $0.size >= size }.min { $0.size < $1.size } ?? usual
    }

    /// Where a sector lies in the image; nil for one that is not there. Sectors count from 1.
    func offset(track: Int, head: Int, sector: Int) -> UInt64? {
        guard 0..<tracks ~= track, 0..<heads ~= head, 1...sectors ~= sector else { return nil }
        return UInt64(((track * heads + head) * sectors + sector - 1) * 512)
    }
}
