/// What a source shows, for displays that have characters and no pixels.
public enum ScreenText: Equatable, Sendable {
    /// Characters in cells.
    case page(TextPage)
    /// A picture of so many pixels.
    case graphics(width: Int, height: Int)
    /// Nothing: the adapter is off.
    case blank
}

/// A page of characters, as VGA's text modes have it.
public struct TextPage: Equatable, Sendable {
    /// A character.
    public struct Cell: Equatable, Sendable {
        /// Its code, in code page 437.
        public var code: UInt8
        /// Its colour and that behind it, in the order of ECMA-48: red 1, green 2, blue 4, bright 8.
        public var ink: UInt8
        public var paper: UInt8
        /// Whether it blinks.
        public var blinks: Bool

        /// A character of all parts; a grey space on black unless told.
        public init(code: UInt8 = 0x20, ink: UInt8 = 7, paper: UInt8 = 0, blinks: Bool = false) {
            self.code = code
            self.ink = ink
            self.paper = paper
            self.blinks = blinks
        }
    }
    /// The most rows and columns.
    public static let limit = 256
    /// Size in characters.
    public let columns: Int
    public let rows: Int
    /// Row after row.
    public var cells: [Cell]
    /// The index of the cell that the cursor stands in; nil for none.
    public var cursor: Int?

    /// An empty page; sides are cut to 1 through `limit`.
    public init(columns: Int, rows: Int) {
        self.columns = min(max(columns, 1), Self.limit)
        self.rows = min(max(rows, 1), Self.limit)
        cells = [Cell](repeating: Cell(), count: self.columns * self.rows)
    }
}
