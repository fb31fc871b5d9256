public import DeviceModel

/// The form of a `DeviceState` in a section: integers are little-endian.
///
///     state: version u32, count u16, fields by their names in ascending order
///     field: length u8, name, kind u8, value
///     value: 1 integer u64 | 2 bytes u32+ | 3 text u16+ | 4 list u16 of states
///
/// Fields that a reader does not know are read and left alone, so that optional ones may come with later releases.
public enum StateCoding {
    private static let depthLimit = 8
    /// The most fields and parts of a section, all levels together: each takes far more memory than bytes of the stream.
    private static let valuesLimit = 1 << 18

    private enum Kind {
        static let integer: UInt8 = 1
        static let bytes: UInt8 = 2
        static let string: UInt8 = 3
        static let list: UInt8 = 4
    }

    // MARK: Writing

    /// The bytes of a state. Names are at most 255 bytes, lists at most 65535 long: more is a mistake of the device.
    public static func encode(_ state: DeviceState) -> [UInt8] {
        var bytes: [UInt8] = []
        append(state, to: &bytes)
        return bytes
    }

    private static func append(_ state: DeviceState, to bytes: inout [UInt8]) {
        append(UInt32(clamping: state.version), to: &bytes)
        append(UInt16(state.fields.count), to: &bytes)
        for (name, value) in state.fields.sorted(by: { Array($0.key.utf8).lexicographicallyPrecedes($1.key.utf8) }) {
            let text = Array(name.utf8)
            append(UInt8(text.count), to: &bytes)
            bytes += text
            switch value {
            case .integer(let integer):
                bytes.append(Kind.integer)
                append(integer, to: &bytes)
            case .bytes(let run):
                bytes.append(Kind.bytes)
                append(UInt32(run.count), to: &bytes)
                bytes += run
            case .string(let string):
                let text = Array(string.utf8)
                bytes.append(Kind.string)
                append(UInt16(text.count), to: &bytes)
                bytes += text
            case .list(let parts):
                bytes.append(Kind.list)
                append(UInt16(parts.count), to: &bytes)
                for part in parts { append(part, to: &bytes) }
            }
        }
    }

    static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        // SAFETY: the bytes of a value on the stack, copied before the call ends.
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    // MARK: Reading

    /// The state that the bytes hold, all of them.
    public static func decode(_ bytes: [UInt8], section: String) throws(StateError) -> DeviceState {
        var reader = Reader(bytes: bytes, section: section)
        let state = try reader.state("", depth: 0)
        guard reader.position == bytes.count else {
            throw .malformed(section: section, field: "end", problem: "\(bytes.count - reader.position) bytes too many")
        }
        return state
    }

    private struct Reader {
        let bytes: [UInt8]
        let section: String
        var position = 0
        private var values = 0

        init(bytes: [UInt8], section: String) {
            self.bytes = bytes
            self.section = section
        }

        private mutating func count(_ path: String) throws(StateError) {
            values += 1
            guard values <= StateCoding.valuesLimit else { throw failure(path, "There are too many values") }
        }

        func failure(_ path: String, _ problem: String) -> StateError {
            .malformed(section: section, field: path.isEmpty ? "start" : "field '\(path)'", problem: problem)
        }

        mutating func integer<T: FixedWidthInteger>(_ path: String, _: T.Type) throws(StateError) -> T {
            let size = T.bitWidth / 8
            guard bytes.count - position >= size else { throw failure(path, "The section ends here") }
            var value: T = 0
            for index in 0..<size { value |= T(truncatingIfNeeded: bytes[position + index]) << T(index * 8) }
            position += size
            return value
        }
        mutating func run(_ path: String, _ count: Int) throws(StateError) -> ArraySlice<UInt8> {
            guard bytes.count - position >= count else { throw failure(path, "The section ends here") }
            defer { position += count }
            return bytes[position..<position + count]
        }
        mutating func text(_ path: String, _ count: Int) throws(StateError) -> String {
            let run = try run(path, count)
            guard let text = String(validating: run, as: UTF8.self) else { throw failure(path, "This is no text") }
            return text
        }

        mutating func state(_ path: String, depth: Int) throws(StateError) -> DeviceState {
            guard depth < StateCoding.depthLimit else { throw failure(path, "Lists are nested too deeply") }
            try count(path)
            let version = try integer(path, UInt32.self)
            guard let version = Int(exactly: version), version <= 0x7FFF_FFFF else {
                throw failure(path, "Version \(version) is impossible")
            }
            var state = DeviceState(version: version)
            var last: [UInt8]?
            for _ in 0..<(try integer(path, UInt16.self)) {
                let length = Int(try integer(path, UInt8.self))
                let name = try text(path, length)
                let inner = path.isEmpty ? name : "\(path).\(name)"
                let order = Array(name.utf8)
                if let last, !last.lexicographicallyPrecedes(order) {
                    throw failure(inner, "The fields are in disorder")
                }
                last = order
                state.fields[name] = try value(inner, depth: depth)
            }
            return state
        }

        mutating func value(_ path: String, depth: Int) throws(StateError) -> DeviceState.Value {
            try count(path)
            switch try integer(path, UInt8.self) {
            case Kind.integer: return .integer(try integer(path, UInt64.self))
            case Kind.bytes:
                let count = try integer(path, UInt32.self)
                return .bytes(Array(try run(path, Int(count))))
            case Kind.string:
                let count = try integer(path, UInt16.self)
                return .string(try text(path, Int(count)))
            case Kind.list:
                var parts: [DeviceState] = []
                for index in 0..<(try integer(path, UInt16.self)) {
                    parts.append(try state("\(path)[\(index)]", depth: depth + 1))
                }
                return .list(parts)
            case let kind: throw failure(path, "Values of kind \(kind) are unknown")
            }
        }
    }
}
