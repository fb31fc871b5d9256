import Execution
import JSON
import Machine
import Synchronization
import Testing

/// Which adapters and ports may stand side by side on a board, and what of them a guest finds.
struct AdapterTests {
    private static func device(_ driver: String, _ properties: [(String, Int64)] = []) -> DeviceConfiguration {
        var device = DeviceConfiguration(driver: driver)
        for (name, value) in properties { device.properties[name] = .integer(value) }
        return device
    }

    private static func machine(
        _ kind: BoardKind, _ devices: [DeviceConfiguration]
    ) throws -> [PCIFunctionStatus] {
        var configuration = Samples.configuration(kind)
        configuration.devices = devices
        return try Bench(configuration).machine.pciFunctions
    }

    /// QEMU 7.2: at least 1, at most 512, and the next power of two.
    @Test(arguments: [(0, 1), (1, 1), (3, 4), (8, 8), (129, 256), (1000, 512), (0xFFFF_FFFF, 512)])
    func memoryIsAPowerOfTwo(asked: Int64, gets: UInt64) throws {
        let functions = try Self.machine(.pc, [Self.device("VGA", [("vgamem_mb", asked)])])

        let window = functions.first { $0.slot == 2 }?.regions.first { $0.bar == 0 }
        #expect(window?.size == gets << 20)
    }

    @Test func onlyTheFirstOfSeveralAdaptersHasThePortsOfAVGA() throws {
        let port = Exit.portRead(port: 0x1D0, size: 2)
        func index(_ value: UInt32) -> Exit { .portWrite(port: 0x1CE, size: 2, value: value) }
        var configuration = Samples.configuration(.pc)
        configuration.devices = [
            Self.device("secondary-vga"), Self.device("VGA", [("vgamem_mb", 3)]), Self.device("VGA"),
            Self.device("cirrus-vga"),
        ]
        // Bochs's register 10 tells the memory in pieces of 64 KiB.
        let bench = try Bench(configuration, [index(10), port, Samples.powerOff])

        try bench.run()

        #expect(bench.first.inner.withLock { $0.answers } == [64])
        let classes = bench.machine.pciFunctions.filter { $0.slot >= 2 }.map(\.classCode)
        #expect(classes == [0x0380, 0x0300, 0x0300, 0x0300])
    }

    @Test func anAdapterOfTheISABusNeedsThePorts() {
        #expect(throws: (any Error).self) { try Self.machine(.pc, [Self.device("VGA"), Self.device("isa-vga")]) }
    }

    @Test func rootPortsStandOnBothBoardsAndHaveSlotsOfTheirOwn() throws {
        func ports(_ kind: BoardKind, _ numbers: [(Int64, Int64)]) throws -> Int {
            let devices = numbers.map { Self.device("pcie-root-port", [("chassis", $0.0), ("slot", $0.1)]) }
            return try Self.machine(kind, devices).count { $0.classCode == 0x0604 }
        }
        #expect(try ports(.pc, [(0, 0), (1, 0), (1, 1)]) == 3)
        #expect(try ports(.q35, [(0, 0), (1, 0), (1, 1)]) == 3)
        // A slot's number has 13 bits.
        for other: (Int64, Int64) in [(1, 1), (1, 8193)] {
            #expect {
                _ = try ports(.q35, [(1, 1), other])
            } throws: { "\($0)".contains("Can't add chassis slot, error -16") }
        }
    }
}
