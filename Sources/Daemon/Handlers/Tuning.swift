internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Memory, processors and where they run.
    mutating func addTuning() {
        add(Remote.DomainSetMemory.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let flags = VirDomainModificationImpact.live
            try HandlerTable.setMemory(call, arguments.dom, arguments.memory, flags)
        }
        add(Remote.DomainSetMaxMemory.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setMemory(call, arguments.dom, arguments.memory, HandlerTable.memoryMaximum)
        }
        add(Remote.DomainSetMemoryFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setMemory(call, arguments.dom, arguments.memory, arguments.flags)
        }
        add(Remote.DomainSetVCPUs.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setProcessors(call, arguments.dom, arguments.nvcpus, VirDomainModificationImpact.live)
        }
        add(Remote.DomainSetVCPUsFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setProcessors(call, arguments.dom, arguments.nvcpus, arguments.flags)
        }
        add(Remote.DomainSetVCPU.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setProcessor(
                call, arguments.dom, arguments.cpumap, arguments.state != 0, arguments.flags)
        }
        add(Remote.DomainPinVCPU.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let live = VirDomainModificationImpact.live
            try HandlerTable.pin(call, arguments.dom, Int(arguments.vcpu), arguments.cpumap, live)
        }
        add(Remote.DomainPinVCPUFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.pin(call, arguments.dom, Int(arguments.vcpu), arguments.cpumap, arguments.flags)
        }
        add(Remote.DomainPinEmulator.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.pin(call, arguments.dom, nil, arguments.cpumap, arguments.flags)
        }
        add(Remote.DomainGetVCPUPinInfo.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try HandlerTable.form(call, arguments.dom, arguments.flags)
            let count = min(DomainFigures.maximumProcessors(tree), Int(max(0, arguments.ncpumaps)))
            let length = try HandlerTable.mapLength(arguments.maplen)
            var maps: [UInt8] = []
            for index in 0..<count { maps += HandlerTable.pinned(call, tree, index, length) }
            return .init(cpumaps: maps, num: Int32(clamping: count))
        }
        add(Remote.DomainGetEmulatorPinInfo.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try HandlerTable.form(call, arguments.dom, arguments.flags)
            let length = try HandlerTable.mapLength(arguments.maplen)
            return .init(cpumaps: HandlerTable.pinned(call, tree, nil, length), ret: 1)
        }
    }

    /// `VIR_DOMAIN_MEM_MAXIMUM`.
    private static var memoryMaximum: UInt32 { 4 }

    /// The form that the flags name.
    static func form(_ call: Call, _ reference: RemoteDomain, _ flags: UInt32) throws(LibvirtError) -> XMLTree {
        let domain = try call.domain(reference)
        if flags & VirDomainModificationImpact.live != 0, !domain.isActive { throw Domain.notRunning }
        return domain.state.withLock { state in
            flags & VirDomainModificationImpact.config != 0 ? state.definition ?? state.current : state.current
        }
    }

    private static func setMemory(
        _ call: Call, _ reference: RemoteDomain, _ size: UInt64, _ flags: UInt32
    ) throws(LibvirtError) {
        guard size > 0, size < 1 << 50 else {
            throw LibvirtError.invalidArgument("memory size \(size) is out of range")
        }
        let domain = try call.domain(reference)
        let maximum = flags & memoryMaximum != 0
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            let isLive = tree["id"] != nil
            if maximum {
                if isLive {
                    throw LibvirtError.operationInvalid("cannot resize the maximum memory on an active domain")
                }
                tree.setText("memory", "\(size)")
                if DomainFigures.currentMemory(tree) > size { tree.setText("currentMemory", "\(size)") }
                return
            }
            guard size <= DomainFigures.memory(tree) else {
                throw LibvirtError.invalidArgument("cannot set memory higher than max memory")
            }
            if isLive { try domain.running().qmp().execute("balloon", ["value": .number(size * 1024)]) }
            tree.setText("currentMemory", "\(size)")
        }
    }

    private static func setProcessors(
        _ call: Call, _ reference: RemoteDomain, _ count: UInt32, _ flags: UInt32
    ) throws(LibvirtError) {
        guard count > 0, count <= 4096 else { throw LibvirtError.invalidArgument("invalid number of vCPUs: \(count)") }
        let maximum = flags & VirDomainVcpuFlags.maximum != 0
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            let isLive = tree["id"] != nil
            if maximum {
                guard !isLive else {
                    throw LibvirtError.operationInvalid("maximum vcpu count cannot be changed while the domain runs")
                }
                let current = DomainFigures.processors(tree)
                tree.update("vcpu") { element in
                    element.nodes = [.text("\(count)")]
                    element.set("current", current < Int(count) ? "\(current)" : nil)
                }
                return
            }
            guard Int(count) <= DomainFigures.maximumProcessors(tree) else {
                let form = isLive ? "live" : "persistent"
                throw LibvirtError.invalidArgument(
                    "requested vcpus is greater than max allowable vcpus for the \(form) domain: \(count) > "
                        + "\(DomainFigures.maximumProcessors(tree))")
            }
            let all = Int(count) == DomainFigures.maximumProcessors(tree)
            tree.update("vcpu") { $0.set("current", all ? nil : "\(count)") }
            let hadList = tree.child("vcpus") != nil
            tree.remove("vcpus")
            guard isLive else { return }
            let machine = try domain.running()
            try machine.setProcessors(Int(count))
            if hadList { try machine.writeProcessors(&tree) }
        }
    }

    // MARK: - Places

    private static func mapLength(_ length: Int32) throws(LibvirtError) -> Int {
        guard length >= 0, length <= 2048 else { throw LibvirtError.rpc("maplen \(length) is out of range") }
        return Int(length)
    }

    static func processors(in map: [UInt8]) -> [Int] {
        map.enumerated().flatMap { place, byte in (0..<8).filter { byte >> UInt8($0) & 1 != 0 }.map { place * 8 + $0 } }
    }

    /// Where a processor (nil: everything else) may run, out of the domain's form.
    private static func pinned(_ call: Call, _ tree: XMLTree, _ index: Int?, _ length: Int) -> [UInt8] {
        let tuning = tree.child("cputune")
        let element =
            index.map { index in tuning?.all("vcpupin").first { $0["vcpu"] == "\(index)" } }
            ?? tuning?.child("emulatorpin")
        let set = element?["cpuset"] ?? tree.child("vcpu")?["cpuset"]
        let allowed = set.map { HostDescription.range($0) } ?? call.session.daemon.host.processors.map(\.id)
        let map = HandlerTable.map(of: allowed.isEmpty ? [0] : allowed)
        return (0..<length).map { $0 < map.count ? map[$0] : 0 }
    }

    private static func pin(
        _ call: Call, _ reference: RemoteDomain, _ index: Int?, _ map: [UInt8], _ flags: UInt32
    ) throws(LibvirtError) {
        let wanted = processors(in: map)
        let online = Set(call.session.daemon.host.processors.map(\.id))
        guard !wanted.isEmpty, wanted.contains(where: online.contains) else {
            throw LibvirtError.invalidArgument("Empty cpu list for pinning")
        }
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            if let index, index >= DomainFigures.maximumProcessors(tree) {
                throw LibvirtError.invalidArgument(
                    "vcpu \(index) is out of range of persistent cpu count \(DomainFigures.maximumProcessors(tree))")
            }
            if tree["id"] != nil {
                try move(domain, index, wanted, call)
                let name = index.map { "cputune.vcpupin\($0)" } ?? "cputune.emulatorpin"
                let set = wanted.map(String.init).joined(separator: ",")
                call.driver.emit(.tunable([.init(field: name, value: .string(set))]), domain)
            }
            if tree.child("cputune") == nil {
                tree.insert(XMLTree("cputune"), before: ["numatune", "resource", "sysinfo", "os"])
            }
            tree.update("cputune") { tuning in
                let name = index == nil ? "emulatorpin" : "vcpupin"
                tuning.nodes.removeAll { node in
                    guard case .element(let element) = node, element.name == name else { return false }
                    return index == nil || element["vcpu"] == "\(index ?? 0)"
                }
                let set = wanted.map(String.init).joined(separator: ",")
                guard let index else { return tuning.append(.of("emulatorpin", ["cpuset": set])) }
                tuning.insert(.of("vcpupin", ["vcpu": "\(index)", "cpuset": set]), before: ["emulatorpin"])
            }
        }
    }

    /// Binds the thread of a processor, or all that are none.
    private static func move(_ domain: Domain, _ index: Int?, _ wanted: [Int], _ call: Call) throws(LibvirtError) {
        let machine = try domain.running()
        if let index, machine.processorThreads.withLock({ $0[index] }) == nil {
            throw LibvirtError.invalidArgument("vcpu \(index) is not there")
        }
        try call.driver.onHost { () throws(HostError) in try machine.bind(index, to: wanted) }
    }
}

extension RunningMachine {
    /// Binds the thread of a processor (nil: every other thread of the process) to processors of the host.
    func bind(_ index: Int?, to wanted: [Int]) throws(HostError) {
        let processors = processorThreads.withLock { $0 }
        if let index {
            if let thread = processors[index] { try Affinity.set(thread: thread, processors: wanted) }
            return
        }
        for name in try HostFolder.names(in: "/proc/\(process.number)/task") {
            guard let thread = Int32(name), !processors.values.contains(thread) else { continue }
            try Affinity.set(thread: thread, processors: wanted)
        }
    }

    /// Binds everything as a domain's form says.
    func bind(_ tree: XMLTree) throws(HostError) {
        let common = tree.child("vcpu")?["cpuset"].map { HostDescription.range($0) }
        let tuning = tree.child("cputune")
        if let set = tuning?.child("emulatorpin")?["cpuset"].map({ HostDescription.range($0) }) ?? common {
            try bind(nil, to: set)
        }
        for index in processorThreads.withLock({ Array($0.keys) }) {
            let own = tuning?.all("vcpupin").first { $0["vcpu"] == "\(index)" }
            if let set = own?["cpuset"].map({ HostDescription.range($0) }) ?? common { try bind(index, to: set) }
        }
    }
}
