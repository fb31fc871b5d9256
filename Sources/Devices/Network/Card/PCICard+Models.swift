public import DeviceModel
public import GuestMemory
public import Network

/// What a card of any model is made of.
public struct PCICardParts {
    /// 6 bytes; others become 52:54:00:12:34:56.
    public var macAddress: [UInt8]
    /// The option ROM; nil for none.
    public var rom: RAMBlock?
    /// Whether that belongs to the memory of a saved machine.
    public var savesROM = true
    /// Guest memory.
    public var memory: AddressSpace
    /// Where frames go.
    public var backend: any NetworkBackend
    /// The machine's clock.
    public var clock: any VirtualClock
    /// Who does its work.
    public var scheduler: any WorkScheduler
    /// The section in saved states.
    public var stateName: String

    /// A card's parts without an option ROM.
    public init(
        macAddress: [UInt8], memory: AddressSpace, backend: any NetworkBackend, clock: any VirtualClock,
        scheduler: any WorkScheduler, stateName: String
    ) {
        self.macAddress = macAddress.count == 6 ? macAddress : [0x52, 0x54, 0, 0x12, 0x34, 0x56]
        self.memory = memory
        self.backend = backend
        self.clock = clock
        self.scheduler = scheduler
        self.stateName = stateName
    }
}

extension PCICard {
    /// Realtek's RTL8139C+: `rtl8139`.
    public static func rtl8139(_ parts: PCICardParts) -> PCICard {
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x10EC, deviceID: 0x8139, classCode: 0x020000, revision: 0x20, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        return make(
            RTL8139Model(macAddress: parts.macAddress, memory: parts.memory), function,
            [
                WindowKind(index: 0, kind: .io, size: 256, name: "rtl8139-io"),
                WindowKind(index: 1, kind: .memory32(prefetchable: false), size: 256, name: "rtl8139-mem"),
            ], parts)
    }

    /// AMD's PCnet-PCI II, Am79C970A: `pcnet`.
    public static func pcnet(_ parts: PCICardParts) -> PCICard {
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1022, deviceID: 0x2000, classCode: 0x020000, revision: 0x10, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        function.defineRegister(0x3E, value: UInt16(0xFF06))
        return make(
            PCNetModel(macAddress: parts.macAddress, memory: parts.memory), function,
            [
                WindowKind(index: 0, kind: .io, size: 32, name: "pcnet-io"),
                WindowKind(index: 1, kind: .memory32(prefetchable: false), size: 32, name: "pcnet-mmio"),
            ], parts)
    }

    /// Intel's 82540EM: `e1000`.
    public static func e1000(_ parts: PCICardParts) -> PCICard {
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x100E, classCode: 0x020000, revision: 3, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        return make(
            E1000Model(macAddress: parts.macAddress, memory: parts.memory), function,
            [
                WindowKind(index: 0, kind: .memory32(prefetchable: false), size: 128 << 10, name: "e1000-mmio"),
                WindowKind(index: 1, kind: .io, size: 64, name: "e1000-io"),
            ], parts)
    }

    /// Intel's 82574L: `e1000e`.
    public static func e1000e(_ parts: PCICardParts, subsystem: (vendor: UInt16, device: UInt16)? = nil) -> PCICard {
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x10D3, classCode: 0x020000, subsystemVendorID: subsystem?.vendor ?? 0x8086,
                subsystemID: subsystem?.device ?? 0),
            interruptPin: 1)
        function.addMSI(vectors: 1)
        let tables = function.addMSIX(
            vectors: E1000EModel.vectors, bar: 3, tableOffset: 0, pendingOffset: 0x2000)
        return make(
            E1000EModel(macAddress: parts.macAddress, memory: parts.memory), function,
            [
                WindowKind(index: 0, kind: .memory32(prefetchable: false), size: 128 << 10, name: "e1000e-mmio"),
                // The window of a flash chip that is not there.
                WindowKind(
                    index: 1, kind: .memory32(prefetchable: false), size: 128 << 10, name: "e1000e-flash",
                    hasRegisters: false),
                WindowKind(index: 2, kind: .io, size: 32, name: "e1000e-io"),
                WindowKind(
                    index: 3, kind: .memory32(prefetchable: false), size: 16 << 10, name: "e1000e-msix",
                    others: tables, hasRegisters: false),
            ], parts)
    }

    private static func make(
        _ model: any CardModel, _ function: PCIFunction, _ windows: [WindowKind], _ parts: PCICardParts
    ) -> PCICard {
        PCICard(
            model, function: function, windows: windows, backend: parts.backend, clock: parts.clock,
            scheduler: parts.scheduler, rom: parts.rom, savesROM: parts.savesROM, stateName: parts.stateName)
    }
}
