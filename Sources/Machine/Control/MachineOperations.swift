public import JSON

/// What monitors ask of a machine.
///
/// Every function may be called on any thread but a processor's, by several monitors at the same time, and returns
/// when it is done: after `stop` no processor runs. Values are snapshots. Later features have defaults below that say
/// that they are not there.
public protocol MachineOperations: AnyObject, Sendable {
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
    /// Asks the guest to power off, by the ACPI power button.
    func powerDown()
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
    /// Guest memory by linear address, as a processor's page tables have it. At most 1 MiB at a time.
    func readVirtual(_ address: UInt64, count: Int, processor: Int) throws(MachineError) -> [UInt8]
    /// The instruction at the start of some bytes, in the mode that a processor is in; nil where they hold none.
    func disassemble(_ bytes: [UInt8], at address: UInt64, processor: Int) -> DisassembledInstruction?
    /// A processor's pages by linear address, at most `limit` of them; nil with paging off.
    func pageMappings(of processor: Int, limit: Int) throws(MachineError) -> [PageMapping]?

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
    /// Pulls or plugs the cable of a card or back-end.
    func setLink(_ name: String, isUp: Bool) throws(MachineError)
    /// Adds an object, as `-object` does.
    func addObject(_ object: ObjectConfiguration) throws(MachineError)
    /// Removes an object that nothing uses.
    func removeObject(_ id: String) throws(MachineError)
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
    /// Anything else: a sentence.
    case failed(String)

    public var description: String {
        switch self {
        case .notSupported(let text), .failed(let text): text
        case .deviceNotFound(let name): "Device '\(name)' not found"
        case .noProcessor(let index): "There is no CPU \(index)"
        case .memory(let address): "Cannot access memory at 0x\(String(address, radix: 16))"
        }
    }
}

extension MachineOperations {
    public var ioThreads: [IOThreadStatus] { [] }
    public var threadContexts: [IOThreadStatus] { [] }
    public var processorModels: [ProcessorModelStatus] { [] }
    public func expandProcessorModel(_ name: String) -> JSONObject? { nil }
    public var pluggedMemory: UInt64 { 0 }
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
