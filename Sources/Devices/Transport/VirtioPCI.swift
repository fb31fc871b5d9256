public import DeviceModel
public import GuestMemory
import Synchronization

/// What `-device virtio-…-pci` may set of the transport.
public struct VirtioPCIOptions: Equatable, Sendable {
    /// `disable-legacy=on`: no I/O window, modern ids.
    public var disableLegacy: Bool
    /// `disable-modern=on`: no capabilities, no VERSION_1.
    public var disableModern: Bool
    /// `vectors=`: MSI-X entries; nil for one a queue and one for the configuration, 0 for no MSI-X.
    public var vectors: Int?
    /// Rings.
    public var rings: VirtioRingOptions

    /// The defaults are those of a conventional slot; in an express one legacy is off.
    public init(
        disableLegacy: Bool = false, disableModern: Bool = false, vectors: Int? = nil,
        rings: VirtioRingOptions = VirtioRingOptions()
    ) {
        self.disableLegacy = disableLegacy
        self.disableModern = disableModern
        self.vectors = vectors
        self.rings = rings
    }
}

/// The PCI transport: modern, legacy or both (transitional). virtio 1.2, 4.1.
///
/// Window 0 is the legacy one (I/O), 1 holds the MSI-X table, 4 (memory, 64-bit) the modern structures.
public final class VirtioPCI: Device, PCIFunctionDelegate {
    /// The modern structures, a page each, so that a doorbell can have a page of its own.
    enum Structure: UInt64, Sendable {
        case common = 0x0000
        case isr = 0x1000
        case device = 0x2000
        case notify = 0x3000
        static let size: UInt64 = 0x1000
        static let windowSize: UInt64 = 0x4000
    }
    /// Capability types (4.1.4).
    private enum CapabilityType {
        static let common: UInt8 = 1
        static let notify: UInt8 = 2
        static let isr: UInt8 = 3
        static let device: UInt8 = 4
        static let pciAccess: UInt8 = 5
    }
    static let modernBAR = 4
    static let msixBAR = 1
    /// Bytes between the doorbells of two queues.
    static let notifyMultiplier: UInt64 = 4

    public let stateName: String
    /// The device behind it.
    public let device: any VirtioDevice
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    let core: VirtioCore
    let vectorCount: Int
    private let pciAccessOffset: Int?
    private let doorbells: VirtioDoorbells?

