import BlockImage
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// Jobs, bitmaps and clients of nodes that no device uses; and what a new image may be.
@Suite(.serialized) struct DiskNodeTests {
    private static let size: UInt64 = 4 << 20

    /// A machine with a disk `d`, whose node is `top`, and further nodes of qcow2 images of the same size.
    private func withNodes(_ names: [String], _ body: (DiskBench, String) throws -> Void) throws {
        try Samples.withFolder(DiskBench.files) { folder in
            for name in ["top"] + names {
                try BlockGraph().makeImage("\(folder)/\(name)", format: "qcow2", size: Self.size)
            }
            var drive = DriveConfiguration(id: "d")
            drive.interface = .none
            drive.fileOptions = [
                "driver": "qcow2", "node-name": "top",
                "file": ["driver": "file", "filename": .string("\(folder)/top")],
            ]
            let bench = try DiskBench(folder, drives: [drive])
            for name in names { try bench.machine.addBlockNode(node(name, folder)) }
            try body(bench, folder)
            bench.end()
        }
    }
    private func node(_ name: String, _ folder: String) -> BlockNodeConfiguration {
        var file = BlockNodeConfiguration(driver: "file")
        file.filename = "\(folder)/\(name)"
        var node = BlockNodeConfiguration(driver: "qcow2")
        (node.nodeName, node.file) = (name, .node(file))
        return node
    }
    private func refusal(_ bench: DiskBench, _ operation: BlockOperation, _ arguments: JSONObject) -> String? {
        do throws(MachineError) { _ = try bench.machine.blockOperation(operation, arguments) } catch {
            return error.description
        }
        return nil
    }
    private func removal(_ bench: DiskBench, _ name: String) -> String? {
        do throws(MachineError) { try bench.machine.removeBlockNode(name) } catch { return error.description }
        return nil
    }
    /// Bytes that a bitmap of a node marks.
    private func marked(_ bench: DiskBench, _ node: String, _ bitmap: String) -> UInt64? {
        let status = bench.machine.blockNodes.first { $0.image.nodeName == node }
        return status?.image.bitmaps.first { $0.name == bitmap }?.dirtyBytes
    }
    private func client(_ graph: BlockGraph, _ folder: String, _ export: String) throws -> any BlockNode {
        try graph.open(["driver": "nbd", "server.type": "unix", "server.path": "\(folder)/nbd", "export": export])
    }
    private func serve(_ bench: DiskBench, _ folder: String) throws {
        _ = try bench.machine.blockOperation(
            .startServer, ["addr": ["type": "unix", "data": ["path": .string("\(folder)/nbd")]]])
    }

