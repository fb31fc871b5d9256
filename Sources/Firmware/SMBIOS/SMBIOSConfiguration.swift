/// What a machine tells of itself by SMBIOS; empty strings are left out.
public struct SMBIOSConfiguration: Equatable, Sendable {
    /// Type 0.
    public struct Firmware: Equatable, Sendable {
        /// Who made it.
        public var vendor = "Apus"
        /// Its version.
        public var version = ""
        /// `mm/dd/yyyy`.
        public var date = "01/01/2025"
        /// Major and minor release.
        public var release: (major: UInt8, minor: UInt8) = (0, 0)
        /// It is a UEFI.
        public var isUEFI = false

        public static func == (a: Firmware, b: Firmware) -> Bool {
            a.vendor == b.vendor && a.version == b.version && a.date == b.date && a.release == b.release
                && a.isUEFI == b.isUEFI
        }
    }

    /// The words of types 1, 2, 3, 4 and 17; each type uses those that it has.
    public struct Part: Equatable, Sendable {
        /// Who made it.
        public var manufacturer = "Apus"
        /// What it is.
        public var product = ""
        /// Its version.
        public var version = ""
        /// Its serial number.
        public var serial = ""
        /// Its owner's number for it.
        public var asset = ""
        /// The maker's number for its kind.
        public var sku = ""
        /// Its family.
        public var family = ""
        /// Where it is.
        public var location = ""
        /// The maker's part number.
        public var part = ""

        /// A part of Apus.
        public init() {}
    }

    /// Type 0.
    public var firmware = Firmware()
    /// Type 1.
    public var system = Part()
    /// The machine's UUID in the order of its text form, 16 bytes.
    public var uuid = [UInt8](repeating: 0, count: 16)
    /// Type 2.
    public var baseboard = Part()
    /// Type 3.
    public var chassis = Part()
    /// Type 4, one for each socket.
    public var processor = Part()
    /// What precedes a socket's number.
    public var socketPrefix = "CPU "
    /// CPUID leaf 1's EAX (low half) and EDX.
    public var processorID: UInt64 = 0
    /// MHz.
    public var maximumSpeed: UInt16 = 2000
    /// MHz.
    public var currentSpeed: UInt16 = 2000
    /// Sockets, at least 1.
    public var sockets = 1
    /// Cores of a socket.
    public var coresPerSocket = 1
    /// Threads of a socket.
    public var threadsPerSocket = 1
    /// Type 8.
    public var connectors: [Connector] = []
    /// Type 41.
    public var onboardDevices: [OnboardDevice] = []
    /// Type 11.
    public var oemStrings: [String] = []
    /// Type 17, one for each 16 GiB.
    public var memoryModule = Part()
    /// What precedes a memory module's number.
    public var modulePrefix = "DIMM "
    /// Its bank.
    public var bank = ""
    /// MT/s; 0 for unknown.
    public var memorySpeed: UInt16 = 0
    /// Where RAM lies, for types 16, 17 and 19.
    public var memory: PCMemory
    /// Whole structures with their strings, before the end (`-smbios file=`).
    public var extraStructures: [[UInt8]] = []

    /// A machine with RAM.
    public init(memory: PCMemory) { self.memory = memory }

    /// Sets one field as `-smbios type=N,field=value` names it (QEMU's names).
    public mutating func set(type: Int, _ field: String, _ value: String) throws(SMBIOSError) {
        switch (type, field) {
        case (0, "vendor"): firmware.vendor = value
        case (0, "version"): firmware.version = value
        case (0, "date"): firmware.date = value
        case (0, "release"): firmware.release = try Self.release(value)
        case (0, "uefi"): firmware.isUEFI = try Self.flag(field, value)
        case (1, "uuid"): uuid = try Self.uuid(value)
        case (4, "sock_pfx"): socketPrefix = value
        case (4, "max-speed"): maximumSpeed = try Self.number(field, value)
        case (4, "current-speed"): currentSpeed = try Self.number(field, value)
        case (4, "processor-id"): processorID = try Self.number(field, value)
        case (11, "value"): oemStrings.append(value)
        case (17, "loc_pfx"): modulePrefix = value
        case (17, "bank"): bank = value
        case (17, "speed"): memorySpeed = try Self.number(field, value)
        default: try setPart(type: type, field, value)
        }
    }

    private mutating func setPart(type: Int, _ field: String, _ value: String) throws(SMBIOSError) {
        let paths: [String: WritableKeyPath<Part, String>] = [
            "manufacturer": \.manufacturer, "product": \.product, "version": \.version, "serial": \.serial,
            "asset": \.asset, "sku": \.sku, "family": \.family, "location": \.location, "part": \.part,
        ]
        guard let names = Self.partFields[type] else { throw .unknownType(type) }
        guard let path = paths[field], names.contains(field) else {
            throw .unknownField(type: type, field, known: Self.fields(of: type))
        }
        switch type {
        case 1: system[keyPath: path] = value
        case 2: baseboard[keyPath: path] = value
        case 3: chassis[keyPath: path] = value
        case 4: processor[keyPath: path] = value
        default: memoryModule[keyPath: path] = value
        }
    }

