public import JSON

/// What monitors ask of a machine.
///
/// Every function may be called on any thread but a processor's, by several monitors at the same time, and returns
/// when it is done: after `stop` no processor runs. Values are snapshots. Later features have defaults below that say
/// that they are not there.
public protocol MachineOperations: MigrationOperations, ScreenOperations {
    /// What the machine was made from.
    var configuration: MachineConfiguration { get }
    /// What the machine is doing.
    var runState: RunState { get }

    /// Stops all processors; does nothing to a machine that is stopped.
    func stop()
    /// Starts all processors; does nothing to a machine that runs.
    func resume() throws(MachineError)
    /// Ends the machine. Returns before the process ends, so that a monitor can still answer.
    func quit(cause: ShutdownCause)
    /// Resets the machine.
    func reset(cause: ShutdownCause)
    /// What it does at the turns of its life.
    var actions: LifecycleConfiguration { get }
    /// Changes what it does there.
    func changeActions(_ change: (inout LifecycleConfiguration) -> Void)
    /// Asks the guest to power off, by the ACPI power button.
    func powerDown()
    /// Wakes a guest that has suspended to RAM. Throws for another.
    func wakeUp() throws(MachineError)
    /// Raises a non-maskable interrupt on all processors.
    func injectNMI() throws(MachineError)

    /// The engine.
    var accelerator: AcceleratorStatus { get }
    /// The processors that are there, by index.
    var processors: [ProcessorStatus] { get }
    /// A processor's registers; stops it for the moment of reading.
    func registers(of processor: Int) throws(MachineError) -> RegisterDump

    /// Guest memory by physical address; device memory reads as nothing. At most 1 MiB at a time.
    func readPhysical(_ address: UInt64, count: Int) throws(MachineError) -> [UInt8]
    /// Reads an I/O port of 1, 2 or 4 bytes as a processor would, with its effects.
    func readPort(_ port: UInt16, size: Int) -> UInt32
    /// Writes an I/O port of 1, 2 or 4 bytes as a processor would.
    func writePort(_ port: UInt16, size: Int, _ value: UInt32)
    /// Guest memory by linear address, as a processor's page tables have it. At most 1 MiB at a time.
    func readVirtual(_ address: UInt64, count: Int, processor: Int) throws(MachineError) -> [UInt8]
    /// The instruction at the start of some bytes, in the mode that a processor is in; nil where they hold none.
    func disassemble(_ bytes: [UInt8], at address: UInt64, processor: Int) -> DisassembledInstruction?
    /// A processor's pages by linear address, at most `limit` of them; nil with paging off.
    func pageMappings(of processor: Int, limit: Int) throws(MachineError) -> [PageMapping]?

    /// A processor's local APIC; stops it for the moment of reading.
    func localAPIC(of processor: Int) throws(MachineError) -> LocalAPICStatus
    /// The interrupt controllers beside those.
    var interruptControllers: InterruptControllerStatus { get }
    /// The physical address of a linear one, as a processor's page tables have it; nil where nothing is mapped.
    func physicalAddress(_ linear: UInt64, processor: Int) throws(MachineError) -> UInt64?
    /// Where this process has guest memory of an address, and what of; nil where there is no memory.
    func hostAddress(_ physical: UInt64) -> (address: UInt, block: String)?
    /// Has firmware look for what to start in this order from now on: letters as `-boot` has them.
    func setBootOrder(_ order: String) throws(MachineError)
    /// Opens a drive that no device has.
    func addDrive(_ drive: DriveConfiguration) throws(MachineError)

    /// The address spaces.
    var addressSpaces: [AddressSpaceStatus] { get }
    /// The main system bus with all devices below it.
    var deviceTree: DeviceNode.Bus { get }
    /// The PCI functions by place.
    var pciFunctions: [PCIFunctionStatus] { get }
    /// The drives and nodes that devices use.
    var blockDevices: [BlockDeviceStatus] { get }
    /// The network cards.
    var networks: [NetworkStatus] { get }
    /// The character back-ends.
    var characterDevices: [CharacterDeviceStatus] { get }
    /// The threads of `iothread` objects.
    var ioThreads: [IOThreadStatus] { get }

    /// The limits of a `throttle-group` by their names (`bps-total`, …); nil for another object.
    func throttleLimits(_ id: String) -> [String: UInt64]?
    /// Changes some of them.
    func setThrottleLimits(_ id: String, _ limits: JSONObject) throws(MachineError)

