internal import CLinux

/// One name in a folder: nothing that the kernel would take for a path, for the folder itself or for its parent.
struct FileName: Hashable {
    /// The name as C has it, with its zero.
    let bytes: [UInt8]

    /// A guest's name. ENOENT where it is none, ENAMETOOLONG where no file system has such.
    init(_ name: [UInt8]) throws(ShareError) {
        guard !name.isEmpty, name != [0x2E], name != [0x2E, 0x2E], !name.contains(0x2F), !name.contains(0) else {
            throw ShareError(ENOENT)
        }
        guard name.count <= 255 else { throw ShareError(ENAMETOOLONG) }
        bytes = name + [0]
    }
}

extension [UInt8] {
    /// Whether these bytes begin so.
    func hasPrefix(_ text: StaticString) -> Bool {
        let prefix = "\(text)".utf8
        return count >= prefix.count && self.prefix(prefix.count).elementsEqual(prefix)
    }
}
