public import DeviceModel
public import GuestMemory
public import HostOS

/// The option ROM of a PCI function.
public enum OptionROM {
    /// Memory with an image in it. The caller lists it among its `ownMemory`.
    public static func block(_ image: [UInt8], name: String) throws(HostError) -> RAMBlock {
        let rom = try RAMBlock(name: "\(name).rom", size: image.count)
        let writer = AddressSpace()
        writer.add(FlatView.Range(start: GuestPhysical(0), count: UInt64(rom.size), block: rom))
        try? writer.write(GuestPhysical(0), bytes: image)
        return rom
    }

    /// Adds the window onto it.
    public static func add(_ block: RAMBlock, to function: PCIFunction) {
        function.addBAR(
            6, .rom, size: UInt64(block.size),
            regions: [PCIBAR.Region(count: UInt64(block.size), name: block.name, block: block, writable: false)])
    }
}
