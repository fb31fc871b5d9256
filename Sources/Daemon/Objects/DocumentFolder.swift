internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire

/// A folder of definitions, one file each by name, and of links to those that start by themselves. Every file is
/// replaced in one step.
struct DocumentFolder: Sendable {
    let path: String

    private var autostart: String { path + "/autostart" }
    private func file(_ name: String) -> String { "\(path)/\(name).xml" }
    private func link(_ name: String) -> String { "\(autostart)/\(name).xml" }

    private func attempt(_ body: () throws(HostError) -> Void) throws(LibvirtError) {
        do throws(HostError) { try body() } catch { throw LibvirtError.system("\(error)") }
    }

    /// Whether there is such a folder: false on a host that has never had one of these objects.
    var exists: Bool { HostFile.status(path).kind == .folder }

    func make() throws(LibvirtError) {
        try attempt { () throws(HostError) in try HostFolder.make(path, permissions: 0o700) }
    }

    func save(_ name: String, _ tree: XMLTree) throws(LibvirtError) {
        try make()
        try attempt { () throws(HostError) in
            try HostFile.replace(file(name), with: Array(XMLWriter.write(tree).utf8))
        }
    }

    func remove(_ name: String) throws(LibvirtError) {
        try attempt { () throws(HostError) in
            try HostFile.remove(link(name))
            try HostFile.remove(file(name))
        }
    }

    func setAutostart(_ name: String, _ on: Bool) throws(LibvirtError) {
        try attempt { () throws(HostError) in
            try HostFolder.make(autostart, permissions: 0o700)
            if on { try HostFile.link(link(name), to: file(name)) } else { try HostFile.remove(link(name)) }
        }
    }

    func hasAutostart(_ name: String) -> Bool { HostFile.status(link(name)).kind == .file }

    /// One; an error if there is none, or it is damaged.
    func read(_ name: String) throws(LibvirtError) -> XMLTree {
        let bytes: [UInt8]
        do throws(HostError) { bytes = try HostFile.contents(file(name), limit: 16 << 20) } catch {
            throw LibvirtError.system("\(error)")
        }
        do throws(DefinitionError) { return try XMLReader.parse(bytes: bytes, document: name) } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
    }

    /// All, by the names of their files. A file that cannot be read is told and left alone.
    var all: [(name: String, tree: XMLTree)] {
        ((try? HostFolder.names(in: path)) ?? []).filter { $0.hasSuffix(".xml") }.sorted().compactMap { name in
            do {
                let bytes = try HostFile.contents("\(path)/\(name)", limit: 16 << 20)
                return (String(name.dropLast(4)), try XMLReader.parse(bytes: bytes, document: name))
            } catch {
                Logger("store").error("Cannot use '\(path)/\(name)': \(error)")
                return nil
            }
        }
    }
}

extension LibvirtError {
    /// A fault of a document, told by a driver (`virErrorDomain`).
    init(_ error: DefinitionError, _ domain: Int32) {
        self.init(code: error.code.rawValue, domain: domain, message: error.message)
    }
}

/// What a call that lists objects may want of each: pairs of flags, of which a pair with none or both set does not care.
struct ListFilter {
    let flags: UInt32

    /// Whether an object with `value` passes the pair of `yes` and `no`.
    func admits(_ value: Bool, _ yes: UInt32, _ no: UInt32) -> Bool {
        switch (flags & yes != 0, flags & no != 0) {
        case (true, false): value
        case (false, true): !value
        default: true
        }
    }
}

extension UUIDBytes {
    /// A new one.
    static func random() -> UUIDBytes {
        var generator = SystemRandomNumberGenerator()
        return UUIDBytes(UniqueID.random(using: &generator).bytes) ?? UUIDBytes([UInt8](repeating: 1, count: 16))!
    }
}
