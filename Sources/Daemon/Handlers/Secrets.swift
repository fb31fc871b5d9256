internal import DomainModel
internal import RPCWire

extension Call {
    var secrets: SecretDriver { session.daemon.secrets }
    var filters: FilterDriver { session.daemon.filters }
}

extension HandlerTable {
    /// Secrets.
    mutating func addSecrets() {
        add(Remote.ConnectNumOfSecrets.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.secrets.all.count))
        }
        add(Remote.ConnectListSecrets.self, .loop) { (call, arguments) throws(LibvirtError) in
            let uuids = call.secrets.all.map(\.uuid.description)
            return .init(uuids: Array(uuids.prefix(Int(max(0, arguments.maxuuids)))))
        }
        add(Remote.ConnectListAllSecrets.self, .loop) { (call, arguments) throws(LibvirtError) in
            typealias Flags = VirConnectListAllSecretsFlags
            let filter = ListFilter(flags: arguments.flags)
            let secrets = call.secrets.all.filter {
                filter.admits($0.isEphemeral, Flags.ephemeral, Flags.noEphemeral)
                    && filter.admits($0.isPrivate, Flags.private, Flags.noPrivate)
            }
            return .init(
                secrets: arguments.needResults != 0 ? secrets.map(\.reference) : [],
                ret: UInt32(clamping: secrets.count))
        }
        add(Remote.SecretLookupByUUID.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(secret: try call.secrets.find(arguments.uuid).reference)
        }
        add(Remote.SecretLookupByUsage.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(secret: try call.secrets.find(usage: arguments.usageType, arguments.usageID).reference)
        }
        add(Remote.SecretGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(xml: try call.secrets.find(arguments.secret.uuid).definition.xml())
        }
        add(Remote.SecretDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(secret: try call.secrets.define(arguments.xml).reference)
        }
        add(Remote.SecretSetValue.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            guard !arguments.value.isEmpty else {
                throw LibvirtError(
                    code: VirErrorNumber.invalidArg, domain: VirErrorDomain.secret,
                    message: "value in virSecretSetValue must not be NULL")
            }
            try call.secrets.setValue(arguments.secret.uuid, arguments.value)
        }
        add(Remote.SecretGetValue.self, .worker) { (call, arguments) throws(LibvirtError) in
            if call.session.isReadOnly {
                throw LibvirtError.operationDenied("read only access prevents virSecretGetValue").from(0)
            }
            return .init(value: try call.secrets.value(arguments.secret.uuid))
        }
        add(Remote.SecretUndefine.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.secrets.undefine(arguments.secret.uuid)
        }
    }

    /// Filters of packets.
    mutating func addFilters() {
        add(Remote.ConnectNumOfNwfilters.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.filters.all.count))
        }
        add(Remote.ConnectListNwfilters.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(names: Array(call.filters.all.map(\.name).prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectListAllNwfilters.self, .loop) { (call, arguments) throws(LibvirtError) in
            let filters = call.filters.all.map { FilterDriver.reference($0) }
            return .init(filters: arguments.needResults != 0 ? filters : [], ret: UInt32(clamping: filters.count))
        }
        add(Remote.NWFilterLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(nwfilter: FilterDriver.reference(try call.filters.find(name: arguments.name)))
        }
        add(Remote.NWFilterLookupByUUID.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(nwfilter: FilterDriver.reference(try call.filters.find(uuid: arguments.uuid)))
        }
        add(Remote.NWFilterGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(xml: try call.filters.find(uuid: arguments.nwfilter.uuid).xml())
        }
        add(Remote.NWFilterDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(nwfilter: FilterDriver.reference(try call.filters.define(arguments.xml)))
        }
        add(Remote.NWFilterDefineXMLFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(nwfilter: FilterDriver.reference(try call.filters.define(arguments.xml)))
        }
        add(Remote.NWFilterUndefine.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.filters.undefine(arguments.nwfilter.uuid)
        }
        add(Remote.ConnectListAllNWFilterBindings.self, .loop) { (_, _) throws(LibvirtError) in
            // No card of a machine is filtered: user-mode NAT has nothing that could be.
            .init(bindings: [], ret: 0)
        }
    }
}
