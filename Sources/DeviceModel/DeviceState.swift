/// A device's saved state: named fields and a version. What this release writes, every later one reads.
public struct DeviceState: Equatable, Sendable {
    /// Rises when the meaning of fields changes; new optional fields keep it.
    public var version: Int
    /// The fields by name.
    public var fields: [String: Value]

    /// A field's value.
    public indirect enum Value: Equatable, Sendable {
        /// Any integer or flag.
        case integer(UInt64)
        /// Memory of the device.
        case bytes([UInt8])
        /// A word.
        case string(String)
        /// Repeated parts.
        case list([DeviceState])
    }

    /// A state of the given version without fields.
    public init(version: Int, fields: [String: Value] = [:]) {
        self.version = version
        self.fields = fields
    }

    /// Sets an integer field.
    public mutating func set(_ name: String, _ value: some FixedWidthInteger) {
        fields[name] = .integer(UInt64(truncatingIfNeeded: value))
    }
    /// Sets a flag.
    public mutating func set(_ name: String, _ value: Bool) { fields[name] = .integer(value ? 1 : 0) }
    /// Sets a run of bytes.
    public mutating func set(_ name: String, _ value: [UInt8]) { fields[name] = .bytes(value) }
    /// Sets a list of parts.
    public mutating func set(_ name: String, _ value: [DeviceState]) { fields[name] = .list(value) }

    /// An integer field of a type that holds it. Signed fields are written sign-extended.
    public func integer<T: FixedWidthInteger>(_ name: String, as type: T.Type = T.self) throws(DeviceStateError) -> T {
        guard let field = fields[name] else { throw .missing(field: name) }
        guard case .integer(let raw) = field else { throw .wrongType(field: name) }
        let value = T(truncatingIfNeeded: raw)
        guard UInt64(truncatingIfNeeded: value) == raw else { throw .outOfRange(field: name, value: raw) }
        return value
    }
    /// A flag.
    public func bool(_ name: String) throws(DeviceStateError) -> Bool {
        let value: UInt64 = try integer(name)
        guard value <= 1 else { throw .outOfRange(field: name, value: value) }
        return value == 1
    }
    /// Bytes of exactly `count`, or of any number where it is nil.
    public func bytes(_ name: String, count: Int? = nil) throws(DeviceStateError) -> [UInt8] {
        guard let field = fields[name] else { throw .missing(field: name) }
        guard case .bytes(let value) = field else { throw .wrongType(field: name) }
        if let count, value.count != count { throw .outOfRange(field: name, value: UInt64(value.count)) }
        return value
    }
    /// A list of exactly `count` parts, or of any number where it is nil.
    public func list(_ name: String, count: Int? = nil) throws(DeviceStateError) -> [DeviceState] {
        guard let field = fields[name] else { throw .missing(field: name) }
        guard case .list(let value) = field else { throw .wrongType(field: name) }
        if let count, value.count != count { throw .outOfRange(field: name, value: UInt64(value.count)) }
        return value
    }
    /// Throws unless the version is one that the reader knows.
    public func requireVersion(_ versions: ClosedRange<Int>) throws(DeviceStateError) {
        guard versions.contains(version) else { throw .version(version, known: versions) }
    }
}

/// Why a saved state cannot be taken.
public enum DeviceStateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A field is not there.
    case missing(field: String)
    /// A field is of another kind.
    case wrongType(field: String)
    /// A field's value (or count) is one that the device never has.
    case outOfRange(field: String, value: UInt64)
    /// A version of the future.
    case version(Int, known: ClosedRange<Int>)
    /// What stands behind the device does not take a field, or does not hand it over: its words.
    case refused(field: String, String)

    public var description: String {
        switch self {
        case .missing(let field): "Field '\(field)' is missing"
        case .wrongType(let field): "Field '\(field)' has the wrong type"
        case .outOfRange(let field, let value): "Field '\(field)' has the impossible value \(value)"
        case .version(let version, let known):
            "Version \(version) is not one of \(known.lowerBound) to \(known.upperBound)"
        case .refused(let field, let words): "Field '\(field)': \(words)"
        }
    }
}
