import BlockImage
import DeviceModel
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// Dirty bitmaps that go with a machine.
@Suite(.serialized) struct MovedBitmapTests {
    private static let size: UInt64 = 4 << 20
    private typealias Bitmap = BlockDeviceStatus.DirtyBitmap

    /// The drive `d` of an image in a folder.
    private func drive(_ folder: String, _ image: String, node: String) -> DriveConfiguration {
        var drive = DriveConfiguration(id: "d")
        drive.interface = .none
        drive.fileOptions = [
            "driver": "qcow2", "node-name": .string(node),
            "file": ["driver": "file", "filename": .string("\(folder)/\(image)")],
        ]
        return drive
    }
    private func bitmaps(_ machine: VirtualMachine, _ node: String) -> [Bitmap] {
        machine.blockNodes.first { $0.image.nodeName == node }?.image.bitmaps ?? []
    }
    private func marked(_ machine: VirtualMachine, _ node: String, _ bitmap: String) -> UInt64? {
        bitmaps(machine, node).first { $0.name == bitmap }?.dirtyBytes
    }

    /// Two machines: one whose guest has written 64 KiB at 1 MiB and at 3 MiB behind bitmaps `live`, `kept` (by the image)
    /// and `still` (which records nothing), and one that waits with another image or the same.
    private func withMachines(
        sharing: Bool = false, _ body: (DiskBench, RunningMachine, String) throws -> Void
    ) throws {
        try Samples.withFolder(DiskBench.files) { folder in
            for name in ["here", "there"] {
                try BlockGraph().makeImage("\(folder)/\(name)", format: "qcow2", size: Self.size)
            }
            var other: MachineConfiguration?
            let bench = try DiskBench(folder, drives: [drive(folder, "here", node: "a")]) { other = $0 }
            for name in ["live", "kept", "still"] {
                let arguments: JSONObject = [
                    "node": "a", "name": .string(name), "granularity": 65536, "persistent": .bool(name == "kept"),
                    "disabled": .bool(name == "still"),
                ]
                _ = try bench.machine.blockOperation(.addBitmap, arguments)
            }
            let block = [UInt8](repeating: 5, count: 65536)
            #expect(try bench.write(2048, block) == 0)
            #expect(try bench.write(6144, block) == 0)
            var configuration = try #require(other)
            configuration.drives = [drive(folder, sharing ? "here" : "there", node: "b")]
            configuration.incoming = "defer"
            let target = try RunningMachine(configuration)
            for machine in [bench.machine, target.machine] {
                try machine.setMigrationCapabilities([("dirty-bitmaps", true)])
            }
            try body(bench, target, folder)
            bench.end()
            #expect(target.end() == 0)
        }
    }
    private func move(_ bench: DiskBench, _ target: RunningMachine, _ folder: String) throws {
        try target.machine.receiveMigration(from: "unix:\(folder)/door", descriptor: nil)
        try bench.machine.migrate(to: "unix:\(folder)/door", descriptor: nil)
        bench.running.wait("sent") { !bench.machine.migration.status.isUnderWay }
        #expect(bench.machine.migration.status == .completed, "\(bench.machine.migration)")
        target.wait("there") { target.machine.migration.status == .completed }
    }
    private func mapping(_ node: String, _ bitmaps: [JSONObject]) -> JSONObject {
        [
            "block-bitmap-mapping": [
                ["node-name": .string(node), "alias": "disk", "bitmaps": .array(bitmaps.map { .object($0) })]
            ]
        ]
    }

    @Test func allGoUnderTheNameOfTheirDrive() throws {
        try withMachines { bench, target, folder in
            try move(bench, target, folder)
            #expect(marked(target.machine, "b", "live") == 131072)
            #expect(marked(target.machine, "b", "kept") == 131072)
            let there = bitmaps(target.machine, "b")
            #expect(there.first { $0.name == "kept" }?.isPersistent == true)
            #expect(there.first { $0.name == "live" }?.isPersistent == false)
            #expect(there.first { $0.name == "still" }?.isRecording == false)
            #expect(marked(target.machine, "b", "still") == 0)
        }
    }

    @Test func aliasesSayWhatGoesAndWhatItBecomes() throws {
        try withMachines { bench, target, folder in
            try bench.machine.setMigrationParameters(
                mapping("a", [["name": "live", "alias": "x", "transform": ["persistent": true]]]))
            try target.machine.setMigrationParameters(mapping("b", [["name": "new", "alias": "x"]]))
            try move(bench, target, folder)
            let there = bitmaps(target.machine, "b")
            #expect(there.map(\.name) == ["new"] && there.first?.isPersistent == true)
            #expect(there.first?.dirtyBytes == 131072 && there.first?.isRecording == true)
        }
    }