    /// The threads of `thread-context` objects.
    var threadContexts: [IOThreadStatus] { get }

    /// Calls `handler` at every event, on any thread, without a lock held that an operation takes.
    func subscribe(_ handler: @escaping @Sendable (MachineEvent) -> Void) -> EventSubscription
    /// Ends a subscription. A call in progress may still come.
    func unsubscribe(_ subscription: EventSubscription)

    /// The CPU models, and what `query-cpu-model-expansion` says about one: features and their values.
    var processorModels: [ProcessorModelStatus] { get }
    /// See `processorModels`; nil for an unknown model.
    func expandProcessorModel(_ name: String) -> JSONObject?
    /// Bytes of memory that was plugged in.
    var pluggedMemory: UInt64 { get }
    /// The memory modules by slot.
    var memoryModules: [MemoryModuleStatus] { get }
    /// What the guest said last of its work on each slot of modules.
    var memoryReports: [MemoryReport] { get }
    /// Pulls or plugs the cable of a card or back-end.
    func setLink(_ name: String, isUp: Bool) throws(MachineError)
    /// Adds an object, as `-object` does.
    func addObject(_ object: ObjectConfiguration) throws(MachineError)
    /// Removes an object that nothing uses.
    func removeObject(_ id: String) throws(MachineError)
    /// The objects of `-object` and `object-add` that are there now.
    var objects: [ObjectConfiguration] { get }

    /// The descriptors that were handed over.
    var descriptorSets: DescriptorSets { get }

    /// Opens the tray of a CD drive. Without `force` it stays where the guest has locked it, and the guest is told.
    func openTray(_ drive: MediumTarget, force: Bool) throws(MachineError)
    /// Closes a tray.
    func closeTray(_ drive: MediumTarget) throws(MachineError)
    /// Takes the medium out of an open tray.
    func removeMedium(_ drive: MediumTarget) throws(MachineError)
    /// Puts a named node into an open and empty tray.
    func insertMedium(_ drive: MediumTarget, node: String) throws(MachineError)
    /// Opens the tray and takes the medium out.
    func eject(_ drive: MediumTarget, force: Bool) throws(MachineError)
    /// Opens the tray, puts another image in, and closes it.
    func changeMedium(_ drive: MediumTarget, file: String, format: String?, force: Bool) throws(MachineError)
    /// Opens a node of the block graph.
    func addBlockNode(_ node: BlockNodeConfiguration) throws(MachineError)
    /// Closes a node that nothing uses.
    func removeBlockNode(_ name: String) throws(MachineError)
    /// Gives nodes of the block graph other options: all of them, or none.
    func reopenBlockNodes(_ nodes: [BlockNodeConfiguration]) throws(MachineError)
    /// The nodes of the block graph by name.
    var blockNodes: [BlockNodeStatus] { get }
    /// Makes an image longer or shorter, and tells its guest.
    func resizeBlock(device: String?, node: String?, size: UInt64) throws(MachineError)

    /// Carries out a command about jobs, snapshots, bitmaps, limits and exports of disks, with QMP's arguments, which
    /// were checked against their types.
    func blockOperation(_ operation: BlockOperation, _ arguments: JSONObject) throws(MachineError) -> JSONValue

    /// Opens a character back-end; the path of the terminal of a `pty`.
    func addCharacterDevice(_ device: CharacterDeviceConfiguration) throws(MachineError) -> String?
    /// Closes a character back-end that nothing uses.
    func removeCharacterDevice(_ id: String) throws(MachineError)
    /// Takes up to `limit` of the oldest bytes of a `ringbuf` back-end.
    func readRingBuffer(_ id: String, limit: Int) throws(MachineError) -> [UInt8]
    /// Adds bytes to a `ringbuf` back-end.
    func writeRingBuffer(_ id: String, _ bytes: [UInt8]) throws(MachineError)
    /// Makes a network back-end.
    func addNetwork(_ network: NetworkConfiguration) throws(MachineError)
    /// Ends a network back-end that no card has.
    func removeNetwork(_ id: String) throws(MachineError)
    /// Forwards a port of the host into the guest, by the `user` network of a name or the first.
    func addHostForward(network: String?, _ rule: String) throws(MachineError)
    /// Ends a forward.
    func removeHostForward(network: String?, _ rule: String) throws(MachineError)
    /// The connections of the `user` networks.
    var userNetworkConnections: String { get }
    /// Which frames a card lets through, or all cards.
    func receiveFilters(_ name: String?) throws(MachineError) -> [ReceiveFilterStatus]
    /// Plugs a device in.
    func addDevice(_ device: DeviceConfiguration) throws(MachineError)
    /// Asks the guest to let go of a device.
    func removeDevice(_ id: String) throws(MachineError)
    /// Bytes that a guest with a balloon has; nil without one.
    var balloonActual: UInt64? { get }
    /// Asks the guest to get by with so many bytes.
    func setBalloon(_ bytes: UInt64) throws(MachineError)
    /// What the guest tells of its memory through its balloon; nil without one.
    var balloonStatistics: BalloonStatistics? { get }
    /// Asks the guest for that each so many seconds; 0: no more.
    func setBalloonStatisticsInterval(_ seconds: UInt64) throws(MachineError)

