import JSON
import Machine
import MachineControl
import Synchronization

/// A machine of two processors and a little of everything, which only remembers what was asked of it.
final class FakeMachine: MachineOperations {
    struct State {
        var runState = RunState.prelaunch
        var calls: [String] = []
        var handlers: [Int: @Sendable (MachineEvent) -> Void] = [:]
        var nextID = 0
    }
    let state = Mutex(State())
    let configuration: MachineConfiguration

    let accelerator: AcceleratorStatus

    init(
        _ configuration: MachineConfiguration = MachineConfiguration(),
        accelerator: AcceleratorStatus = AcceleratorStatus(name: "tcg", isKVM: false)
    ) {
        self.configuration = configuration
        self.accelerator = accelerator
    }

    var calls: [String] { state.withLock { $0.calls } }
    func note(_ call: String) { state.withLock { $0.calls.append(call) } }
    func send(_ kind: MachineEvent.Kind) {
        let handlers = state.withLock { $0.handlers.values.map { $0 } }
        for handler in handlers { handler(MachineEvent(kind, time: 1_700_000_000_123_456_789)) }
    }

    let descriptorSets = DescriptorSets()
    func readPort(_ port: UInt16, size: Int) -> UInt32 { size == 4 ? UInt32(port) << 16 | 0x5A : 0x5A }
    func writePort(_ port: UInt16, size: Int, _ value: UInt32) { note("o \(port) \(size) \(value)") }
    var runState: RunState { state.withLock { $0.runState } }
    func stop() {
        note("stop")
        state.withLock { $0.runState = .paused }
        send(.stop)
    }
    func resume() throws(MachineError) {
        note("cont")
        if runState == .guestPanicked { throw .failed("Resetting the Virtual Machine is required") }
        state.withLock { $0.runState = .running }
        send(.resume)
    }
    func quit(cause: ShutdownCause) {
        note("quit")
        send(.shutdown(cause))
    }
    func reset(cause: ShutdownCause) {
        note("reset")
        send(.reset(cause))
    }
    private let life = Mutex(LifecycleConfiguration())
    var actions: LifecycleConfiguration { life.withLock { $0 } }
    func changeActions(_ change: (inout LifecycleConfiguration) -> Void) { life.withLock { change(&$0) } }
    func powerDown() {
        note("powerdown")
        send(.powerDown)
    }
    func wakeUp() throws(MachineError) { throw .failed("Unable to wake up: guest is not in suspended state") }
    func injectNMI() throws(MachineError) { note("nmi") }

