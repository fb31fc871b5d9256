import CLinux
import HostOS

/// An eventfd for tests.
struct EventDescriptor: Sendable {
    private let descriptor: Descriptor

    init() throws { descriptor = Descriptor(owning: apus_eventfd()) }

    var number: Int32 { descriptor.rawValue }

    func ring() {
        var one: UInt64 = 1
        // SAFETY: eight bytes on this stack.
        _ = unsafe apus_write(number, &one, 8)
    }

    /// How often it was rung since the last time.
    func take() -> UInt64 {
        var count: UInt64 = 0
        // SAFETY: as above.
        return unsafe apus_read(number, &count, 8) == 8 ? count : 0
    }
}