    /// What has no place is not there, and the machine runs all the same.
    @Test func unknownAliases() throws {
        try withMachines { bench, target, folder in
            try bench.machine.setMigrationParameters(mapping("a", [["name": "live", "alias": "x"]]))
            try target.machine.setMigrationParameters(mapping("b", [["name": "new", "alias": "y"]]))
            try move(bench, target, folder)
            #expect(bitmaps(target.machine, "b").isEmpty)
            target.wait("running") { target.machine.runState == .running }
        }
    }

    @Test func imagesThatAreSharedKeepTheirs() throws {
        try withMachines(sharing: true) { bench, target, folder in
            try move(bench, target, folder)
            #expect(marked(target.machine, "b", "kept") == 131072)
            #expect(marked(target.machine, "b", "live") == 131072)
            #expect(bitmaps(target.machine, "b").count == 3)
        }
    }

    @Test func bitmapsInUseKeepTheMachine() throws {
        try withMachines { bench, _, folder in
            _ = try bench.machine.blockOperation(
                .startServer, ["addr": ["type": "unix", "data": ["path": .string("\(folder)/nbd")]]])
            _ = try bench.machine.blockOperation(
                .exportAdd, ["type": "nbd", "id": "e", "node-name": "a", "bitmaps": ["still"]])
            #expect(throws: MachineError.self) {
                try bench.machine.migrate(to: "unix:\(folder)/door", descriptor: nil)
            }
            #expect(bench.machine.runState == .running)
        }
    }

    @Test("A mapping that cannot be is refused in QEMU's words")
    func mappings() throws {
        func refusal(_ nodes: [JSONValue]) -> String? {
            do throws(MachineError) { _ = try BitmapMapping(.array(nodes)) } catch {
                return "\(error)".replacing("Invalid mapping given for block-bitmap-mapping: ", with: "")
            }
            return nil
        }
        func node(_ name: String, _ alias: String, _ bitmaps: [(String, String)] = []) -> JSONValue {
            let list = bitmaps.map { JSONValue.object(["name": .string($0.0), "alias": .string($0.1)]) }
            return ["node-name": .string(name), "alias": .string(alias), "bitmaps": .array(list)]
        }
        #expect(refusal([]) == nil && refusal([node("", "a", [("", "")])]) == nil)
        #expect(refusal([node("n", "1a")]) == "The node alias '1a' is not well-formed")
        #expect(refusal([node("n", "a"), node("n", "b")]) == "The node name 'n' is mapped twice")
        #expect(refusal([node("n", "a"), node("m", "a")]) == "The node alias 'a' is used twice")
        #expect(refusal([node("n", "a", [("x", "y"), ("x", "z")])]) == "The bitmap 'n'/'x' is mapped twice")
        #expect(refusal([node("n", "a", [("x", "y"), ("w", "y")])]) == "The bitmap alias 'a'/'y' is used twice")
        let long = String(repeating: "n", count: 32)
        #expect(refusal([node(long, "a")]) == "The node name '\(long)' is longer than 31 bytes")
    }

    @Test("Marks that a stream says are checked")
    func hostileCargo() throws {
        let good = BitmapCargo(
            node: "n", name: "b", size: 1_000_000, granularity: 65536, isRecording: true, isPersistent: false,
            ranges: [65536..<131072, 983040..<1_000_000])
        var back: [Range<UInt64>] = []
        try BitmapCargo(good.exported).forEachBatch { back += $0 }
        #expect(back == [65536..<131072, 983040..<1_000_000])
        func isRefused(_ field: String, _ value: DeviceState.Value) -> Bool {
            var state = good.exported
            state.fields[field] = value
            return (try? BitmapCargo(state)) == nil
        }
        #expect(isRefused("granularity", .integer(0)) && isRefused("granularity", .integer(3000)))
        #expect(isRefused("size", .integer(.max)) && isRefused("name", .string("")))
        let long = [UInt8](repeating: 0xFF, count: 20)
        for runs: [UInt8] in [[1], [0, 0], [0, 17], [17, 1], [0x80], long, [15, 1, 0, 1, 0, 1]] {
            #expect(isRefused("runs", .bytes(runs)), "\(runs)")
        }
    }
}
