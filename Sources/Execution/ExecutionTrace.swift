internal import Synchronization

/// What an engine in software writes down about execution, by the names of `-d`.
public struct TraceItems: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    /// A set of bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Guest code of each block when it is decoded.
    public static let guestCode = TraceItems(rawValue: 1)
    /// Host code of each block when it is translated.
    public static let hostCode = TraceItems(rawValue: 2)
    /// The decoded operations of each block.
    public static let operations = TraceItems(rawValue: 4)
    /// Interrupts and exceptions.
    public static let interrupts = TraceItems(rawValue: 8)
    /// Each executed block. Blocks are interpreted then.
    public static let execution = TraceItems(rawValue: 0x10)
    /// Registers before each block, and at each event. Blocks are interpreted then.
    public static let registers = TraceItems(rawValue: 0x20)
    /// With `registers`: those of the x87 unit and of SSE too.
    public static let floatingPoint = TraceItems(rawValue: 0x40)
    /// Translations of addresses: changes of control registers, flushes, page faults.
    public static let memory = TraceItems(rawValue: 0x80)
    /// Registers at resets.
    public static let resets = TraceItems(rawValue: 0x100)
    /// What the guest does wrong.
    public static let guestErrors = TraceItems(rawValue: 0x200)
    /// What is not implemented.
    public static let unimplemented = TraceItems(rawValue: 0x400)
    /// Blocks are not chained. Blocks are interpreted then.
    public static let unchained = TraceItems(rawValue: 0x800)

    /// The items of QEMU's names; others count for nothing here.
    public init(names: some Sequence<String>) {
        let known: [String: TraceItems] = [
            "in_asm": .guestCode, "out_asm": .hostCode, "op": .operations, "op_opt": .operations, "int": .interrupts,
            "exec": .execution, "cpu": .registers, "fpu": .floatingPoint, "mmu": .memory, "cpu_reset": .resets,
            "guest_errors": .guestErrors, "unimp": .unimplemented, "nochain": .unchained,
        ]
        var items: TraceItems = []
        for name in names {
            if let item = known[name] { items.formUnion(item) }
            if name == "all" { items = TraceItems(rawValue: 0xfff) }
            if name == "none" { items = [] }
        }
        self = items
    }
}

/// Where an engine writes what is asked for. Any thread.
public final class ExecutionTrace: Sendable {
    private let bits: Atomic<UInt32>
    private let write: @Sendable (String) -> Void

    /// A trace of items; `write` takes text of whole lines.
    public init(_ items: TraceItems = [], write: @escaping @Sendable (String) -> Void = { _ in }) {
        bits = Atomic(items.rawValue)
        self.write = write
    }

    /// What is asked for.
    public var items: TraceItems {
        get { TraceItems(rawValue: bits.load(ordering: .relaxed)) }
        set { bits.store(newValue.rawValue, ordering: .relaxed) }
    }
    /// Writes text.
    public func emit(_ text: String) { write(text) }
}
