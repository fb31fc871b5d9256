internal import Synchronization

/// Who draws a picture: a graphics adapter, or a text console.
///
/// Called under the screen's lock, so it takes only locks of its own, under which it calls no screen.
public protocol PictureSource: AnyObject, Sendable {
    /// Brings the picture up to date, in size and pixels.
    func draw(into picture: inout Picture)
    /// The pointer's shape now.
    var pointer: PointerState { get }
    /// Tells the guest of the size that somebody wants. False where the guest cannot be told.
    func want(width: Int, height: Int) -> Bool
    /// The characters that it shows; nil where only the picture tells what there is.
    var text: ScreenText? { get }
}

extension PictureSource {
    public var text: ScreenText? { nil }
    public var pointer: PointerState { PointerState() }
    public func want(width: Int, height: Int) -> Bool { false }
}

/// What the guest says of its pointer.
public struct PointerState: Equatable, Sendable {
    /// Rises with each change; 0 while the guest has never said anything, and draws its pointer itself or has none.
    public var stamp: UInt64
    /// The shape; nil for a pointer that is hidden.
    public var shape: PointerShape?

    /// A state of all parts.
    public init(stamp: UInt64 = 0, shape: PointerShape? = nil) {
        self.stamp = stamp
        self.shape = shape
    }
}

/// A shape of the pointer that the guest has handed to its adapter.
public struct PointerShape: Equatable, Sendable {
    /// Size in pixels.
    public var width: Int
    public var height: Int
    /// The point that points.
    public var hotX: Int
    public var hotY: Int
    /// `0xAARRGGBB`, row after row.
    public var pixels: [UInt32]

    /// A shape of all parts.
    public init(width: Int, height: Int, hotX: Int, hotY: Int, pixels: [UInt32]) {
        self.width = width
        self.height = height
        self.hotX = hotX
        self.hotY = hotY
        self.pixels = pixels
    }
}

/// A screen: the picture of one source, drawn when somebody looks, for any number of viewers. Any thread.
public final class Screen: Sendable {
    private struct State: Sendable {
        var picture: Picture
        var lastDrawn: UInt64 = 0
    }
    /// The device's name, for monitors.
    public let name: String
    private let source: any PictureSource
    private let state: Mutex<State>

    /// A screen of a source; black until the first `refresh`.
    public init(name: String, source: any PictureSource, width: Int = 640, height: Int = 480) {
        self.name = name
        self.source = source
        state = Mutex(State(picture: Picture(width: width, height: height)))
    }

    /// Draws anew and then looks. One that was drawn less than `age` nanoseconds before `now` is not drawn again.
    public func look<R: Sendable>(
        now: UInt64 = 0, age: UInt64 = 0, _ body: (borrowing Picture) -> R
    ) -> R {
        state.withLock { state in
            if age == 0 || now &- state.lastDrawn >= age {
                state.picture.begin()
                source.draw(into: &state.picture)
                state.lastDrawn = now
            }
            return body(state.picture)
        }
    }

    /// The pointer's shape now.
    public var pointer: PointerState { source.pointer }
    /// Tells the guest of the size that somebody wants. False where the guest cannot be told.
    public func want(width: Int, height: Int) -> Bool { source.want(width: width, height: height) }

    /// What it shows as characters; a source that knows none has its picture's size, of its last drawing or `age` ago.
    public func text(now: UInt64, age: UInt64) -> ScreenText {
        if let text = source.text { return text }
        return look(now: now, age: age) { .graphics(width: $0.width, height: $0.height) }
    }

    /// The picture as it is now.
    public var picture: Picture { look { copy $0 } }
}
