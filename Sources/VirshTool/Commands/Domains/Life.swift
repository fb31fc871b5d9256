internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// A domain's life: from its definition to its end.
extension Run {
    static func define(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let flags: UInt32 = c.has("validate") ? VirDomainDefineFlags.validate : 0
        let domain = try failing("Failed to define domain from \(path)") {
            flags != 0
                ? try c.ask(Remote.DomainDefineXMLFlags.self, .init(xml: xml, flags: flags)).dom
                : try c.ask(Remote.DomainDefineXML.self, .init(xml: xml)).dom
        }
        c.say("Domain '\(domain.name)' defined from \(path)\n")
    }

    private static func startFlags(_ c: Call) -> UInt32 {
        c.bits(
            ("paused", VirDomainCreateFlags.startPaused), ("autodestroy", VirDomainCreateFlags.startAutodestroy),
            ("bypass-cache", VirDomainCreateFlags.startBypassCache),
            ("force-boot", VirDomainCreateFlags.startForceBoot), ("validate", VirDomainCreateFlags.startValidate),
            ("reset-nvram", VirDomainCreateFlags.startResetNvram))
    }

    /// Descriptors of `--pass-fds N,M`, which this process has from who started it.
    static func passedDescriptors(_ c: Call) throws -> [Descriptor] {
        guard let list = c["pass-fds"] else { return [] }
        return try list.split(separator: ",").map { word in
            guard let number = Int32(word), Descriptor.isOpen(number) else {
                throw CommandFailure("Unable to parse FD number '\(word)'")
            }
            return Descriptor(borrowing: number)
        }
    }

