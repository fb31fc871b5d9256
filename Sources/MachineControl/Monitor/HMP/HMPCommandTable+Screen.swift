internal import Machine

extension HMPCommandTable {
    /// Pictures, keys and pointers.
    static let screen: [HMPCommand] = [
        HMPCommand(
            "screendump",
            [
                HMPArgument("filename", .word), HMPArgument("f", .flag("f")),
                HMPArgument("format", .word, optional: true), HMPArgument("device", .word, optional: true),
                HMPArgument("head", .expression, optional: true),
            ], "save screen from head 'head' of display device 'device' in specified format 'format' as image 'filename'"
        ) { (monitor, arguments, _) throws(MonitorError) in
            // Without -f the words after the file's name are the device and its head.
            let isNamed = arguments.flags.contains("f")
            let name = isNamed ? arguments.words["format"] ?? "" : "ppm"
            let device = arguments.words[isNamed ? "device" : "format"]
            let second = isNamed ? nil : arguments.words["device"]
            guard let format = PictureFormat(rawValue: name) else {
                throw .generic("invalid parameter value: \(printable(name))")
            }
            let head = second.map { Int($0) ?? -1 } ?? Int(clamping: arguments.numbers["head"] ?? 0)
            try monitored { () throws(MachineError) in
                try monitor.machine.saveScreen(
                    device: device, head: head, format: format,
                    to: arguments.words["filename"] ?? "")
            }
            return ""
        },
        HMPCommand(
            "sendkey", [HMPArgument("keys", .word), HMPArgument("hold_ms", .expression, optional: true)],
            "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var codes: [UInt8] = []
            // A key may be the minus itself, at the end or between two.
            for word in keyNames(arguments.words["keys"] ?? "") {
                guard let code = keyCode(word, monitor.machine) else {
                    throw .generic("invalid parameter: \(printable(word))")
                }
                codes.append(code)
            }
            guard codes.count <= 16 else { throw .generic("too many keys: 16 at most") }
            let hold = Int(clamping: arguments.numbers["hold_ms"] ?? 100)
            try monitored { () throws(MachineError) in
                try monitor.machine.pressKeys(codes, milliseconds: hold)
            }
            return ""
        },
        HMPCommand(
            "mouse_move",
            [HMPArgument("dx_str", .word), HMPArgument("dy_str", .word), HMPArgument("dz_str", .word, optional: true)],
            "send mouse move events"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: [Int] = []
            for name in ["dx_str", "dy_str", "dz_str"] {
                guard let text = arguments.words[name] else { continue }
                guard let value = Int(text) else { throw .generic("'\(printable(text))' is no number") }
                values.append(min(max(value, -0x10_0000), 0x10_0000))
            }
            var events = [InputEvent.relative(isVertical: false, values[0]), .relative(isVertical: true, values[1])]
            // The wheel turns towards the user by negative numbers here.
            if values.count > 2, values[2] != 0 { events.append(.wheel(-values[2])) }
            try monitored { () throws(MachineError) in try monitor.machine.sendInput(events) }
            return ""
        },
        HMPCommand(
            "mouse_button", [HMPArgument("button_state", .expression)],
            "change mouse button state (1=left, 2=right, 4=middle)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let state = arguments.numbers["button_state"] ?? 0
            let events = (0..<5).map { InputEvent.button(1 << $0, isDown: state >> UInt64($0) & 1 != 0) }
            try monitored { () throws(MachineError) in try monitor.machine.sendInput(events) }
            return ""
        },
        HMPCommand(
            "mouse_set", [HMPArgument("index", .expression)], "set which mouse device receives events"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let index = Int(clamping: arguments.numbers["index"] ?? 0)
            try monitored { () throws(MachineError) in try monitor.machine.choosePointer(index) }
            return ""
        },
    ]

    /// `ctrl-alt-f1` as names.
    private static func keyNames(_ text: String) -> [String] {
        var names = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        if names.count > 1, names.last == "" {
            names.removeLast()
            if names.last == "" { names[names.count - 1] = "minus" }
        }
        return names
    }
    private static func keyCode(_ name: String, _ machine: any MachineOperations) -> UInt8? {
        if name.hasPrefix("0x") { return UInt8(name.dropFirst(2), radix: 16) }
        return machine.keyCode(named: name == "<" ? "less" : name == "-" ? "minus" : name)
    }
}
