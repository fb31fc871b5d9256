import DeviceModel
import Firmware
import GuestMemory
import TestSupport
import Testing

private func makeItems() throws -> FwCfgItems {
    var items = FwCfgItems()
    items.set(FwCfgItems.Key.ramSize, UInt64(0x1122_3344_5566_7788))
    try items.add(file: "opt/b", bytes: Array("second".utf8))
    try items.add(file: "opt/a", bytes: Array("first".utf8))
    try items.add(file: "etc/writable", bytes: [0, 0, 0, 0], isWritable: true)
    return items
}

private func ports(_ device: FwCfgDevice, select key: UInt16, count: Int) -> [UInt8] {
    device.write(offset: 0, size: 2, value: UInt64(key))
    return (0..<count).map { _ in UInt8(device.read(offset: 1, size: 1)) }
}

/// Writes a DMA descriptor and gives its address to the device.
private func dma(
    _ device: FwCfgDevice, _ guest: TestGuest, control: UInt32, length: UInt32, address: UInt64,
    at place: UInt64 = 0x8000
) throws -> UInt32 {
    try guest.memory.store(GuestPhysical(place), control.byteSwapped)
    try guest.memory.store(GuestPhysical(place + 4), length.byteSwapped)
    try guest.memory.store(GuestPhysical(place + 8), address.byteSwapped)
    device.write(offset: 4, size: 4, value: UInt64(UInt32(truncatingIfNeeded: place >> 32).byteSwapped))
    device.write(offset: 8, size: 4, value: UInt64(UInt32(truncatingIfNeeded: place).byteSwapped))
    return try guest.load32(place).byteSwapped
}

@Test func portsReadItemsAndZerosPastTheirEnd() throws {
    let device = FwCfgDevice(try makeItems(), memory: AddressSpace())
    #expect(ports(device, select: FwCfgItems.Key.signature, count: 6) == Array("QEMU".utf8) + [0, 0])
    #expect(ports(device, select: FwCfgItems.Key.id, count: 4) == [3, 0, 0, 0])
    #expect(
        ports(device, select: FwCfgItems.Key.ramSize, count: 8) == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
    #expect(ports(device, select: 0x3000, count: 2) == [0, 0])
    #expect(ports(device, select: 0x4000, count: 4) == Array("QEMU".utf8))
}

/// Files that are made when they are selected see what firmware wrote to others; later ones leave the selectors of all others.
@Test func filesAreMadeOfOthers() throws {
    var items = try makeItems()
    try items.add(file: "etc/answer", bytes: [0], isLater: true)
    items.refreshed.append(
        FwCfgItems.Refreshed(["etc/answer"]) { file in [("etc/answer", [file("etc/writable")?[0] ?? 0xEE]), ("opt/a", [1])] })
    let guest = try TestGuest(ram: 1 << 20)
    let device = FwCfgDevice(items, memory: guest.memory)
    #expect(ports(device, select: 0x20, count: 1) == [0] && ports(device, select: 0x23, count: 1) == [0])
    try guest.memory.write(GuestPhysical(0x9000), bytes: [0x42])
    #expect(try dma(device, guest, control: 0x20 << 16 | 0x18, length: 1, address: 0x9000) == 0)
    #expect(ports(device, select: 0x23, count: 2) == [0x42, 0])
    #expect(ports(device, select: 0x21, count: 5) == Array("first".utf8), "It makes its own files only")
    device.reset()
    #expect(ports(device, select: 0x23, count: 1) == [0])
}

@Test func directoryListsFilesByName() throws {
    let device = FwCfgDevice(try makeItems(), memory: AddressSpace())
    let directory = ports(device, select: FwCfgItems.Key.directory, count: 4 + 3 * 64)
    #expect(Array(directory[0..<4]) == [0, 0, 0, 3])
    var names: [String] = []
    for index in 0..<3 {
        let entry = Array(directory[(4 + index * 64)..<(4 + index * 64 + 64)])
        names.append(String(decoding: entry[8...].prefix { $0 != 0 }, as: UTF8.self))
        #expect(entry[4..<8] == [0, 0x20 + UInt8(index), 0, 0])
    }
    #expect(names == ["etc/writable", "opt/a", "opt/b"])
    #expect(directory[4 + 64 + 3] == 5)
    #expect(ports(device, select: 0x21, count: 5) == Array("first".utf8))
}

