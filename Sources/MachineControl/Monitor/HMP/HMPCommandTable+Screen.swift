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
        }
    ]
}
