public import DeviceModel
public import GuestMemory
import Synchronization

/// fw_cfg on a bus: at I/O ports 0x510 to 0x51B of a PC, or in memory on other boards.
///
/// Reads and writes come from processor threads; each runs under the device's lock, a DMA included. The device calls
/// nothing back but the address space.
public final class FwCfgDevice: BusDevice, Device {
    /// How the registers lie.
    public enum Layout: Sendable {
        /// Selector (16 bits, little-endian) at 0, data (8 bits) at 1, DMA address (64 bits, big-endian) at 4.
        case ports
        /// Data (8 to 64 bits) at 0, selector (16 bits, big-endian) at 8, DMA address at 16.
        case memory

        /// Addresses that the device takes.
        public var count: UInt64 { self == .ports ? 12 : 24 }
        var dma: UInt64 { self == .ports ? 4 : 16 }
    }

    /// A PC's first port.
    public static let port: UInt64 = 0x510
    /// Reads of the DMA address register give this.
    private static let dmaSignature = Array("QEMU CFG".utf8)

    public let stateName = "fw_cfg"
    private let layout: Layout
    private let memory: AddressSpace
    private let model: Mutex<FwCfg>

    /// A device that offers the given items and does its DMA in `memory`.
    public init(_ items: FwCfgItems, layout: Layout = .ports, memory: AddressSpace) {
        self.layout = layout
        self.memory = memory
        model = Mutex(FwCfg(items))
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        if offset >= layout.dma { return readDMASignature(offset - layout.dma, size) }
        let isData = layout == .ports ? offset < 2 && size == 1 : offset < 8
        guard isData else { return 0 }
        return model.withLock { model in
            var value: UInt64 = 0
            for index in 0..<min(size, 8) { value |= UInt64(model.readByte()) << UInt64(index * 8) }
            return value
        }
    }

    private func readDMASignature(_ offset: UInt64, _ size: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(min(size, 8)) where offset + index < 8 {
            value |= UInt64(Self.dmaSignature[Int(offset + index)]) << (index * 8)
        }
        return value
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        model.withLock { model in
            switch (layout, offset, size) {
            case (.ports, 0, 2): model.select(UInt16(truncatingIfNeeded: value))
            case (.memory, 8, 2): model.select(UInt16(truncatingIfNeeded: value).byteSwapped)
            case (_, layout.dma, 4): model.setDMAHigh(UInt32(truncatingIfNeeded: value).byteSwapped)
            case (_, layout.dma + 4, 4):
                model.startDMA(low: UInt32(truncatingIfNeeded: value).byteSwapped, memory: memory)
            case (_, layout.dma, 8): model.runDMA(at: value.byteSwapped, memory: memory)
            default: break
            }
        }
    }

    /// The present bytes of a numbered item, for the device that reads what firmware wrote.
    public func bytes(of key: UInt16) -> [UInt8]? { model.withLock { $0.bytes(key) } }

    /// The present bytes of a file.
    public func bytes(ofFile name: String) -> [UInt8]? { model.withLock { $0.bytes(name) } }

    public func reset() { model.withLock { $0.reset() } }
    public func exportState() -> DeviceState { model.withLock { $0.export() } }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try model.withLock { (model) throws(DeviceStateError) in try model.take(state) }
    }
}
