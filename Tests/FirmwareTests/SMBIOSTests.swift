import Firmware
import GuestMemory
import Testing

/// A structure as a reader of the tables sees it.
private struct Parsed {
    let type: UInt8
    let handle: UInt16
    let bytes: [UInt8]
    let strings: [String]

    func string(_ offset: Int) -> String? {
        let number = Int(bytes[offset])
        return number > 0 && number <= strings.count ? strings[number - 1] : nil
    }
}

private func parse(_ table: [UInt8]) throws -> [Parsed] {
    var result: [Parsed] = []
    var offset = 0
    while offset < table.count {
        let length = Int(table[offset + 1])
        let formatted = Array(table[offset..<(offset + length)])
        var position = offset + length
        var strings: [String] = []
        while table[position] != 0 {
            let text = table[position...].prefix { $0 != 0 }
            strings.append(String(decoding: text, as: UTF8.self))
            position += text.count + 1
        }
        position += strings.isEmpty ? 2 : 1
        let handle = try #require(formatted.load(little: UInt16.self, at: 2))
        result.append(Parsed(type: table[offset], handle: handle, bytes: formatted, strings: strings))
        offset = position
    }
    return result
}

private func sum(_ bytes: some Sequence<UInt8>) -> UInt8 { bytes.reduce(0, &+) }

@Test func structuresHoldWhatWasConfigured() throws {
    var machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 40 << 30))
    try machine.set(type: 0, "release", "1.2")
    try machine.set(type: 1, "manufacturer", "Acme")
    try machine.set(type: 1, "product", "Road Runner")
    try machine.set(type: 1, "uuid", "00112233-4455-6677-8899-aabbccddeeff")
    try machine.set(type: 3, "asset", "A1")
    try machine.set(type: 4, "max-speed", "3000")
    try machine.set(type: 11, "value", "one")
    try machine.set(type: 11, "value", "two")
    try machine.set(type: 17, "loc_pfx", "Slot ")
    machine.sockets = 2
    machine.coresPerSocket = 300
    let tables = try SMBIOSTables(machine)

    let parsed = try parse(tables.structures)

    #expect(parsed.map(\.type) == [0, 1, 2, 3, 4, 4, 11, 16, 17, 17, 17, 19, 19, 32, 127])
    #expect(parsed.count == tables.count)
    #expect(Set(parsed.map(\.handle)).count == parsed.count)
    #expect(parsed.map(\.bytes.count) == [24, 27, 15, 22, 48, 48, 5, 23, 40, 40, 40, 31, 31, 11, 4])
    #expect(parsed[0].bytes[20..<22] == [1, 2])
    #expect(parsed[1].string(4) == "Acme")
    #expect(parsed[1].string(5) == "Road Runner")
    #expect(
        Array(parsed[1].bytes[8..<24])
            == [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF])
    #expect(parsed[3].string(8) == "A1")
    #expect(parsed[4].string(4) == "CPU 0")
    #expect(parsed[5].string(4) == "CPU 1")
    #expect(parsed[4].bytes.load(little: UInt16.self, at: 20) == 3000)
    #expect(parsed[4].bytes[35] == 255)
    #expect(parsed[4].bytes.load(little: UInt16.self, at: 42) == 300)
    #expect(parsed[6].strings == ["one", "two"] && parsed[6].bytes[4] == 2)
    #expect(parsed[7].bytes.load(little: UInt32.self, at: 7) == 40 << 20)
    #expect(parsed[8].string(16) == "Slot 0")
    #expect(parsed[8].bytes.load(little: UInt16.self, at: 12) == 16384)
    #expect(parsed[10].bytes.load(little: UInt16.self, at: 12) == 8192)
    #expect(parsed[12].bytes.load(little: UInt32.self, at: 4) == 4 << 20)
}

@Test func entryPointsAreSummedAndPointToTheStructures() throws {
    let machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 1 << 30))
    let new = try SMBIOSTables(machine, version: .v30)
    let old = try SMBIOSTables(machine, version: .v28)
    let entry30 = new.entryPoint(structuresAt: 0x1234_5678_9000)
    let entry28 = old.entryPoint(structuresAt: 0xF1000)

    #expect(entry30.count == 24 && sum(entry30) == 0)
    #expect(Array(entry30[0..<5]) == Array("_SM3_".utf8))
    #expect(entry30.load(little: UInt64.self, at: 16) == 0x1234_5678_9000)
    #expect(entry30.load(little: UInt32.self, at: 12) == UInt32(new.structures.count))
    #expect(entry28.count == 31 && sum(entry28) == 0 && sum(entry28[16..<31]) == 0)
    #expect(Array(entry28[0..<4]) == Array("_SM_".utf8) && Array(entry28[16..<21]) == Array("_DMI_".utf8))
    #expect(entry28.load(little: UInt32.self, at: 24) == 0xF1000)
    #expect(entry28.load(little: UInt16.self, at: 22) == UInt16(old.structures.count))
    #expect(entry28.load(little: UInt16.self, at: 28) == UInt16(old.count))
    #expect(try parse(old.structures).first { $0.type == 4 }?.bytes.count == 42)

    let guest = try TestGuest(ram: 2 << 20)
    try old.place(structures: GuestPhysical(0xF1000), entryPoint: GuestPhysical(0xF0000), in: guest.memory)
    #expect(try guest.bytes(0xF0000, 31) == entry28)
    #expect(try guest.bytes(0xF1000, old.structures.count) == old.structures)
}

