import Firmware
import GuestMemory

/// A guest with RAM as a PC has it, for loaders.
struct TestGuest {
    let memory = AddressSpace()
    let map: MemoryMap

    init(ram: Int) throws {
        let block = try RAMBlock(name: "ram", size: ram)
        memory.add(FlatView.Range(start: GuestPhysical(0), count: UInt64(block.size), block: block))
        map = PCMemory.pc(ram: UInt64(block.size)).map
    }

    func load32(_ address: UInt64) throws -> UInt32 { try memory.load(GuestPhysical(address), as: UInt32.self) }
    func load64(_ address: UInt64) throws -> UInt64 { try memory.load(GuestPhysical(address), as: UInt64.self) }
    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.bytes(GuestPhysical(address), count: count)
    }
    func text(_ address: UInt64) throws -> String {
        var result: [UInt8] = []
        while result.count < 70000 {
            let byte = try memory.load(GuestPhysical(address + UInt64(result.count)), as: UInt8.self)
            if byte == 0 { break }
            result.append(byte)
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// Kernels made of a header and a recognisable body.
enum SyntheticKernel {
    /// A bzImage of boot protocol `version` with two set-up sectors and `body` as its protected-mode kernel.
    static func linux(
        body: [UInt8] = [UInt8](repeating: 0xC3, count: 4096), version: UInt16 = 0x20F, loadFlags: UInt8 = 1,
        extendedFlags: UInt16 = 1, preferred: UInt64 = 0x100_0000, initSize: UInt32 = 0x10_0000,
        initrdMaximum: UInt32 = 0x7FFF_FFFF, commandLineSize: UInt32 = 2047
    ) -> [UInt8] {
        var image = [UInt8](repeating: 0, count: 3 * 512)
        image[0x1F1] = 2
        image.store(little: UInt32((body.count + 15) / 16), at: 0x1F4)
        image.store(little: UInt16(0xAA55), at: 0x1FE)
        image[0x200] = 0xEB
        image[0x201] = 0x6A
        image.store(Array("HdrS".utf8), at: 0x202)
        image.store(little: version, at: 0x206)
        image[0x211] = loadFlags
        image.store(little: initrdMaximum, at: 0x22C)
        image.store(little: UInt32(0x20_0000), at: 0x230)
        image[0x234] = 1
        image.store(little: extendedFlags, at: 0x236)
        image.store(little: commandLineSize, at: 0x238)
        image.store(little: preferred, at: 0x258)
        image.store(little: initSize, at: 0x260)
        return image + body
    }

    struct Segment {
        var type: UInt32 = 1
        var physical: UInt64
        var virtual: UInt64?
        var bytes: [UInt8]
        var memoryCount: UInt64?
    }

    /// An ELF executable with the given segments after its headers, padded to 16 bytes each.
    static func elf(wide: Bool, entry: UInt64, segments: [Segment]) -> [UInt8] {
        let headerCount = wide ? 64 : 52
        let entryCount = wide ? 56 : 32
        var image: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, wide ? 2 : 1, 1, 1] + [UInt8](repeating: 0, count: 9)
        image.append(little: UInt16(2))
        image.append(little: UInt16(wide ? 62 : 3))
        image.append(little: UInt32(1))
        func word(_ value: UInt64) {
            if wide { image.append(little: value) } else { image.append(little: UInt32(truncatingIfNeeded: value)) }
        }
        word(entry)
        word(UInt64(headerCount))
        word(0)
        image.append(little: UInt32(0))
        for value in [headerCount, entryCount, segments.count, 0, 0, 0] { image.append(little: UInt16(value)) }
        var offset = headerCount + entryCount * segments.count
        var bodies: [UInt8] = []
        for segment in segments {
            let memory = segment.memoryCount ?? UInt64(segment.bytes.count)
            image.append(little: segment.type)
            if wide { image.append(little: UInt32(7)) }
            word(UInt64(offset))
            word(segment.virtual ?? segment.physical)
            word(segment.physical)
            word(UInt64(segment.bytes.count))
            word(memory)
            if !wide { image.append(little: UInt32(7)) }
            word(16)
            bodies += segment.bytes
            offset += segment.bytes.count
        }
        return image + bodies
    }

    /// Xen's note with a 32-bit physical entry, after a note of another owner.
    static func pvhNote(entry: UInt32) -> [UInt8] {
        var note: [UInt8] = []
        for value: UInt32 in [4, 3, 1] { note.append(little: value) }
        note += Array("GNU".utf8) + [0, 1, 2, 3, 0]
        for value: UInt32 in [4, 4, 18] { note.append(little: value) }
        note += Array("Xen".utf8) + [0]
        note.append(little: entry)
        return note
    }

    /// A multiboot header; with addresses where they are given (header, load, load end, bss end, entry).
    static func multibootHeader(flags: UInt32, addresses: [UInt32] = []) -> [UInt8] {
        var header: [UInt8] = []
        header.append(little: UInt32(0x1BAD_B002))
        header.append(little: flags)
        header.append(little: 0 &- (flags &+ 0x1BAD_B002))
        for address in addresses { header.append(little: address) }
        return header
    }
}
