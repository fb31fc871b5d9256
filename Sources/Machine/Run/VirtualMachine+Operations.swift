internal import BlockImage
internal import CEngine
internal import CharacterBackend
internal import DeviceModel
internal import Devices
internal import Execution
internal import GuestMemory
internal import HostOS
public import JSON
internal import Log
internal import MachineState
internal import Synchronization
internal import X86

extension VirtualMachine: MachineOperations {
    public var runState: RunState { state.withLock { $0.runState } }

    public func stop() {
        if runState == .inMigrate { desk.state.withLock { $0.startsWhenThere = false } } else { halt(as: .paused) }
    }

    public func resume() throws(MachineError) {
        switch runState {
        case .guestPanicked, .internalError, .shutdown:
            throw .failed("Resetting the Virtual Machine is required")
        case .inMigrate: desk.state.withLock { $0.startsWhenThere = true }
        case .finishMigrate: throw .failed("Migration is not finalized yet")
        case .postMigrate where desk.information.status.isLate:
            throw .failed("The machine runs at the other end, and its memory is still here")
        default:
            if desk.state.withLock({ $0.hasGivenImages }) {
                do throws(StateError) { try takeImages() } catch { throw .failed("\(error)") }
            }
            _ = run()
        }
    }
    public func quit(cause: ShutdownCause) { end(status: 0, cause: cause) }

    public func reset(cause: ShutdownCause) {
        if actions.reboot == .shutdown, cause != .snapshotLoad {
            shutDown(cause)
        } else {
            performReset(cause)
        }
    }
    public var actions: LifecycleConfiguration { state.withLock { $0.life } }
    public func changeActions(_ change: (inout LifecycleConfiguration) -> Void) { state.withLock { change(&$0.life) } }
    public func powerDown() {
        emit(.powerDown)
        board.power?.pressPowerButton()
    }
    public func wakeUp() throws(MachineError) {
        guard configuration.sleepStates.memory != nil else {
            throw .failed("wake-up from suspend is not supported by this guest")
        }
        guard wake(byClock: false) else {
            throw .failed("Unable to wake up: guest is not in suspended state")
        }
    }
    public func injectNMI() throws(MachineError) { for thread in group.present { thread.injectNMI() } }

    public var accelerator: AcceleratorStatus {
        var status = AcceleratorStatus(
            name: board.engine.name, isKVM: board.engine.name == "kvm", reason: board.engine.reason)
        status.translation = hostTranslation
        return status
    }
    public var processors: [ProcessorStatus] {
        let names = state.withLock { $0.processorNames }
        return group.present.map {
            ProcessorStatus(
                index: $0.index, threadID: $0.threadID, place: board.topology.place(of: $0.index),
                isHotplugged: $0.index >= board.topology.processors, name: names[$0.index])
        }
    }

    public var threadContexts: [IOThreadStatus] {
        board.threadContexts.map { IOThreadStatus(id: $0.id, threadID: $0.threadID) }
    }

    /// A processor's state, all of them standing for the moment of reading.
    func processorState(_ index: Int) throws(MachineError) -> apus_x86_state {
        let state = control.withLock { _ in
            group.whileParked { threads in threads.first { $0.index == index }?.state }
        }
        guard let state else { throw .noProcessor(index) }
        return state
    }
    public func registers(of processor: Int) throws(MachineError) -> RegisterDump {
        RegisterDump(try processorState(processor))
    }

    // MARK: Memory

    private static let readLimit = 1 << 20