    static func create(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let passed = try passedDescriptors(c)
        let flags = startFlags(c)
        let domain = try failing("Failed to create domain from \(path)") {
            guard !passed.isEmpty else {
                return try c.ask(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: flags)).dom
            }
            let serial = try c.client.begin(
                Remote.DomainCreateXMLWithFiles.self, .init(xmlDesc: xml, flags: flags), descriptors: passed)
            return try c.client.answer(Remote.DomainCreateXMLWithFiles.self, to: serial).dom
        }
        c.say("Domain '\(domain.name)' created from \(path)\n")
        if c.has("console") { try console(c, domain, device: nil, flags: 0) }
    }

    static func start(_ c: Call) throws {
        let domain = try c.domain(byID: false)
        if domain.id != -1 { throw CommandFailure("Domain is already active") }
        let passed = try passedDescriptors(c)
        let flags = startFlags(c)
        let started = try failing("Failed to start domain '\(domain.name)'") {
            if !passed.isEmpty {
                let serial = try c.client.begin(
                    Remote.DomainCreateWithFiles.self, .init(dom: domain, flags: flags), descriptors: passed)
                return try c.client.answer(Remote.DomainCreateWithFiles.self, to: serial).dom
            }
            if flags != 0 { return try c.ask(Remote.DomainCreateWithFlags.self, .init(dom: domain, flags: flags)).dom }
            try c.ask(Remote.DomainCreate.self, .init(dom: domain))
            return domain
        }
        c.say("Domain '\(domain.name)' started\n")
        if c.has("console") { try console(c, started, device: nil, flags: 0) }
    }

    static func suspend(_ c: Call) throws {
        let domain = try c.domain()
        try failing("Failed to suspend domain '\(domain.name)'") {
            try c.ask(Remote.DomainSuspend.self, .init(dom: domain))
        }
        c.say("Domain '\(domain.name)' suspended\n")
    }

    static func resume(_ c: Call) throws {
        let domain = try c.domain()
        try failing("Failed to resume domain '\(domain.name)'") {
            try c.ask(Remote.DomainResume.self, .init(dom: domain))
        }
        c.say("Domain '\(domain.name)' resumed\n")
    }

    /// `acpi,agent,…` as flags.
    private static func modes(_ c: Call) throws -> UInt32 {
        guard let list = c["mode"] else { return 0 }
        var flags: UInt32 = 0
        for word in list.split(separator: ",", omittingEmptySubsequences: false) {
            switch word {
            case "acpi": flags |= UInt32(VirDomainShutdownFlagValues.acpiPowerBtn)
            case "agent": flags |= UInt32(VirDomainShutdownFlagValues.guestAgent)
            case "initctl": flags |= UInt32(VirDomainShutdownFlagValues.initctl)
            case "signal": flags |= UInt32(VirDomainShutdownFlagValues.signal)
            case "paravirt": flags |= UInt32(VirDomainShutdownFlagValues.paravirt)
            default:
                let last = c.parsed.command.name == "reboot" ? "'signal' or 'paravirt'" : "'signal', or 'paravirt'"
                throw CommandFailure("Unknown mode \(word) value, expecting 'acpi', 'agent', 'initctl', \(last)")
            }
        }
        return flags
    }

    static func shutdown(_ c: Call) throws {
        let flags = try modes(c)
        let domain = try c.domain()
        try failing("Failed to shutdown domain '\(domain.name)'") {
            if flags != 0 {
                try c.ask(Remote.DomainShutdownFlags.self, .init(dom: domain, flags: flags))
            } else {
                try c.ask(Remote.DomainShutdown.self, .init(dom: domain))
            }
        }
        c.say("Domain '\(domain.name)' is being shutdown\n")
    }

    static func reboot(_ c: Call) throws {
        let flags = try modes(c)
        let domain = try c.domain()
        try failing("Failed to reboot domain '\(domain.name)'") {
            try c.ask(Remote.DomainReboot.self, .init(dom: domain, flags: flags))
        }
        c.say("Domain '\(domain.name)' is being rebooted\n")
    }

    static func reset(_ c: Call) throws {
        let domain = try c.domain()
        try failing("Failed to reset domain '\(domain.name)'") {
            try c.ask(Remote.DomainReset.self, .init(dom: domain, flags: 0))
        }
        c.say("Domain '\(domain.name)' was reset\n")
    }

    static func destroy(_ c: Call) throws {
        let domain = try c.domain()
        let flags = c.bits(
            ("graceful", VirDomainDestroyFlagsValues.graceful), ("remove-logs", VirDomainDestroyFlagsValues.removeLogs))
        try failing("Failed to destroy domain '\(domain.name)'") {
            if flags != 0 {
                try c.ask(Remote.DomainDestroyFlags.self, .init(dom: domain, flags: flags))
            } else {
                try c.ask(Remote.DomainDestroy.self, .init(dom: domain))
            }
        }
        c.say("Domain '\(domain.name)' destroyed\n")
    }

    static func domrename(_ c: Call) throws {
        let domain = try c.domain()
        let name = try c.text("new-name")
        try c.ask(Remote.DomainRename.self, .init(dom: domain, newName: name, flags: 0))
        c.say("Domain successfully renamed\n")
    }

    static func autostart(_ c: Call) throws {
        let domain = try c.domain()
        let off = c.has("disable")
        let name = domain.name
        try failing(
            off ? "Failed to unmark domain '\(name)' as autostarted" : "Failed to mark domain '\(name)' as autostarted"
        ) {
            try c.ask(Remote.DomainSetAutostart.self, .init(dom: domain, autostart: off ? 0 : 1))
        }
        c.say(off ? "Domain '\(name)' unmarked as autostarted\n" : "Domain '\(name)' marked as autostarted\n")
    }

    static func injectNmi(_ c: Call) throws {
        let domain = try c.domain()
        try c.ask(Remote.DomainInjectNMI.self, .init(dom: domain, flags: 0))
    }

    static func dompmsuspend(_ c: Call) throws {
        let domain = try c.domain()
        let duration = try c.number("duration", UInt64.self) ?? 0
        guard let target = ["mem", "disk", "hybrid"].firstIndex(of: try c.text("target")) else {
            throw CommandFailure("Invalid target")
        }
        try failing("Domain '\(domain.name)' could not be suspended") {
            try c.ask(
                Remote.DomainPMSuspendForDuration.self,
                .init(dom: domain, target: UInt32(target), duration: duration, flags: 0))
        }
        c.say("Domain '\(domain.name)' successfully suspended")
    }

    static func dompmwakeup(_ c: Call) throws {
        let domain = try c.domain()
        try failing("Domain '\(domain.name)' could not be woken up") {
            try c.ask(Remote.DomainPMWakeup.self, .init(dom: domain, flags: 0))
        }
        c.say("Domain '\(domain.name)' successfully woken up")
    }

    static func setLifecycleAction(_ c: Call) throws {
        let flags = try c.impact()
        let (typeText, actionText) = (try c.text("type"), try c.text("action"))
        guard let type = ["poweroff", "reboot", "crash"].firstIndex(of: typeText) else {
            throw CommandFailure("Invalid lifecycle type '\(typeText)'.")
        }
        let actions = ["destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart"]
        guard let action = actions.firstIndex(of: actionText) else {
            throw CommandFailure("Invalid lifecycle action '\(actionText)'.")
        }
        let domain = try c.domain()
        try failing("Unable to change lifecycle action.") {
            try c.ask(
                Remote.DomainSetLifecycleAction.self,
                .init(dom: domain, type: UInt32(type), action: UInt32(action), flags: flags))
        }
    }

    static func qemuAttach(_ c: Call) throws {
        let pid = try c.number("pid", UInt32.self) ?? 0
        let domain = try failing("Failed to attach to pid \(pid)") {
            try c.ask(RemoteQEMU.DomainAttach.self, .init(pidValue: pid, flags: 0)).dom
        }
        c.say("Domain '\(domain.name)' attached to pid \(pid)\n")
    }

    static func sendProcessSignal(_ c: Call) throws {
        let domain = try c.domain()
        let pid = try c.number("pid", Int64.self) ?? 0
        let signal = try c.text("signame")
        guard let number = SignalNames.number(signal) else { throw CommandFailure("malformed signal name: \(signal)") }
        try c.ask(
            Remote.DomainSendProcessSignal.self, .init(dom: domain, pidValue: pid, signum: number, flags: 0))
    }

    static func domFdAssociate(_ c: Call) throws {
        let domain = try c.domain()
        let passed = try passedDescriptors(c)
        let flags = c.bits(
            ("seclabel-restore", VirDomainFDAssociateFlags.restore),
            ("seclabel-writable", VirDomainFDAssociateFlags.writable))
        let serial = try c.client.begin(
            Remote.DomainFDAssociate.self, .init(dom: domain, name: try c.text("name"), flags: flags),
            descriptors: passed)
        _ = try c.client.answer(Remote.DomainFDAssociate.self, to: serial)
    }

    static func lxcEnterNamespace(_ c: Call) throws {
        _ = try c.domain()
        throw CommandFailure("containers of LXC are not supported")
    }
}

/// Names of `virDomainProcessSignal`: `hup`, `SIGHUP`, `sig_hup`, a number.
enum SignalNames {
    private static let names = [
        "nop", "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1", "segv", "usr2", "pipe",
        "alrm",
        "term", "stkflt", "chld", "cont", "stop", "tstp", "ttin", "ttou", "urg", "xcpu", "xfsz", "vtalrm", "prof",
        "winch", "poll", "pwr", "sys",
    ]

    static func number(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number < 65 ? number : nil }
        var name = text.lowercased()
        for prefix in ["sig_", "sig"] where name.hasPrefix(prefix) {
            name = String(name.dropFirst(prefix.count))
            break
        }
        if name.hasPrefix("rt"), let place = UInt32(name.dropFirst(2)), place <= 32 { return 32 + place }
        return names.firstIndex(of: name).map { UInt32($0) }
    }
}
