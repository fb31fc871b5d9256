internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let keyValue = SchemaObject(
        "KeyValue", [SchemaMember("type", .enumeration("KeyValueKind", ["number", "qcode"]))], tag: "type",
        variants: [
            ("number", SchemaObject("IntWrapper", [SchemaMember("data", .integer)])),
            ("qcode", SchemaObject("QKeyCodeWrapper", [SchemaMember("data", .string)])),
        ])
    private static let inputEvent = SchemaObject(
        "InputEvent", [SchemaMember("type", .enumeration("InputEventKind", ["key", "btn", "rel", "abs"]))], tag: "type",
        variants: [
            (
                "key",
                wrapper("InputKeyEvent", [SchemaMember("key", .object(keyValue)), SchemaMember("down", .boolean)])
            ),
            (
                "btn",
                wrapper("InputBtnEvent", [SchemaMember("button", .string), SchemaMember("down", .boolean)])
            ),
            ("rel", wrapper("InputMoveEvent", move)), ("abs", wrapper("InputMoveEvent", move)),
        ])
    private static let move = [
        SchemaMember("axis", .enumeration("InputAxis", ["x", "y"])), SchemaMember("value", .integer),
    ]
    private static func wrapper(_ name: String, _ members: [SchemaMember]) -> SchemaObject {
        SchemaObject("\(name)Wrapper", [SchemaMember("data", .object(SchemaObject(name, members)))])
    }

    /// Keys and pointers.
    static let input: [QMPCommand] = [
        QMPCommand(
            "send-key",
            [
                SchemaMember("keys", .array(.object(keyValue))), SchemaMember("hold-time", .integer, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            var codes: [UInt8] = []
            for key in arguments["keys"]?.arrayValue ?? [] { codes.append(try code(key, context.machine)) }
            guard codes.count <= 16 else { throw .generic("Too many keys: 16 at most") }
            let hold = arguments.int("hold-time") ?? 100
            guard 0...60_000 ~= hold else {
                throw .generic("Parameter 'hold-time' expects a time of 0 to 60000 milliseconds")
            }
            try monitored { () throws(MachineError) in
                try context.machine.pressKeys(codes, milliseconds: hold == 0 ? 100 : hold)
            }
            return [:]
        },
        QMPCommand(
            "input-send-event",
            [
                SchemaMember("device", .string, optional: true), SchemaMember("head", .integer, optional: true),
                SchemaMember("events", .array(.object(inputEvent))),
            ]
        ) { (context, arguments) throws(MonitorError) in
            var events: [InputEvent] = []
            for value in arguments["events"]?.arrayValue ?? [] { events += try QMPCommandTable.events(value, context.machine) }
            try monitored { () throws(MachineError) in try context.machine.sendInput(events) }
            return [:]
        },
        QMPCommand(
            "query-mice",
            returns: .array(
                .object(
                    SchemaObject(
                        "MouseInfo",
                        [
                            SchemaMember("name", .string), SchemaMember("index", .integer),
                            SchemaMember("current", .boolean), SchemaMember("absolute", .boolean),
                        ])))
        ) { (context, _) throws(MonitorError) in
            .array(
                context.machine.pointers.map {
                    [
                        "name": .string($0.name), "index": .number($0.index), "current": .bool($0.isCurrent),
                        "absolute": .bool($0.isAbsolute),
                    ]
                })
        },
    ]

    private static func code(_ value: JSONValue, _ machine: any MachineOperations) throws(MonitorError) -> UInt8 {
        guard let key = value.objectValue, let type = key.string("type") else {
            throw .generic("Parameter 'type' is missing")
        }
        if type == "number" {
            // Numbers of 0xE0xx name the prefix as others do.
            guard let number = key.int("data"), 1...0xFF ~= number || 0xE001...0xE07F ~= number else {
                throw .generic("Parameter 'data' expects a key's number")
            }
            return UInt8(truncatingIfNeeded: number > 0xFF ? number & 0x7F | 0x80 : number)
        }
        let name = key.string("data") ?? ""
        guard let code = machine.keyCode(named: name) else {
            throw .generic("Parameter 'data' does not accept value '\(printable(name))'")
        }
        return code
    }

    private static let buttons: [String: UInt8] = ["left": 1, "right": 2, "middle": 4, "side": 8, "extra": 16]

    private static func events(
        _ value: JSONValue, _ machine: any MachineOperations
    ) throws(MonitorError) -> [InputEvent] {
        guard let event = value.objectValue, let data = event["data"]?.objectValue else {
            throw .generic("Parameter 'data' is missing")
        }
        switch event.string("type") {
        case "key":
            guard let key = data["key"], let isDown = data["down"]?.boolValue else {
                throw .generic("Parameters 'key' and 'down' are missing")
            }
            return [.key(try code(key, machine), isDown: isDown)]
        case "btn":
            guard let name = data.string("button"), let isDown = data["down"]?.boolValue else {
                throw .generic("Parameters 'button' and 'down' are missing")
            }
            if name == "wheel-up" || name == "wheel-down" { return isDown ? [.wheel(name == "wheel-up" ? -1 : 1)] : [] }
            if name == "wheel-left" || name == "wheel-right" { return [] }
            guard let bit = buttons[name] else {
                throw .generic("Parameter 'button' does not accept value '\(printable(name))'")
            }
            return [.button(bit, isDown: isDown)]
        default:
            guard let axis = data.string("axis"), axis == "x" || axis == "y", let value = data.int("value") else {
                throw .generic("Parameters 'axis' and 'value' are missing")
            }
            let limited = min(max(value, -0x10_0000), 0x10_0000)
            return event.string("type") == "abs"
                ? [.absolute(isVertical: axis == "y", limited)] : [.relative(isVertical: axis == "y", limited)]
        }
    }
}
