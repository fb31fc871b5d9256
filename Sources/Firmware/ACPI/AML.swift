/// A piece of ACPI machine language (ACPI 6.5, 20), built from the inside out: each function gives the encoding of
/// one term. What a term means is in section 19.6 under its own name.
///
/// Names and counts come from boards, not from users or guests; a malformed one is a programming error and traps.
public struct AML: Equatable, Sendable {
    /// The encoding.
    public let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private static func opcode(_ code: [UInt8], _ operands: AML...) -> AML {
        AML(operands.reduce(code) { $0 + $1.bytes })
    }

    static func concatenate(_ terms: [AML]) -> [UInt8] { terms.flatMap(\.bytes) }

    /// The length of a package, its own encoding included (20.2.4): 1 byte up to 63, else a count of further bytes.
    static func packageLength(_ content: Int) -> [UInt8] {
        if content + 1 < 1 << 6 { return [UInt8(content + 1)] }
        for extra in 1...3 {
            let total = content + 1 + extra
            if total < 1 << (4 + 8 * extra) {
                return [UInt8(extra << 6 | total & 15)]
                    + (0..<extra).map { UInt8(truncatingIfNeeded: total >> (4 + 8 * $0)) }
            }
        }
        preconditionFailure("An AML package has fewer than 2^28 bytes")
    }

    private static func package(_ code: [UInt8], _ content: [UInt8]) -> AML {
        AML(code + packageLength(content.count) + content)
    }

    /// A name string (20.2.2): `\`, `^`, and segments of up to four characters separated by dots.
    static func encode(name: String) -> [UInt8] {
        var rest = Substring(name)
        var bytes: [UInt8] = []
        while let first = rest.first, first == "\\" || first == "^" {
            bytes += Array(String(first).utf8)
            rest.removeFirst()
        }
        let segments = rest.split(separator: ".")
        if segments.count == 2 { bytes.append(0x2E) }
        if segments.count > 2 { bytes += [0x2F, UInt8(segments.count)] }
        for segment in segments {
            precondition(segment.utf8.count <= 4, "A segment of an AML name has at most four characters")
            bytes += Array(segment.utf8) + [UInt8](repeating: 0x5F, count: 4 - segment.utf8.count)
        }
        if segments.isEmpty { bytes.append(0) }
        return bytes
    }

    // MARK: Data

