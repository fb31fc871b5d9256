internal import DomainModel
internal import JSON
internal import RPCWire

extension HandlerTable {
    /// What only the agent inside a guest knows or can do.
    mutating func addAgent() {
        add(RemoteQEMU.DomainAgentCommand.self, .worker) { (call, arguments) throws(LibvirtError) in
            guard case .object(let question)? = try? JSONReader.parse(arguments.cmd) else {
                throw LibvirtError.internalError("cannot parse json \(arguments.cmd)")
            }
            // -2: for as long as it takes; a day is that.
            let seconds: Int32? =
                switch arguments.timeout {
                case -2: 86_400
                case -1: nil
                default: arguments.timeout
                }
            let answer = try GuestAgent.ask(try call.domain(arguments.dom), question, seconds: seconds)
            return .init(result: answer.description)
        }
        add(Remote.DomainGetHostname.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(try call.domain(arguments.dom), "guest-get-host-name")
            return .init(hostname: answer["host-name"]?.stringValue ?? "")
        }
        add(Remote.DomainGetTime.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(try call.domain(arguments.dom), "guest-get-time").int64Value ?? 0
            return .init(seconds: answer / 1_000_000_000, nseconds: UInt32(clamping: answer % 1_000_000_000))
        }
        add(Remote.DomainSetTime.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            guard arguments.seconds >= 0, arguments.seconds < Int64.max / 1_000_000_000 - 1 else {
                throw LibvirtError.invalidArgument("Time '\(arguments.seconds)' is too big for guest agent")
            }
            let time = arguments.seconds * 1_000_000_000 + Int64(arguments.nseconds)
            // Flag 1: from the machine's own clock.
            let words: JSONObject? = arguments.flags & 1 != 0 ? nil : ["time": .number(time)]
            try GuestAgent.execute(domain, "guest-set-time", words)
        }
        add(Remote.DomainFSFreeze.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let points = arguments.mountpoints.map { JSONValue.string($0) }
            let answer = try GuestAgent.execute(
                domain, points.isEmpty ? "guest-fsfreeze-freeze" : "guest-fsfreeze-freeze-list",
                points.isEmpty ? nil : ["mountpoints": .array(points)])
            return .init(filesystems: Int32(clamping: answer.int64Value ?? 0))
        }
        add(Remote.DomainFSThaw.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(try call.domain(arguments.dom), "guest-fsfreeze-thaw")
            return .init(filesystems: Int32(clamping: answer.int64Value ?? 0))
        }
        add(Remote.DomainFSTrim.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try GuestAgent.execute(
                try call.domain(arguments.dom), "guest-fstrim", ["minimum": .number(arguments.minimum)])
        }
        add(Remote.DomainGetFSInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(try call.domain(arguments.dom), "guest-get-fsinfo").arrayValue ?? []
            let info = answer.prefix(256).map { entry in
                RemoteDomainFSInfo(
                    mountpoint: entry["mountpoint"]?.stringValue ?? "", name: entry["name"]?.stringValue ?? "",
                    fstype: entry["type"]?.stringValue ?? "", devAliases: [])
            }
            return .init(info: info, ret: UInt32(clamping: info.count))
        }
        add(Remote.DomainSetUserPassword.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let bytes = Array((arguments.password ?? "").utf8)
            try GuestAgent.execute(
                try call.domain(arguments.dom), "guest-set-user-password",
                [
                    "username": .string(arguments.user ?? ""), "password": .string(Base64.encode(bytes)),
                    "crypted": .bool(arguments.flags & VirDomainSetUserPasswordFlags.encrypted != 0),
                ])
        }
        add(Remote.DomainAuthorizedSSHKeysGet.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(
                try call.domain(arguments.dom), "guest-ssh-get-authorized-keys",
                ["username": .string(arguments.user)])
            return .init(keys: (answer["keys"]?.arrayValue ?? []).compactMap(\.stringValue))
        }
        add(Remote.DomainAuthorizedSSHKeysSet.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let removes = arguments.flags & 2 != 0
            let keys = JSONValue.array(arguments.keys.map { .string($0) })
            var words: JSONObject = ["username": .string(arguments.user), "keys": keys]
            if !removes { words["reset"] = .bool(arguments.flags & 1 == 0) }
            try GuestAgent.execute(
                try call.domain(arguments.dom),
                removes ? "guest-ssh-remove-authorized-keys" : "guest-ssh-add-authorized-keys", words)
        }
        add(Remote.DomainGetGuestInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(params: try GuestInformation(try call.domain(arguments.dom), types: arguments.types).parameters)
        }
        add(Remote.DomainGetGuestVCPUs.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try GuestAgent.execute(try call.domain(arguments.dom), "guest-get-vcpus").arrayValue ?? []
            func list(_ entries: [JSONValue]) -> String {
                entries.compactMap { $0["logical-id"]?.int64Value }.map(String.init).joined(separator: ",")
            }
            return .init(
                params: [
                    .init(field: "vcpus", value: .string(list(answer))),
                    .init(field: "online", value: .string(list(answer.filter { $0["online"]?.boolValue == true }))),
                    .init(
                        field: "offlinable",
                        value: .string(list(answer.filter { $0["can-offline"]?.boolValue == true }))),
                ])
        }
    }
}

