internal import DeviceModel

/// A range that passes accesses on to who answers there without holding it: a function or a bus keeps its ranges, and a
/// device keeps its function. Where the owner is gone nobody answers. Any thread.
final class WeakWindow<Owner: AnyObject & Sendable>: BusDevice {
    typealias Read = @Sendable (_ owner: Owner, _ offset: UInt64, _ size: Int) -> UInt64
    typealias Write = @Sendable (_ owner: Owner, _ offset: UInt64, _ size: Int, _ value: UInt64) -> Void
    private struct Reference: Sendable { weak let owner: Owner? }
    private let reference: Reference
    private let answer: Read
    private let take: Write

    /// A range of which reads are answered by one function and writes taken by another.
    init(_ owner: Owner, read: @escaping Read, write: @escaping Write) {
        reference = Reference(owner: owner)
        answer = read
        take = write
    }
    func read(offset: UInt64, size: Int) -> UInt64 {
        guard let owner = reference.owner else { return UInt64.max }
        return answer(owner, offset, size)
    }
    func write(offset: UInt64, size: Int, value: UInt64) {
        guard let owner = reference.owner else { return }
        take(owner, offset, size, value)
    }
}

extension WeakWindow where Owner: BusDevice {
    /// A range of a device, whose offset 0 is `base` to it.
    convenience init(_ device: Owner, base: UInt64 = 0) {
        self.init(
            device, read: { $0.read(offset: base &+ $1, size: $2) },
            write: { $0.write(offset: base &+ $1, size: $2, value: $3) })
    }
}