    /// A reference to an object by its name.
    public static func name(_ path: String) -> AML { AML(encode(name: path)) }
    /// An integer in its shortest encoding.
    public static func integer(_ value: UInt64) -> AML {
        var bytes: [UInt8] = []
        switch value {
        case 0...1: bytes = [UInt8(value)]
        case 2...0xFF: bytes = [0x0A, UInt8(value)]
        case 0x100...0xFFFF:
            bytes = [0x0B]
            bytes.append(little: UInt16(value))
        case 0x1_0000...0xFFFF_FFFF:
            bytes = [0x0C]
            bytes.append(little: UInt32(value))
        default:
            bytes = [0x0E]
            bytes.append(little: value)
        }
        return AML(bytes)
    }
    /// An ASCII string.
    public static func string(_ text: String) -> AML { AML([0x0D] + Array(text.utf8) + [0]) }
    /// A compressed EISA identifier, `PNP0A03` (19.3.4).
    public static func eisaID(_ text: String) -> AML {
        let characters = Array(text.utf8)
        precondition(characters.count == 7, "An EISA identifier has three letters and four digits")
        let letters = characters[0..<3].reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 31) }
        let digits = UInt32(text.suffix(4), radix: 16) ?? 0
        return integer(UInt64((letters << 16 | digits).byteSwapped))
    }
    /// A buffer of the given bytes.
    public static func buffer(_ bytes: [UInt8]) -> AML { package([0x11], integer(UInt64(bytes.count)).bytes + bytes) }
    /// A package of at most 255 elements.
    public static func package(_ elements: [AML]) -> AML {
        package([0x12], [UInt8(elements.count)] + concatenate(elements))
    }
    /// A buffer of resource descriptors with its end tag.
    public static func resourceTemplate(_ resources: [ACPIResource]) -> AML {
        buffer(resources.flatMap(\.bytes) + [0x79, 0])
    }
    /// `Local0` to `Local7`.
    public static func local(_ index: UInt8) -> AML { AML([0x60 + index]) }
    /// `Arg0` to `Arg6`.
    public static func argument(_ index: UInt8) -> AML { AML([0x68 + index]) }
    /// No target: a result that is only used as a value.
    public static let discard = AML([0])
    /// All ones.
    public static let ones = AML([0xFF])

    // MARK: Objects

    /// `Name (path, value)`.
    public static func define(_ path: String, _ value: AML) -> AML { AML([0x08] + encode(name: path) + value.bytes) }
    /// `Scope (path) { … }`.
    public static func scope(_ path: String, _ terms: [AML]) -> AML {
        package([0x10], encode(name: path) + concatenate(terms))
    }
    /// `Device (name) { … }`.
    public static func device(_ name: String, _ terms: [AML]) -> AML {
        package([0x5B, 0x82], encode(name: name) + concatenate(terms))
    }
    /// `Method (name, arguments) { … }`.
    public static func method(_ name: String, arguments: UInt8 = 0, serialized: Bool = false, _ terms: [AML]) -> AML {
        package([0x14], encode(name: name) + [arguments | (serialized ? 8 : 0)] + concatenate(terms))
    }
    /// Where an operation region lies.
    public enum RegionSpace: UInt8, Sendable {
        /// Memory.
        case systemMemory = 0
        /// I/O ports.
        case systemIO = 1
        /// The enclosing device's PCI configuration space.
        case pciConfig = 2
    }
    /// `OperationRegion (name, space, offset, length)`.
    public static func operationRegion(_ name: String, _ space: RegionSpace, offset: UInt64, length: UInt64) -> AML {
        AML([0x5B, 0x80] + encode(name: name) + [space.rawValue] + integer(offset).bytes + integer(length).bytes)
    }
    /// The width of a field's accesses.
    public enum FieldAccess: UInt8, Sendable {
        /// One byte.
        case byte = 1
        /// Two bytes.
        case word = 2
        /// Four bytes.
        case dword = 3
    }
    /// `Field (region, access, NoLock, Preserve) { name, bits, … }`; a unit without a name is a gap.
    public static func field(_ region: String, _ access: FieldAccess, _ units: [(name: String?, bits: Int)]) -> AML {
        let content = units.flatMap { unit -> [UInt8] in
            // A unit's length counts bits and, unlike a package's, not itself.
            let length = fieldLength(unit.bits)
            guard let name = unit.name else { return [0] + length }
            return encode(name: name) + length
        }
        return package([0x5B, 0x81], encode(name: region) + [access.rawValue] + content)
    }
    private static func fieldLength(_ bits: Int) -> [UInt8] {
        precondition(bits >= 0 && bits < 1 << 20, "A field's length is a package length")
        if bits < 1 << 6 { return [UInt8(bits)] }
        if bits < 1 << 12 { return [UInt8(1 << 6 | bits & 15), UInt8(bits >> 4)] }
        return [UInt8(2 << 6 | bits & 15), UInt8(bits >> 4 & 0xFF), UInt8(bits >> 12)]
    }
    /// `CreateDWordField (buffer, byte offset, name)`.
    public static func createDWordField(_ buffer: AML, offset: UInt64, _ name: String) -> AML {
        AML([0x8A] + buffer.bytes + integer(offset).bytes + encode(name: name))
    }

    /// `CreateQWordField (buffer, byte offset, name)`.
    public static func createQWordField(_ buffer: AML, offset: UInt64, _ name: String) -> AML {
        AML([0x8F] + buffer.bytes + integer(offset).bytes + encode(name: name))
    }

    // MARK: Statements and operators

    /// `method (arguments, …)`: as many as the method has.
    public static func call(_ method: String, _ arguments: [AML]) -> AML {
        AML(encode(name: method) + concatenate(arguments))
    }

    /// `If (condition) { … }`.
    public static func ifTrue(_ condition: AML, _ terms: [AML]) -> AML {
        package([0xA0], condition.bytes + concatenate(terms))
    }
    /// `Else { … }`, directly after an `If`.
    public static func otherwise(_ terms: [AML]) -> AML { package([0xA1], concatenate(terms)) }
    /// `While (condition) { … }`.
    public static func whileTrue(_ condition: AML, _ terms: [AML]) -> AML {
        package([0xA2], condition.bytes + concatenate(terms))
    }
    /// `Return (value)`.
    public static func returning(_ value: AML) -> AML { opcode([0xA4], value) }
    /// `Store (value, target)`.
    public static func store(_ value: AML, _ target: AML) -> AML { opcode([0x70], value, target) }
    /// `Add (a, b, target)`.
    public static func add(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x72], a, b, target) }
    /// `And (a, b, target)`.
    public static func and(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x7B], a, b, target) }
    /// `Or (a, b, target)`.
    public static func or(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x7D], a, b, target) }
    /// `Subtract (a, b, target)`.
    public static func subtract(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x74], a, b, target) }
    /// `ShiftLeft (a, b, target)`.
    public static func shiftLeft(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x79], a, b, target) }
    /// `ShiftRight (a, b, target)`.
    public static func shiftRight(_ a: AML, _ b: AML, _ target: AML = discard) -> AML { opcode([0x7A], a, b, target) }
    /// `LEqual (a, b)`.
    public static func equal(_ a: AML, _ b: AML) -> AML { opcode([0x93], a, b) }
    /// `LNot (a)`.
    public static func not(_ a: AML) -> AML { opcode([0x92], a) }
    /// `LLess (a, b)`.
    public static func less(_ a: AML, _ b: AML) -> AML { opcode([0x95], a, b) }
    /// `Increment (target)`.
    public static func increment(_ target: AML) -> AML { opcode([0x75], target) }
    /// `Notify (object, value)`.
    public static func notify(_ object: String, _ value: UInt64) -> AML { opcode([0x86], name(object), integer(value)) }
}
