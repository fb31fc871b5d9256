// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let domainManagement1: [Command] = [
        Command(
            "attach-device", "add the device of an XML file",
            "!domain !file persistent config live current", Run.attachDevice),
        Command(
            "attach-disk", "add a disk",
            """
            !domain !source !target targetbus= driver= subdriver= iothread= cache= io= type= mode= \
            sourcetype= serial= wwn= alias= rawio address= multifunction print-xml source-protocol= \
            source-host-name= source-host-transport= source-host-socket= persistent config live \
            current shareable~mode=shareable
            """, Run.attachDisk),
        Command(
            "attach-interface", "add a network card",
            """
            !domain !type !source target= mac= script= model= alias= inbound= outbound= persistent \
            config live current print-xml managed source-mode=
            """, Run.attachInterface),
        Command(
            "autostart", "start a domain when the host starts",
            "!domain disable", Run.autostart),
        Command(
            "blkdeviotune", "show or set limits of a disk's throughput",
            """
            !domain !device total-bytes-sec# read-bytes-sec# write-bytes-sec# total-iops-sec# \
            read-iops-sec# write-iops-sec# total-bytes-sec-max# read-bytes-sec-max# \
            write-bytes-sec-max# total-iops-sec-max# read-iops-sec-max# write-iops-sec-max# \
            size-iops-sec# group-name= total-bytes-sec-max-length# read-bytes-sec-max-length# \
            write-bytes-sec-max-length# total-iops-sec-max-length# read-iops-sec-max-length# \
            write-iops-sec-max-length# config live current total_bytes_sec~total-bytes-sec \
            read_bytes_sec~read-bytes-sec write_bytes_sec~write-bytes-sec \
            total_iops_sec~total-iops-sec read_iops_sec~read-iops-sec write_iops_sec~write-iops-sec \
            total_bytes_sec_max~total-bytes-sec-max read_bytes_sec_max~read-bytes-sec-max \
            write_bytes_sec_max~write-bytes-sec-max total_iops_sec_max~total-iops-sec-max \
            read_iops_sec_max~read-iops-sec-max write_iops_sec_max~write-iops-sec-max \
            size_iops_sec~size-iops-sec group_name~group-name \
            total_bytes_sec_max_length~total-bytes-sec-max-length \
            read_bytes_sec_max_length~read-bytes-sec-max-length \
            write_bytes_sec_max_length~write-bytes-sec-max-length \
            total_iops_sec_max_length~total-iops-sec-max-length \
            read_iops_sec_max_length~read-iops-sec-max-length \
            write_iops_sec_max_length~write-iops-sec-max-length
            """, Run.blkdeviotune),
        Command(
            "blkiotune", "show or set a domain's share of disks",
            """
            !domain weight# device-weights= device-read-iops-sec= device-write-iops-sec= \
            device-read-bytes-sec= device-write-bytes-sec= config live current \
            device_weights~device-weights device_read_iops_sec~device-read-iops-sec \
            device_write_iops_sec~device-write-iops-sec device_read_bytes_sec~device-read-bytes-sec \
            device_write_bytes_sec~device-write-bytes-sec
            """, Run.blkiotune),
        Command(
            "blockcommit", "merge an overlay into its backing image",
            """
            !domain !path bandwidth# base= shallow top= active delete wait verbose timeout# pivot \
            keep-overlay async keep-relative bytes
            """, Run.blockcommit),
        Command(
            "blockcopy", "copy a disk while it is in use",
            """
            !domain !path dest= bandwidth# shallow reuse-external blockdev wait verbose timeout# \
            pivot finish async xml= format= granularity# buf-size# bytes transient-job \
            synchronous-writes print-xml
            """, Run.blockcopy),
        Command(
            "blockjob", "show, change or end a job on a disk",
            "!domain !path abort async pivot info bytes raw bandwidth#", Run.blockjob),
        Command(
            "blockpull", "fill an overlay from its backing image",
            "!domain !path bandwidth# base= wait verbose timeout# async keep-relative bytes", Run.blockpull),
        Command(
            "blockresize", "change a disk's size",
            "!domain !path !size#", Run.blockresize),
        Command(
            "change-media", "insert, eject or change a medium",
            "!domain !path source= eject insert update current live config force print-xml block", Run.changeMedia),
        Command(
            "console", "connect to the guest's console",
            "!domain devname= force safe", Run.console),
        Command(
            "cpu-stats", "processor time a domain has taken",
            "!domain total start# count#", Run.cpuStats),
        Command(
            "create", "start a domain out of an XML file",
            "!file console paused autodestroy pass-fds= validate reset-nvram", Run.create),
        Command(
            "define", "define a domain out of an XML file, or change it",
            "!file validate", Run.define),
        Command(
            "desc", "show or set a domain's description or title",
            "!domain live config current title edit *new-desc", Run.desc),
        Command(
            "destroy", "end a domain at once",
            "!domain graceful remove-logs", Run.destroy),
        Command(
            "detach-device", "remove the device of an XML file",
            "!domain !file persistent config live current", Run.detachDevice),
        Command(
            "detach-device-alias", "remove the device with an alias",
            "!domain !alias config live current", Run.detachDeviceAlias),
        Command(
            "detach-disk", "remove a disk",
            "!domain !target persistent config live current print-xml", Run.detachDisk),
        Command(
            "detach-interface", "remove a network card",
            "!domain !type mac= persistent config live current print-xml", Run.detachInterface),
        Command(
            "domdisplay", "URI of a domain's screen",
            "!domain include-password type= all", Run.domdisplay),
        Command(
            "domfsfreeze", "freeze the guest's file systems",
            "!domain *mountpoint", Run.domfsfreeze),
        Command(
            "domfsthaw", "thaw the guest's file systems",
            "!domain *mountpoint", Run.domfsthaw),
        Command(
            "domfsinfo", "list the guest's mounted file systems",
            "!domain", Run.domfsinfo),
        Command(
            "domfstrim", "give back unused blocks of the guest's file systems",
            "!domain minimum# mountpoint=", Run.domfstrim),
        Command(
            "domhostname", "the guest's host name",
            "!domain source=", Run.domhostname),
        Command(
            "domid", "ID of a domain",
            "!domain", Run.domid),
        Command(
            "domif-setlink", "plug or unplug a network card's cable",
            "!domain !interface !state config print-xml", Run.domifSetlink),
        Command(
            "domiftune", "show or set limits of a network card",
            "!domain !interface inbound= outbound= config live current", Run.domiftune),
        Command(
            "domjobabort", "end a domain's job",
            "!domain postcopy", Run.domjobabort),
        Command(
            "domjobinfo", "progress of a domain's job",
            "!domain completed keep-completed anystats rawstats", Run.domjobinfo),
        Command(
            "domlaunchsecinfo", "launch security of a domain",
            "!domain", Run.domlaunchsecinfo),
        Command(
            "domsetlaunchsecstate", "set the launch security of a domain",
            "!domain secrethdr= secret= set-address#", Run.domsetlaunchsecstate),
        Command(
            "domname", "name of a domain",
            "!domain", Run.domname),
        Command(
            "domrename", "rename a domain",
            "!domain !new-name", Run.domrename),
        Command(
            "dompmsuspend", "send the guest to sleep",
            "!domain !target duration#", Run.dompmsuspend),
        Command(
            "dompmwakeup", "wake the guest up",
            "!domain", Run.dompmwakeup),
        Command(
            "domuuid", "UUID of a domain",
            "!domain", Run.domuuid),
        Command(
            "domxml-from-native", "domain XML of a hypervisor's own configuration",
            "!format !config", Run.domxmlFromNative),
        Command(
            "domxml-to-native", "a hypervisor's own configuration of domain XML",
            "!format ^domain= xml=", Run.domxmlToNative),
        Command(
            "dump", "write a domain's memory to a file",
            "!domain !file live crash bypass-cache reset verbose memory-only format=", Run.dump),
        Command(
            "dumpxml", "XML of a domain",
            "!domain inactive security-info update-cpu migratable xpath= wrap", Run.dumpxml),
        Command(
            "edit", "edit the XML of a domain",
            "!domain skip-validate", Run.edit),
        Command(
            "get-user-sshkeys", "SSH keys that may log in as a user of the guest",
            "!domain !user", Run.getUserSshkeys),
        Command(
            "inject-nmi", "send the guest a non-maskable interrupt",
            "!domain", Run.injectNmi),
        Command(
            "iothreadinfo", "list I/O threads",
            "!domain config live current", Run.iothreadinfo),
        Command(
            "iothreadpin", "say on which processors an I/O thread runs",
            "!domain !iothread# !cpulist config live current", Run.iothreadpin),
        Command(
            "iothreadadd", "add an I/O thread",
            "!domain !id# config live current", Run.iothreadadd),
        Command(
            "iothreadset", "change an I/O thread",
            """
            !domain !id# poll-max-ns# poll-grow# poll-shrink# thread-pool-min# thread-pool-max# \
            config live current
            """, Run.iothreadset),
        Command(
            "iothreaddel", "remove an I/O thread",
            "!domain !id# config live current", Run.iothreaddel),
        Command(
            "send-key", "press keys",
            "!domain ^codeset= ^holdtime# +keycode", Run.sendKey),
        Command(
            "send-process-signal", "send a signal to a process of the guest",
            "!domain !pid !signame", Run.sendProcessSignal),
        Command(
            "lxc-enter-namespace", "run a program in a container",
            "!domain noseclabel +cmd", Run.lxcEnterNamespace),
        Command(
            "managedsave", "stop a domain and keep its state for the next start",
            "!domain bypass-cache running paused verbose", Run.managedsave),
        Command(
            "managedsave-remove", "forget a kept state",
            "!domain", Run.managedsaveRemove),
        Command(
            "managedsave-edit", "edit the XML of a kept state",
            "!domain running paused", Run.managedsaveEdit),
    ]
}
