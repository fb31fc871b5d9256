public import DeviceModel
public import GuestMemory
public import HostOS
internal import Synchronization

/// The generation of a machine: 16 bytes in guest memory that are others in each copy of it, and an event that tells the
/// guest when they change (Microsoft, "Virtual Machine Generation ID", 2012). The guest finds them by ACPI; Linux takes
/// new random numbers when they change.
public final class GenerationID: Device {
    /// Where the page lies: in the reserved part below the firmware, where no RAM and no device is.
    public static let address: UInt64 = 0xFEFF_F000
    /// Where the identifier lies in the page.
    public static let offset: UInt64 = 40
    /// The general-purpose event that tells of a change.
    public static let event = 5

    public let stateName: String
    private let block: RAMBlock
    /// A space of its own to write the page, which guests only read.
    private let writer = AddressSpace()
    private let raise: @Sendable () -> Void
    private let isChosenHere: Bool
    private struct State: Sendable {
        var identifier: [UInt8]
        /// What the guest was last told, where that came with a saved state.
        var told: [UInt8]?
    }
    private let state: Mutex<State>

    /// The identifier's 16 bytes in the order of its text; nil for random ones, which are new after each change. Puts
    /// the page into the guest's memory. `raise` raises the event; it runs on the machine's thread.
    public init(
        name: String, identifier: [UInt8]?, memory: AddressSpace, raise: @escaping @Sendable () -> Void
    ) throws(HostError) {
        stateName = name
        self.raise = raise
        isChosenHere = identifier == nil
        block = try RAMBlock(name: name, size: 4096)
        let chosen: [UInt8]
        if let identifier { chosen = identifier } else { chosen = try HostRandom.bytes(16) }
        state = Mutex(State(identifier: chosen))
        writer.add(FlatView.Range(start: GuestPhysical(0), count: 4096, block: block))
        memory.add(
            FlatView.Range(start: GuestPhysical(Self.address), count: 4096, block: block, writable: false))
        place()
    }

    /// What it is now, in the order of its text.
    public var identifier: [UInt8] { state.withLock { $0.identifier } }

    /// The first three fields are little-endian in memory.
    private func place() {
        let text = identifier
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        try? writer.write(GuestPhysical(Self.offset), bytes: order.map { text[$0] })
    }

    /// Tells the guest, where this is another machine than the one that its state was saved of. `isCopy`: it goes on
    /// from a moment that was before, so that an identifier of our own choice has to be new. After all devices have
    /// their state.
    public func announce(isCopy: Bool) {
        if isCopy, isChosenHere, let fresh = try? HostRandom.bytes(16) { state.withLock { $0.identifier = fresh } }
        place()
        let isNews = state.withLock { state in
            defer { state.told = nil }
            return state.told.map { $0 != state.identifier } ?? false
        }
        if isNews { raise() }
    }

    public func reset() { place() }
    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("identifier", identifier)
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let told = try saved.bytes("identifier", count: 16)
        state.withLock { $0.told = told }
    }
}
