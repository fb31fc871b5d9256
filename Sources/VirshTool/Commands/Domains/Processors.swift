internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Virtual processors, and where they run.
extension Run {
    /// Bits of a map as a list: `0-3,5`.
    static func ranges(_ map: some Collection<UInt8>, count: Int) -> String {
        let bytes = Array(map)
        var parts: [String] = []
        var start: Int?
        for cpu in 0...count {
            let isSet = cpu < count && cpu / 8 < bytes.count && bytes[cpu / 8] & 1 << UInt8(cpu % 8) != 0
            if isSet {
                start = start ?? cpu
            } else if let first = start {
                parts.append(first == cpu - 1 ? "\(first)" : "\(first)-\(cpu - 1)")
                start = nil
            }
        }
        return parts.joined(separator: ",")
    }

    /// A list `0-3,^2,5` as a map of so many processors; `r`: all.
    static func cpuMap(_ list: String, count: Int) throws -> [UInt8] {
        var bits = [Bool](repeating: false, count: count)
        let failure = CommandFailure(
            "Invalid cpulist '\(list)'", "invalid argument: Failed to parse bitmap '\(list)'")
        if list == "r" {
            bits = [Bool](repeating: true, count: count)
        } else {
            for part in list.split(separator: ",", omittingEmptySubsequences: false) {
                let text = part.trimmed
                let isOff = text.hasPrefix("^")
                let ends = (isOff ? text.dropFirst() : text[...]).split(
                    separator: "-", omittingEmptySubsequences: false
                ).map { Int($0) }
                guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 0,
                    last >= first, last < 16384
                else { throw failure }
                for cpu in first...last where cpu < count { bits[cpu] = !isOff }
            }
            guard bits.contains(true) else { throw failure }
        }
        var map = [UInt8](repeating: 0, count: (count + 7) / 8)
        for (cpu, isSet) in bits.enumerated() where isSet { map[cpu / 8] |= 1 << UInt8(cpu % 8) }
        return map
    }

    /// How many processors the host has, those that are off too.
    static func hostCPUs(_ c: Call) throws -> Int {
        if let count = try? c.ask(
            Remote.NodeGetCPUMap.self, .init(needMap: 0, needOnline: 0, flags: 0)
        ).ret, count > 0 {
            return Int(count)
        }
        let info = try c.ask(Remote.NodeGetInfo.self, NoPayload())
        return max(1, Int(info.nodes) * Int(info.sockets) * Int(info.cores) * Int(info.threads))
    }

    static func vcpuinfo(_ c: Call) throws {
        let domain = try c.domain()
        let cpus = try hostCPUs(c)
        let length = (cpus + 7) / 8
        let count = Int(try c.ask(Remote.DomainGetInfo.self, .init(dom: domain)).nrVirtCpu)
        let pretty = c.has("pretty")
        func affinity(_ map: ArraySlice<UInt8>) -> String {
            if pretty { return "\(ranges(map, count: cpus)) (out of \(cpus))" }
            let bytes = Array(map)
            return String(
                (0..<cpus).map { $0 / 8 < bytes.count && bytes[$0 / 8] & 1 << UInt8($0 % 8) != 0 ? "y" : "-" })
        }
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        do {
            let answer = try c.ask(
                Remote.DomainGetVCPUs.self, .init(dom: domain, maxinfo: Int32(count), maplen: Int32(length)))
            for (index, info) in answer.info.enumerated() {
                line("VCPU:", "\(info.number)")
                line("CPU:", info.cpu >= 0 ? "\(info.cpu)" : "N/A")
                line("State:", DomainText.name(["offline", "running", "blocked"], info.state, "no state"))
                if info.cpuTime != 0 {
                    line("CPU time:", "\(NumberText.fixed(Double(info.cpuTime) / 1_000_000_000, 1))s")
                }
                line(
                    "CPU Affinity:",
                    affinity(answer.cpumaps[min(index * length, answer.cpumaps.count)...].prefix(length)))
                if index < answer.info.count - 1 { c.out("\n") }
            }
        } catch let error as ClientError {
            // One that does not run has only its definition.
            guard error.isAnswer, try !c.isActive(domain) else { throw error }
            let pins = try c.ask(
                Remote.DomainGetVCPUPinInfo.self,
                .init(
                    dom: domain, ncpumaps: Int32(count), maplen: Int32(length),
                    flags: VirDomainModificationImpact.config))
            for index in 0..<Int(max(0, min(pins.num, Int32(count)))) {
                line("VCPU:", "\(index)")
                line("CPU:", "N/A")
                line("State:", "N/A")
                line("CPU time", "N/A")
                line("CPU Affinity:", affinity(pins.cpumaps[min(index * length, pins.cpumaps.count)...].prefix(length)))
                if index < Int(pins.num) - 1 { c.out("\n") }
            }
        }
    }

