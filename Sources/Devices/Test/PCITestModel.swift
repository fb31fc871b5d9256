/// The registers of `pci-testdev`: a header that describes the chosen test, and counts the writes that came to the
/// device itself. A write that rings an eventfd is not counted, here as in QEMU.
///
/// QEMU, docs/specs/pci-testdev: `test` (a byte, written to choose), `width` (a byte), `offset` (4 bytes at 4), `data`
/// (at 8), `count` (4 bytes at 12) and a name at 16.
struct PCITestModel: Equatable, Sendable {
    /// What rings the eventfd of a test.
    enum Trigger: Int, Sendable, CaseIterable {
        /// Nothing: every write comes to the device.
        case none
        /// A write of any value.
        case wildcard
        /// A write of the test's value alone.
        case match

        var name: String {
            switch self {
            case .none: "no-eventfd"
            case .wildcard: "wildcard-eventfd"
            case .match: "datamatch-eventfd"
            }
        }
    }
    /// One of six tests: three of device memory, three of ports.
    struct Test: Equatable, Sendable {
        let isPort: Bool
        let trigger: Trigger

        var number: Int { (isPort ? Trigger.allCases.count : 0) + trigger.rawValue }
        /// Where its writes go, in its window's second half.
        var offset: UInt64 { (isPort ? PCITestModel.portCount : PCITestModel.memoryCount) / 2 + UInt64(number) }
        /// The byte that the guest is to write: that of a wildcard is one that no match would take.
        var value: UInt8 { trigger == .wildcard ? 0xCE : 0xFA }
        var name: String { "\(isPort ? "portio" : "mmio")-\(trigger.name)" }
    }

    static let memoryCount: UInt64 = 0x1000
    static let portCount: UInt64 = 0x100
    static let countOffset: UInt64 = 12
    private static let nameOffset = 16

    /// The chosen test; nil before the first, and after a number that there is not.
    private(set) var test: Test?
    /// Writes of the chosen test, where it has no eventfd.
    var count: UInt32 = 0

    /// No test.
    mutating func reset() { self = PCITestModel() }

    /// A byte of the header; 0 beyond it and without a test.
    func read(offset: UInt64) -> UInt8 {
        guard let test, offset < 64 else { return 0 }
        func byte(_ value: UInt64, _ start: UInt64) -> UInt8 {
            UInt8(truncatingIfNeeded: value >> ((offset - start) * 8))
        }
        switch offset {
        case 0: return UInt8(test.number)
        case 1: return 1
        case 4..<8: return byte(test.offset, 4)
        case 8: return test.value
        case Self.countOffset..<Self.countOffset + 4: return byte(UInt64(count), Self.countOffset)
        case 16...:
            let name = Array(test.name.utf8)
            let index = Int(offset) - Self.nameOffset
            return index < name.count ? name[index] : 0
        default: return 0
        }
    }

    /// A byte written to either window. Returns true where another test was chosen.
    mutating func write(offset: UInt64, value: UInt8, isPort: Bool) -> Bool {
        if offset == 0 {
            count = 0
            test = Trigger(rawValue: Int(value)).map { Test(isPort: isPort, trigger: $0) }
            return true
        }
        if let test, offset == test.offset, test.trigger == .none { count &+= 1 }
        return false
    }
}
