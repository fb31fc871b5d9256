internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let dimm = SchemaObject(
        "PCDIMMDeviceInfo",
        [
            SchemaMember("id", .string, optional: true), SchemaMember("addr", .integer), SchemaMember("size", .integer),
            SchemaMember("slot", .integer), SchemaMember("node", .integer), SchemaMember("memdev", .string),
            SchemaMember("hotplugged", .boolean), SchemaMember("hotpluggable", .boolean),
        ])
    private static let module = SchemaObject(
        "MemoryDeviceInfo", [SchemaMember("type", .enumeration("MemoryDeviceInfoKind", ["dimm"]))], tag: "type",
        variants: [("dimm", SchemaObject("PCDIMMDeviceInfoWrapper", [SchemaMember("data", .object(dimm))]))])
    static let hotplugReport = SchemaObject(
        "ACPIOSTInfo",
        [
            SchemaMember("device", .string, optional: true), SchemaMember("slot", .string),
            SchemaMember("slot-type", .enumeration("ACPISlotType", ["DIMM", "CPU"])), SchemaMember("source", .integer),
            SchemaMember("status", .integer),
        ])

    private static let policies = SchemaType.enumeration("HostMemPolicy", ["default", "preferred", "bind", "interleave"])
    private static let backend = SchemaObject(
        "Memdev",
        [
            SchemaMember("id", .string, optional: true), SchemaMember("size", .integer), SchemaMember("merge", .boolean),
            SchemaMember("dump", .boolean), SchemaMember("prealloc", .boolean), SchemaMember("share", .boolean),
            SchemaMember("reserve", .boolean, optional: true), SchemaMember("host-nodes", .array(.integer)),
            SchemaMember("policy", policies),
        ])

    /// Memory back-ends and modules.
    static let memoryModules: [QMPCommand] = [
        QMPCommand("query-memory-devices", returns: SchemaType.array(.object(module))) {
            (context, _) throws(MonitorError) in
            .array(context.machine.memoryModules.map { ["type": "dimm", "data": .object(value(of: $0))] })
        },
        QMPCommand("query-memdev", returns: SchemaType.array(.object(backend))) { (context, _) throws(MonitorError) in
            .array(
                context.machine.memoryBackends.map { backend in
                    var object: JSONObject = [
                        "share": .bool(backend.isShared), "reserve": true, "prealloc": .bool(backend.preallocates),
                        "host-nodes": .array(backend.hostNodes.map { .number($0) }), "size": .number(backend.size),
                        "merge": .bool(backend.merges), "dump": .bool(backend.dumps),
                        "policy": .string(backend.policy),
                    ]
                    if let id = backend.id { object["id"] = .string(id) }
                    return .object(object)
                })
        },
        QMPCommand("query-acpi-ospm-status", returns: SchemaType.array(.object(hotplugReport))) {
            (context, _) throws(MonitorError) in
            let modules = context.machine.memoryModules
            return .array(
                context.machine.memoryReports.map { report in
                    .object(value(of: report, device: modules.first { $0.slot == report.slot }?.id))
                })
        },
    ]

    private static func value(of module: MemoryModuleStatus) -> JSONObject {
        var object: JSONObject = [
            "memdev": .string("/objects/\(module.backend)"), "hotplugged": .bool(module.isHotplugged),
            "addr": .number(module.address), "hotpluggable": true, "size": .number(module.size),
            "slot": .number(module.slot), "node": .number(module.node),
        ]
        if let id = module.id { object["id"] = .string(id) }
        return object
    }

    static func value(of report: MemoryReport, device: String?) -> JSONObject {
        var object: JSONObject = [
            "source": .number(report.event), "status": .number(report.status), "slot-type": "DIMM",
            "slot": .string("\(report.slot)"),
        ]
        if let device { object["device"] = .string(device) }
        return object
    }

    /// A module as `info memory-devices` shows it.
    static func text(of module: MemoryModuleStatus) -> String {
        """
        Memory device [dimm]: "\(module.id ?? "")"
          addr: 0x\(String(module.address, radix: 16))
          slot: \(module.slot)
          node: \(module.node)
          size: \(module.size)
          memdev: /objects/\(module.backend)
          hotplugged: \(module.isHotplugged)
          hotpluggable: true

        """
    }
}
