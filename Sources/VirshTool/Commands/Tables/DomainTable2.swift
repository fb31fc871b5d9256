// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let domainManagement2: [Command] = [
        Command(
            "managedsave-dumpxml", "XML of a kept state",
            "!domain security-info xpath= wrap", Run.managedsaveDumpxml),
        Command(
            "managedsave-define", "replace the XML of a kept state",
            "!domain !xml running paused", Run.managedsaveDefine),
        Command(
            "memtune", "show or set limits of memory",
            """
            !domain hard-limit# soft-limit# swap-hard-limit# min-guarantee# config live current \
            hard_limit~hard-limit soft_limit~soft-limit swap_hard_limit~swap-hard-limit \
            min_guarantee~min-guarantee
            """, Run.memtune),
        Command(
            "perf", "show or set which events are counted",
            "!domain enable= disable= config live current", Run.perf),
        Command(
            "metadata", "show or set a domain's own XML metadata",
            "!domain !uri live config current edit key= set= remove", Run.metadata),
        Command(
            "migrate", "move a domain to another host",
            """
            !domain !desturi live offline p2p direct tunnelled persistent undefinesource suspend \
            copy-storage-all copy-storage-inc copy-storage-synchronous-writes change-protection \
            unsafe verbose compressed auto-converge rdma-pin-all abort-on-error postcopy \
            postcopy-after-precopy postcopy-resume zerocopy migrateuri= graphicsuri= listen-address= \
            dname= timeout# timeout-suspend timeout-postcopy xml= migrate-disks= disks-port# \
            disks-uri= comp-methods= comp-mt-level# comp-mt-threads# comp-mt-dthreads# \
            comp-xbzrle-cache# auto-converge-initial# auto-converge-increment# persistent-xml= tls \
            postcopy-bandwidth# parallel parallel-connections# bandwidth# tls-destination=
            """, Run.migrate),
        Command(
            "migrate-setmaxdowntime", "set how long a migration may stop the domain",
            "!domain !downtime#", Run.migrateSetmaxdowntime),
        Command(
            "migrate-getmaxdowntime", "how long a migration may stop the domain",
            "!domain", Run.migrateGetmaxdowntime),
        Command(
            "migrate-compcache", "show or set the size of a migration's cache",
            "!domain size#", Run.migrateCompcache),
        Command(
            "migrate-setspeed", "set how fast a migration may send",
            "!domain !bandwidth# postcopy", Run.migrateSetspeed),
        Command(
            "migrate-getspeed", "how fast a migration may send",
            "!domain postcopy", Run.migrateGetspeed),
        Command(
            "migrate-postcopy", "let a migration go on with memory to follow",
            "!domain", Run.migratePostcopy),
        Command(
            "numatune", "show or set where memory comes from",
            "!domain mode= nodeset= config live current", Run.numatune),
        Command(
            "qemu-attach", "take over a running QEMU",
            "!pid", Run.qemuAttach),
        Command(
            "qemu-monitor-command", "send a command to QEMU's monitor",
            "!domain hmp pretty return-value ^pass-fds= +cmd", Run.qemuMonitorCommand),
        Command(
            "qemu-monitor-event", "wait for events of QEMU's monitor",
            "domain= event= pretty loop timeout# regex no-case timestamp", Run.qemuMonitorEvent),
        Command(
            "qemu-agent-command", "send a command to the guest's agent",
            "!domain ^timeout# async block pretty +cmd", Run.qemuAgentCommand),
        Command(
            "guest-agent-timeout", "set how long the guest's agent may take",
            "!domain ^timeout#", Run.guestAgentTimeout),
        Command(
            "reboot", "ask the guest to start again",
            "!domain mode=", Run.reboot),
        Command(
            "reset", "press the reset button",
            "!domain", Run.reset),
        Command(
            "restore", "start a domain from a saved state",
            "!file bypass-cache xml= running paused reset-nvram", Run.restore),
        Command(
            "resume", "let a paused domain go on",
            "!domain", Run.resume),
        Command(
            "save", "stop a domain and save its state to a file",
            "!domain !file bypass-cache xml= running paused verbose", Run.save),
        Command(
            "save-image-define", "replace the XML of a saved state",
            "!file !xml running paused", Run.saveImageDefine),
        Command(
            "save-image-dumpxml", "XML of a saved state",
            "!file security-info xpath= wrap", Run.saveImageDumpxml),
        Command(
            "save-image-edit", "edit the XML of a saved state",
            "!file running paused", Run.saveImageEdit),
        Command(
            "schedinfo", "show or set scheduling",
            "!domain ^weight# ^cap# current config live *set", Run.schedinfo),
        Command(
            "screenshot", "save a picture of the screen to a file",
            "!domain file= screen#", Run.screenshot),
        Command(
            "set-lifecycle-action", "say what follows the guest's end, restart or crash",
            "!domain !type !action config live current", Run.setLifecycleAction),
        Command(
            "set-user-sshkeys", "change SSH keys that may log in as a user of the guest",
            "!domain !user file= reset remove", Run.setUserSshkeys),
        Command(
            "set-user-password", "set the password of a user of the guest",
            "!domain !user !password encrypted", Run.setUserPassword),
        Command(
            "setmaxmem", "set the most memory a domain may have",
            "!domain !size# config live current", Run.setmaxmem),
        Command(
            "setmem", "set the memory a domain has",
            "!domain !size# config live current", Run.setmem),
        Command(
            "setvcpus", "set the number of virtual processors",
            "!domain !count# maximum config live current guest hotpluggable", Run.setvcpus),
        Command(
            "shutdown", "ask the guest to shut down",
            "!domain mode=", Run.shutdown),
        Command(
            "start", "start a defined domain",
            "!domain console paused autodestroy bypass-cache force-boot pass-fds= reset-nvram", Run.start),
        Command(
            "suspend", "pause a domain",
            "!domain", Run.suspend),
        Command(
            "ttyconsole", "terminal of a domain's console",
            "!domain", Run.ttyconsole),
        Command(
            "undefine", "remove a domain's definition",
            """
            !domain managed-save storage= remove-all-storage delete-storage-volume-snapshots \
            wipe-storage snapshots-metadata checkpoints-metadata nvram keep-nvram tpm keep-tpm
            """, Run.undefine),
        Command(
            "update-device", "change the device of an XML file",
            "!domain !file persistent config live current force", Run.updateDevice),
        Command(
            "update-memory-device", "change a memory device",
            "!domain config live current print-xml alias= node# requested-size#", Run.updateMemoryDevice),
        Command(
            "vcpucount", "numbers of virtual processors",
            "!domain maximum active live config current guest", Run.vcpucount),
        Command(
            "vcpuinfo", "what virtual processors do",
            "!domain pretty", Run.vcpuinfo),
        Command(
            "vcpupin", "show or say on which processors a virtual one runs",
            "!domain vcpu# cpulist= config live current", Run.vcpupin),
        Command(
            "emulatorpin", "show or say on which processors the emulator runs",
            "!domain cpulist= config live current", Run.emulatorpin),
        Command(
            "vncdisplay", "number of a domain's VNC display",
            "!domain", Run.vncdisplay),
        Command(
            "guestvcpus", "show or set which processors the guest uses",
            "!domain cpulist= enable disable", Run.guestvcpus),
        Command(
            "setvcpu", "add or remove single virtual processors",
            "!domain !vcpulist enable disable config live current", Run.setvcpu),
        Command(
            "domblkthreshold", "ask for an event when an image grows past a size",
            "!domain !dev !threshold#", Run.domblkthreshold),
        Command(
            "guestinfo", "what the guest's agent knows",
            "!domain user os timezone hostname filesystem disk interface", Run.guestinfo),
        Command(
            "domdirtyrate-calc", "measure how fast memory is written",
            "!domain seconds# mode=", Run.domdirtyrateCalc),
        Command(
            "dom-fd-associate", "give a domain open files",
            "!domain !name !pass-fds seclabel-writable seclabel-restore", Run.domFdAssociate),
    ]
}
