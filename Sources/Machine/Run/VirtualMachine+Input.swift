internal import Devices
internal import Display

extension VirtualMachine {
    public func keyCode(named name: String) -> UInt8? { KeyCode(name: name)?.rawValue }

    public func pressKeys(_ codes: [UInt8], milliseconds: Int) throws(MachineError) {
        guard board.keys.press(codes, milliseconds: milliseconds) else {
            throw .failed("Too many keys wait to be pressed")
        }
    }

    public func sendInput(_ events: [InputEvent]) throws(MachineError) {
        let input = board.input
        var buttons = input.buttons
        var (dx, dy, dz) = (0, 0, 0)
        var (x, y): (Int?, Int?) = (nil, nil)
        for event in events {
            switch event {
            case .key(let code, let isDown): input.key(code, down: isDown)
            case .button(let bit, let isDown): buttons = isDown ? buttons | bit : buttons & ~bit
            case .wheel(let clicks): dz = clicks
            case .relative(let isVertical, let way): if isVertical { dy = way } else { dx = way }
            case .absolute(let isVertical, let place): if isVertical { y = place } else { x = place }
            }
        }
        if x != nil || y != nil { input.place(x: x, y: y) }
        if dx != 0 || dy != 0 { input.move(dx: dx, dy: dy) }
        if buttons != input.buttons || dz != 0 { input.setButtons(buttons, dz: dz) }
    }

    public var pointers: [PointerStatus] {
        board.input.pointers.map {
            PointerStatus(index: $0.index, name: $0.name, isAbsolute: $0.isAbsolute, isCurrent: $0.isCurrent)
        }
    }

    public func choosePointer(_ index: Int) throws(MachineError) {
        guard board.input.choose(index) else { throw .failed("Mouse at index '\(index)' not found") }
    }
}
