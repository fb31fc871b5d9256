internal import DomainModel
internal import HostOS
internal import RPCWire

/// A file that holds a machine: libvirt's header, the domain's document, and the state as the machine wrote it.
///
/// The header is of native byte order: the magic word, version 2, the length of what lies before the state, whether the
/// machine ran, how the state is packed (0: not), the place of a cookie (0: there is none), 14 words that are 0.
struct SavedMachine: Sendable {
    /// Open, and at the beginning of the state.
    let file: Descriptor
    let path: String
    let document: XMLTree
    let wasRunning: Bool
    private let space: Int

    private static let magic = Array("LibvirtQemudSave".utf8)
    private static let unfinished = Array("LibvirtQemudPart".utf8)
    private static let headerSize = 16 + 4 * 19
    private static let maximumDocument = 16 << 20

    private static func fail(_ path: String, _ words: String) -> LibvirtError {
        LibvirtError.operationFailed("\(words): '\(path)'")
    }

    /// Opens a file. One that was not written to its end is refused.
    init(_ path: String) throws(LibvirtError) {
        self.path = path
        var head: [UInt8]
        var text: [UInt8] = []
        do throws(HostError) {
            file = try HostFile.open(path, HostFile.Mode.readWrite)
        } catch { throw LibvirtError.system("Failed to open file '\(path)': \(error.errno)") }
        do throws(HostError) {
            head = try file.readAvailable(limit: SavedMachine.headerSize)
        } catch { throw LibvirtError.operationFailed("cannot read domain image: \(error)") }
        guard head.count == SavedMachine.headerSize, head.starts(with: SavedMachine.magic) else {
            throw SavedMachine.fail(
                path,
                head.starts(with: SavedMachine.unfinished) ? "save image is incomplete" : "image magic is incorrect")
        }
        func word(_ index: Int) -> Int {
            let at = 16 + index * 4
            return Int(head[at..<at + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        }
        guard word(0) == 2 else { throw SavedMachine.fail(path, "image version is not supported (\(word(0)) > 2)") }
        guard word(3) == 0 else { throw SavedMachine.fail(path, "the image is packed in a way that is not supported") }
        space = word(1)
        guard space > 0, space <= SavedMachine.maximumDocument else {
            throw SavedMachine.fail(path, "invalid header data length: \(space)")
        }
        do throws(HostError) {
            while text.count < space {
                let part = try file.readAvailable(limit: space - text.count)
                if part.isEmpty { break }
                text += part
            }
        } catch { throw LibvirtError.operationFailed("cannot read domain image: \(error)") }
        guard text.count == space else { throw SavedMachine.fail(path, "failed to read domain XML") }
        wasRunning = word(2) != 0
        do throws(DefinitionError) {
            document = try XMLReader.parse(bytes: Array(text.prefix { $0 != 0 }), document: path)
        } catch { throw LibvirtError(error, VirErrorDomain.qemu) }
    }

    private static func header(_ magic: [UInt8], _ space: Int, _ wasRunning: Bool) -> [UInt8] {
        var bytes = magic
        for word in [2, UInt32(clamping: space), wasRunning ? 1 : 0, 0, 0] + [UInt32](repeating: 0, count: 14) {
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
        }
        return bytes
    }

    /// Begins a file; the descriptor is where the state goes.
    static func begin(_ path: String, _ document: XMLTree, wasRunning: Bool) throws(LibvirtError) -> Descriptor {
        var text = Array(XMLWriter.write(document).utf8) + [0]
        // Room for a document that a client puts in its place, and a state that starts on a page.
        let total = (headerSize + text.count + 8192 + 4095) & ~4095
        text += [UInt8](repeating: 0, count: total - headerSize - text.count)
        do throws(HostError) {
            let file = try HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
            try file.writeAll(header(unfinished, text.count, wasRunning) + text)
            return file
        } catch { throw LibvirtError.operationFailed("failed to create file '\(path)': \(error)") }
    }

    /// The state is whole.
    static func finish(_ path: String) throws(LibvirtError) {
        do throws(HostError) {
            try HostFile.open(path, HostFile.Mode.write).writeAll(magic)
        } catch { throw LibvirtError.operationFailed("failed to write header to domain save file '\(path)': \(error)") }
    }

    /// Puts another document into the file. `running`: whether the machine is to go on; nil: as before.
    func replace(_ tree: XMLTree, running: Bool?) throws(LibvirtError) {
        var text = Array(XMLWriter.write(tree).utf8) + [0]
        guard text.count <= space else { throw LibvirtError.operationFailed("new xml too large to fit in file") }
        text += [UInt8](repeating: 0, count: space - text.count)
        do throws(HostError) {
            try HostFile.seek(file, 0)
            try file.writeAll(SavedMachine.header(SavedMachine.magic, space, running ?? wasRunning) + text)
        } catch { throw LibvirtError.operationFailed("failed to write xml to '\(file.rawValue)': \(error)") }
    }

    /// The document without what only the running machine had.
    func definition(keeping definition: XMLTree?) throws(LibvirtError) -> XMLTree {
        var tree = document
        tree.set("id", nil)
        return try DomainDefaults.read(tree).tree
    }
}
