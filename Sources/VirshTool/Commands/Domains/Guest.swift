internal import HostOS
internal import JSON
internal import LibvirtClient
internal import RPCWire

/// The monitor, the guest's agent, and what goes through it.
extension Run {
    /// JSON with an indent of two, as people read it.
    static func prettyJSON(_ text: String) throws -> String {
        do { return try JSONText.indented(text) } catch { return text }
    }

    static func qemuMonitorCommand(_ c: Call) throws {
        for pair in [("hmp", "pretty"), ("hmp", "return-value")] { try c.exclusive(pair.0, pair.1) }
        let domain = try c.domain()
        let command = c.all("cmd").joined(separator: " ")
        let isHMP = c.has("hmp")
        let passed = try passedDescriptors(c)
        let arguments = RemoteQEMU.DomainMonitorCommand.Arguments(
            dom: domain, cmd: command, flags: isHMP ? VirDomainQemuMonitorCommandFlags.hmp : 0)
        var text: String
        if passed.isEmpty {
            text = try c.ask(RemoteQEMU.DomainMonitorCommand.self, arguments).result
        } else {
            let serial = try c.client.begin(
                RemoteQEMU.DomainMonitorCommandWithFiles.self, arguments, descriptors: passed)
            text = try c.client.answer(RemoteQEMU.DomainMonitorCommandWithFiles.self, to: serial).result
        }
        if c.has("return-value") {
            guard let value = try? JSONText.member(text, "return") else {
                throw CommandFailure("failed to parse JSON returned by qemu")
            }
            text = value
        }
        if isHMP { return c.out("\(text)\n") }
        c.out(c.has("pretty") ? try prettyJSON(text) + "\n" : "\(text)\n")
    }

    static func qemuAgentCommand(_ c: Call) throws {
        for pair in [("timeout", "async"), ("timeout", "block"), ("async", "block")] { try c.exclusive(pair.0, pair.1) }
        let domain = try c.domain()
        var timeout = VirDomainQemuAgentCommandTimeoutValues.default
        if let seconds = try c.number("timeout", Int32.self) {
            guard seconds >= 1 else { throw CommandFailure("timeout must be positive") }
            timeout = seconds
        }
        if c.has("async") { timeout = VirDomainQemuAgentCommandTimeoutValues.nowait }
        if c.has("block") { timeout = VirDomainQemuAgentCommandTimeoutValues.block }
        let result = try c.ask(
            RemoteQEMU.DomainAgentCommand.self,
            .init(dom: domain, cmd: c.all("cmd").joined(separator: " "), timeout: timeout, flags: 0)
        ).result
        guard let result else { return }
        c.out((c.has("pretty") ? try prettyJSON(result) : result) + "\n")
    }

    static func guestAgentTimeout(_ c: Call) throws {
        let domain = try c.domain()
        let timeout = try c.number("timeout", Int32.self) ?? VirDomainAgentResponseTimeoutValues.block
        try c.ask(Remote.DomainAgentSetResponseTimeout.self, .init(dom: domain, timeout: timeout, flags: 0))
    }

    static func guestinfo(_ c: Call) throws {
        typealias Types = VirDomainGuestInfoTypes
        let types = c.bits(
            ("user", Types.users), ("os", Types.os), ("timezone", Types.timezone), ("hostname", Types.hostname),
            ("filesystem", Types.filesystem), ("disk", Types.disks), ("interface", Types.interfaces))
        let domain = try c.domain()
        for param in try c.ask(Remote.DomainGetGuestInfo.self, .init(dom: domain, types: types, flags: 0)).params {
            c.out("\(NumberText.left(param.field, 20)): \(ParameterText.value(param.value))\n")
        }
    }

    static func domfsfreeze(_ c: Call) throws {
        let domain = try c.domain()
        let count = try failing("Unable to freeze filesystems") {
            try c.ask(
                Remote.DomainFSFreeze.self, .init(dom: domain, mountpoints: c.all("mountpoint"), flags: 0)
            ).filesystems
        }
        c.say("Froze \(count) filesystem(s)\n")
    }

    static func domfsthaw(_ c: Call) throws {
        let domain = try c.domain()
        let count = try failing("Unable to thaw filesystems") {
            try c.ask(
                Remote.DomainFSThaw.self, .init(dom: domain, mountpoints: c.all("mountpoint"), flags: 0)
            ).filesystems
        }
        c.say("Thawed \(count) filesystem(s)\n")
    }

    static func domfstrim(_ c: Call) throws {
        let minimum = try c.scaled("minimum", scale: 1) ?? 0
        let domain = try c.domain()
        try failing("Unable to invoke fstrim") {
            try c.ask(
                Remote.DomainFSTrim.self,
                .init(dom: domain, mountPoint: c["mountpoint"], minimum: minimum, flags: 0))
        }
    }

    static func domfsinfo(_ c: Call) throws {
        let domain = try c.domain()
        let systems = try failing("Unable to get filesystem information") {
            try c.ask(Remote.DomainGetFSInfo.self, .init(dom: domain, flags: 0)).info
        }
        if systems.isEmpty { throw CommandFailure("No filesystems are mounted in the domain") }
        var table = TextTable("Mountpoint", "Name", "Type", "Target")
        for system in systems {
            table.add(system.mountpoint, system.name, system.fstype, system.devAliases.joined(separator: ","))
        }
        c.table(table)
    }

