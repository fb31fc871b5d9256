// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let domainMonitoring: [Command] = [
        Command(
            "domblkerror", "list disks with errors",
            "!domain", Run.domblkerror),
        Command(
            "domblkinfo", "sizes of a disk",
            "!domain device= human all", Run.domblkinfo),
        Command(
            "domblklist", "list disks",
            "!domain inactive details", Run.domblklist),
        Command(
            "domblkstat", "counters of a disk",
            "!domain device= human", Run.domblkstat),
        Command(
            "domcontrol", "state of the connection with the hypervisor",
            "!domain", Run.domcontrol),
        Command(
            "domif-getlink", "whether a network card's cable is plugged",
            "!domain !interface config", Run.domifGetlink),
        Command(
            "domifaddr", "addresses of network cards",
            "!domain interface= full source=", Run.domifaddr),
        Command(
            "domiflist", "list network cards",
            "!domain inactive", Run.domiflist),
        Command(
            "domifstat", "counters of a network card",
            "!domain !interface", Run.domifstat),
        Command(
            "dominfo", "facts of a domain",
            "!domain", Run.dominfo),
        Command(
            "dommemstat", "counters of memory",
            "!domain period# config live current", Run.dommemstat),
        Command(
            "domstate", "state of a domain",
            "!domain reason", Run.domstate),
        Command(
            "domstats", "counters of several domains",
            """
            state cpu-total balloon vcpu interface block perf iothread memory dirtyrate vm \
            list-active list-inactive list-persistent list-transient list-running list-paused \
            list-shutoff list-other raw enforce backing nowait *domain
            """, Run.domstats),
        Command(
            "domtime", "show or set the guest's time",
            "!domain now pretty sync time#", Run.domtime),
        Command(
            "list", "list domains",
            """
            inactive all transient persistent with-snapshot without-snapshot with-checkpoint \
            without-checkpoint state-running state-paused state-shutoff state-other autostart \
            no-autostart with-managed-save without-managed-save uuid name id table managed-save \
            title
            """, Run.list),
    ]

    static let domainEvents: [Command] = [
        Command(
            "event", "wait for events of domains",
            "domain= event= all loop timeout# list timestamp", Run.event)
    ]

    static let host: [Command] = [
        Command(
            "allocpages", "reserve huge pages",
            "!pagesize# !pagecount# cellno# add all", Run.allocpages),
        Command(
            "capabilities", "what the host and the hypervisor can do",
            "", Run.capabilities),
        Command(
            "cpu-baseline", "the processor that several have in common",
            "!file features migratable", Run.cpuBaseline),
        Command(
            "cpu-compare", "compare a processor with the host's",
            "!file error validate", Run.cpuCompare),
        Command(
            "cpu-models", "names of processor models",
            "!arch", Run.cpuModels),
        Command(
            "domcapabilities", "what domains can have",
            "virttype= emulatorbin= arch= machine=", Run.domcapabilities),
        Command(
            "freecell", "free memory of NUMA nodes",
            "cellno# all", Run.freecell),
        Command(
            "freepages", "free huge pages",
            "cellno# pagesize# all", Run.freepages),
        Command(
            "hostname", "name of the hypervisor's host",
            "", Run.hostname),
        Command(
            "hypervisor-cpu-baseline", "the processor that several have in common for a hypervisor",
            "file= virttype= emulator= arch= machine= features migratable model=", Run.hypervisorCpuBaseline),
        Command(
            "hypervisor-cpu-compare", "compare a processor with what a hypervisor offers",
            "!file virttype= emulator= arch= machine= error validate", Run.hypervisorCpuCompare),
        Command(
            "maxvcpus", "most virtual processors of a domain",
            "type=", Run.maxvcpus),
        Command(
            "node-memory-tune", "show or set how memory is shared",
            "shm-pages-to-scan# shm-sleep-millisecs# shm-merge-across-nodes#", Run.nodeMemoryTune),
        Command(
            "nodecpumap", "the host's processors",
            "pretty", Run.nodecpumap),
        Command(
            "nodecpustats", "what the host's processors do",
            "cpu# percent", Run.nodecpustats),
        Command(
            "nodeinfo", "facts of the host",
            "", Run.nodeinfo),
        Command(
            "nodememstats", "what the host's memory is used for",
            "cell#", Run.nodememstats),
        Command(
            "nodesevinfo", "what the host offers of SEV",
            "", Run.nodesevinfo),
        Command(
            "nodesuspend", "send the host to sleep",
            "!target !duration#", Run.nodesuspend),
        Command(
            "sysinfo", "the host's SMBIOS tables",
            "", Run.sysinfo),
        Command(
            "uri", "URI of the connection",
            "", Run.uri),
        Command(
            "version", "versions",
            "daemon", Run.version),
    ]
}
