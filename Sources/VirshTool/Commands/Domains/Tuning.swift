internal import LibvirtClient
internal import RPCWire

/// Memory and limits.
extension Run {
    static func setmem(_ c: Call) throws {
        let flags = try c.impact()
        let bytes = try c.scaled("size", scale: 1024) ?? 0
        let domain = try c.domain()
        let size = bytes / 1024
        if flags == 0, !c.has("current") {
            try c.ask(Remote.DomainSetMemory.self, .init(dom: domain, memory: size))
        } else {
            try c.ask(Remote.DomainSetMemoryFlags.self, .init(dom: domain, memory: size, flags: flags))
        }
    }

    static func setmaxmem(_ c: Call) throws {
        let flags = try c.impact()
        let bytes = try c.scaled("size", scale: 1024) ?? 0
        let domain = try c.domain()
        try failing("Unable to change MaxMemorySize") {
            if flags == 0, !c.has("current") {
                try c.ask(Remote.DomainSetMaxMemory.self, .init(dom: domain, memory: bytes / 1024))
            } else {
                try c.ask(
                    Remote.DomainSetMemoryFlags.self,
                    .init(dom: domain, memory: bytes / 1024, flags: flags | VirDomainMemoryModFlags.maximum))
            }
        }
    }

    /// Prints parameters, or sets those that were given.
    private static func parameters(
        _ c: Call, what: String, width: Int, given: [RemoteTypedParam],
        get: (Int32) throws -> Remote.DomainGetMemoryParameters.Result, text: (RemoteTypedParam) -> String,
        set: ([RemoteTypedParam]) throws -> Void
    ) throws {
        if !given.isEmpty { return try failing("Unable to change \(what) parameters") { try set(given) } }
        let count = try failing("Unable to get number of \(what) parameters") { try get(0).nparams }
        guard count > 0 else { return }
        let params = try failing("Unable to get \(what) parameters") { try get(count).params }
        for param in params { c.out("\(NumberText.left(param.field, width)): \(text(param))\n") }
    }

    static func memtune(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        // Everything above this many KiB is no limit.
        let unlimited: UInt64 = 9_007_199_254_740_991
        var given: [RemoteTypedParam] = []
        for (option, field) in [
            ("hard-limit", "hard_limit"), ("soft-limit", "soft_limit"), ("swap-hard-limit", "swap_hard_limit"),
            ("min-guarantee", "min_guarantee"),
        ] {
            guard let text = c[option] else { continue }
            if NumberText.integer(text) == -1 {
                given.append(RemoteTypedParam(field: field, value: .ulong(unlimited)))
                continue
            }
            guard let bytes = NumberText.scaled(text, 1024) else {
                throw CommandFailure("Unable to parse integer parameter '\(option)'")
            }
            given.append(RemoteTypedParam(field: field, value: .ulong(bytes / 1024)))
        }
        try parameters(
            c, what: "memory", width: 15, given: given,
            get: { try c.ask(Remote.DomainGetMemoryParameters.self, .init(dom: domain, nparams: $0, flags: flags)) },
            text: { param in
                if case .ulong(let value) = param.value, value >= unlimited { return "unlimited" }
                return ParameterText.value(param.value)
            },
            set: {
                try c.ask(Remote.DomainSetMemoryParameters.self, .init(dom: domain, params: $0, flags: flags))
            })
    }

    static func blkiotune(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        var given: [RemoteTypedParam] = []
        if let weight = try c.number("weight", Int32.self) {
            guard weight > 0 else { throw CommandFailure("Invalid value of \(weight) for I/O weight") }
            given.append(RemoteTypedParam(field: "weight", value: .uint(UInt32(weight))))
        }
        for (option, field) in [
            ("device-weights", "device_weight"), ("device-read-iops-sec", "device_read_iops_sec"),
            ("device-write-iops-sec", "device_write_iops_sec"), ("device-read-bytes-sec", "device_read_bytes_sec"),
            ("device-write-bytes-sec", "device_write_bytes_sec"),
        ] {
            if let text = c[option] { given.append(RemoteTypedParam(field: field, value: .string(text))) }
        }
        try parameters(
            c, what: "blkio", width: 15, given: given,
            get: { try c.ask(Remote.DomainGetBlockIOParameters.self, .init(dom: domain, nparams: $0, flags: flags)) },
            text: { ParameterText.value($0.value) },
            set: { try c.ask(Remote.DomainSetBlockIOParameters.self, .init(dom: domain, params: $0, flags: flags)) })
    }

    static func numatune(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let modes = ["strict", "preferred", "interleave", "restrictive"]
        var given: [RemoteTypedParam] = []
        if let nodes = c["nodeset"] { given.append(RemoteTypedParam(field: "numa_nodeset", value: .string(nodes))) }
        if let mode = c["mode"] {
            guard let number = modes.firstIndex(of: mode) ?? Int(mode) else {
                throw CommandFailure("Invalid mode: \(mode)")
            }
            given.append(RemoteTypedParam(field: "numa_mode", value: .int(Int32(clamping: number))))
        }
        try parameters(
            c, what: "numa", width: 15, given: given,
            get: { try c.ask(Remote.DomainGetNUMAParameters.self, .init(dom: domain, nparams: $0, flags: flags)) },
            text: { param in
                if case .int(let mode) = param.value, param.field == "numa_mode" { return DomainText.name(modes, mode) }
                return ParameterText.value(param.value)
            },
            set: { try c.ask(Remote.DomainSetNUMAParameters.self, .init(dom: domain, params: $0, flags: flags)) })
    }

