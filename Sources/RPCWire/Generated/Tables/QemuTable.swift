// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension RPCProgram {
    static let qemuTable = """
        1 DOMAIN_MONITOR_COMMAND virDomainQemuMonitorCommand -
        2 DOMAIN_ATTACH virDomainQemuAttach -
        3 DOMAIN_AGENT_COMMAND virDomainQemuAgentCommand -
        4 CONNECT_DOMAIN_MONITOR_EVENT_REGISTER virConnectDomainQemuMonitorEventRegister h
        5 CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER virConnectDomainQemuMonitorEventDeregister h
        6 DOMAIN_MONITOR_EVENT - re
        7 DOMAIN_MONITOR_COMMAND_WITH_FILES virDomainQemuMonitorCommandWithFiles -
        """
}