    static func vcpupin(_ c: Call) throws {
        var flags = try c.impact()
        if !c.has("config"), !c.has("live"), !c.has("current") { flags = 0 }
        let vcpu = try c.number("vcpu", UInt32.self)
        let domain = try c.domain()
        let cpus = try hostCPUs(c)
        let length = (cpus + 7) / 8
        guard let list = c["cpulist"] else {
            let count = try failing("cannot get vcpu count for domain") {
                try vcpuCount(c, domain, flags)
            }
            let pins = try c.ask(
                Remote.DomainGetVCPUPinInfo.self,
                .init(dom: domain, ncpumaps: Int32(count), maplen: Int32(length), flags: flags))
            if let vcpu, Int(vcpu) >= Int(pins.num) {
                throw CommandFailure("vcpu \(vcpu) is out of range of live cpu count \(pins.num)")
            }
            var table = TextTable("VCPU", "CPU Affinity")
            for index in 0..<Int(max(0, min(pins.num, Int32(clamping: count))))
            where vcpu == nil || Int(vcpu ?? 0) == index {
                let map = pins.cpumaps[min(index * length, pins.cpumaps.count)...].prefix(length)
                table.add("\(index)", ranges(map, count: cpus))
            }
            return c.table(table)
        }
        guard let vcpu else { throw CommandFailure("vcpupin: Missing vCPU number in pin mode.") }
        let map = try cpuMap(list, count: cpus)
        if flags == 0, !c.has("current") {
            try c.ask(Remote.DomainPinVCPU.self, .init(dom: domain, vcpu: vcpu, cpumap: map))
        } else {
            try c.ask(Remote.DomainPinVCPUFlags.self, .init(dom: domain, vcpu: vcpu, cpumap: map, flags: flags))
        }
    }

    /// Processors of a domain for a table of places.
    private static func vcpuCount(_ c: Call, _ domain: RemoteDomain, _ flags: UInt32) throws -> Int {
        let wanted = flags | VirDomainVcpuFlags.maximum
        if let count = try? c.ask(Remote.DomainGetVCPUsFlags.self, .init(dom: domain, flags: wanted)).num {
            return Int(count)
        }
        return Int(try c.ask(Remote.DomainGetInfo.self, .init(dom: domain)).nrVirtCpu)
    }

    static func emulatorpin(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let cpus = try hostCPUs(c)
        guard let list = c["cpulist"] else {
            let map = try c.ask(
                Remote.DomainGetEmulatorPinInfo.self, .init(dom: domain, maplen: Int32((cpus + 7) / 8), flags: flags))
            c.say("emulator: CPU Affinity\n----------------------------------\n")
            c.out("       *: \(ranges(map.cpumaps, count: cpus))\n")
            return
        }
        try c.ask(
            Remote.DomainPinEmulator.self, .init(dom: domain, cpumap: try cpuMap(list, count: cpus), flags: flags))
    }

    static func vcpucount(_ c: Call) throws {
        try c.exclusive("live", "config")
        for pair in [
            ("guest", "live"), ("guest", "config"), ("current", "live"), ("current", "config"), ("active", "maximum"),
            ("guest", "maximum"),
        ] {
            try c.exclusive(pair.0, pair.1)
        }
        let domain = try c.domain()
        typealias Flags = VirDomainVcpuFlags
        func count(_ flags: UInt32) throws -> Int32 {
            try c.ask(Remote.DomainGetVCPUsFlags.self, .init(dom: domain, flags: flags)).num
        }
        let chosen = c.bits(("live", Flags.live), ("config", Flags.config), ("guest", Flags.guest))
        if chosen != 0 || c.has("current") || c.has("active") || c.has("maximum") {
            let flags = chosen | (c.has("maximum") ? Flags.maximum : 0)
            return c.out("\(try count(flags))\n")
        }
        func line(_ kind: String, _ place: String, _ flags: UInt32) {
            guard let number = try? count(flags) else { return }
            c.out("\(NumberText.left(kind, 12)) \(NumberText.left(place, 12)) \(NumberText.right("\(number)", 3))\n")
        }
        let active = try c.isActive(domain)
        let persistent = try c.ask(Remote.DomainIsPersistent.self, .init(dom: domain)).persistent != 0
        if persistent { line("maximum", "config", Flags.maximum | Flags.config) }
        if active { line("maximum", "live", Flags.maximum | Flags.live) }
        if persistent { line("current", "config", Flags.config) }
        if active { line("current", "live", Flags.live) }
    }

