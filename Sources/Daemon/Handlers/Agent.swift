internal import DomainModel
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// What only the agent inside a guest knows or can do.
    mutating func addAgent() {
        add(RemoteQEMU.DomainAgentCommand.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            try GuestAgent.check(domain)
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
            let answer = try GuestAgent.ask(domain, question, seconds: seconds)
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
            let live = try call.domain(arguments.dom).state.withLock { $0.current }
            let info = answer.prefix(256).map { entry in
                RemoteDomainFSInfo(
                    mountpoint: entry["mountpoint"]?.stringValue ?? "", name: entry["name"]?.stringValue ?? "",
                    fstype: entry["type"]?.stringValue ?? "",
                    devAliases: (entry["disk"]?.arrayValue ?? []).prefix(256).compactMap {
                        GuestInformation.target($0, live)
                    })
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
        add(Remote.DomainSetGuestVCPUs.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            let wanted = HostDescription.range(arguments.cpumap)
            guard !wanted.isEmpty, arguments.state == 0 || arguments.state == 1 else {
                throw LibvirtError.invalidArgument("Failed to parse bitmap '\(arguments.cpumap)'")
            }
            let known = try GuestAgent.execute(domain, "guest-get-vcpus").arrayValue ?? []
            var list: [JSONValue] = []
            for index in wanted {
                guard let entry = known.first(where: { $0["logical-id"]?.intValue == index }) else {
                    throw LibvirtError.invalidArgument("vcpu '\(index)' not found in guest")
                }
                if arguments.state == 0, entry["can-offline"]?.boolValue == false {
                    throw LibvirtError.invalidArgument("guest vcpu '\(index)' can't be offlined")
                }
                list.append(.object(["logical-id": .number(Int64(index)), "online": .bool(arguments.state == 1)]))
            }
            try GuestAgent.execute(domain, "guest-set-vcpus", ["vcpus": .array(list)])
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