    /// Logs these items, by QEMU's names, instead of those before.
    func setLogItems(_ items: [String]) throws(MachineError)
    /// Logs to this file from now on.
    func setLogFile(_ path: String) throws(MachineError)
    /// Writes guest memory to a file of the host, by linear address where a processor is named; the machine does it
    /// because it knows what a confined process may open.
    func saveMemory(_ address: UInt64, size: UInt64, processor: Int?, to path: String) throws(MachineError)
    /// Opens a door for debuggers on a back-end in `-gdb`'s syntax, and closes the one before; nil: closes only.
    func setDebugServer(_ device: String?) throws(MachineError)
    /// Lines about translation for `info jit`; nil under KVM.
    var translationStatistics: [String]? { get }
}

/// Why an operation failed.
public enum MachineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// This machine cannot do it: a sentence.
    case notSupported(String)
    /// There is no device or back-end of the name.
    case deviceNotFound(String)
    /// There is no processor of the number.
    case noProcessor(Int)
    /// Guest memory cannot be read there.
    case memory(UInt64)
    /// There is no job of the name: a sentence.
    case jobNotActive(String)
    /// Anything else: a sentence.
    case failed(String)

    public var description: String {
        switch self {
        case .notSupported(let text), .failed(let text), .jobNotActive(let text): text
        case .deviceNotFound(let name): "Device '\(name)' not found"
        case .noProcessor(let index): "There is no CPU \(index)"
        case .memory(let address): "Cannot access memory at 0x\(String(address, radix: 16))"
        }
    }
}