    /// A transport for a device. At least one of legacy and modern stays: with both disabled it is modern; a device
    /// without a transitional form is modern, too.
    ///
    /// Where the engine turns writes into events, `doorbells` is the thread that answers them: the device's own.
    public init(
        _ device: any VirtioDevice, memory: AddressSpace, stateName: String,
        options: VirtioPCIOptions = VirtioPCIOptions(), doorbells: WorkerThread? = nil
    ) {
        self.device = device
        self.stateName = stateName
        let hasLegacy = !options.disableLegacy && device.kind.transitionalID != nil
        let hasModern = !options.disableModern || !hasLegacy
        // 4.1.2.1: modern ids are 0x1040 up with revision 1; 4.1.2.3: transitional ones have revision 0 and their
        // virtio id as subsystem id.
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1AF4, deviceID: hasLegacy ? device.kind.transitionalID ?? 0 : 0x1040 + device.kind.id,
                classCode: device.kind.classCode, revision: hasLegacy ? 0 : 1, subsystemVendorID: 0x1AF4,
                subsystemID: hasLegacy ? device.kind.id : 0x1100),
            interruptPin: 1)
        self.function = function
        core = VirtioCore(
            device: device, memory: memory,
            interrupt: VirtioInterrupt(
                .pci(VirtioInterrupt.FunctionReference(function: function)), queueCount: device.queueSizes.count),
            rings: options.rings, allowsLegacy: hasLegacy, allowsModern: hasModern)
        vectorCount = min(max(options.vectors ?? device.queueSizes.count + 1, 0), 2048)
        if vectorCount > 0 {
            let pending: UInt64 = (UInt64(vectorCount) * 16 + 0x7FF) & ~0x7FF
            let regions = function.addMSIX(
                vectors: vectorCount, bar: Self.msixBAR, tableOffset: 0, pendingOffset: pending)
            function.addBAR(
                Self.msixBAR, .memory32(prefetchable: false), size: max(0x1000, pending + 0x800), regions: regions)
        }
        pciAccessOffset = hasModern ? Self.addModern(function, device) : nil

        var bells: VirtioDoorbells?
        if let doorbells {
            bells = VirtioDoorbells(core: core, thread: doorbells) { [weak function] events in
                function?.setDoorbells(Self.doorbells(events, hasLegacy: hasLegacy, hasModern: hasModern))
            }
        }
        self.doorbells = bells
        bells?.connect()
        // All is made: now windows may lead here.
        if hasLegacy {
            let size = Self.legacyConfigurationOffset(hasMSIX: true) + UInt64(device.configurationCount)
            function.addBAR(
                0, .io, size: size,
                regions: [
                    PCIBAR.Region(
                        count: (size + 3) & ~3, name: "\(device.kind.name)-legacy",
                        device: WeakWindow(
                            self, read: { $0.readLegacy(offset: $1, size: $2) },
                            write: { $0.writeLegacy(offset: $1, size: $2, value: $3) }))
                ])
        }
        if hasModern {
            let structures: [(Structure, String)] = [
                (Structure.common, "common"), (Structure.isr, "isr"), (Structure.device, "device"),
                (Structure.notify, "notify"),
            ]
            function.addBAR(
                Self.modernBAR, .memory64(prefetchable: true), size: Structure.windowSize,
                regions: structures.map { structure, name in
                    PCIBAR.Region(
                        offset: structure.rawValue, count: Structure.size, name: "\(device.kind.name)-\(name)",
                        device: WeakWindow(
                            self, read: { $0.read(structure, offset: $1, size: $2) },
                            write: { $0.write(structure, offset: $1, size: $2, value: $3) }))
                })
        }
        function.setDelegate(self)
    }

    /// Where each queue's driver rings: at a place of its own in the modern window, for any write, and at the legacy
    /// port with its number.
    private static func doorbells(
        _ events: [(queue: Int, descriptor: Int32)], hasLegacy: Bool, hasModern: Bool
    ) -> [PCIDoorbell] {
        events.flatMap { queue, descriptor -> [PCIDoorbell] in
            let offset = Structure.notify.rawValue + UInt64(queue) * notifyMultiplier
            let modern = PCIDoorbell(bar: modernBAR, offset: offset, size: 0, descriptor: descriptor)
            let legacy = PCIDoorbell(
                bar: 0, offset: legacyNotifyOffset, size: 2, value: UInt64(queue), descriptor: descriptor)
            return (hasModern ? [modern] : []) + (hasLegacy ? [legacy] : [])
        }
    }

    /// Adds the vendor capabilities and returns the offset of the one for access by configuration space (4.1.4.9).
    private static func addModern(_ function: PCIFunction, _ device: any VirtioDevice) -> Int {
        func body(_ type: UInt8, _ offset: UInt64, _ count: UInt64, _ extra: UInt32?) -> [UInt8] {
            var bytes: [UInt8] = [
                extra == nil ? 16 : 20, type, type == CapabilityType.pciAccess ? 0 : UInt8(modernBAR),
            ]
            bytes += [0, 0, 0]
            VirtioConfiguration.append(&bytes, UInt32(offset))
            VirtioConfiguration.append(&bytes, UInt32(count))
            if let extra { VirtioConfiguration.append(&bytes, extra) }
            return bytes
        }
        let vendor = PCICapabilityID.vendorSpecific
        function.addCapability(vendor, body: body(CapabilityType.common, Structure.common.rawValue, 0x1000, nil))
        function.addCapability(vendor, body: body(CapabilityType.isr, Structure.isr.rawValue, 0x1000, nil))
        if device.configurationCount > 0 {
            function.addCapability(vendor, body: body(CapabilityType.device, Structure.device.rawValue, 0x1000, nil))
        }
        function.addCapability(
            vendor,
            body: body(CapabilityType.notify, Structure.notify.rawValue, 0x1000, UInt32(notifyMultiplier)))
        // Window, offset, length and data are the driver's.
        return function.addCapability(
            vendor, body: body(CapabilityType.pciAccess, 0, 0, 0),
            writable: [0, 0, 0xFF, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 12))
    }

    /// Where the driver rings for a queue, or nil while the modern window is not decoded: a machine may have the
    /// engine turn writes there into an event instead of an exit.
    public func doorbell(ofQueue queue: Int) -> GuestPhysical? {
        function.address(ofBAR: Self.modernBAR).map {
            GuestPhysical($0 + Structure.notify.rawValue + UInt64(queue) * Self.notifyMultiplier)
        }
    }

    // MARK: Access by configuration space

    /// What the capability points to: a structure's window, an offset in it, and a length of 1, 2 or 4.
    private func pciAccess() -> (Structure, UInt64, Int)? {
        guard let base = pciAccessOffset else { return nil }
        let bar = function.readRaw(base + 4, size: 1)
        let offset = UInt64(function.readRaw(base + 8, size: 4))
        let count = Int(function.readRaw(base + 12, size: 4))
        guard bar == UInt32(Self.modernBAR), count == 1 || count == 2 || count == 4,
            offset < Structure.windowSize, offset % UInt64(count) == 0,
            let structure = Structure(rawValue: offset & ~(Structure.size - 1))
        else { return nil }
        return (structure, offset & (Structure.size - 1), count)
    }

    public func configurationRead(_ function: PCIFunction, offset: Int, size: Int) -> UInt32? {
        guard let base = pciAccessOffset, offset == base + 16, let (structure, place, count) = pciAccess() else {
            return nil
        }
        return UInt32(truncatingIfNeeded: read(structure, offset: place, size: count))
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        guard let base = pciAccessOffset, offset == base + 16, let (structure, place, count) = pciAccess() else {
            return
        }
        let mask = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(count * 8)) - 1)
        write(structure, offset: place, size: count, value: UInt64(function.readRaw(offset, size: 4) & mask))
    }

    // MARK: Life

    public func reset() {
        core.reset()
        function.reset()
    }
    public func pause() { core.pause() }
    public func resume() { core.resume() }
    public func halt() {
        doorbells?.close()
        core.halt()
    }

    public func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("pci", [function.exportState()])
        state.set("virtio", [core.exportState()])
        return state
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        try core.importState(try state.list("virtio", count: 1)[0])
        try function.importState(try state.list("pci", count: 1)[0])
    }
}
