internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Synchronization

/// The memory modules of a machine (`pc-dimm`) and the objects that their memory comes from. Any thread.
final class MemoryModules: Sendable {
    /// Where modules may lie: above all RAM.
    struct Region: Equatable, Sendable {
        var start: UInt64
        var count: UInt64
        var end: UInt64 { start + count }
    }
    private struct Module: Sendable {
        var status: MemoryModuleStatus
        var range: AddressSpace.RangeID
        var block: RAMBlock
    }
    private struct State: Sendable {
        /// Memory of objects by their names.
        var backends: [String: RAMBlock] = [:]
        var modules: [Module] = []
    }
    /// Guests take and give memory in blocks of so many bytes, from a boundary of as many.
    private static let alignment: UInt64 = 128 << 20
    /// What a module's size is a multiple of, as QEMU has it.
    private static let unit: UInt64 = 2 << 20

    private let configuration: MachineConfiguration
    private let contexts: [ThreadContext]
    private let memory: AddressSpace
    let region: Region?
    /// The most bytes that modules may have together.
    private let most: UInt64
    private let control = Mutex<MemoryHotplugControl?>(nil)
    private let state = Mutex(State())

    /// Where the modules of a configuration lie; nil where there are none.
    static func region(_ configuration: MachineConfiguration, _ layout: PCMemory) -> Region? {
        guard configuration.board.kind.isPC, configuration.memory.slots > 0,
            let maximum = configuration.memory.maximum, maximum > configuration.memory.size
        else { return nil }
        let gibibyte: UInt64 = 1 << 30
        func up(_ value: UInt64) -> UInt64 { (value + gibibyte - 1) & ~(gibibyte - 1) }
        // Room for what the boundaries cost.
        let slack = UInt64(configuration.memory.slots) * alignment
        return Region(
            start: up(PCMemory.highStart + layout.high), count: up(maximum - configuration.memory.size + slack))
    }

    /// No modules yet. Objects that could only be modules' memory are made now.
    init(
        _ configuration: MachineConfiguration, _ layout: PCMemory, _ memory: AddressSpace, _ contexts: [ThreadContext]
    ) throws(MachineBuildError) {
        self.configuration = configuration
        self.contexts = contexts
        self.memory = memory
        region = Self.region(configuration, layout)
        most = (configuration.memory.maximum ?? 0) - min(configuration.memory.size, configuration.memory.maximum ?? 0)
        if let region, region.end > 1 << 40 {
            throw MachineBuildError("-m maxmem=\(configuration.memory.maximum ?? 0): that is more than 1 TiB")
        }
        guard region != nil else { return }
        let used = Set(configuration.numa.nodes.compactMap(\.backend) + [configuration.board.memoryBackend ?? ""])
        for object in configuration.objects where Self.isBackend(object) && !used.contains(object.id) {
            try addBackend(object)
        }
    }

    /// Names the controller that tells guests.
    func connect(_ control: MemoryHotplugControl) { self.control.withLock { $0 = control } }

    // MARK: Objects

    static func isBackend(_ object: ObjectConfiguration) -> Bool { object.type.hasPrefix("memory-backend-") }

    /// Makes the memory of an object.
    func addBackend(_ object: ObjectConfiguration) throws(MachineBuildError) {
        let size = object.properties["size"]?.uint64Value ?? 0
        guard size > 0, size % 4096 == 0, size <= 1 << 40 else {
            throw MachineBuildError("Object '\(object.id)': size \(size) is no multiple of 4096 up to 1 TiB")
        }
        let block = try GuestRAM.block(object, size, configuration, contexts)
        state.withLock { $0.backends[object.id] = block }
    }

    /// Gives the memory of an object back. False where a module has it.
    func removeBackend(_ id: String) -> Bool {
        state.withLock { state in
            guard !state.modules.contains(where: { $0.status.backend == id }) else { return false }
            state.backends[id] = nil
            return true
        }
    }

    // MARK: Modules

    /// The modules by slot.
    var modules: [MemoryModuleStatus] {
        state.withLock { $0.modules.map(\.status).sorted { $0.slot < $1.slot } }
    }
    /// Their memory.
    var blocks: [RAMBlock] { state.withLock { $0.modules.map(\.block) } }
    /// Bytes of all.
    var total: UInt64 { modules.reduce(0) { $0 + $1.size } }

