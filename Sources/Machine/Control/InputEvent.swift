/// An event of a keyboard or pointer, as `input-send-event` has it.
public enum InputEvent: Equatable, Sendable {
    /// A key by its number: the scan code of set 1, with bit 7 for those that have the prefix E0.
    case key(UInt8, isDown: Bool)
    /// A button: left 1, right 2, middle 4, side 8, extra 16.
    case button(UInt8, isDown: Bool)
    /// Wheel clicks towards the user.
    case wheel(Int)
    /// A way along an axis.
    case relative(isVertical: Bool, Int)
    /// A place along an axis, 0 to 32767.
    case absolute(isVertical: Bool, Int)
}

/// A pointer device, for `query-mice`.
public struct PointerStatus: Equatable, Sendable {
    /// Its number.
    public var index: Int
    /// Its name.
    public var name: String
    /// Whether it is told places.
    public var isAbsolute: Bool
    /// Whether it gets the movements now.
    public var isCurrent: Bool
}
