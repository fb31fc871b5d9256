public import Display
public import Synchronization

/// A picture that tests paint.
public final class Canvas: PictureSource {
    private struct State: Sendable {
        var width: Int
        var height: Int
        var pixels: [UInt32]
        var pointer = PointerState()
        var wanted: (width: Int, height: Int)?
    }
    private let state: Mutex<State>

    public init(_ width: Int, _ height: Int) {
        state = Mutex(State(width: width, height: height, pixels: [UInt32](repeating: 0, count: width * height)))
    }
    /// Something of everything: areas of one colour, two, a dozen, hundreds, and noise.
    public func paint(seed: UInt64) {
        state.withLock { state in
            var random = seed
            for index in state.pixels.indices {
                let (x, y) = (index % state.width, index / state.width)
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let noise = UInt32(truncatingIfNeeded: random >> 33)
                state.pixels[index] =
                    switch (x / 70 + y / 70) % 5 {
                    case 0: 0x20_4060
                    case 1: noise & 15 == 0 ? 0xFF_FFFF : 0
                    case 2: UInt32(x / 5 % 12) * 0x10_2030 & 0xFF_FFFF
                    case 3: UInt32(x & 0xFF) << 16 | UInt32(y & 0xFF) << 8
                    default: noise & 0xFF_FFFF
                    }
            }
        }
    }
    /// One pixel of a colour.
    public func set(_ x: Int, _ y: Int, _ colour: UInt32) {
        state.withLock { $0.pixels[y * $0.width + x] = colour | 0xAA00_0000 }
    }
    public func resize(_ width: Int, _ height: Int) {
        state.withLock { $0 = State(width: width, height: height, pixels: [UInt32](repeating: 0x123456, count: width * height)) }
    }
    public func draw(into picture: inout Picture) {
        let now = state.withLock { $0 }
        picture.resize(width: now.width, height: now.height)
        for y in 0..<now.height { picture.setRow(y, Array(now.pixels[(y * now.width)..<((y + 1) * now.width)])) }
    }
    /// Moves all up, and paints what comes from below.
    public func scroll(_ rows: Int) {
        state.withLock { state in
            let kept = state.pixels[(rows * state.width)...]
            state.pixels = Array(kept) + (0..<rows * state.width).map { UInt32($0) & 0xFFFF }
        }
    }
    public func setPointer(_ pointer: PointerState) { state.withLock { $0.pointer = pointer } }
    public var pointer: PointerState { state.withLock { $0.pointer } }
    public var wanted: (width: Int, height: Int)? { state.withLock { $0.wanted } }
    public func want(width: Int, height: Int) -> Bool {
        state.withLock { $0.wanted = (width, height) }
        return true
    }
    public var pixels: [UInt32] { state.withLock { $0.pixels.map { $0 & 0xFF_FFFF } } }
}

/// A keyboard and pointer that write down what they hear.
public final class Notes: KeyboardInput, PointerInput {
    public let keys = Mutex<[String]>([])
    public let events = Mutex<[PointerEvent]>([])
    public let isAbsolute: Bool
    public init(isAbsolute: Bool) { self.isAbsolute = isAbsolute }
    public var pointerName: String { "notes" }
    public func key(code: UInt8, down: Bool) { keys.withLock { $0.append("\(down ? "+" : "-")\(code)") } }
    public func pointer(_ event: PointerEvent) { events.withLock { $0.append(event) } }
}
