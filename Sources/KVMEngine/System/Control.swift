internal import CLinux
internal import HostOS
internal import SystemPackage

/// A descriptor that answers KVM's requests: the device, a machine or a processor. Any thread; KVM locks.
struct Control: Sendable {
    let descriptor: Descriptor

    /// A request with a plain number. Returns what KVM gives, which is not negative.
    @discardableResult
    func request(_ number: UInt, _ argument: UInt, _ what: @autoclosure () -> String) throws(HostError) -> Int32 {
        while true {
            let result = apus_ioctl(descriptor.rawValue, number, argument)
            if result >= 0 { return result }
            let reason = apus_errno()
            if reason == EINTR { continue }
            throw HostError(what(), Errno(rawValue: reason))
        }
    }

    /// A request without an argument.
    @discardableResult
    func request(_ number: UInt, _ what: @autoclosure () -> String) throws(HostError) -> Int32 {
        try request(number, 0, what())
    }

    /// A request with a structure that KVM reads, writes or both.
    @discardableResult
    func exchange<T>(_ number: UInt, _ value: inout T, _ what: @autoclosure () -> String) throws(HostError) -> Int32 {
        // SAFETY: the request's number says the structure, which is `T`; it outlives the call.
        let (result, reason) = unsafe withUnsafeMutablePointer(to: &value) { pointer in
            unsafe retry(number, pointer)
        }
        if result < 0 { throw HostError(what(), Errno(rawValue: reason)) }
        return result
    }

    /// A request with a structure that KVM only reads.
    func send<T>(_ number: UInt, _ value: T, _ what: @autoclosure () -> String) throws(HostError) {
        var copy = value
        try exchange(number, &copy, what())
    }

    /// A request with a structure that ends in an array: `bytes` holds all of it.
    @discardableResult
    func exchange(_ number: UInt, bytes: inout [UInt8], _ what: @autoclosure () -> String) throws(HostError) -> Int32 {
        // SAFETY: callers size the array as the header in it says.
        let (result, reason) = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe retry(number, buffer.baseAddress)
        }
        if result < 0 { throw HostError(what(), Errno(rawValue: reason)) }
        return result
    }

    private func retry(_ number: UInt, _ argument: UnsafeMutableRawPointer?) -> (Int32, Int32) {
        while true {
            // SAFETY: as the callers say.
            let result = unsafe apus_ioctl_at(descriptor.rawValue, number, argument)
            if result >= 0 { return (result, 0) }
            let reason = apus_errno()
            if reason != EINTR { return (result, reason) }
        }
    }
}

/// Little-endian fields of structures that end in arrays.
extension [UInt8] {
    mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        for index in 0..<MemoryLayout<T>.size {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8))
        }
    }
    func get<T: FixedWidthInteger & UnsignedInteger>(_ offset: Int, as: T.Type) -> T {
        (0..<MemoryLayout<T>.size).reduce(T(0)) { $0 | T(self[offset + $1]) << T($1 * 8) }
    }
}