    /// What a client writes is noted, backed up and mirrored, as what a guest writes is.
    @Test func nodesWithoutADevice() throws {
        try withNodes(["idle", "saved", "old", "copy"]) { bench, folder in
            try serve(bench, folder)
            let export: JSONObject = ["type": "nbd", "id": "e", "node-name": "idle", "writable": true, "name": "x"]
            #expect(refusal(bench, .exportAdd, export) == nil)
            #expect(refusal(bench, .exportAdd, export) == "Block export id 'e' is already in use")
            #expect(refusal(bench, .addBitmap, ["node": "idle", "name": "b"]) == nil)
            let graph = BlockGraph()
            defer { graph.closeAll() }
            let disk = try client(graph, folder, "x")
            let (one, two) = ([UInt8](repeating: 1, count: 65536), [UInt8](repeating: 2, count: 65536))
            #expect(disk.writeAndWait(at: 1 << 20, bytes: one) == 0)
            #expect(marked(bench, "idle", "b") == 65536)
            let nameless = refusal(bench, .backup, ["device": "idle", "target": "saved", "sync": "full"])
            #expect(nameless == "An explicit job ID is required for this node")
            let saved = bench.job(
                .backup,
                ["device": "idle", "target": "saved", "sync": "incremental", "bitmap": "b", "job-id": "j"])
            #expect(saved == nil && marked(bench, "idle", "b") == 0)
            // What is about to change is saved before, and marks the bitmap of the node that it is saved in.
            #expect(refusal(bench, .addBitmap, ["node": "old", "name": "b"]) == nil)
            #expect(refusal(bench, .backup, ["device": "idle", "target": "old", "sync": "none", "job-id": "j"]) == nil)
            #expect(disk.writeAndWait(at: 1 << 20, bytes: two) == 0)
            #expect(marked(bench, "old", "b") == 65536)
            #expect(refusal(bench, .cancelBlockJob, ["device": "j"]) == nil)
            bench.running.wait("end of the backup") {
                (try? bench.machine.blockOperation(.queryJobs, [:]))?.arrayValue?.isEmpty == true
            }
            // From the node to another; the client goes on there.
            let pivot = bench.job(
                .mirror, ["device": "idle", "target": "copy", "sync": "full", "job-id": "m"], completes: true)
            #expect(pivot == nil)
            #expect(disk.writeAndWait(at: 2 << 20, bytes: one) == 0 && disk.performAndWait(.flush) == 0)
            let inUse = "Node 'idle' is still in use"
            #expect(removal(bench, "idle") == inUse)
            #expect(refusal(bench, .exportDelete, ["id": "e"]) == "export 'e' still in use")
            #expect(refusal(bench, .exportDelete, ["id": "nobody"]) == "Export 'nobody' is not found")
            #expect(refusal(bench, .exportDelete, ["id": "e", "mode": "hard"]) == nil)
            #expect(disk.bytesAndWait(at: 0, count: 512).status != 0)
            let isTold = bench.events.contains { event in
                guard case .blockJob("BLOCK_EXPORT_DELETED", let data) = event else { return false }
                return data["id"] == "e"
            }
            #expect(isTold)
            for name in ["idle", "saved", "old", "copy"] { #expect(removal(bench, name) == nil, "\(name)") }
            let images = BlockGraph()
            defer { images.closeAll() }
            func bytes(_ name: String, _ offset: UInt64) throws -> UInt8 {
                let node =
                    try images.node(named: name)
                    ?? images.open([
                        "driver": "qcow2", "node-name": name, "file.driver": "file",
                        "file.filename": "\(folder)/\(name)",
                    ])
                return node.bytesAndWait(at: offset, count: 1).bytes[0]
            }
            #expect(try bytes("saved", 1 << 20) == 1 && bytes("old", 1 << 20) == 1)
            #expect(try bytes("idle", 1 << 20) == 2 && bytes("idle", 2 << 20) == 0)
            #expect(try bytes("copy", 1 << 20) == 2 && bytes("copy", 2 << 20) == 1)
        }
    }

    /// A bitmap stays with its node when the guest comes to it and when it goes.
    @Test func bitmapsOfTheTargetOfAMirror() throws {
        try withNodes(["copy"]) { (bench, _) throws in
            let block = [UInt8](repeating: 5, count: 65536)
            #expect(try bench.write(0, block) == 0)
            for node in ["top", "copy"] {
                #expect(refusal(bench, .addBitmap, ["node": .string(node), "name": "b"]) == nil)
            }
            let pivot = bench.job(
                .mirror, ["device": "d", "target": "copy", "sync": "full", "job-id": "m"], completes: true)
            #expect(pivot == nil)
            // Of what the mirror wrote, too: all of the disk.
            #expect(marked(bench, "copy", "b") == Self.size && marked(bench, "top", "b") == nil)
            #expect(refusal(bench, .clearBitmap, ["node": "copy", "name": "b"]) == nil)
            #expect(try bench.write(2048, block) == 0)
            #expect(marked(bench, "copy", "b") == 65536)
        }
    }

    /// What clients read stays as it was when the guest goes on to another image, until they are gone.
    @Test func clientsAtTheEndOfAMirror() throws {
        try withNodes([]) { bench, folder in
            let (old, new) = ([UInt8](repeating: 5, count: 65536), [UInt8](repeating: 6, count: 65536))
            #expect(try bench.write(0, old) == 0)
            try serve(bench, folder)
            #expect(refusal(bench, .exportAdd, ["type": "nbd", "id": "e", "node-name": "top", "name": "x"]) == nil)
            let graph = BlockGraph()
            defer { graph.closeAll() }
            let disk = try graph.open([
                "driver": "nbd", "server.type": "unix", "server.path": "\(folder)/nbd", "export": "x",
                "read-only": "on",
            ])
            let pivot = bench.job(
                .driveMirror,
                ["device": "d", "target": .string("\(folder)/copy"), "sync": "full", "job-id": "m"],
                completes: true)
            #expect(pivot == nil)
            #expect(try bench.write(0, new) == 0)
            let read = disk.bytesAndWait(at: 0, count: 65536)
            #expect(read.status == 0 && read.bytes == old)
            #expect(bench.machine.blockNodes.contains { $0.image.nodeName == "top" })
            #expect(refusal(bench, .stopServer, [:]) == nil)
            #expect(!bench.machine.blockNodes.contains { $0.image.nodeName == "top" })
        }
    }

    @Test func bitmapsOfOtherSizes() throws {
        try withNodes(["same"]) { bench, folder in
            try BlockGraph().makeImage("\(folder)/long", format: "qcow2", size: Self.size * 2)
            try bench.machine.addBlockNode(node("long", folder))
            for node in ["top", "same", "long"] {
                let bitmap: JSONObject = ["node": .string(node), "name": "b", "persistent": .bool(node == "same")]
                #expect(refusal(bench, .addBitmap, bitmap) == nil)
            }
            func merge(_ node: String) -> JSONObject {
                ["node": "top", "target": "b", "bitmaps": [["node": .string(node), "name": "b"]]]
            }
            #expect(refusal(bench, .mergeBitmap, merge("same")) == nil)
            let words = "(destination size is \(Self.size), source size is \(Self.size * 2)) and can't be merged"
            #expect(refusal(bench, .mergeBitmap, merge("long")) == "Bitmaps are of different sizes \(words)")
        }
    }

    /// A bitmap that no image keeps is shown with the scratch image above the disk, as for a backup that is pulled.
    @Test func liveBitmapsAreShown() throws {
        try withNodes([]) { bench, folder in
            try BlockGraph().makeImage("\(folder)/scratch", format: "qcow2", size: Self.size, backing: ("top", "qcow2"))
            var scratch = node("scratch", folder)
            scratch.backing = .some(.reference("top"))
            try bench.machine.addBlockNode(scratch)
            #expect(refusal(bench, .addBitmap, ["node": "top", "name": "b", "granularity": 65536]) == nil)
            #expect(try bench.write(256, [UInt8](repeating: 5, count: 65536)) == 0)
            try serve(bench, folder)
            let export: JSONObject = ["type": "nbd", "id": "e", "node-name": "scratch", "bitmaps": ["b"]]
            let words = "Enabled bitmap 'b' incompatible with readonly export"
            #expect(refusal(bench, .exportAdd, export) == words)
            #expect(refusal(bench, .disableBitmap, ["node": "top", "name": "b"]) == nil)
            #expect(refusal(bench, .exportAdd, export) == nil)
            let busy = refusal(bench, .removeBitmap, ["node": "top", "name": "b"])
            #expect(busy == "Bitmap 'b' is currently in use by another operation and cannot be used")
            let graph = BlockGraph()
            defer { graph.closeAll() }
            let disk = try graph.open([
                "driver": "nbd", "server.type": "unix", "server.path": "\(folder)/nbd", "export": "scratch",
                "x-dirty-bitmap": "qemu:dirty-bitmap:b", "read-only": "on",
            ])
            let runs = try (disk as? any SparseMappable)?.extents(offset: 0, length: Self.size, limit: 10) ?? []
            #expect(runs.map(\.offset) == [0, 131072, 196608])
            #expect(refusal(bench, .stopServer, [:]) == nil)
            #expect(refusal(bench, .removeBitmap, ["node": "top", "name": "b"]) == nil)
        }
    }

    @Test func imagesThatCannotBeMade() throws {
        try withNodes(["same"]) { bench, folder in
            let target = JSONValue.string("\(folder)/new")
            for (format, words) in [
                ("foo", "Unknown file format 'foo'"),
                ("bochs", "Format driver 'bochs' does not support image creation"),
                ("luks", "Images of the format 'luks' cannot be made by a machine"),
            ] {
                var copy: JSONObject = ["device": "d", "target": target, "sync": "full", "job-id": "j"]
                copy["format"] = .string(format)
                for operation in [BlockOperation.driveMirror, .driveBackup] {
                    #expect(refusal(bench, operation, copy) == words)
                }
                let snapshot: JSONObject = ["device": "d", "snapshot-file": target, "format": .string(format)]
                #expect(refusal(bench, .snapshotSync, snapshot) == words)
            }
            var snapshot: JSONObject = ["node-name": "top", "snapshot-file": target]
            #expect(refusal(bench, .snapshotSync, snapshot) == "New overlay node-name missing")
            snapshot["snapshot-node-name"] = "same"
            #expect(refusal(bench, .snapshotSync, snapshot) == "New overlay node-name already in use")
            #expect(throws: HostError.self) { _ = try HostFile.contents("\(folder)/new", limit: 1) }
            // A copy is as long as the disk.
            let words = "Source and target image have different sizes"
            for size in [Self.size / 2, Self.size * 2] {
                try BlockGraph().makeImage("\(folder)/\(size)", format: "qcow2", size: size)
                let copy: JSONObject = [
                    "device": "d", "target": .string("\(folder)/\(size)"), "sync": "full", "job-id": "j",
                    "mode": "existing", "format": "qcow2",
                ]
                #expect(refusal(bench, .driveBackup, copy) == words)
                #expect(bench.job(.driveMirror, copy) == words)
            }
        }
    }
}
