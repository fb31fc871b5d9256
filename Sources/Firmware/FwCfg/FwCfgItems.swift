/// What fw_cfg offers: numbered items and named files (QEMU, docs/specs/fw_cfg). A board fills it in and makes the
/// device of it.
public struct FwCfgItems: Sendable {
    /// The selectors of the numbered items that firmware knows.
    public enum Key {
        /// The bytes `QEMU`.
        public static let signature: UInt16 = 0x00
        /// Features: bit 0 the traditional interface, bit 1 DMA.
        public static let id: UInt16 = 0x01
        /// The machine's UUID, 16 bytes.
        public static let uuid: UInt16 = 0x02
        /// Bytes of RAM, 8 bytes.
        public static let ramSize: UInt16 = 0x03
        /// 1 without a display, 2 bytes.
        public static let noGraphic: UInt16 = 0x04
        /// Processors at start, 2 bytes.
        public static let processors: UInt16 = 0x05
        /// Where a kernel's protected-mode part is to be loaded; 4 bytes, as all that follow for kernels.
        public static let kernelAddress: UInt16 = 0x07
        /// Its size.
        public static let kernelSize: UInt16 = 0x08
        /// Where the initial RAM disk is to be loaded.
        public static let initrdAddress: UInt16 = 0x0A
        /// Its size.
        public static let initrdSize: UInt16 = 0x0B
        /// 1 to show a boot menu, 2 bytes.
        public static let bootMenu: UInt16 = 0x0E
        /// Possible processors (on a PC the highest APIC id and one), 2 bytes.
        public static let maximumProcessors: UInt16 = 0x0F
        /// The protected-mode part.
        public static let kernelData: UInt16 = 0x11
        /// The initial RAM disk.
        public static let initrdData: UInt16 = 0x12
        /// Where the command line is to be loaded.
        public static let commandLineAddress: UInt16 = 0x13
        /// Its size with the terminating zero.
        public static let commandLineSize: UInt16 = 0x14
        /// The command line.
        public static let commandLineData: UInt16 = 0x15
        /// Where the real-mode part is to be loaded.
        public static let setupAddress: UInt16 = 0x16
        /// Its size.
        public static let setupSize: UInt16 = 0x17
        /// The real-mode part.
        public static let setupData: UInt16 = 0x18
        /// The directory of files.
        public static let directory: UInt16 = 0x19
        /// The first file.
        public static let firstFile: UInt16 = 0x20
        /// Set in selectors that mean something else on every architecture.
        public static let architectureLocal: UInt16 = 0x8000
        /// 1 where interrupt 0 is wired to the I/O APIC's input 2, 4 bytes.
        public static let irq0Override: UInt16 = 0x8002
    }

    struct Item: Equatable, Sendable {
        var bytes: [UInt8]
        var isWritable = false
        /// A release before this one did not have it: it comes after all that were there, whose selectors guests in saved
        /// states know.
        var isLater = false
    }

    /// The longest name of a file.
    public static let nameLimit = 55
    /// As many files as there may be.
    public static let fileLimit = 512

    /// Files whose bytes are made anew when the firmware selects one of them.
    public struct Refreshed: Sendable {
        /// Their names.
        public let names: [String]
        /// Makes them, of the same names. `file` gives the present bytes of others. Called on a processor's thread, with the
        /// device's lock held.
        public let make: @Sendable (_ file: (String) -> [UInt8]?) -> [(name: String, bytes: [UInt8])]

        /// Files with who makes them.
        public init(
            _ names: [String],
            make: @escaping @Sendable (_ file: (String) -> [UInt8]?) -> [(name: String, bytes: [UInt8])]
        ) {
            self.names = names
            self.make = make
        }
    }
    /// See `Refreshed`.
    public var refreshed: [Refreshed] = []

    private(set) var numbered: [UInt16: Item] = [:]
    private(set) var files: [String: Item] = [:]

    /// Only the signature and the features.
    public init() {
        set(Key.signature, bytes: Array("QEMU".utf8))
        set(Key.id, UInt32(3))
    }

    /// Sets a numbered item.
    public mutating func set(_ key: UInt16, bytes: [UInt8]) { numbered[key] = Item(bytes: bytes) }

    /// Sets a numbered item to an integer.
    public mutating func set(_ key: UInt16, _ value: some FixedWidthInteger) {
        var bytes: [UInt8] = []
        bytes.append(little: value)
        set(key, bytes: bytes)
    }

    /// Adds a file. A writable one is changed by DMA, within its size.
    /// Files that are `isLater` come after all others, so that the selectors of those stay what they were.
    public mutating func add(
        file name: String, bytes: [UInt8], isWritable: Bool = false, isLater: Bool = false
    ) throws(FwCfgError) {
        let count = name.utf8.count
        guard count > 0, count <= Self.nameLimit, !name.utf8.contains(0) else { throw .badName(name) }
        guard files[name] == nil else { throw .duplicate(name) }
        guard files.count < Self.fileLimit else { throw .tooMany(limit: Self.fileLimit) }
        files[name] = Item(bytes: bytes, isWritable: isWritable, isLater: isLater)
    }

    /// Adds a file of `-fw_cfg name=…`. Names outside of `opt/` are allowed, and may clash with a later release's own.
    public mutating func add(userFile name: String, bytes: [UInt8]) throws(FwCfgError) {
        try add(file: name, bytes: bytes)
    }

    /// The directory and the selector of each file: by name, so that the same files have the same selectors.
    func directory() -> (bytes: [UInt8], selectors: [String: UInt16]) {
        var bytes: [UInt8] = []
        var selectors: [String: UInt16] = [:]
        bytes.append(little: UInt32(files.count).byteSwapped)
        let order = files.sorted { ($0.value.isLater ? 1 : 0, $0.key) < ($1.value.isLater ? 1 : 0, $1.key) }
        for (index, name) in order.map(\.key).enumerated() {
            let selector = Key.firstFile + UInt16(index)
            selectors[name] = selector
            bytes.append(little: UInt32(clamping: files[name]?.bytes.count ?? 0).byteSwapped)
            bytes.append(little: selector.byteSwapped)
            bytes += [0, 0] + Array(name.utf8)
            bytes += [UInt8](repeating: 0, count: 56 - name.utf8.count)
        }
        return (bytes, selectors)
    }

    /// All items by their selectors.
    func table() -> [UInt16: Item] {
        var table = numbered
        let (bytes, selectors) = directory()
        table[Key.directory] = Item(bytes: bytes)
        for (name, selector) in selectors { table[selector] = files[name] }
        return table
    }
}

/// Why a file cannot be offered.
public enum FwCfgError: Error, Equatable, Sendable, CustomStringConvertible {
    /// An empty name, or one that is too long.
    case badName(String)
    /// The name is taken.
    case duplicate(String)
    /// There are too many files.
    case tooMany(limit: Int)

    public var description: String {
        switch self {
        case .badName(let name):
            "The fw_cfg name '\(name)' does not have 1 to \(FwCfgItems.nameLimit) bytes"
        case .duplicate(let name): "There are two fw_cfg files of the name '\(name)'"
        case .tooMany(let limit): "There are more than \(limit) fw_cfg files"
        }
    }
}
