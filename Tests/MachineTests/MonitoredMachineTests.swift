import HostOS
import JSON
import Machine
import Synchronization
import Testing

/// What monitors see of a machine, and what they ask of it, with no guest in it.
struct MonitoredMachineTests {
    /// The properties of the device of a name, wherever it hangs.
    private func properties(_ id: String, _ bus: DeviceNode.Bus) -> [String: String]? {
        for device in bus.devices {
            if device.id == id {
                return Dictionary(device.properties.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
            }
            for inner in device.buses { if let found = properties(id, inner) { return found } }
        }
        return nil
    }

    @Test func everyPropertyHasItsValue() throws {
        var configuration = Samples.configuration(.pc)
        var card = DeviceConfiguration(driver: "virtio-net-pci")
        card.id = "n"
        card.properties = ["mac": "52:54:00:00:00:07", "addr": "05.0"]
        var entropy = DeviceConfiguration(driver: "virtio-rng-pci")
        entropy.id = "r"
        configuration.devices = [card, entropy]
        configuration.globals = [GlobalProperty(driver: "virtio-rng-pci", property: "period", value: "500")]

        let bench = try Bench(configuration)
        defer { bench.machine.close() }
        let tree = bench.machine.deviceTree

        let found = try #require(properties("n", tree))
        let known = try #require(DeviceCatalogue.find("virtio-net-pci")).properties.map(\.name)
        #expect(Set(known).isSubset(of: found.keys))
        #expect(found["mac"] == "\"52:54:00:00:00:07\"" && found["addr"] == "40" && found["netdev"] == "\"\"")
        #expect(found["rx_queue_size"] == "256" && found["vectors"] == "4" && found["bootindex"] == "-1")
        let source = try #require(properties("r", tree))
        #expect(source["period"] == "500" && source["disable-legacy"] == "\"off\"" && source["rng"] == "\"\"")
    }

    @Test(arguments: [
        ("/dev/zero", "it is not a regular file"), ("/dev/null", "it is not a regular file"), ("/", "Is a directory"),
    ])
    func whatIsNoFileIsNoKernel(path: String, words: String) {
        var configuration = Samples.configuration(.pc)
        configuration.boot.kernel = path
        let error = #expect(throws: MachineBuildError.self) { _ = try Bench(configuration) }
        #expect(error?.description == "could not load kernel '\(path)': \(words)")
    }

    @Test func aKernelLargerThanMemoryIsNotRead() throws {
        try Samples.withFolder { folder in
            try HostFile.setSize(try HostFile.open("\(folder)/large", HostFile.Mode.replace), 1 << 40)
            var configuration = Samples.configuration(.pc)
            configuration.boot.kernel = "\(folder)/large"
            let error = #expect(throws: MachineBuildError.self) { _ = try Bench(configuration) }
            #expect(error?.description.hasSuffix("it needs more than the machine's memory of 32 MiB") == true)
        }
    }

    @Test(arguments: [0, 100, 4096, 65537])
    func firmwareIsWholeBlocks(count: Int) throws {
        try Samples.withFolder(["bios": [UInt8](repeating: 0xF4, count: count)]) { folder in
            var configuration = Samples.configuration(.pc)
            configuration.boot.bios = "\(folder)/bios"
            let error = #expect(throws: MachineBuildError.self) { _ = try Bench(configuration) }
            #expect(error?.description.hasPrefix("could not load PC BIOS '\(folder)/bios'") == true)
        }
    }

    @Test func rulesHoldForDevicesThatArePluggedIn() throws {
        let bench = try Bench(Samples.configuration(.pc))
        defer { bench.machine.close() }
        var device = DeviceConfiguration(driver: "virtio-rng-pci")
        device.properties = ["period": 0]
        let error = #expect(throws: MachineError.self) { try bench.machine.addDevice(device) }
        #expect(error?.description == "'period' parameter expects a positive integer")
    }

    @Test func firmwareTablesNameDevicesByTheirPlaces() throws {
        var configuration = Samples.configuration(.pc)
        configuration.smbios = [.fields(type: 41, ["designation": "LAN", "kind": "ethernet", "pcidev": "nobody"])]
        let error = #expect(throws: MachineBuildError.self) { _ = try Bench(configuration) }
        #expect(error?.description == "No PCI device nobody for SMBIOS type 41 entry LAN")
        var device = DeviceConfiguration(driver: "virtio-rng-pci")
        device.id = "nobody"
        configuration.devices = [device]
        try Bench(configuration).machine.close()
    }

    /// The jobs of a machine, which stay until they are dismissed.
    private func create(_ machine: VirtualMachine, _ options: JSONObject) throws -> JSONValue {
        _ = try machine.blockOperation(.create, ["job-id": "j", "options": .object(options)])
        let end = HostClock.monotonic + 60_000_000_000
        while true {
            let jobs = try machine.blockOperation(.queryJobs, [:])
            if let job = jobs.arrayValue?.first, job["status"] == "concluded" {
                _ = try machine.blockOperation(.dismissJob, ["id": "j"])
                return job
            }
            guard HostClock.monotonic < end else { return .null }
            Bell().wait(nanoseconds: 1_000_000)
        }
    }

    @Test func imagesAreMadeByJobs() throws {
        try Samples.withFolder { folder in
            let machine = try Bench(Samples.configuration(.pc)).machine
            defer { machine.close() }
            let path = "\(folder)/image"
            let made = try create(machine, ["driver": "file", "filename": .string(path), "size": 0])
            #expect(made["error"] == nil && made["type"] == "create" && made["total-progress"] == 1)
            var node = BlockNodeConfiguration(driver: "file")
            (node.nodeName, node.filename) = ("f", path)
            try machine.addBlockNode(node)
            let magics: [(String, [UInt8])] = [
                ("qcow2", [0x51, 0x46, 0x49, 0xFB]), ("vdi", Array("<<< ".utf8)), ("vhdx", Array("vhdxfile".utf8)),
                ("vmdk", Array("KDMV".utf8)), ("vpc", Array("conectix".utf8)),
            ]
            for (driver, magic) in magics {
                let job = try create(machine, ["driver": .string(driver), "file": "f", "size": 1_048_576])
                #expect(job["error"] == nil, "\(job)")
                #expect(try HostFile.contents(path).starts(with: magic), "\(driver)")
            }
            let odd = try create(machine, ["driver": "qcow2", "file": "f", "size": 1_048_577])
            #expect(odd["error"] == "Image size must be a multiple of 512 bytes")
            let nobody = try create(machine, ["driver": "qcow2", "file": "g", "size": 0])
            #expect(nobody["error"] == "Cannot find device='g' nor node-name='g'")
            try machine.removeBlockNode("f")
            #expect(try machine.blockOperation(.queryExports, [:]) == [])
        }
    }

    @Test func drivesComeWhileTheMachineIsThere() throws {
        try Samples.withFolder(["disk": [UInt8](repeating: 0, count: 4096)]) { folder in
            let machine = try Bench(Samples.configuration(.pc)).machine
            defer { machine.close() }
            var drive = DriveConfiguration(id: "d")
            (drive.file, drive.format, drive.interface) = ("\(folder)/disk", "raw", .none)
            try machine.addDrive(drive)
            let error = #expect(throws: MachineError.self) { try machine.addDrive(drive) }
            #expect(error?.description == "Duplicate ID 'd' for drive")
            var disk = DeviceConfiguration(driver: "virtio-blk-pci")
            disk.properties = ["drive": "d"]
            try machine.addDevice(disk)
        }
    }

    @Test func addressesLeadToMemory() throws {
        let machine = try Bench(Samples.configuration(.pc)).machine
        defer { machine.close() }
        #expect(machine.hostAddress(0x1000)?.block == "pc.ram" && machine.hostAddress(0xE000_0000) == nil)
        let first = try #require(machine.hostAddress(0x1000)?.address)
        #expect(machine.hostAddress(0x1234)?.address == first + 0x234)
        #expect(machine.interruptControllers.legacy.count == 2 && machine.interruptControllers.entries.count == 24)
        try machine.setBootOrder("n")
        let none = try Bench(Samples.configuration(.none)).machine
        defer { none.close() }
        #expect(throws: MachineError.self) { try none.setBootOrder("n") }
    }
}