    static func blkdeviotune(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let disk = try c.text("device")
        var given: [RemoteTypedParam] = []
        for kind in ["total", "read", "write"] {
            for (unit, scale) in [
                ("bytes-sec", UInt64(1)), ("iops-sec", UInt64(1)), ("bytes-sec-max", UInt64(1)),
                ("iops-sec-max", UInt64(1)), ("bytes-sec-max-length", 1), ("iops-sec-max-length", 1),
            ] {
                let option = "\(kind)-\(unit)"
                if let value = try c.scaled(option, scale: scale) {
                    let field = option.split(separator: "-").joined(separator: "_")
                    given.append(RemoteTypedParam(field: field, value: .ulong(value)))
                }
            }
        }
        if let size = try c.scaled("size-iops-sec", scale: 1) {
            given.append(RemoteTypedParam(field: "size_iops_sec", value: .ulong(size)))
        }
        if let group = c["group-name"] { given.append(RemoteTypedParam(field: "group_name", value: .string(group))) }
        if !given.isEmpty {
            return try failing("Unable to change block I/O throttle") {
                try c.ask(
                    Remote.DomainSetBlockIOTune.self, .init(dom: domain, disk: disk, params: given, flags: flags))
            }
        }
        let count = try failing("Unable to get number of block I/O throttle parameters") {
            try c.ask(Remote.DomainGetBlockIOTune.self, .init(dom: domain, disk: disk, nparams: 0, flags: flags))
                .nparams
        }
        guard count > 0 else { return }
        let params = try failing("Unable to get block I/O throttle parameters") {
            try c.ask(Remote.DomainGetBlockIOTune.self, .init(dom: domain, disk: disk, nparams: count, flags: flags))
                .params
        }
        for param in params { c.out("\(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n") }
    }

    static func schedinfo(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let kind = try c.ask(Remote.DomainGetSchedulerType.self, .init(dom: domain))
        c.out("\(NumberText.left("Scheduler", 15)): \(kind.type.isEmpty ? "Unknown" : kind.type)\n")
        guard kind.nparams > 0 else { return }
        func get() throws -> [RemoteTypedParam] {
            if flags == 0, !c.has("current") {
                return try c.ask(
                    Remote.DomainGetSchedulerParameters.self, .init(dom: domain, nparams: kind.nparams)
                ).params
            }
            return try c.ask(
                Remote.DomainGetSchedulerParametersFlags.self,
                .init(dom: domain, nparams: kind.nparams, flags: flags)
            ).params
        }
        let old = try get()
        var given: [RemoteTypedParam] = []
        for option in ["weight", "cap"] {
            if let value = try c.number(option, UInt32.self) {
                given.append(RemoteTypedParam(field: option, value: .uint(value)))
            }
        }
        for word in c.all("set") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw CommandFailure("Invalid syntax for --set, expecting name=value") }
            guard let param = old.first(where: { $0.field == parts[0] }) else {
                throw CommandFailure("invalid scheduler option: \(word)")
            }
            guard let value = ParameterText.like(param.value, parts[1]) else {
                throw CommandFailure("invalid value of parameter '\(parts[0])'")
            }
            given.append(RemoteTypedParam(field: parts[0], value: value))
        }
        if !given.isEmpty {
            if flags == 0, !c.has("current") {
                try c.ask(Remote.DomainSetSchedulerParameters.self, .init(dom: domain, params: given))
            } else {
                try c.ask(
                    Remote.DomainSetSchedulerParametersFlags.self, .init(dom: domain, params: given, flags: flags))
            }
        }
        for param in given.isEmpty ? old : try get() {
            c.out("\(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n")
        }
    }

    static func perf(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        var given: [RemoteTypedParam] = []
        for (option, on) in [("enable", true), ("disable", false)] {
            for name in (c[option] ?? "").split(separator: ",") {
                given.append(RemoteTypedParam(field: String(name), value: .boolean(on)))
            }
        }
        if !given.isEmpty {
            try failing("Unable to enable/disable perf events") {
                try c.ask(Remote.DomainSetPerfEvents.self, .init(dom: domain, params: given, flags: flags))
            }
            for param in given {
                if case .boolean(let on) = param.value {
                    c.out("\(NumberText.left(param.field, 15)): \(on ? "enabled" : "disabled")\n")
                }
            }
            return
        }
        let params = try failing("Unable to get perf events") {
            try c.ask(Remote.DomainGetPerfEvents.self, .init(dom: domain, flags: flags)).params
        }
        for param in params {
            if case .boolean(let on) = param.value {
                c.out("\(NumberText.left(param.field, 15)): \(on ? "enabled" : "disabled")\n")
            }
        }
    }
}
