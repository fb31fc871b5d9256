// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let interfaces: [Command] = [
        Command(
            "iface-begin", "keep the host's network configuration to return to it",
            "", Run.ifaceBegin),
        Command(
            "iface-bridge", "make a bridge of a network card",
            "!interface !bridge no-stp delay# no-start", Run.ifaceBridge),
        Command(
            "iface-commit", "forget the kept network configuration",
            "", Run.ifaceCommit),
        Command(
            "iface-define", "define a host interface out of an XML file",
            "!file validate", Run.ifaceDefine),
        Command(
            "iface-destroy", "stop a host interface",
            "!interface", Run.ifaceDestroy),
        Command(
            "iface-dumpxml", "XML of a host interface",
            "!interface inactive xpath= wrap", Run.ifaceDumpxml),
        Command(
            "iface-edit", "edit the XML of a host interface",
            "!interface", Run.ifaceEdit),
        Command(
            "iface-list", "list host interfaces",
            "inactive all", Run.ifaceList),
        Command(
            "iface-mac", "address of a host interface",
            "!interface", Run.ifaceMac),
        Command(
            "iface-name", "name of a host interface",
            "!interface", Run.ifaceName),
        Command(
            "iface-rollback", "return to the kept network configuration",
            "", Run.ifaceRollback),
        Command(
            "iface-start", "start a host interface",
            "!interface", Run.ifaceStart),
        Command(
            "iface-unbridge", "remove a bridge from its network card",
            "!bridge no-start", Run.ifaceUnbridge),
        Command(
            "iface-undefine", "remove the definition of a host interface",
            "!interface", Run.ifaceUndefine),
    ]

    static let filters: [Command] = [
        Command(
            "nwfilter-define", "define a network filter out of an XML file",
            "!file validate", Run.nwfilterDefine),
        Command(
            "nwfilter-dumpxml", "XML of a network filter",
            "!nwfilter xpath= wrap", Run.nwfilterDumpxml),
        Command(
            "nwfilter-edit", "edit the XML of a network filter",
            "!nwfilter", Run.nwfilterEdit),
        Command(
            "nwfilter-list", "list network filters",
            "", Run.nwfilterList),
        Command(
            "nwfilter-undefine", "remove a network filter",
            "!nwfilter", Run.nwfilterUndefine),
        Command(
            "nwfilter-binding-create", "bind a filter to a port out of an XML file",
            "!file validate", Run.nwfilterBindingCreate),
        Command(
            "nwfilter-binding-delete", "remove a filter from a port",
            "!binding", Run.nwfilterBindingDelete),
        Command(
            "nwfilter-binding-dumpxml", "XML of a filter's binding",
            "!binding xpath= wrap", Run.nwfilterBindingDumpxml),
        Command(
            "nwfilter-binding-list", "list bindings of filters",
            "", Run.nwfilterBindingList),
    ]

    static let networks: [Command] = [
        Command(
            "net-autostart", "start a network when the host starts",
            "!network disable", Run.netAutostart),
        Command(
            "net-create", "start a network out of an XML file",
            "!file validate", Run.netCreate),
        Command(
            "net-define", "define a network out of an XML file, or change it",
            "!file validate", Run.netDefine),
        Command(
            "net-destroy", "stop a network",
            "!network", Run.netDestroy),
        Command(
            "net-dhcp-leases", "list addresses that are lent",
            "!network mac=", Run.netDhcpLeases),
        Command(
            "net-dumpxml", "XML of a network",
            "!network inactive xpath= wrap", Run.netDumpxml),
        Command(
            "net-edit", "edit the XML of a network",
            "!network", Run.netEdit),
        Command(
            "net-event", "wait for events of networks",
            "network= event= loop timeout# list timestamp", Run.netEvent),
        Command(
            "net-info", "facts of a network",
            "!network", Run.netInfo),
        Command(
            "net-list", "list networks",
            "inactive all persistent transient autostart no-autostart uuid name table", Run.netList),
        Command(
            "net-name", "name of a network",
            "!network", Run.netName),
        Command(
            "net-start", "start a defined network",
            "!network", Run.netStart),
        Command(
            "net-undefine", "remove a network's definition",
            "!network", Run.netUndefine),
        Command(
            "net-update", "change parts of a network",
            "!network !command !section !xml parent-index# config live current", Run.netUpdate),
        Command(
            "net-uuid", "UUID of a network",
            "!network", Run.netUuid),
        Command(
            "net-port-list", "list ports of a network",
            "!network uuid table", Run.netPortList),
        Command(
            "net-port-create", "make a port out of an XML file",
            "!network !file validate", Run.netPortCreate),
        Command(
            "net-port-dumpxml", "XML of a port",
            "!network !port xpath= wrap", Run.netPortDumpxml),
        Command(
            "net-port-delete", "remove a port",
            "!network !port", Run.netPortDelete),
    ]
}
