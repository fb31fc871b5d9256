/// Where interrupt lines end: a PIC, an IOAPIC, or both behind one number. Any thread.
public protocol InterruptSink: AnyObject, Sendable {
    /// Sets the level of input `line`.
    func setLine(_ line: Int, level: Bool)
}

/// One wire from a device to an interrupt controller. Copies are the same wire.
public struct InterruptLine: Sendable {
    private let sink: any InterruptSink
    /// The input's number at the controller.
    public let number: Int

    /// A wire to input `number` of `sink`.
    public init(sink: any InterruptSink, number: Int) {
        self.sink = sink
        self.number = number
    }

    /// Raises or lowers the wire.
    public func set(_ level: Bool) { sink.setLine(number, level: level) }
    /// Raises and lowers it: one edge.
    public func pulse() {
        set(true)
        set(false)
    }
}

/// Takes message-signalled interrupts: the engine, or a fake. Any thread.
public protocol MSISink: AnyObject, Sendable {
    /// Delivers a message as a write of `data` to `address` would (SDM volume 3, 11.11).
    func deliver(address: UInt64, data: UInt32)
}