    static func setvcpus(_ c: Call) throws {
        var flags = try c.impact()
        for pair in [("guest", "config"), ("guest", "maximum"), ("config", "guest")] { try c.exclusive(pair.0, pair.1) }
        flags |= c.bits(
            ("guest", VirDomainVcpuFlags.guest), ("maximum", VirDomainVcpuFlags.maximum),
            ("hotpluggable", VirDomainVcpuFlags.hotpluggable))
        guard let count = try c.number("count", UInt32.self), count > 0 else {
            throw CommandFailure("Can't set 0 processors for a VM")
        }
        let domain = try c.domain()
        if flags == 0, !c.has("current") {
            try c.ask(Remote.DomainSetVCPUs.self, .init(dom: domain, nvcpus: count))
        } else {
            try c.ask(Remote.DomainSetVCPUsFlags.self, .init(dom: domain, nvcpus: count, flags: flags))
        }
    }

    static func setvcpu(_ c: Call) throws {
        try c.exclusive("enable", "disable")
        let flags = try c.impact()
        guard c.has("enable") || c.has("disable") else {
            throw CommandFailure("one of --enable or --disable is required")
        }
        let list = try c.text("vcpulist")
        let domain = try c.domain()
        try c.ask(
            Remote.DomainSetVCPU.self, .init(dom: domain, cpumap: list, state: c.has("enable") ? 1 : 0, flags: flags))
    }

    static func guestvcpus(_ c: Call) throws {
        try c.exclusive("enable", "disable")
        try c.requires("enable", "cpulist")
        try c.requires("disable", "cpulist")
        let domain = try c.domain()
        if let list = c["cpulist"] {
            guard c.has("enable") || c.has("disable") else {
                throw CommandFailure("One of options --enable or --disable is required by option --cpulist")
            }
            try c.ask(
                Remote.DomainSetGuestVCPUs.self,
                .init(dom: domain, cpumap: list, state: c.has("enable") ? 1 : 0, flags: 0))
            return
        }
        for param in try c.ask(Remote.DomainGetGuestVCPUs.self, .init(dom: domain, flags: 0)).params {
            c.out("\(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n")
        }
    }

    // MARK: - I/O threads

    static func iothreadinfo(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let cpus = try hostCPUs(c)
        let threads = try failing("Unable to get domain IOThreads information") {
            try c.ask(Remote.DomainGetIOThreadInfo.self, .init(dom: domain, flags: flags)).info
        }
        if threads.isEmpty { return c.say("No IOThreads found for the domain") }
        var table = TextTable("IOThread ID", "CPU Affinity")
        for thread in threads { table.add("\(thread.iothreadId)", ranges(thread.cpumap, count: cpus)) }
        c.table(table)
    }

    static func iothreadpin(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let thread = try c.number("iothread", UInt32.self) ?? 0
        let list = try c.text("cpulist")
        let map = try cpuMap(list, count: try hostCPUs(c))
        try c.ask(Remote.DomainPinIOThread.self, .init(dom: domain, iothreadsId: thread, cpumap: map, flags: flags))
    }

    private static func threadID(_ c: Call) throws -> UInt32 {
        guard let id = try c.number("id", UInt32.self), id > 0 else {
            throw CommandFailure("Invalid IOThread id value: '0'")
        }
        return id
    }

    static func iothreadadd(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        try c.ask(Remote.DomainAddIOThread.self, .init(dom: domain, iothreadId: try threadID(c), flags: flags))
    }

    static func iothreaddel(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        try c.ask(Remote.DomainDelIOThread.self, .init(dom: domain, iothreadId: try threadID(c), flags: flags))
    }

    static func iothreadset(_ c: Call) throws {
        let flags = try c.impact()
        let domain = try c.domain()
        let id = try threadID(c)
        var params: [RemoteTypedParam] = []
        if let value = try c.number("poll-max-ns", UInt64.self) {
            params.append(RemoteTypedParam(field: "poll_max_ns", value: .ulong(value)))
        }
        for (option, field) in [("poll-grow", "poll_grow"), ("poll-shrink", "poll_shrink")] {
            if let value = try c.number(option, UInt32.self) {
                params.append(RemoteTypedParam(field: field, value: .uint(value)))
            }
        }
        for (option, field) in [("thread-pool-min", "thread_pool_min"), ("thread-pool-max", "thread_pool_max")] {
            if let value = try c.number(option, Int32.self) {
                params.append(RemoteTypedParam(field: field, value: .int(value)))
            }
        }
        guard !params.isEmpty else { throw CommandFailure("Not enough arguments passed, nothing to set") }
        try c.ask(
            Remote.DomainSetIOThreadParams.self, .init(dom: domain, iothreadId: id, params: params, flags: flags))
    }
}

extension StringProtocol {
    /// Without spaces at its ends.
    var trimmed: String {
        var part = self[...]
        while let first = part.first, first == " " || first == "\t" || first == "\n" { part = part.dropFirst() }
        while let last = part.last, last == " " || last == "\t" || last == "\n" { part = part.dropLast() }
        return String(part)
    }
}
