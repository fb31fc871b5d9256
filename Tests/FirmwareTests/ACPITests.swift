import Firmware
import GuestMemory
import Testing

enum SampleBoards {
    static func processors(_ count: UInt32, possible: UInt32) -> [ACPIConfiguration.Processor] {
        (0..<possible).map { ACPIConfiguration.Processor(uid: $0, apicID: $0, isPresent: $0 < count) }
    }

    static var pc: ACPIConfiguration {
        var board = ACPIConfiguration(
            processors: processors(2, possible: 4), power: .fixed(ACPIConfiguration.FixedPower.piix4(base: 0x600)))
        for irq: UInt8 in [5, 9, 10, 11] {
            board.overrides.append(
                .init(source: irq, gsi: UInt32(irq), flags: ACPIConfiguration.InterruptOverride.levelHigh))
        }
        board.resetRegister = .init(.systemIO, bits: 8, address: 0xCF9)
        board.resetValue = 6
        var pci = PCIHost(
            isExpress: false, memoryWindows: [0xC000_0000...0xFEBF_FFFF], routing: .links(irqs: [5, 10, 11]),
            routes: PCIHost.i440FXRoutes(), isaBridge: 0x0001_0000)
        pci.highWindow = 0x80_0000_0000...0xFF_FFFF_FFFF
        pci.hotplug = PCIHotplug(port: 0xAE00, event: 1, slots: 3...31)
        board.pci = pci
        board.processorHotplug = ProcessorHotplug(port: 0xA00, event: 2)
        board.memoryHotplug = MemoryHotplug(port: 0xA80, event: 3, slots: 4)
        board.serialPorts = [.com1, .com2]
        board.hasRTC = true
        board.hasI8042 = true
        board.hasVGA = true
        board.hpet = 0xFED0_0000
        board.fwCfg = 0x510
        board.pvpanic = 0x505
        return board
    }

    static var microvm: ACPIConfiguration {
        var board = ACPIConfiguration(
            processors: processors(1, possible: 1),
            power: .reduced(
                .init(
                    sleepControl: 0xFEA0_0200, sleepStatus: 0xFEA0_0201, eventSelector: 0xFEA0_0000, eventGSI: 9)))
        board.sleepTypeOff = 5
        board.resetRegister = .init(.systemMemory, bits: 8, address: 0xFEA0_0202)
        board.resetValue = 0x42
        board.serialPorts = [.com1]
        board.virtioMMIO = (0..<8).map { .init(address: 0xFEB0_0000 + $0 * 0x200, gsi: 16 + $0) }
        return board
    }

    /// As many processors as need x2APIC entries, two nodes, PCI Express.
    static var large: ACPIConfiguration {
        var board = pc
        board.processors = (0..<300).map { .init(uid: $0, apicID: $0 * 2, node: $0 / 150) }
        board.power = .fixed(ACPIConfiguration.FixedPower.ich9(base: 0x600))
        var pci = PCIHost(
            isExpress: true, memoryWindows: [0x8000_0000...0xAFFF_FFFF, 0xC000_0000...0xFEBF_FFFF],
            routing: .fixed, routes: PCIHost.fixedRoutes(base: 16), isaBridge: 0x001F_0000)
        pci.ecam = 0xB000_0000
        board.pci = pci
        board.processorHotplug?.managementCommand = 4
        board.processorHotplug?.managementEjects = true
        board.nodeMemory = [
            .init(node: 0, start: 0, count: 1 << 30), .init(node: 1, start: 1 << 32, count: 1 << 30),
            .init(node: 1, start: 2 << 32, count: 4 << 30, isHotpluggable: true),
        ]
        board.nodeDistances = [[10, 20], [20, 10]]
        return board
    }

    static var all: [(String, ACPIConfiguration)] { [("pc", pc), ("microvm", microvm), ("large", large)] }
}

private func sum(_ bytes: some Sequence<UInt8>) -> UInt8 { bytes.reduce(0, &+) }

