public import GuestMemory

/// A machine's SMBIOS structures and their entry point (DSP0134).
public struct SMBIOSTables: Sendable {
    /// The kind of entry point, and the version that the structures follow.
    public enum Version: Sendable {
        /// 2.8 with the 31-byte entry point, which lies between 0xF0000 and 0xFFFFF.
        case v28
        /// 3.0 with the 24-byte entry point.
        case v30
    }

    /// All structures, one after the other.
    public let structures: [UInt8]
    /// How many.
    public let count: Int
    private let longest: Int
    private let version: Version

    /// Encodes a description.
    public init(_ configuration: SMBIOSConfiguration, version: Version = .v30) throws(SMBIOSError) {
        guard configuration.oemStrings.count <= 255 else { throw .tooManyStrings(configuration.oemStrings.count) }
        var list = Self.structures(configuration, version)
        for extra in configuration.extraStructures {
            guard Self.isStructure(extra) else { throw .badStructure(extra.count) }
            list.append(extra)
        }
        list.append(SMBIOSStructure(type: 127, handle: 0x7F00).bytes)
        structures = list.flatMap { $0 }
        count = list.count
        longest = list.map(\.count).max() ?? 0
        self.version = version
        if version == .v28 && (structures.count > 0xFFFF || count > 0xFFFF) { throw .tooLong(structures.count) }
    }

    /// Whether bytes are one structure: a formatted part, and strings that end with the first two zeros after it.
    private static func isStructure(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 6, bytes[1] >= 4 else { return false }
        var index = Int(bytes[1])
        while index + 1 < bytes.count {
            if bytes[index] == 0 && bytes[index + 1] == 0 { return index + 2 == bytes.count }
            index += 1
        }
        return false
    }

    /// The entry point for structures at `address`, with its checksums.
    public func entryPoint(structuresAt address: UInt64) -> [UInt8] {
        var bytes: [UInt8]
        switch version {
        case .v28:
            bytes = Array("_SM_".utf8) + [0, 31, 2, 8]
            bytes.append(little: UInt16(clamping: longest))
            bytes += [0, 0, 0, 0, 0, 0] + Array("_DMI_".utf8) + [0]
            bytes.append(little: UInt16(clamping: structures.count))
            bytes.append(little: UInt32(truncatingIfNeeded: address))
            bytes.append(little: UInt16(clamping: count))
            bytes.append(0x28)
            bytes[21] = bytes.checksum(16..<31)
            bytes[4] = bytes.checksum(0..<31)
        case .v30:
            bytes = Array("_SM3_".utf8) + [0, 24, 3, 0, 0, 1, 0]
            bytes.append(little: UInt32(clamping: structures.count))
            bytes.append(little: address)
            bytes[5] = bytes.checksum(0..<24)
        }
        return bytes
    }

    /// Puts the structures and the entry point (aligned to 16, between 0xF0000 and 0xFFFFF to be found) into memory.
    public func place(
        structures address: GuestPhysical, entryPoint: GuestPhysical, in memory: AddressSpace
    ) throws(GuestMemoryError) {
        try memory.write(address, bytes: structures)
        try memory.write(entryPoint, bytes: self.entryPoint(structuresAt: address.rawValue))
    }

    /// The fw_cfg files from which a firmware installs the tables; it sets the address and the checksums.
    public var firmwareFiles: [(name: String, bytes: [UInt8])] {
        [
            (name: "etc/smbios/smbios-tables", bytes: structures),
            (name: "etc/smbios/smbios-anchor", bytes: entryPoint(structuresAt: 0)),
        ]
    }
}
