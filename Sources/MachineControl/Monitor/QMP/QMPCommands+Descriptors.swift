internal import HostOS
internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let setInfo = SchemaObject(
        "FdsetInfo",
        [
            SchemaMember("fdset-id", .integer),
            SchemaMember(
                "fds",
                .array(
                    .object(
                        SchemaObject(
                            "FdsetFdInfo",
                            [SchemaMember("fd", .integer), SchemaMember("opaque", .string, optional: true)])))),
        ])

    /// Descriptors that clients hand over.
    static let descriptors: [QMPCommand] = [
        QMPCommand("getfd", [SchemaMember("fdname", .string)]) { (context, arguments) throws(MonitorError) in
            let name = arguments["fdname"]?.stringValue ?? ""
            guard let descriptor = context.takeDescriptor() else {
                throw .generic("No file descriptor supplied via SCM_RIGHTS")
            }
            guard let first = name.utf8.first, !(48...57).contains(first) else {
                throw .generic("Parameter 'fdname' expects a name not starting with a digit")
            }
            guard context.named.set(name, descriptor) else { throw .generic("There are too many descriptors") }
            return [:]
        },
        QMPCommand("closefd", [SchemaMember("fdname", .string)]) { (context, arguments) throws(MonitorError) in
            let name = arguments["fdname"]?.stringValue ?? ""
            guard context.named.remove(name) else {
                throw .generic("File descriptor named '\(printable(name))' not found")
            }
            return [:]
        },
        QMPCommand(
            "add-fd",
            [SchemaMember("fdset-id", .integer, optional: true), SchemaMember("opaque", .string, optional: true)],
            returns: SchemaType.object(
                SchemaObject("AddfdInfo", [SchemaMember("fdset-id", .integer), SchemaMember("fd", .integer)]))
        ) { (context, arguments) throws(MonitorError) in
            guard let descriptor = context.takeDescriptor() else {
                throw .generic("No file descriptor supplied via SCM_RIGHTS")
            }
            let (set, opaque) = (arguments["fdset-id"]?.intValue, arguments["opaque"]?.stringValue)
            let number = try monitored { () throws(MachineError) in
                try context.machine.descriptorSets.add(descriptor, to: set, opaque: opaque)
            }
            return ["fdset-id": .number(number), "fd": .integer(Int64(descriptor.rawValue))]
        },
        QMPCommand(
            "remove-fd", [SchemaMember("fdset-id", .integer), SchemaMember("fd", .integer, optional: true)]
        ) { (context, arguments) throws(MonitorError) in
            let set = arguments["fdset-id"]?.intValue ?? -1
            let descriptor = arguments["fd"]?.int64Value.map { Int32(clamping: $0) }
            try monitored { () throws(MachineError) in
                try context.machine.descriptorSets.remove(set: set, descriptor: descriptor)
            }
            return [:]
        },
        QMPCommand("query-fdsets", returns: SchemaType.array(.object(setInfo))) {
            (context, _) throws(MonitorError) in
            let all = context.machine.descriptorSets.all
            return .array(
                Set(all.map(\.set)).sorted().map { number in
                    let entries = all.filter { $0.set == number }.map { entry in
                        var object: JSONObject = ["fd": .integer(Int64(entry.descriptor.rawValue))]
                        if let opaque = entry.opaque { object["opaque"] = .string(opaque) }
                        return JSONValue.object(object)
                    }
                    return ["fds": .array(entries), "fdset-id": .number(number)]
                })
        },
    ]
}
