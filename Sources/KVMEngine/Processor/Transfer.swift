internal import CLinux
internal import Execution

/// The accesses of one exit, handed out one by one: a string instruction's elements, or the pieces of an access whose
/// length is no power of two.
struct Transfer {
    private enum Space { case port, memory }
    private var space = Space.port
    private var isWrite = false
    private var address: UInt64 = 0
    /// Bytes of one element; 0: as large a piece as is left.
    private var element = 0
    /// Where the next piece lies in the run page.
    private var offset = 0
    /// Bytes that are left.
    private var left = 0
    /// A read was handed out and not answered yet.
    private var awaits = 0

    /// True while the exit is not at its end.
    var isActive: Bool { left > 0 || awaits > 0 }

    mutating func start(_ io: apus_kvm_io) {
        space = .port
        isWrite = io.is_write != 0
        address = UInt64(io.port)
        element = Int(io.size)
        offset = Int(truncatingIfNeeded: io.offset)
        left = Int(io.size) * Int(io.count)
        awaits = 0
    }

    mutating func start(_ mmio: apus_kvm_mmio) {
        space = .memory
        isWrite = mmio.is_write != 0
        address = mmio.address
        element = 0
        offset = Int(APUS_KVM_MMIO_DATA)
        left = min(Int(mmio.length), 8)
        awaits = 0
    }

    /// The next access. Only while there is one.
    mutating func next(_ page: RunPage) -> Exit? {
        guard left > 0 else { return nil }
        let size = element > 0 ? element : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1
        if !isWrite {
            awaits = size
            return space == .port
                ? .portRead(port: UInt16(truncatingIfNeeded: address), size: UInt8(size))
                : .mmioRead(address: address, size: UInt8(size))
        }
        let value = page.load(offset, size: size)
        let exit: Exit =
            space == .port
            ? .portWrite(
                port: UInt16(truncatingIfNeeded: address), size: UInt8(size), value: UInt32(truncatingIfNeeded: value))
            : .mmioWrite(address: address, size: UInt8(size), value: value)
        advance(size)
        return exit
    }

    /// The answer to a read.
    mutating func answer(_ value: UInt64, _ page: RunPage) {
        guard awaits > 0 else { return }
        page.store(value, offset, size: awaits)
        advance(awaits)
        awaits = 0
    }

    private mutating func advance(_ size: Int) {
        offset += size
        left -= min(size, left)
        if space == .memory { address &+= UInt64(size) }
    }
}
