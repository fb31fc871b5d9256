/// The rows of all opcode maps, gathered once so that an opcode's rows lie side by side.
///
/// Read through raw pointers: an array would cost a check of its initialization and reference counting at each use.
@safe struct OpcodeTables: @unchecked Sendable {
    // SAFETY of `@unchecked Sendable`: both blocks are written in `init` only, and never freed.

    /// The rows, ordered by map and opcode.
    private let rows: UnsafePointer<Row>
    /// For each map and opcode where its rows are: the first one's position times 256, plus their number.
    private let index: UnsafePointer<UInt32>

    /// Legacy maps 0 to 3, VEX maps 1 to 3 as 5 to 7.
    private static let mapCount = 8

    static let shared = OpcodeTables()

    private init() {
        let sources: [[[Row]]] = [
            [Tables.primary, Tables.x87],
            [Tables.secondary, Tables.vectorMoves, Tables.vectorIntegers],
            [Tables.map38, Tables.vector38],
            [Tables.vector3A],
            [],
            [Tables.vexMoves, Tables.vexIntegers],
            [Tables.vex38, Tables.vexFused, Tables.vex38General],
            [Tables.vex3A],
        ]
        var buckets = [[Row]](repeating: [], count: Self.mapCount * 256)
        for (map, tables) in sources.enumerated() {
            for row in tables.joined() {
                for opcode in Int(row.opcode)..<Int(row.opcode) + Int(row.span) {
                    buckets[map * 256 + opcode].append(row)
                }
            }
        }
        let count = buckets.reduce(0) { $0 + $1.count }
        let rows = UnsafeMutablePointer<Row>.allocate(capacity: count)
        let index = UnsafeMutablePointer<UInt32>.allocate(capacity: buckets.count)
        var position = 0
        for (slot, bucket) in buckets.enumerated() {
            unsafe (index + slot).initialize(to: UInt32(position) << 8 | UInt32(bucket.count))
            for row in bucket {
                // SAFETY: `count` is the sum of the buckets' counts.
                unsafe (rows + position).initialize(to: row)
                position += 1
            }
        }
        unsafe self.rows = UnsafePointer(rows)
        unsafe self.index = UnsafePointer(index)
    }

    /// The rows of an opcode.
    @inline(__always)
    func find(_ map: OpcodeMap, isVEX: Bool, _ opcode: UInt8) -> UnsafeBufferPointer<Row> {
        let slot = Int(map.rawValue) &+ (isVEX ? 4 : 0)
        // SAFETY: eight maps of 256 opcodes, and the index holds ranges of `rows`.
        let entry = unsafe index[slot << 8 | Int(opcode)]
        return unsafe UnsafeBufferPointer(start: rows + Int(entry >> 8), count: Int(entry & 0xff))
    }
}