@Test func memoryLayoutIsBigEndianInItsRegisters() throws {
    let device = FwCfgDevice(try makeItems(), layout: .memory, memory: AddressSpace())
    device.write(offset: 8, size: 2, value: UInt64(FwCfgItems.Key.ramSize.byteSwapped))
    #expect(device.read(offset: 0, size: 8) == 0x1122_3344_5566_7788)
    device.write(offset: 8, size: 2, value: 0)
    #expect(device.read(offset: 0, size: 4) == 0x554D_4551)
    #expect(device.read(offset: 16, size: 8).byteSwapped == 0x5145_4D55_2043_4647)
}

@Test func dmaReadsSkipsAndWrites() throws {
    let guest = try TestGuest(ram: 1 << 20)
    let device = FwCfgDevice(try makeItems(), memory: guest.memory)
    #expect(device.read(offset: 4, size: 4) == 0x554D_4551)
    try guest.memory.write(GuestPhysical(0x9000), bytes: [UInt8](repeating: 0xEE, count: 16))

    #expect(try dma(device, guest, control: 0x21 << 16 | 8 | 2, length: 8, address: 0x9000) == 0)
    #expect(try guest.bytes(0x9000, 9) == Array("first".utf8) + [0, 0, 0, 0xEE])

    #expect(try dma(device, guest, control: 0x22 << 16 | 8 | 4, length: 3, address: 0) == 0)
    #expect(try dma(device, guest, control: 2, length: 2, address: 0x9000) == 0)
    #expect(try guest.bytes(0x9000, 2) == Array("on".utf8))

    try guest.memory.write(GuestPhysical(0xA000), bytes: [1, 2])
    #expect(try dma(device, guest, control: 0x20 << 16 | 8 | 16, length: 2, address: 0xA000) == 0)
    #expect(try dma(device, guest, control: 16, length: 2, address: 0xA000) == 0)
    #expect(device.bytes(of: 0x20) == [1, 2, 1, 2])
    // Past its end, and to what is not writable.
    #expect(try dma(device, guest, control: 16, length: 1, address: 0xA000) == 1)
    #expect(try dma(device, guest, control: 0x21 << 16 | 8 | 16, length: 1, address: 0xA000) == 1)
    #expect(ports(device, select: 0x21, count: 5) == Array("first".utf8))

    device.reset()
    #expect(device.bytes(of: 0x20) == [0, 0, 0, 0])
}

@Test func hostileDescriptorsEndInTheErrorBit() throws {
    let guest = try TestGuest(ram: 1 << 20)
    let device = FwCfgDevice(try makeItems(), memory: guest.memory)
    #expect(try dma(device, guest, control: 8 | 2, length: 0xFFFF_FFFF, address: 0x1000) == 1)
    #expect(try dma(device, guest, control: 8 | 2, length: 4, address: 0xFFFF_FFFF_FFFF_FFFE) == 1)
    #expect(try dma(device, guest, control: 8 | 2, length: 16, address: (1 << 20) - 8) == 1)
    #expect(try dma(device, guest, control: 8 | 4, length: 0xFFFF_FFFF, address: 0) == 0)
    #expect(try dma(device, guest, control: 0x20 << 16 | 8 | 16, length: 4, address: 1 << 40) == 1)
    // A descriptor that is not in RAM is not read and not answered.
    device.write(offset: 4, size: 4, value: 0xFFFF_FFFF)
    device.write(offset: 8, size: 4, value: 0xFFFF_FFFF)

    var random = SplitMix64(state: 7)
    for _ in 0..<FuzzRounds.times(20000) {
        let offset = UInt64.random(in: 0..<14, using: &random)
        let size = [1, 2, 4, 8][Int.random(in: 0..<4, using: &random)]
        if Bool.random(using: &random) {
            _ = device.read(offset: offset, size: size)
        } else {
            device.write(offset: offset, size: size, value: random.next() & (size == 8 ? .max : (1 << (size * 8)) - 1))
        }
        if offset == 0 {
            for word in 0..<4 {
                try guest.memory.store(
                    GuestPhysical(0x8000 + UInt64(word) * 4),
                    UInt32.random(in: 0...UInt32.max, using: &random) & 0xFFFF_0F00)
            }
            device.write(offset: 4, size: 8, value: UInt64(0x8000).byteSwapped)
        }
    }
    #expect(ports(device, select: 0, count: 4) == Array("QEMU".utf8))
}

