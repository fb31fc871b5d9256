internal import RPCWire

extension HandlerTable {
    /// Subscriptions.
    mutating func addEvents() {
        add(Remote.ConnectDomainEventCallbackRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) in
            guard arguments.eventID >= 0, arguments.eventID < DomainEvent.count else {
                throw LibvirtError.internalError("unsupported event ID \(arguments.eventID)").from(VirErrorDomain.rpc)
            }
            let number = try call.session.subscribe(
                Subscription(family: .domain, event: arguments.eventID, object: arguments.dom?.uuid))
            return Remote.ConnectDomainEventCallbackRegisterAny.Result(callbackID: number)
        }
        add(Remote.ConnectDomainEventCallbackDeregisterAny.self, .loop) {
            (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) { $0.family == .domain && !$0.isLegacy }
        }
        add(Remote.ConnectDomainEventRegister.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectDomainEventRegister.Result(cbRegistered: try call.session.setLegacy(0, true))
        }
        add(Remote.ConnectDomainEventDeregister.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectDomainEventDeregister.Result(cbRegistered: try call.session.setLegacy(0, false))
        }
        add(Remote.ConnectDomainEventRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            guard DomainEvent.hasLegacyForm(arguments.eventID) else {
                throw LibvirtError.internalError("unsupported event ID \(arguments.eventID)").from(VirErrorDomain.rpc)
            }
            _ = try call.session.setLegacy(arguments.eventID, true)
        }
        add(Remote.ConnectDomainEventDeregisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            _ = try call.session.setLegacy(arguments.eventID, false)
        }
        addOtherFamilies()
    }

    /// Events of objects of which there are none yet: subscribers simply hear nothing.
    private mutating func addOtherFamilies() {
        add(Remote.ConnectNetworkEventRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) in
            let subscription = Subscription(family: .network, event: arguments.eventID, object: arguments.net?.uuid)
            return .init(callbackID: try call.session.subscribe(subscription))
        }
        add(Remote.ConnectNetworkEventDeregisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) { $0.family == .network }
        }
        add(Remote.ConnectStoragePoolEventRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) in
            let subscription = Subscription(
                family: .storagePool, event: arguments.eventID, object: arguments.pool?.uuid)
            return .init(callbackID: try call.session.subscribe(subscription))
        }
        add(Remote.ConnectStoragePoolEventDeregisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) { $0.family == .storagePool }
        }
        add(Remote.ConnectNodeDeviceEventRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(callbackID: try call.session.subscribe(Subscription(family: .nodeDevice, event: arguments.eventID)))
        }
        add(Remote.ConnectNodeDeviceEventDeregisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) { $0.family == .nodeDevice }
        }
        add(Remote.ConnectSecretEventRegisterAny.self, .loop) { (call, arguments) throws(LibvirtError) in
            let subscription = Subscription(family: .secret, event: arguments.eventID, object: arguments.secret?.uuid)
            return .init(callbackID: try call.session.subscribe(subscription))
        }
        add(Remote.ConnectSecretEventDeregisterAny.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) { $0.family == .secret }
        }
    }
}