    private static let partFields: [Int: [String]] = [
        0: [], 11: [],
        1: ["manufacturer", "product", "version", "serial", "sku", "family"],
        2: ["manufacturer", "product", "version", "serial", "asset", "location"],
        3: ["manufacturer", "version", "serial", "asset", "sku"],
        4: ["manufacturer", "version", "serial", "asset", "part"],
        17: ["manufacturer", "serial", "asset", "part"],
    ]
    private static let otherFields: [Int: [String]] = [
        0: ["vendor", "version", "date", "release", "uefi"], 1: ["uuid"],
        4: ["sock_pfx", "max-speed", "current-speed", "processor-id"], 11: ["value"],
        17: ["loc_pfx", "bank", "speed"],
    ]

    /// The types that `set` knows.
    public static var types: [Int] { partFields.keys.sorted() }
    /// The fields that `set` knows of a type.
    public static func fields(of type: Int) -> [String] {
        ((partFields[type] ?? []) + (otherFields[type] ?? [])).sorted()
    }

    private static func number<T: FixedWidthInteger>(_ field: String, _ value: String) throws(SMBIOSError) -> T {
        let number = value.hasPrefix("0x") ? T(value.dropFirst(2), radix: 16) : T(value)
        guard let number else { throw .badValue(field, value, expected: "a number up to \(T.max)") }
        return number
    }
    private static func flag(_ field: String, _ value: String) throws(SMBIOSError) -> Bool {
        switch value {
        case "on", "yes", "true": return true
        case "off", "no", "false": return false
        default: throw .badValue(field, value, expected: "on or off")
        }
    }
    private static func release(_ value: String) throws(SMBIOSError) -> (major: UInt8, minor: UInt8) {
        let parts = value.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt8(parts[0]), let minor = UInt8(parts[1]) else {
            throw .badValue("release", value, expected: "major.minor, each up to 255")
        }
        return (major, minor)
    }
    /// The 16 bytes of a UUID's text form.
    static func uuid(_ value: String) throws(SMBIOSError) -> [UInt8] {
        let groups = value.split(separator: "-", omittingEmptySubsequences: false)
        let lengths: [Int] = groups.map { $0.utf8.count }
        var bytes: [UInt8] = []
        if lengths == [8, 4, 4, 4, 12] {
            let text = Array(groups.joined().utf8)
            for index in stride(from: 0, to: 32, by: 2) {
                // The radix initialiser takes signs; digits are checked one by one.
                guard let high = hexDigit(text[index]), let low = hexDigit(text[index + 1]) else { break }
                bytes.append(high << 4 | low)
            }
        }
        guard bytes.count == 16 else { throw .badValue("uuid", value, expected: "a UUID") }
        return bytes
    }
    private static func hexDigit(_ character: UInt8) -> UInt8? {
        switch character {
        case 0x30...0x39: character - 0x30
        case 0x41...0x46: character - 0x41 + 10
        case 0x61...0x66: character - 0x61 + 10
        default: nil
        }
    }
}

/// Why a description cannot be told by SMBIOS.
public enum SMBIOSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A type that cannot be set.
    case unknownType(Int)
    /// A field that the type lacks.
    case unknownField(type: Int, String, known: [String])
    /// A value that the field cannot hold.
    case badValue(String, String, expected: String)
    /// More strings than a structure numbers, 255.
    case tooManyStrings(Int)
    /// A structure of `-smbios file=` that is none.
    case badStructure(Int)
    /// The tables are too long for a 2.8 entry point.
    case tooLong(Int)

    public var description: String {
        switch self {
        case .unknownType(let type):
            "SMBIOS type \(type) cannot be set; these can: "
                + SMBIOSConfiguration.types.map(String.init).joined(separator: ", ")
        case .unknownField(let type, let field, let known):
            "SMBIOS type \(type) has no field '\(field)'; it has \(known.joined(separator: ", "))"
        case .badValue(let field, let value, let expected):
            "SMBIOS field '\(field)' cannot be '\(value)': it is \(expected)"
        case .tooManyStrings(let count): "An SMBIOS structure has at most 255 strings, not \(count)"
        case .badStructure(let count): "A file of \(count) bytes is not an SMBIOS structure with its strings"
        case .tooLong(let count): "SMBIOS tables of \(count) bytes need an entry point of version 3.0"
        }
    }
}