    public func readPhysical(_ address: UInt64, count: Int) throws(MachineError) -> [UInt8] {
        guard 0...Self.readLimit ~= count else { throw .memory(address) }
        do throws(GuestMemoryError) { return try board.memory.bytes(GuestPhysical(address), count: count) } catch {
            throw .memory(address)
        }
    }
    public func readVirtual(_ address: UInt64, count: Int, processor: Int) throws(MachineError) -> [UInt8] {
        guard 0...Self.readLimit ~= count else { throw .memory(address) }
        let tables = PageTables(try processorState(processor), memory: board.memory)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let linear = address &+ UInt64(bytes.count)
            guard let physical = tables.physical(linear) else { throw .memory(linear) }
            let part = min(count - bytes.count, 4096 - Int(linear & 4095))
            bytes += try readPhysical(physical, count: part)
        }
        return bytes
    }
    public func pageMappings(of processor: Int, limit: Int) throws(MachineError) -> [PageMapping]? {
        PageTables(try processorState(processor), memory: board.memory).mappings(limit: limit)
    }
    public func disassemble(_ bytes: [UInt8], at address: UInt64, processor: Int) -> DisassembledInstruction? {
        guard let state = try? processorState(processor) else { return nil }
        let attributes = state.segment.1.attributes
        let isLong = state.efer & 0x400 != 0 && attributes & 0x200 != 0
        let code: CodeSize = isLong ? .bits64 : attributes & 0x400 != 0 ? .bits32 : .bits16
        guard let instruction = try? Decoder.decode(Array(bytes.prefix(15)), code: code) else { return nil }
        return DisassembledInstruction(
            bytes: Array(bytes.prefix(Int(instruction.length))),
            text: Disassembler.format(instruction, address: address, code: code))
    }
    public func saveMemory(
        _ address: UInt64, size: UInt64, processor: Int?, to path: String
    ) throws(MachineError) {
        let file: Descriptor
        do throws(HostError) { file = try HostFile.open(path, HostFile.Mode.replace) } catch {
            throw .failed("\(error)")
        }
        var done: UInt64 = 0
        while done < size {
            let part = Int(min(UInt64(Self.readLimit), size - done))
            let place = address &+ done
            let bytes =
                if let processor { try readVirtual(place, count: part, processor: processor) } else {
                    try readPhysical(place, count: part)
                }
            do throws(HostError) { try file.writeAll(bytes) } catch { throw .failed("\(error)") }
            done += UInt64(part)
        }
    }

    // MARK: Parts

    public var addressSpaces: [AddressSpaceStatus] {
        func ranges(_ bus: Bus) -> [AddressRangeStatus] {
            bus.ranges.map {
                AddressRangeStatus(
                    start: $0.start, last: $0.start &+ ($0.count - 1), priority: $0.priority, kind: "i/o",
                    name: $0.name)
            }
        }
        let ram = board.memory.view.ranges.map {
            AddressRangeStatus(
                start: $0.start.rawValue, last: $0.end.rawValue - 1, kind: $0.writable ? "ram" : "rom",
                name: $0.block.name)
        }
        return [
            AddressSpaceStatus(
                name: "memory", root: "system", last: UInt64.max,
                ranges: (ram + ranges(board.mmio)).sorted { $0.start < $1.start }),
            AddressSpaceStatus(name: "I/O", root: "io", last: 0xFFFF, ranges: ranges(board.io)),
        ]
    }

    public var deviceTree: DeviceNode.Bus {
        let tree = board.tree
        func devices(_ bus: String) -> [DeviceNode] {
            tree.filter { $0.bus == bus }.map(\.node).map { node in
                var node = node
                for index in node.buses.indices where node.buses[index].devices.isEmpty {
                    let name = node.buses[index].name
                    node.buses[index].devices = tree.filter { $0.bus == name }.map(\.node)
                }
                return node
            }
        }
        func bridged(_ node: DeviceNode) -> DeviceNode {
            guard let kind = BoardBuilder.bridgeModels[node.model], !node.id.isEmpty else { return node }
            var node = node
            node.buses = [DeviceNode.Bus(name: node.id, type: kind, devices: devices(node.id).map { bridged($0) })]
            return node
        }
        var root = DeviceNode.Bus(name: "main-system-bus", type: "System", devices: devices("main-system-bus"))
        let isa = DeviceNode.Bus(name: "isa.0", type: "ISA", devices: devices("isa.0"))
        if let pci = board.pci {
            var functions = devices(pci.name)
            let isQ35 = pci.name == "pcie.0"
            for index in functions.indices {
                if functions[index].model == "PIIX3" || functions[index].model == "ICH9-LPC" {
                    functions[index].buses = [isa]
                }
                functions[index] = bridged(functions[index])
            }
            root.devices.append(
                DeviceNode(
                    model: isQ35 ? "q35-pcihost" : "i440FX-pcihost", path: isQ35 ? "/machine/q35" : "/machine/i440fx",
                    buses: [DeviceNode.Bus(name: pci.name, type: isQ35 ? "PCIE" : "PCI", devices: functions)]))
        } else {
            root.devices.append(DeviceNode(model: "isabus-bridge", path: "/machine/unattached/isa", buses: [isa]))
        }
        for slot in 0..<MicroVMBoard.slots {
            let name = "virtio-mmio-bus.\(slot)"
            let below = devices(name)
            guard !below.isEmpty else { continue }
            root.devices.append(
                DeviceNode(
                    model: "virtio-mmio", path: "/machine/unattached/virtio-mmio[\(slot)]",
                    buses: [DeviceNode.Bus(name: name, type: "virtio-mmio-bus", devices: below)]))
        }
        return root
    }

    public var pciFunctions: [PCIFunctionStatus] {
        (board.pci?.functions ?? []).map { address, function in
            let identity = function.identity
            let regions = function.bars.map { bar in
                let index = bar.register == PCIRegister.expansionROM ? 6 : (bar.register - PCIRegister.bar0) / 4
                return PCIFunctionStatus.Region(
                    bar: index, isIO: bar.isIO, is64Bit: bar.is64Bit, address: function.address(ofBAR: index),
                    size: bar.size)
            }
            return PCIFunctionStatus(
                bus: Int(address.bus), slot: Int(address.slot), function: Int(address.function),
                classCode: UInt16(truncatingIfNeeded: identity.classCode >> 8), vendor: identity.vendorID,
                device: identity.deviceID, subsystemVendor: identity.subsystemVendorID,
                subsystem: identity.subsystemID,
                interruptPin: Int(function.readConfiguration(PCIRegister.interruptPin, size: 1)),
                interruptLine: Int(function.readConfiguration(PCIRegister.interruptLine, size: 1)),
                regions: regions.sorted { $0.bar < $1.bar })
        }
    }
    public var blockDevices: [BlockDeviceStatus] { board.storage.status }
    public var networks: [NetworkStatus] { board.networkStatus + board.networks.unused }
    public var characterDevices: [CharacterDeviceStatus] { characters.status }

    public func setLink(_ name: String, isUp: Bool) throws(MachineError) {
        guard let found = board.cards.first(where: { $0.name == name || $0.backend == name }) else {
            guard board.networks.setLink(name, isUp: isUp) else { throw .deviceNotFound(name) }
            return
        }
        found.card.setLink(up: isUp)
    }

    public func setDebugServer(_ device: String?) throws(MachineError) {
        guard let open = debugServer.withLock({ $0 }) else {
            throw .notSupported("This program has no door for debuggers")
        }
        try open(device)
    }

    // MARK: Media and nodes

    public func openTray(_ drive: MediumTarget, force: Bool) throws(MachineError) {
        try board.storage.openTray(drive, force: force)
    }
    public func closeTray(_ drive: MediumTarget) throws(MachineError) { try board.storage.closeTray(drive) }
    public func removeMedium(_ drive: MediumTarget) throws(MachineError) { try board.storage.removeMedium(drive) }
    public func insertMedium(_ drive: MediumTarget, node: String) throws(MachineError) {
        try board.storage.insertMedium(drive, node: node)
    }
    public func eject(_ drive: MediumTarget, force: Bool) throws(MachineError) {
        try board.storage.eject(drive, force: force)
    }
    public func changeMedium(
        _ drive: MediumTarget, file: String, format: String?, force: Bool
    ) throws(MachineError) {
        try board.storage.changeMedium(drive, file: file, format: format, force: force)
    }
    public func addBlockNode(_ node: BlockNodeConfiguration) throws(MachineError) { try board.storage.add(node) }
    public func addDrive(_ drive: DriveConfiguration) throws(MachineError) { try board.storage.add(drive) }
    public func removeBlockNode(_ name: String) throws(MachineError) { try board.storage.remove(node: name) }
    public func reopenBlockNodes(_ nodes: [BlockNodeConfiguration]) throws(MachineError) {
        try board.storage.reopen(nodes)
    }
    public var blockNodes: [BlockNodeStatus] { board.storage.nodes }
    public func blockOperation(
        _ operation: BlockOperation, _ arguments: JSONObject
    ) throws(MachineError) -> JSONValue {
        try board.storage.live.perform(operation, arguments)
    }
    public func resizeBlock(device: String?, node: String?, size: UInt64) throws(MachineError) {
        try board.storage.resize(device: device, node: node, size: size)
    }

    // MARK: Processor models

    public var processorModels: [ProcessorModelStatus] {
        ProcessorModels(configuration, topology: board.topology, isKVM: accelerator.isKVM).all
    }
    public func expandProcessorModel(_ name: String) -> JSONObject? {
        ProcessorModels(configuration, topology: board.topology, isKVM: accelerator.isKVM).expand(name)
    }

    // MARK: Log

    public func setLogItems(_ items: [String]) throws(MachineError) {
        board.trace.items = TraceItems(names: items)
        board.engine.traceChanged()
    }
    public var translationStatistics: [String]? {
        control.withLock { _ in group.whileParked { _ in board.engine.translationStatistics } }
    }
    public func setLogFile(_ path: String) throws(MachineError) {
        do throws(HostError) { try LogSink.standard.redirect(toFile: path) } catch { throw .failed("\(error)") }
    }

    // MARK: Events

    public func subscribe(_ handler: @escaping @Sendable (MachineEvent) -> Void) -> EventSubscription {
        state.withLock { state in
            let id = EventSubscription(number: state.nextSubscription)
            state.nextSubscription += 1
            state.subscribers.append((id, handler))
            return id
        }
    }
    public func unsubscribe(_ subscription: EventSubscription) {
        state.withLock { $0.subscribers.removeAll { $0.id == subscription } }
    }
}
