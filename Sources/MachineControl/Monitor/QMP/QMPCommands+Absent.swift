internal import JSON
internal import Machine

extension QMPCommandTable {
    /// Queries about parts that this machine has none of, which management asks nevertheless.
    static let absent: [QMPCommand] =
        [
            "query-tpm-models", "query-tpm-types", "query-tpm",
            "query-gic-capabilities", "query-pr-managers", "query-yank",
        ].map { name in
            QMPCommand(name, returns: SchemaType.array(.any)) { (_, _) throws(MonitorError) in [] }
        } + [
            QMPCommand("query-sev-capabilities", returns: SchemaType.any) { (_, _) throws(MonitorError) in
                throw .generic("SEV: The machine has no encrypted memory")
            },
            QMPCommand("query-sgx-capabilities", returns: SchemaType.any) { (_, _) throws(MonitorError) in
                throw .generic("SGX is not enabled in KVM")
            },
            QMPCommand(
                "query-display-options",
                returns: SchemaType.object(SchemaObject("DisplayOptions", [SchemaMember("type", .string)]))
            ) { (context, _) throws(MonitorError) in ["type": .string(context.machine.configuration.display.rawValue)] },
            QMPCommand("rtc-reset-reinjection") { (_, _) throws(MonitorError) in [:] },
        ]
}
