internal import CLinux

extension Descriptor {
    /// A new file of `count` zero bytes that lives in memory and ends with its last descriptor and mapping. `name`
    /// shows in `/proc/self/maps`.
    public static func memoryFile(name: String, count: Int) throws(HostError) -> Descriptor {
        // SAFETY: the C string lives for the call.
        let raw = unsafe name.withCString { unsafe apus_memfd_create($0, UInt32(MFD_CLOEXEC)) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make the memory file '\(name)'") }
        let file = Descriptor(owning: raw)
        guard apus_ftruncate(raw, Int64(count)) == 0 else {
            throw HostError(reason: apus_errno(), "size the memory file '\(name)' to \(count) bytes")
        }
        return file
    }
}
