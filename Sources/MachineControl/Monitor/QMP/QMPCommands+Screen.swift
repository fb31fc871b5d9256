internal import JSON
internal import Machine

extension QMPCommandTable {
    /// Pictures, keys and pointers.
    static let screen: [QMPCommand] = [
        QMPCommand(
            "screendump",
            [
                SchemaMember("filename", .string), SchemaMember("device", .string, optional: true),
                SchemaMember("head", .integer, optional: true),
                SchemaMember(
                    "format", .enumeration("ImageFormat", PictureFormat.allCases.map(\.rawValue)), optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let format = PictureFormat(rawValue: arguments.string("format") ?? "ppm") ?? .ppm
            try monitored { () throws(MachineError) in
                try context.machine.saveScreen(
                    device: arguments.string("device"), head: arguments["head"]?.intValue ?? 0, format: format,
                    to: arguments.string("filename") ?? "")
            }
            return [:]
        }
    ]
}