@Test func stateMovesToAnotherDevice() throws {
    let guest = try TestGuest(ram: 1 << 20)
    let first = FwCfgDevice(try makeItems(), memory: guest.memory)
    try guest.memory.write(GuestPhysical(0xA000), bytes: [9, 8, 7, 6])
    #expect(try dma(first, guest, control: 0x20 << 16 | 8 | 16, length: 4, address: 0xA000) == 0)
    _ = ports(first, select: 0x22, count: 3)
    let state = first.exportState()

    let second = FwCfgDevice(try makeItems(), memory: guest.memory)
    try second.importState(state)
    #expect(second.read(offset: 1, size: 1) == UInt64(Array("second".utf8)[3]))
    #expect(second.bytes(of: 0x20) == [9, 8, 7, 6])

    var bad = state
    bad.set("position", UInt64(100))
    #expect(throws: DeviceStateError.self) { try second.importState(bad) }
    bad = state
    bad.fields["selector"] = nil
    #expect(throws: DeviceStateError.missing(field: "selector")) { try second.importState(bad) }
    bad = state
    bad.version = 2
    #expect(throws: DeviceStateError.self) { try second.importState(bad) }
}

@Test func fileNamesAreChecked() throws {
    var items = FwCfgItems()
    try items.add(userFile: String(repeating: "x", count: 55), bytes: [])
    #expect(throws: FwCfgError.badName("")) { try items.add(userFile: "", bytes: []) }
    #expect(throws: FwCfgError.self) { try items.add(userFile: String(repeating: "y", count: 56), bytes: []) }
    try items.add(userFile: "opt/one", bytes: [1])
    #expect(throws: FwCfgError.duplicate("opt/one")) { try items.add(userFile: "opt/one", bytes: [2]) }
    for index in 2..<512 { try items.add(userFile: "opt/\(index)", bytes: []) }
    #expect(throws: FwCfgError.tooMany(limit: 512)) { try items.add(userFile: "opt/last", bytes: []) }
}

@Test func machineItemsForFirmware() throws {
    var items = FwCfgItems()
    var machine = FwCfgItems.Machine(memory: PCMemory.pc(ram: 4 << 30), processors: 2, maximumProcessors: 4)
    machine.bootOrder = ["/pci@i0cf8/scsi@3/disk@0,0", "HALT"]
    machine.bootMenuWait = 500
    try items.add(machine)
    try items.add(ACPITables(SampleBoards.pc))
    try items.add(SMBIOSTables(SMBIOSConfiguration(memory: PCMemory.pc(ram: 4 << 30))))
    let device = FwCfgDevice(items, memory: AddressSpace())
    let directory = ports(device, select: FwCfgItems.Key.directory, count: 4 + 64 * 16)
    var files: [String: UInt16] = [:]
    for index in 0..<Int(directory[3]) {
        let entry = directory[(4 + index * 64)..<(68 + index * 64)]
        let name = String(decoding: entry.dropFirst(8).prefix { $0 != 0 }, as: UTF8.self)
        files[name] = 0x20 + UInt16(index)
    }
    #expect(
        Set(files.keys) == [
            "bootorder", "etc/acpi/rsdp", "etc/acpi/tables", "etc/boot-menu-wait", "etc/e820",
            "etc/smbios/smbios-anchor",
            "etc/smbios/smbios-tables", "etc/system-states", "etc/table-loader",
        ])
    #expect(ports(device, select: FwCfgItems.Key.maximumProcessors, count: 2) == [4, 0])
    #expect(device.bytes(of: try #require(files["etc/e820"]))?.count == 40)
    #expect(device.bytes(of: try #require(files["bootorder"]))?.suffix(6) == Array("\nHALT".utf8)[...] + [0])
}

@Test func linuxItemsForFirmware() throws {
    var items = FwCfgItems()
    let image = SyntheticKernel.linux(body: [UInt8](repeating: 0x77, count: 1000))
    try items.add(
        linux: ByteImage(name: "vmlinuz", bytes: image), commandLine: "quiet", initrd: [1, 2, 3], lowMemory: 64 << 20)
    let device = FwCfgDevice(items, memory: AddressSpace())
    #expect(device.bytes(of: FwCfgItems.Key.kernelData) == [UInt8](repeating: 0x77, count: 1000))
    #expect(device.bytes(of: FwCfgItems.Key.commandLineData) == Array("quiet".utf8) + [0])
    let setup = try #require(device.bytes(of: FwCfgItems.Key.setupData))
    #expect(setup.count == 1536)
    #expect(setup[0x210] == 0xB0)
    #expect(setup.load(little: UInt32.self, at: 0x218) == UInt32(0x3FF_F000))
    #expect(setup.load(little: UInt32.self, at: 0x21C) == 3)
    #expect(throws: LoadError.self) {
        var other = FwCfgItems()
        try other.add(linux: ByteImage(name: "x", bytes: [1]), commandLine: "", initrd: [], lowMemory: 1 << 20)
    }
}