    static func domhostname(_ c: Call) throws {
        var flags: UInt32 = 0
        if let source = c["source"] {
            guard let place = ["lease", "agent"].firstIndex(of: source) else {
                throw CommandFailure("Unknown data source '\(source)'")
            }
            flags = 1 << UInt32(place)
        }
        let domain = try c.domain()
        let name = try failing("failed to get hostname") {
            try c.ask(Remote.DomainGetHostname.self, .init(dom: domain, flags: flags)).hostname
        }
        c.out("\(name)\n")
    }

    static func domtime(_ c: Call) throws {
        for pair in [("time", "now"), ("time", "sync"), ("now", "sync"), ("pretty", "sync")] {
            try c.exclusive(pair.0, pair.1)
        }
        let domain = try c.domain()
        if c.has("now") || c.has("sync") || c.has("time") {
            let now = Int64(HostClock.realtime / 1_000_000_000)
            let seconds = c.has("now") ? now : try c.number("time", Int64.self) ?? 0
            try c.ask(
                Remote.DomainSetTime.self,
                .init(
                    dom: domain, seconds: seconds, nseconds: 0, flags: c.has("sync") ? VirDomainSetTimeFlags.sync : 0))
            return
        }
        let time = try c.ask(Remote.DomainGetTime.self, .init(dom: domain, flags: 0))
        c.out("Time: \(c.has("pretty") ? TimeText.dateTime(time.seconds, utc: true) : "\(time.seconds)")")
        c.out("\n")
    }

    static func setUserPassword(_ c: Call) throws {
        let flags: UInt32 = c.has("encrypted") ? VirDomainSetUserPasswordFlags.encrypted : 0
        let domain = try c.domain()
        let user = try c.text("user")
        let password = try c.text("password")
        try c.ask(
            Remote.DomainSetUserPassword.self, .init(dom: domain, user: user, password: password, flags: flags))
        c.say("Password set successfully for \(user) in \(domain.name)")
    }

    static func getUserSshkeys(_ c: Call) throws {
        let domain = try c.domain()
        let user = try c.text("user")
        for key in try c.ask(Remote.DomainAuthorizedSSHKeysGet.self, .init(dom: domain, user: user, flags: 0)).keys {
            c.out("\(key)\n")
        }
    }

    static func setUserSshkeys(_ c: Call) throws {
        for pair in [("reset", "remove")] { try c.exclusive(pair.0, pair.1) }
        let domain = try c.domain()
        let user = try c.text("user")
        var keys: [String] = []
        if let path = c["file"] {
            keys = try c.file(path).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
            if keys.isEmpty { throw CommandFailure("File \(path) contains no keys") }
        } else if !c.has("reset") {
            throw CommandFailure("Option --file is required")
        }
        typealias Flags = VirDomainAuthorizedSSHKeysSetFlags
        let flags = c.has("reset") ? 0 : c.has("remove") ? Flags.remove : Flags.append
        try c.ask(
            Remote.DomainAuthorizedSSHKeysSet.self, .init(dom: domain, user: user, keys: keys, flags: flags))
    }

    static func sendKey(_ c: Call) throws {
        let domain = try c.domain()
        let codesets = ["linux", "xt", "atset1", "atset2", "atset3", "os_x", "xt_kbd", "usb", "win32", "qnum"]
        let name = c["codeset"] ?? "linux"
        guard let codeset = name == "rfb" ? 9 : codesets.firstIndex(of: name) else {
            throw CommandFailure("unknown codeset: '\(name)'")
        }
        let hold = try c.number("holdtime", UInt32.self) ?? 0
        let words = c.all("keycode")
        guard words.count <= 16 else { throw CommandFailure("too many keycodes") }
        let codes = try words.map { word in
            if let number = NumberText.integer(word).flatMap({ UInt32(exactly: $0) }) { return number }
            guard codeset == 0, let code = KeyNames.linux(word) else {
                throw CommandFailure("invalid keycode: '\(word)'")
            }
            return code
        }
        try c.ask(
            Remote.DomainSendKey.self,
            .init(dom: domain, codeset: UInt32(codeset), holdtime: hold, keycodes: codes, flags: 0))
    }

    static func domlaunchsecinfo(_ c: Call) throws {
        let domain = try c.domain()
        for param in try c.ask(Remote.DomainGetLaunchSecurityInfo.self, .init(dom: domain, flags: 0)).params {
            c.out("\(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n")
        }
    }

    static func domsetlaunchsecstate(_ c: Call) throws {
        let domain = try c.domain()
        guard c.has("secrethdr"), c.has("secret") else {
            throw CommandFailure("Both secret and the secret header are required")
        }
        var params: [RemoteTypedParam] = []
        for (option, field) in [("secrethdr", "sev-secret-header"), ("secret", "sev-secret")] {
            guard let path = c[option] else { continue }
            params.append(RemoteTypedParam(field: field, value: .string(try c.file(path).trimmedEnd)))
        }
        if let address = try c.number("set-address", UInt64.self) {
            params.append(RemoteTypedParam(field: "sev-secret-set-address", value: .ulong(address)))
        }
        try c.ask(Remote.DomainSetLaunchSecurityState.self, .init(dom: domain, params: params, flags: 0))
    }
}
