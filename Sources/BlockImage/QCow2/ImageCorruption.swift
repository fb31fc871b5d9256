/// A damage that was met while an image was in use.
public struct ImageCorruption: Sendable, Equatable {
    /// The node of the image.
    public var node: String
    /// What is wrong, in QEMU's words where it knows the same.
    public var reason: String
    /// The bytes of the file that a write would have changed.
    public var place: (offset: UInt64, size: UInt64)? {
        get { size.map { (offset, $0) } }
        set { (offset, size) = (newValue?.offset ?? 0, newValue?.size) }
    }
    /// The image is marked, and nothing more is written to it.
    public var isFatal: Bool
    private var offset: UInt64 = 0
    private var size: UInt64?

    init(node: String, reason: String, place: (UInt64, UInt64)?, isFatal: Bool) {
        (self.node, self.reason, self.isFatal) = (node, reason, isFatal)
        self.place = place.map { (offset: $0.0, size: $0.1) }
    }

    /// The line for people. More damages of the image are not told.
    public var description: String {
        isFatal
            ? "qcow2: Marking image as corrupt: \(reason); further corruption events will be suppressed"
            : "qcow2: Image is corrupt: \(reason); further non-fatal corruption events will be suppressed"
    }
}

extension QCow2Metadata {
    /// A number as QEMU writes it.
    static func hexadecimal(_ value: UInt64) -> String { value == 0 ? "0" : "0x" + String(value, radix: 16) }

    /// Looks at the tables without noting a damage.
    func trying<Value>(_ body: () -> Value) -> Value {
        let before = (corruption, corruptPlace)
        defer { (corruption, corruptPlace) = before }
        return body()
    }

    /// Notes a damage, and gives the failure to throw. `place`: what a write would have changed, in bytes of the file.
    func corrupt(_ reason: String, place: (offset: UInt64, size: UInt64)? = nil) -> ImageFailure {
        if corruption == nil {
            corruption = reason
            corruptPlace = place
        }
        return .corrupt(reason)
    }
}

extension QCow2Node {
    /// Tells of a damage that has been noted, once, and marks the image where it may be written to. The tables are the
    /// caller's alone; not from `submit`, as it writes.
    func signalCorruption() {
        guard let reason = metadata.corruption, !metadata.hasSignaled else { return }
        metadata.hasSignaled = true
        let isFatal = !isReadOnly && !isElsewhere && !file.isReadOnly
        if isFatal { metadata.markCorrupt() }
        observer?(ImageCorruption(node: nodeName, reason: reason, place: metadata.corruptPlace, isFatal: isFatal))
    }
}