    /// Puts a module in. Returns its slot.
    func add(_ device: DeviceConfiguration, isHotplugged: Bool) throws(MachineBuildError) -> Int {
        guard let region else {
            throw MachineBuildError(
                "memory devices (e.g. for memory hotplug) are not enabled, please specify the slots and maxmem of '-m'")
        }
        guard let control = control.withLock({ $0 }) else {
            throw MachineBuildError("memory hotplug is not enabled: missing acpi device or acpi disabled")
        }
        guard let name = device.properties.string("memdev") else {
            throw MachineBuildError("'memdev' property is not set")
        }
        let node = try number(device, "node", 0)
        let nodes = max(configuration.numa.nodes.count, 1)
        guard node < nodes else {
            throw MachineBuildError(
                "'DIMM property node has value \(node)' which exceeds the number of numa nodes: \(nodes)")
        }
        let wantedSlot = device.properties.number("slot").flatMap { $0 == -1 ? nil : $0 }
        let wantedAddress = device.properties["addr"]?.uint64Value.flatMap { $0 == 0 ? nil : $0 }
        return try state.withLock { state throws(MachineBuildError) in
            guard let block = state.backends[name] else {
                throw MachineBuildError(
                    "Device '\(device.driver)' can't find memory '\(name)', or it is used by the machine itself")
            }
            guard !state.modules.contains(where: { $0.status.backend == name }) else {
                throw MachineBuildError("can't use already busy memdev: \(name)")
            }
            let size = UInt64(block.size)
            guard size % Self.unit == 0 else {
                throw MachineBuildError("backend memory size must be multiple of 0x\(String(Self.unit, radix: 16))")
            }
            let used = state.modules.reduce(0) { $0 + $1.status.size }
            guard size <= most - min(used, most) else {
                throw MachineBuildError(
                    "not enough space, currently 0x\(String(used, radix: 16)) in use of total space for memory devices "
                        + "0x\(String(most, radix: 16))")
            }
            let slot = try Self.slot(wantedSlot, configuration.memory.slots, state)
            let address = try Self.address(wantedAddress, size, region, state)
            let range = memory.add(FlatView.Range(start: GuestPhysical(address), count: size, block: block))
            state.modules.append(
                Module(
                    status: MemoryModuleStatus(
                        id: device.id, address: address, size: size, slot: slot, node: node, backend: name,
                        isHotplugged: isHotplugged),
                    range: range, block: block))
            control.insert(
                MemoryHotplugControl.Module(address: address, size: size, node: UInt32(node)), slot: slot,
                quiet: !isHotplugged)
            return slot
        }
    }

    /// Takes the module of a slot out.
    func remove(_ slot: Int) {
        let found = state.withLock { state -> Module? in
            guard let place = state.modules.firstIndex(where: { $0.status.slot == slot }) else { return nil }
            return state.modules.remove(at: place)
        }
        guard let found else { return }
        control.withLock { $0 }?.remove(slot)
        memory.remove(found.range)
    }

    /// Asks the guest to let go of a slot's module.
    func requestEject(_ slot: Int) { control.withLock { $0 }?.requestEject(slot) }

    /// What the guest said last of each slot.
    var reports: [MemoryHotplugControl.Report] { control.withLock { $0 }?.reports ?? [] }

    private func number(
        _ device: DeviceConfiguration, _ name: String, _ usual: Int
    ) throws(MachineBuildError) -> Int {
        guard device.properties[name] != nil else { return usual }
        guard let value = device.properties.number(name), value >= 0 else {
            throw MachineBuildError("'\(name)' is no number")
        }
        return value
    }

    private static func slot(_ wanted: Int?, _ count: Int, _ state: State) throws(MachineBuildError) -> Int {
        let used = Set(state.modules.map(\.status.slot))
        if let wanted {
            guard 0..<count ~= wanted else {
                throw MachineBuildError("invalid slot number \(wanted), valid range is [0-\(count - 1)]")
            }
            guard !used.contains(wanted) else { throw MachineBuildError("slot \(wanted) is busy") }
            return wanted
        }
        guard let free = (0..<count).first(where: { !used.contains($0) }) else {
            throw MachineBuildError("no slots available: all \(count) are in use")
        }
        return free
    }

    private static func address(
        _ wanted: UInt64?, _ size: UInt64, _ region: Region, _ state: State
    ) throws(MachineBuildError) -> UInt64 {
        func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
        let others = state.modules.map(\.status).sorted { $0.address < $1.address }
        if let wanted {
            guard wanted % unit == 0 else {
                throw MachineBuildError("address must be aligned to \(hex(unit)) bytes, \(hex(wanted)) is not")
            }
            guard wanted >= region.start, size <= region.count, wanted <= region.end - size else {
                throw MachineBuildError(
                    "can't add memory device [\(hex(wanted)):\(hex(size))], usable range for memory devices "
                        + "[\(hex(region.start)):\(hex(region.count))]")
            }
            if let other = others.first(where: { wanted < $0.address + $0.size && $0.address < wanted + size }) {
                throw MachineBuildError("address range conflicts with memory device id='\(other.id ?? "")'")
            }
            return wanted
        }
        var place = region.start
        for other in others {
            if place + size <= other.address { return place }
            place = max(place, (other.address + other.size + alignment - 1) & ~(alignment - 1))
        }
        guard size <= region.count, place <= region.end - size else {
            throw MachineBuildError("could not find position in guest address space for memory device")
        }
        return place
    }
}
