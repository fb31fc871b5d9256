/// What an option is for: most names mean the same wherever they are.
enum OptionHelp {
    /// A line for an option, of its command where it means something of its own there.
    static func text(_ option: String, of command: String) -> String {
        if let own = own["\(command) \(option)"] { return own }
        if let shared = shared[option] { return shared }
        return option.split(separator: "-").joined(separator: " ")
    }

    private static let own: [String: String] = [
        "list all": "those that do not run too", "list inactive": "only those that do not run",
        "net-list inactive": "only those that are stopped", "pool-list inactive": "only those that are stopped",
        "dumpxml inactive": "the definition, not what runs", "net-dumpxml inactive": "the definition, not what runs",
        "setvcpus count": "how many", "help command": "a command or the keyword of a group", "cd dir": "the folder",
        "connect name": "URI of the daemon", "echo string": "words", "save file": "where to", "dump file": "where to",
        "define file": "file with the XML", "restore file": "the file of the state", "screenshot file": "where to",
        "vol-upload file": "the file to read", "vol-download file": "the file to write",
        "event timeout": "seconds to wait at most", "snapshot-list name": "only names", "net-list name": "only names",
        "list name": "only names", "pool-list name": "only names", "list uuid": "only UUIDs", "list id": "only IDs",
    ]

    private static let shared: [String: String] = [
        "domain": "name, ID or UUID of a domain", "file": "file with the XML", "config": "from the next start on",
        "live": "of the running domain", "current": "of the domain as it is",
        "persistent": "for good, and at once if it runs",
        "network": "name or UUID of a network", "pool": "name or UUID of a pool",
        "vol": "name, key or path of a volume",
        "print-xml": "print the XML, change nothing", "all": "all of them", "inactive": "those that do not run",
        "xpath": "only what this XPath expression finds", "wrap": "one root around what was found",
        "validate": "check the XML with the schema", "security-info": "with passwords", "name": "name", "uuid": "UUID",
        "device": "name of the device", "interface": "name or address of the card", "source": "where it comes from",
        "target": "name in the guest", "type": "kind", "mode": "mode", "timeout": "seconds at most",
        "verbose": "tell how far it is",
        "wait": "until it is done", "async": "do not wait for the end", "bandwidth": "most per second",
        "bytes": "in bytes",
        "path": "name of the disk or its source", "base": "the image below", "top": "the image above",
        "shallow": "only down to the next image", "pivot": "use the new image", "xml": "file with the XML",
        "snapshotname": "name of the snapshot", "checkpointname": "name of the checkpoint", "parent": "with the parent",
        "tree": "as a tree", "roots": "those without a parent", "leaves": "those without children",
        "no-leaves": "those with children", "from": "those below this one", "descendants": "with all below",
        "topological": "parents before children", "metadata": "only the daemon's record of it",
        "children": "with all below it", "children-only": "only what is below it", "running": "to be running",
        "paused": "to be paused", "force": "whatever it takes", "bypass-cache": "past the host's cache",
        "console": "connect to the console", "autodestroy": "ends with this connection",
        "pass-fds": "open files N,M,… for it", "reset-nvram": "with fresh variables of the firmware",
        "mac": "hardware address",
        "model": "model", "alias": "name for the device", "event": "kind of event", "loop": "until the time is over",
        "list": "the kinds there are", "timestamp": "with the time", "disable": "no longer", "enable": "from now on",
        "cpulist": "processors, as 0-3,^2", "vcpu": "number of the virtual processor", "size": "size, as 512M",
        "count": "how many", "maximum": "the most there may be", "guest": "by the guest's agent", "cmd": "the command",
        "hmp": "in the words for people", "pretty": "for people", "format": "format", "details": "with more",
        "human": "for people", "title": "with titles", "edit": "in an editor", "capacity": "size, as 10G",
        "allocation": "size to take at once", "sparse": "without holes", "offset": "where to begin",
        "length": "how much",
        "desturi": "URI of the other host's daemon", "secret": "UUID of the secret",
        "nwfilter": "name or UUID of the filter",
        "binding": "name of the port", "quiesce": "freeze file systems meanwhile", "halt": "stop the domain afterwards",
        "disk-only": "without memory", "redefine": "the record of one that is there", "no-metadata": "keep no record",
        "reuse-external": "use the files that are there", "atomic": "all or nothing", "raw": "as the daemon says it",
        "table": "as a table", "cap": "kind of device", "reason": "with the reason",
        "managed-save": "with the kept state",
        "nvram": "with the firmware's variables", "keep-nvram": "without the firmware's variables",
        "remove-all-storage": "with all its volumes", "storage": "with these volumes",
        "keycode": "number or name of a key",
        "holdtime": "milliseconds to hold", "codeset": "whose numbers", "overwrite": "whatever is there",
        "no-overwrite": "only where nothing is", "build": "prepare what it stands on", "graceful": "ask first",
    ]
}
