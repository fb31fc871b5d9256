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

    /// The image for a function of other numbers than it names: firmware starts only what names the function (PCI Firmware
    /// Specification 3.3, 5.1.2). The byte that makes up for it in the sum of all is iPXE's, at offset 6. What is no such
    /// image stays as it is.
    public static func image(_ image: [UInt8], vendor: UInt16, device: UInt16) -> [UInt8] {
        guard image.count >= 0x1A, image[0] == 0x55, image[1] == 0xAA else { return image }
        let place = Int(image[0x18]) | Int(image[0x19]) << 8
        guard place >= 0x1A, place + 8 <= image.count, image[place..<(place + 4)].elementsEqual("PCIR".utf8) else {
            return image
        }
        var image = image
        let wanted = [vendor, device].flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        for (offset, byte) in wanted.enumerated() {
            image[6] &-= byte &- image[place + 4 + offset]
            image[place + 4 + offset] = byte
        }
        return image
    }

    /// Adds the window onto it.
    public static func add(_ block: RAMBlock, to function: PCIFunction) {
        function.addBAR(
            6, .rom, size: UInt64(block.size),
            regions: [PCIBAR.Region(count: UInt64(block.size), name: block.name, block: block, writable: false)])
    }
}
