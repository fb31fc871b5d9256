/// A keyboard of the guest's. Any thread.
public protocol KeyboardInput: AnyObject, Sendable {
    /// A key goes down or up: its scan code of set 1, with bit 7 for those that have the prefix E0.
    func key(code: UInt8, down: Bool)
}

/// A mouse or tablet of the guest's. Any thread.
public protocol PointerInput: AnyObject, Sendable {
    /// Its name, for monitors.
    var pointerName: String { get }
    /// Whether it is told places rather than ways.
    var isAbsolute: Bool { get }
    /// The pointer moved, or its buttons did.
    func pointer(_ event: PointerEvent)
}

/// What a pointer did.
public struct PointerEvent: Equatable, Sendable {
    /// The way: right, down, and wheel clicks towards the user.
    public var dx = 0
    public var dy = 0
    public var dz = 0
    /// The place, 0 to 32767 over the picture's width and height; what absolute devices are told.
    public var x = 0
    public var y = 0
    /// The buttons that are down: left 1, right 2, middle 4, side 8, extra 16.
    public var buttons: UInt8 = 0

    /// Largest coordinate.
    public static let limit = 0x7FFF

    /// No movement.
    public init() {}
}