    var processors: [ProcessorStatus] {
        (0..<2).map { index in
            ProcessorStatus(
                index: index, threadID: 3967 + index,
                place: ProcessorTopology.Place(socket: 0, die: 0, core: index, thread: 0))
        }
    }
    func registers(of processor: Int) throws(MachineError) -> RegisterDump {
        guard processor < 2 else { throw .noProcessor(processor) }
        var registers = RegisterDump()
        registers.general[0] = 0x1234_5678_9abc_def0
        registers.instructionPointer = 0x10
        registers.flags = 0x246
        registers.control = (0x8005_0033, 0, 0x1000, 0x20)
        registers.extendedFeatures = 0xd01
        registers.segments[1] = RegisterDump.Segment(selector: 0x10, base: 0, limit: 0xffff_ffff, flags: 0x00af_9b00)
        return registers
    }
    func readPhysical(_ address: UInt64, count: Int) throws(MachineError) -> [UInt8] {
        guard address < 4096, UInt64(count) <= 4096 - address else { throw .memory(address) }
        return (0..<count).map { UInt8(truncatingIfNeeded: address + UInt64($0)) }
    }
    func readVirtual(_ address: UInt64, count: Int, processor: Int) throws(MachineError) -> [UInt8] {
        try readPhysical(address &- 0xffff_8000_0000_0000, count: count)
    }
    func disassemble(_ bytes: [UInt8], at address: UInt64, processor: Int) -> DisassembledInstruction? {
        bytes[0] == 0x13 ? nil : DisassembledInstruction(bytes: Array(bytes.prefix(2)), text: "op\(bytes[0])")
    }
    func pageMappings(of processor: Int, limit: Int) throws(MachineError) -> [PageMapping]? {
        [
            PageMapping(linear: 0, physical: 0x1000, size: 0x1000, flags: 0x63),
            PageMapping(linear: 0x1000, physical: 0x5000, size: 0x1000, flags: 0x63),
            PageMapping(linear: 0x4000, physical: 0x6000, size: 0x1000, flags: 0x25),
        ]
    }
    var addressSpaces: [AddressSpaceStatus] {
        [
            AddressSpaceStatus(
                name: "memory", root: "system", last: .max,
                ranges: [AddressRangeStatus(start: 0, last: 0x7ff_ffff, kind: "ram", name: "pc.ram")]),
            AddressSpaceStatus(
                name: "I/O", root: "io", last: 0xffff,
                ranges: [AddressRangeStatus(start: 0x3f8, last: 0x3ff, kind: "i/o", name: "serial")]),
        ]
    }
    var deviceTree: DeviceNode.Bus {
        let disk = DeviceNode(
            model: "virtio-blk-pci", id: "d", path: "/machine/peripheral/d",
            properties: [
                DeviceNode.Property(name: "vectors", value: "2"), DeviceNode.Property(name: "drive", value: "\"v\""),
            ], details: ["class SCSI controller, addr 00:04.0, pci id 1af4:1001 (sub 1af4:0002)"])
        let host = DeviceNode(
            model: "i440FX-pcihost", path: "/machine/i440fx",
            buses: [DeviceNode.Bus(name: "pci.0", type: "PCI", devices: [disk])])
        return DeviceNode.Bus(name: "main-system-bus", type: "System", devices: [host])
    }
    var pciFunctions: [PCIFunctionStatus] {
        [
            PCIFunctionStatus(
                slot: 3, function: 0, classCode: 0x200, vendor: 0x8086, device: 0x100e, subsystemVendor: 0x1af4,
                subsystem: 0x1100, interruptPin: 1, interruptLine: 11,
                regions: [
                    PCIFunctionStatus.Region(bar: 0, isIO: false, address: 0xfebc_0000, size: 0x20000),
                    PCIFunctionStatus.Region(bar: 1, isIO: true, address: nil, size: 0x40),
                ])
        ]
    }
    var blockDevices: [BlockDeviceStatus] {
        [
            BlockDeviceStatus(
                device: "virtio0", devicePath: "/machine/peripheral/d/virtio-backend",
                image: BlockDeviceStatus.Image(
                    file: "/bin/ls", format: "raw", nodeName: "#block1", virtualSize: 151_552, actualSize: 151_552,
                    isReadOnly: true)),
            BlockDeviceStatus(
                device: "ide1-cd0", devicePath: "/machine/unattached/device[24]", isRemovable: true, isTrayOpen: false),
        ]
    }
    var networks: [NetworkStatus] {
        [
            NetworkStatus(
                name: "e1000.0", text: "index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56", backend: "#nic0",
                backendText: "index=0,type=user,net=10.0.2.0,restrict=off")
        ]
    }
    var characterDevices: [CharacterDeviceStatus] {
        [CharacterDeviceStatus(label: "serial0", filename: "stdio", isOpen: true)]
    }
    func localAPIC(of processor: Int) throws(MachineError) -> LocalAPICStatus {
        var apic = LocalAPICStatus()
        apic.vectors = [0x8700, 0x400, 0x10000, 0xFE, 0x10000, 0x200EF]
        apic.spurious = 0x1FF
        apic.command = (0xC0FB, 0x0100_0000)
        apic.requests[1] = 1 << 5
        apic.inService[7] = 1 << 12
        apic.levels[1] = 1 << 5
        apic.taskPriority = 0x20
        apic.logical = (0x0100_0000, 0xFFFF_FFFF)
        apic.timer = (3, 62500, 1000)
        return apic
    }
    var interruptControllers: InterruptControllerStatus {
        var status = InterruptControllerStatus()
        status.legacy = [InterruptControllerStatus.Legacy(), InterruptControllerStatus.Legacy()]
        (status.legacy[0].requests, status.legacy[0].mask, status.legacy[0].base) = (1, 0xFB, 0x30)
        (status.entries, status.requests, status.select) = ([0x0100_0000_0000_E931, 0x10000], 1, 0x12)
        return status
    }
    func physicalAddress(_ linear: UInt64, processor: Int) throws(MachineError) -> UInt64? {
        linear >= 0x8000 ? nil : linear + 0x10_0000
    }
    func hostAddress(_ physical: UInt64) -> (address: UInt, block: String)? {
        physical < 0x1000 ? (0x7F00_0000_0000 + UInt(physical), "pc.ram") : nil
    }
    func setBootOrder(_ order: String) throws(MachineError) { note("boot \(order)") }
    func addDrive(_ drive: DriveConfiguration) throws(MachineError) { note("drive \(drive.id) \(drive.file ?? "")") }
    func addBlockNode(_ node: BlockNodeConfiguration) throws(MachineError) { note("node \(node.nodeName ?? "")") }
    func reopenBlockNodes(_ nodes: [BlockNodeConfiguration]) throws(MachineError) {
        note("reopen \(nodes.map { "\($0.nodeName ?? "") \($0.readOnly)" })")
    }
    func addObject(_ object: ObjectConfiguration) throws(MachineError) { note("object \(object.type) \(object.id)") }
    func addDevice(_ device: DeviceConfiguration) throws(MachineError) { note("device \(device.properties.names)") }
    func blockOperation(_ operation: BlockOperation, _ arguments: JSONObject) throws(MachineError) -> JSONValue {
        if operation == .create { note("create \(arguments["options"]?["driver"]?.stringValue ?? "")") }
        return [.create].contains(operation) ? [:] : []
    }
    var processorModels: [ProcessorModelStatus] { [ProcessorModelStatus(name: "qemu64")] }
    func expandProcessorModel(_ name: String) -> JSONObject? { name == "qemu64" ? ["sse2": true] : nil }
    func saveMemory(_ address: UInt64, size: UInt64, processor: Int?, to path: String) throws(MachineError) {
        note("save \(address) \(size) \(processor.map { "\($0)" } ?? "-") \(path)")
    }
    func subscribe(_ handler: @escaping @Sendable (MachineEvent) -> Void) -> EventSubscription {
        state.withLock { state in
            state.nextID += 1
            state.handlers[state.nextID] = handler
            return EventSubscription(number: state.nextID)
        }
    }
    func unsubscribe(_ subscription: EventSubscription) {
        state.withLock { _ = $0.handlers.removeValue(forKey: subscription.number) }
    }
}