/// What `virsh guestinfo` shows.
private struct GuestInformation {
    private(set) var parameters: [RemoteTypedParam] = []

    private mutating func add(_ name: String, _ value: JSONValue?) {
        if let text = value?.stringValue { parameters.append(.init(field: name, value: .string(text))) }
    }

    /// `types`: users 1, system 2, time zone 4, host name 8, file systems 16, disks 32, interfaces 64; 0 is all.
    init(_ domain: Domain, types: UInt32) throws(LibvirtError) {
        func wants(_ type: UInt32) -> Bool { types == 0 || types & type != 0 }
        // One that the agent does not know is left out, unless it alone was asked for.
        var failure: LibvirtError?
        func ask(_ command: String) -> JSONValue? {
            do throws(LibvirtError) { return try GuestAgent.execute(domain, command) } catch {
                failure = error
                return nil
            }
        }
        if wants(1), let users = ask("guest-get-users")?.arrayValue {
            parameters.append(.init(field: "user.count", value: .uint(UInt32(clamping: users.count))))
            for (index, user) in users.enumerated() { add("user.\(index).name", user["user"]) }
        }
        if wants(2), let system = ask("guest-get-osinfo") {
            for (field, name) in [
                ("os.id", "id"), ("os.name", "name"), ("os.pretty-name", "pretty-name"), ("os.version", "version"),
                ("os.version-id", "version-id"), ("os.machine", "machine"), ("os.kernel-release", "kernel-release"),
                ("os.kernel-version", "kernel-version"),
            ] { add(field, system[name]) }
        }
        if wants(4), let zone = ask("guest-get-timezone") {
            add("timezone.name", zone["zone"])
            parameters.append(
                .init(field: "timezone.offset", value: .int(Int32(clamping: zone["offset"]?.int64Value ?? 0))))
        }
        if wants(8), let name = ask("guest-get-host-name") { add("hostname", name["host-name"]) }
        if wants(16), let systems = ask("guest-get-fsinfo")?.arrayValue {
            parameters.append(.init(field: "fs.count", value: .uint(UInt32(clamping: systems.count))))
            for (index, system) in systems.enumerated() {
                add("fs.\(index).name", system["name"])
                add("fs.\(index).mountpoint", system["mountpoint"])
                add("fs.\(index).fstype", system["type"])
            }
        }
        if wants(64), let cards = try? GuestAgent.interfaces(domain) {
            parameters.append(.init(field: "if.count", value: .uint(UInt32(clamping: cards.count))))
            for (index, card) in cards.enumerated() {
                add("if.\(index).name", .string(card.name))
                if let address = card.hwaddr { add("if.\(index).hwaddr", .string(address)) }
                for (place, address) in card.addrs.enumerated() {
                    add("if.\(index).addr.\(place).addr", .string(address.addr))
                }
            }
        }
        if parameters.isEmpty, let failure { throw failure }
    }
}