@Test func placedTablesAreLinkedAndSummed() throws {
    for (name, board) in SampleBoards.all {
        let guest = try TestGuest(ram: 16 << 20)
        let tables = ACPITables(board)
        let base: UInt64 = 15 << 20
        try tables.place(tables: GuestPhysical(base), rsdp: GuestPhysical(0xE0000), in: guest.memory)

        let rsdp = try guest.bytes(0xE0000, 36)
        #expect(Array(rsdp[0..<8]) == Array("RSD PTR ".utf8), "\(name)")
        #expect(sum(rsdp[0..<20]) == 0 && sum(rsdp) == 0, "\(name)")
        var found: [[String]] = []
        for (root, size) in [(UInt64(try guest.load32(0xE0010)), UInt64(4)), (try guest.load64(0xE0018), 8)] {
            let length = UInt64(try guest.load32(root + 4))
            #expect(sum(try guest.bytes(root, Int(length))) == 0, "\(name)")
            var signatures: [String] = []
            for place in stride(from: root + 36, to: root + length, by: Int(size)) {
                let table = size == 4 ? UInt64(try guest.load32(place)) : try guest.load64(place)
                let count = Int(try guest.load32(table + 4))
                #expect(sum(try guest.bytes(table, count)) == 0, "\(name)")
                signatures.append(String(decoding: try guest.bytes(table, 4), as: UTF8.self))
            }
            found.append(signatures)
        }
        #expect(found[0] == found[1], "\(name)")
        #expect(found[0].prefix(2) == ["FACP", "APIC"], "\(name)")
        let fadt = base + UInt64(try #require(tables.entries.first { $0.signature == "FACP" }).range.lowerBound)
        let dsdt = UInt64(try guest.load32(fadt + 40))
        #expect(try guest.load64(fadt + 140) == dsdt, "\(name)")
        #expect(try guest.bytes(dsdt, 4) == Array("DSDT".utf8), "\(name)")
    }
}

@Test func fadtDescribesTheBoardsPower() throws {
    func fadt(_ board: ACPIConfiguration) throws -> [UInt8] {
        let tables = ACPITables(board)
        let range = try #require(tables.entries.first { $0.signature == "FACP" }).range
        return Array(tables.blob[range])
    }
    let pc = try fadt(SampleBoards.pc)
    #expect(pc.load(little: UInt32.self, at: 56) == 0x600)
    #expect(pc.load(little: UInt32.self, at: 64) == 0x604)
    #expect(pc.load(little: UInt32.self, at: 76) == 0x608)
    #expect(pc.load(little: UInt64.self, at: 216 - 4) == 0x608)
    #expect(pc.load(little: UInt16.self, at: 46) == 9)
    #expect(pc.load(little: UInt64.self, at: 120) == 0xCF9)
    let flags = try #require(pc.load(little: UInt32.self, at: 112))
    #expect(flags & (1 << 20) == 0 && flags & (1 << 10) != 0 && flags & (1 << 4) == 0)
    let microvm = try fadt(SampleBoards.microvm)
    #expect(try #require(microvm.load(little: UInt32.self, at: 112)) & (1 << 20) != 0)
    #expect(microvm.load(little: UInt64.self, at: 248) == 0xFEA0_0200)
    #expect(microvm.load(little: UInt32.self, at: 36) == 0)
}

@Test func madtListsPresentAndPossibleProcessors() throws {
    let tables = ACPITables(SampleBoards.pc)
    let range = try #require(tables.entries.first { $0.signature == "APIC" }).range
    let madt = Array(tables.blob[range])
    var flags: [UInt32] = []
    var offset = 44
    while offset < madt.count {
        if madt[offset] == 0 { flags.append(try #require(madt.load(little: UInt32.self, at: offset + 4))) }
        #expect(madt[offset + 1] >= 2)
        offset += Int(max(2, madt[offset + 1]))
    }
    #expect(offset == madt.count)
    #expect(flags == [1, 1, 2, 2])
}

@Test func amlEncodesLengthsAndNames() {
    #expect(AML.integer(0).bytes == [0])
    #expect(AML.integer(1).bytes == [1])
    #expect(AML.integer(255).bytes == [0x0A, 255])
    #expect(AML.integer(0x1234).bytes == [0x0B, 0x34, 0x12])
    #expect(AML.integer(1 << 40).bytes.count == 9)
    #expect(AML.eisaID("PNP0A03").bytes == [0x0C, 0x41, 0xD0, 0x0A, 0x03])
    #expect(AML.name("\\_SB.PCI0").bytes == [0x5C, 0x2E] + Array("_SB_PCI0".utf8))
    #expect(AML.name("A.B.C").bytes == [0x2F, 3] + Array("A___B___C___".utf8))
    // A scope of n bytes of content: length bytes change at 63, 4095 and 1048575 bytes in all.
    for (content, lead) in [(58, 1), (59, 2), (4089, 2), (4090, 3), (1_048_568, 3), (1_048_569, 4)] {
        let scope = AML.scope("XXXX", [AML.string(String(repeating: "x", count: content - 2))])
        #expect(scope.bytes.count == 1 + lead + 4 + content)
        #expect(Int(scope.bytes[1] >> 6) == lead - 1)
    }
}

@Test func loaderScriptLinksTheFilesAsPlacingDoes() throws {
    let tables = ACPITables(SampleBoards.large)
    let files = Dictionary(uniqueKeysWithValues: tables.firmwareFiles.map { ($0.name, $0.bytes) })
    var memory = files.filter { $0.key != "etc/table-loader" }
    let script = try #require(files["etc/table-loader"])
    #expect(script.count % 128 == 0)
    let bases: [String: UInt64] = ["etc/acpi/tables": 0x7FF0_0000, "etc/acpi/rsdp": 0xF5000]
    func file(_ offset: Int) -> String {
        String(decoding: script[offset..<(offset + 56)].prefix { $0 != 0 }, as: UTF8.self)
    }
    // A firmware's interpreter of the script.
    for start in stride(from: 0, to: script.count, by: 128) {
        let name = file(start + 4)
        var bytes = try #require(memory[name])
        switch script.load(little: UInt32.self, at: start) {
        case 1: continue
        case 2:
            let base = try #require(bases[file(start + 60)])
            let offset = Int(try #require(script.load(little: UInt32.self, at: start + 116)))
            if script[start + 120] == 8 {
                bytes.store(little: try #require(bytes.load(little: UInt64.self, at: offset)) + base, at: offset)
            } else {
                bytes.store(
                    little: try #require(bytes.load(little: UInt32.self, at: offset)) + UInt32(base), at: offset)
            }
        case 3:
            let numbers = try (0..<3).map {
                Int(try #require(script.load(little: UInt32.self, at: start + 60 + $0 * 4)))
            }
            bytes[numbers[0]] &-= sum(bytes[numbers[1]..<(numbers[1] + numbers[2])])
        default: Issue.record("An unknown command")
        }
        memory[name] = bytes
    }
    let placed = tables.image(at: 0x7FF0_0000)
    #expect(memory["etc/acpi/tables"] == placed.tables)
    #expect(memory["etc/acpi/rsdp"] == placed.rsdp)
}

/// What firmware has agreed upon is seen after it has made room for the tables.
@Test func tablesAreOfOneSizeWhateverFirmwareAgreesUpon() throws {
    func tables(_ change: (inout ProcessorHotplug) -> Void) -> [[UInt8]] {
        var board = SampleBoards.pc
        var hotplug = ProcessorHotplug(port: 0xA00, event: 2)
        hotplug.managementCommand = 4
        change(&hotplug)
        board.processorHotplug = hotplug
        return ACPITables(board).firmwareFiles.map(\.bytes)
    }
    let plain = tables { _ in }
    let told = tables { $0.tellsManagement = true }
    let ejected = tables { $0.managementEjects = true }
    #expect(plain != told && plain != ejected && told != ejected)
    #expect(plain.map(\.count) == told.map(\.count) && plain.map(\.count) == ejected.map(\.count))
}

@Test(.enabled(if: HostFiles.isExecutable("iasl")))
func iaslReadsEveryTable() throws {
    let directory = try #require(HostFiles.temporaryDirectory())
    defer { _ = HostFiles.run("rm -rf '\(directory)'") }
    for (name, board) in SampleBoards.all {
        let tables = ACPITables(board)
        let image = tables.image(at: 0x7FF0_0000)
        for entry in tables.entries {
            let path = "\(directory)/\(name)-\(entry.signature)"
            #expect(HostFiles.write(path + ".aml", Array(image.tables[entry.range])))
            let status = HostFiles.run("iasl -d '\(path).aml' >'\(path).log' 2>&1")
            let log = String(decoding: HostFiles.read(path + ".log") ?? [], as: UTF8.self)
            let source = String(decoding: HostFiles.read(path + ".dsl") ?? [], as: UTF8.self)
            #expect(status == 0 && !source.isEmpty, "\(name) \(entry.signature): \(log)")
            for word in ["Invalid", "Incorrect", "ERROR", "Error -", "Warning"] {
                #expect(!log.contains(word), "\(name) \(entry.signature): \(log)")
            }
            #expect(!source.contains("Incorrect checksum"), "\(name) \(entry.signature)")
            if entry.signature == "DSDT" {
                let compile = HostFiles.run("iasl -p '\(path)-again' '\(path).dsl' >'\(path)-again.log' 2>&1")
                let log = String(decoding: HostFiles.read(path + "-again.log") ?? [], as: UTF8.self)
                #expect(compile == 0 && log.contains(" 0 Errors, 0 Warnings"), "\(name): \(log)")
            }
        }
    }
}