@Test func wrongFieldsAreNamed() {
    var machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 1 << 30))
    func failure(_ type: Int, _ field: String, _ value: String) -> String? {
        do throws(SMBIOSError) { try machine.set(type: type, field, value) } catch { return error.description }
        return nil
    }
    #expect(failure(5, "x", "") == "SMBIOS type 5 cannot be set; these can: 0, 1, 2, 3, 4, 11, 17")
    #expect(
        failure(3, "uuid", "") == "SMBIOS type 3 has no field 'uuid'; it has asset, manufacturer, serial, sku, version")
    #expect(failure(1, "uuid", "xyz")?.contains("a UUID") == true)
    #expect(failure(1, "uuid", "00112233-4455-6677-8899-aabbccddeefg") != nil)
    #expect(failure(4, "max-speed", "70000")?.contains("up to 65535") == true)
    #expect(failure(0, "release", "1") != nil)
    #expect(failure(0, "uefi", "maybe") != nil)
    #expect(failure(4, "processor-id", "0xffffffffffffffff") == nil)
}

@Test func foreignStructuresAreChecked() throws {
    var machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 1 << 30))
    machine.extraStructures = [[200, 5, 1, 0, 1, 65, 0, 0]]
    #expect(try parse(SMBIOSTables(machine).structures).contains { $0.type == 200 && $0.strings == ["A"] })
    for bad: [UInt8] in [[], [200], [200, 3, 0, 0, 0, 0], [200, 9, 0, 0, 0, 0], [200, 4, 0, 0, 0, 0, 1, 0, 0]] {
        machine.extraStructures = [bad]
        #expect(throws: SMBIOSError.badStructure(bad.count)) { try SMBIOSTables(machine) }
    }
    machine.extraStructures = [[200, 4, 0, 0] + [UInt8](repeating: 65, count: 70000) + [0, 0]]
    #expect(throws: SMBIOSError.self) { try SMBIOSTables(machine, version: .v28) }
    #expect(throws: Never.self) { try SMBIOSTables(machine, version: .v30) }
}

@Test(.enabled(if: HostFiles.isExecutable("dmidecode")))
func dmidecodeReadsTheTables() throws {
    var machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 2 << 30))
    try machine.set(type: 1, "product", "Road Runner")
    try machine.set(type: 1, "uuid", "00112233-4455-6677-8899-aabbccddeeff")
    try machine.set(type: 11, "value", "a string")
    let directory = try #require(HostFiles.temporaryDirectory())
    defer { _ = HostFiles.run("rm -rf '\(directory)'") }
    for version in [SMBIOSTables.Version.v28, .v30] {
        let tables = try SMBIOSTables(machine, version: version)
        // A dump holds the entry point at 0 and the structures at 32.
        let entry = tables.entryPoint(structuresAt: 32)
        let dump = entry + [UInt8](repeating: 0, count: 32 - entry.count) + tables.structures
        #expect(HostFiles.write(directory + "/dump", dump))
        let status = HostFiles.run("dmidecode --from-dump '\(directory)/dump' >'\(directory)/text' 2>&1")
        let text = String(decoding: HostFiles.read(directory + "/text") ?? [], as: UTF8.self)
        #expect(status == 0)
        for line in [
            "Product Name: Road Runner", "UUID: 00112233-4455-6677-8899-aabbccddeeff", "String 1: a string",
            "Range Size: 2 GB", "Size: 2 GB", "End Of Table",
        ] {
            #expect(text.contains(line), "\(line) is not in: \(text)")
        }
        for word in ["Wrong", "broken", "OUT OF SPEC", "checksum", "truncated"] {
            #expect(!text.contains(word), "\(text)")
        }
    }
}

@Test func connectorsAndDevicesOnTheBoard() throws {
    var machine = SMBIOSConfiguration(memory: PCMemory.pc(ram: 1 << 30))
    var connector = SMBIOSConfiguration.Connector()
    connector.internalReference = "JUSB1"
    connector.externalReference = "USB"
    (connector.connectorType, connector.portType) = (0x12, 0x10)
    machine.connectors = [connector, SMBIOSConfiguration.Connector()]
    var device = SMBIOSConfiguration.OnboardDevice()
    device.designation = "Onboard LAN"
    device.kind = try #require(SMBIOSConfiguration.OnboardDevice.kinds.firstIndex(of: "ethernet"))
    (device.instance, device.address) = (2, 0x19)
    machine.onboardDevices = [device]

    let parsed = try parse(try SMBIOSTables(machine).structures)

    let connectors = parsed.filter { $0.type == 8 }
    #expect(connectors.map(\.handle) == [0x800, 0x801])
    #expect(connectors[0].string(4) == "JUSB1" && connectors[0].string(6) == "USB")
    #expect(connectors[0].bytes == [8, 9, 0, 8, 1, 0, 2, 0x12, 0x10])
    #expect(connectors[1].bytes == [8, 9, 1, 8, 0, 0, 0, 0, 0])
    let boards = parsed.filter { $0.type == 41 }
    #expect(boards.map(\.strings) == [["Onboard LAN"]])
    #expect(boards[0].bytes == [41, 11, 0, 0x29, 1, 0x85, 2, 0, 0, 0, 0x19])
}
