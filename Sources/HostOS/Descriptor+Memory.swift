internal import CLinux

extension Descriptor {
    /// A new file of `count` zero bytes that lives in memory and ends with its last descriptor and mapping. `name`
    /// shows in `/proc/self/maps`.
    ///
    /// With `canBeSealed` its bytes may be made unchangeable. `hugePages` is the size of the pages it is made of, a power of two, and 0 for the host's usual huge pages; nil
    /// for plain ones.
    public static func memoryFile(
        name: String, count: Int, canBeSealed: Bool = false, hugePages: UInt64? = nil
    ) throws(HostError) -> Descriptor {
        var flags = UInt32(MFD_CLOEXEC)
        if canBeSealed { flags |= UInt32(MFD_ALLOW_SEALING) }
        if let hugePages {
            // MFD_HUGETLB, and the size's logarithm from bit 26 on (memfd_create(2)).
            flags |= 4 | (hugePages == 0 ? 0 : UInt32(hugePages.trailingZeroBitCount) << 26)
        }
        // SAFETY: the C string lives for the call.
        let raw = unsafe name.withCString { unsafe apus_memfd_create($0, flags) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make the memory file '\(name)'") }
        let file = Descriptor(owning: raw)
        guard apus_ftruncate(raw, Int64(count)) == 0 else {
            throw HostError(reason: apus_errno(), "size the memory file '\(name)' to \(count) bytes")
        }
        return file
    }

    /// A file to hold memory: the one of a path, made and made longer as it needs to be, or in a folder a new one
    /// without a name.
    public static func backingFile(_ path: String, name: String, count: Int) throws(HostError) -> Descriptor {
        // SAFETY: the C string lives for the call.
        var raw = unsafe path.withCString { unsafe apus_open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        if raw < 0, apus_errno() == EISDIR { raw = temporaryFile(in: path, name: name) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "open '\(path)' for guest memory") }
        let file = Descriptor(owning: raw)
        if apus_file_size(raw) < Int64(count), apus_ftruncate(raw, Int64(count)) != 0 {
            throw HostError(reason: apus_errno(), "make '\(path)' \(count) bytes long")
        }
        return file
    }

    private static func temporaryFile(in folder: String, name: String) -> Int32 {
        var template = Array("\(folder)/apus-\(name.replacing("/", with: "_")).XXXXXX".utf8CString)
        // SAFETY: the template is this array, ends in a zero byte, and is only rewritten in place.
        return unsafe template.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return -1 }
            let raw = unsafe mkstemp(base)
            if raw >= 0 {
                _ = unsafe unlink(base)
                _ = apus_fcntl(raw, F_SETFD, Int(FD_CLOEXEC))
            }
            return raw
        }
    }
}