extension MachineOperations {
    public func localAPIC(of processor: Int) throws(MachineError) -> LocalAPICStatus {
        throw .noProcessor(processor)
    }
    public var interruptControllers: InterruptControllerStatus { InterruptControllerStatus() }
    public func physicalAddress(_ linear: UInt64, processor: Int) throws(MachineError) -> UInt64? { nil }
    public func hostAddress(_ physical: UInt64) -> (address: UInt, block: String)? { nil }
    public func setBootOrder(_ order: String) throws(MachineError) {
        throw .notSupported("no function defined to set boot device list for this architecture")
    }
    public func addDrive(_ drive: DriveConfiguration) throws(MachineError) {
        throw .notSupported("Drives cannot be added to this machine")
    }
    public func readPort(_ port: UInt16, size: Int) -> UInt32 { UInt32.max }
    public func writePort(_ port: UInt16, size: Int, _ value: UInt32) {}
    public var objects: [ObjectConfiguration] { configuration.objects }
    public func openTray(_ drive: MediumTarget, force: Bool) throws(MachineError) { throw .deviceNotFound(drive.name) }
    public func closeTray(_ drive: MediumTarget) throws(MachineError) { throw .deviceNotFound(drive.name) }
    public func removeMedium(_ drive: MediumTarget) throws(MachineError) { throw .deviceNotFound(drive.name) }
    public func insertMedium(_ drive: MediumTarget, node: String) throws(MachineError) {
        throw .deviceNotFound(drive.name)
    }
    public func eject(_ drive: MediumTarget, force: Bool) throws(MachineError) { throw .deviceNotFound(drive.name) }
    public func changeMedium(
        _ drive: MediumTarget, file: String, format: String?, force: Bool
    ) throws(MachineError) { throw .deviceNotFound(drive.name) }
    public func addBlockNode(_ node: BlockNodeConfiguration) throws(MachineError) {
        throw .notSupported("Block nodes cannot be added to this machine")
    }
    public func removeBlockNode(_ name: String) throws(MachineError) {
        throw .failed("Failed to find node with node-name='\(name)'")
    }
    public func reopenBlockNodes(_ nodes: [BlockNodeConfiguration]) throws(MachineError) {
        throw .notSupported("Block nodes of this machine cannot be reopened")
    }
    public var blockNodes: [BlockNodeStatus] { [] }
    public func resizeBlock(device: String?, node: String?, size: UInt64) throws(MachineError) {
        throw .deviceNotFound(device ?? node ?? "")
    }
    public func blockOperation(
        _ operation: BlockOperation, _ arguments: JSONObject
    ) throws(MachineError) -> JSONValue {
        if [.queryJobs, .queryBlockJobs, .queryExports].contains(operation) { return [] }
        throw .notSupported("This machine has no disks to work on")
    }
    public func addCharacterDevice(_ device: CharacterDeviceConfiguration) throws(MachineError) -> String? {
        throw .notSupported("Character back-ends cannot be added to this machine")
    }
    public func removeCharacterDevice(_ id: String) throws(MachineError) { throw .failed("Chardev '\(id)' not found") }
    public func readRingBuffer(_ id: String, limit: Int) throws(MachineError) -> [UInt8] { throw .deviceNotFound(id) }
    public func writeRingBuffer(_ id: String, _ bytes: [UInt8]) throws(MachineError) { throw .deviceNotFound(id) }
    public func addNetwork(_ network: NetworkConfiguration) throws(MachineError) {
        throw .notSupported("Network back-ends cannot be added to this machine")
    }
    public func removeNetwork(_ id: String) throws(MachineError) { throw .deviceNotFound(id) }
    public func addHostForward(network: String?, _ rule: String) throws(MachineError) {
        throw .notSupported("This machine has no network of type user")
    }
    public func removeHostForward(network: String?, _ rule: String) throws(MachineError) {
        throw .notSupported("This machine has no network of type user")
    }
    public var userNetworkConnections: String { "" }
    public func receiveFilters(_ name: String?) throws(MachineError) -> [ReceiveFilterStatus] { [] }
    public func addDevice(_ device: DeviceConfiguration) throws(MachineError) {
        throw .notSupported("Bus '\(device.bus ?? "pci.0")' does not support hotplugging")
    }
    public func removeDevice(_ id: String) throws(MachineError) { throw .deviceNotFound(id) }
    public var balloonActual: UInt64? { nil }
    public func setBalloon(_ bytes: UInt64) throws(MachineError) {
        throw .failed("No balloon device has been activated")
    }
    public var balloonStatistics: BalloonStatistics? { nil }
    public func setBalloonStatisticsInterval(_ seconds: UInt64) throws(MachineError) {
        throw .failed("No balloon device has been activated")
    }
    public var ioThreads: [IOThreadStatus] { [] }
    public var threadContexts: [IOThreadStatus] { [] }
    public func throttleLimits(_ id: String) -> [String: UInt64]? { nil }
    public func setThrottleLimits(_ id: String, _ limits: JSONObject) throws(MachineError) {
        throw .failed("object '\(id)' not found")
    }
    public var processorModels: [ProcessorModelStatus] { [] }
    public func expandProcessorModel(_ name: String) -> JSONObject? { nil }
    public var pluggedMemory: UInt64 { 0 }
    public var memoryModules: [MemoryModuleStatus] { [] }
    public var memoryReports: [MemoryReport] { [] }
    public var translationStatistics: [String]? { nil }
    public func setLink(_ name: String, isUp: Bool) throws(MachineError) { throw .deviceNotFound(name) }
    public func addObject(_ object: ObjectConfiguration) throws(MachineError) {
        throw .notSupported("Objects cannot be added to this machine")
    }
    public func removeObject(_ id: String) throws(MachineError) { throw .failed("object '\(id)' not found") }
    public func setLogItems(_ items: [String]) throws(MachineError) {
        throw .notSupported("The log of this machine cannot be changed")
    }
    public func setLogFile(_ path: String) throws(MachineError) {
        throw .notSupported("The log of this machine cannot be changed")
    }
    public func saveMemory(_ address: UInt64, size: UInt64, processor: Int?, to path: String) throws(MachineError) {
        throw .notSupported("Memory of this machine cannot be saved")
    }
    public func setDebugServer(_ device: String?) throws(MachineError) {
        throw .notSupported("This machine has no door for debuggers")
    }
    public func pageMappings(of processor: Int, limit: Int) throws(MachineError) -> [PageMapping]? {
        throw .notSupported("Page tables of this machine cannot be shown")
    }
    public func disassemble(_ bytes: [UInt8], at address: UInt64, processor: Int) -> DisassembledInstruction? { nil }
}
