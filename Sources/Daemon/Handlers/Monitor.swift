internal import HostOS
internal import JSON
internal import RPCWire

extension HandlerTable {
    /// The machine's own monitor.
    mutating func addMonitor() {
        add(RemoteQEMU.DomainMonitorCommand.self, .worker) { (call, arguments) throws(LibvirtError) in
            let human = arguments.flags & VirDomainQemuMonitorCommandFlags.hmp != 0
            let result = try call.driver.monitorCommand(try call.domain(arguments.dom), arguments.cmd, human: human)
            return RemoteQEMU.DomainMonitorCommand.Result(result: result)
        }
        add(RemoteQEMU.ConnectDomainMonitorEventRegister.self, .loop) { (call, arguments) throws(LibvirtError) in
            let subscription = Subscription(
                family: .monitor(event: arguments.event), event: 0, object: arguments.dom?.uuid)
            return .init(callbackID: try call.session.subscribe(subscription))
        }
        add(RemoteQEMU.ConnectDomainMonitorEventDeregister.self, .loop) {
            (call, arguments) throws(LibvirtError) -> Void in
            try call.session.unsubscribe(arguments.callbackID) {
                if case .monitor = $0.family { true } else { false }
            }
        }
    }
}
