public import Display

extension KeyboardController: KeyboardInput, PointerInput {
    public func key(code: UInt8, down: Bool) { key(KeyCode(rawValue: code), down: down) }

    public var pointerName: String { "QEMU PS/2 Mouse" }
    public var isAbsolute: Bool { false }
    public func pointer(_ event: PointerEvent) {
        pointer(dx: event.dx, dy: event.dy, dz: event.dz, buttons: event.buttons)
    }
}
