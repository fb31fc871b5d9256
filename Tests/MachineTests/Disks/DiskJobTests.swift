import BlockImage
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// What monitors may ask of jobs, and when; and jobs that must leave the images of others alone.
@Suite(.serialized) struct DiskJobTests {
    /// A machine whose disk `top` lies on `base`, and the folder that they are in.
    private func withDisk(_ body: (DiskBench, String) throws -> Void) throws {
        var files = DiskBench.files
        files["base"] = [UInt8](repeating: 4, count: 4 << 20)
        try Samples.withFolder(files) { folder in
            try BlockGraph().makeImage("\(folder)/top", format: "qcow2", size: 4 << 20, backing: ("base", "raw"))
            var drive = DriveConfiguration(id: "d")
            drive.interface = .none
            drive.fileOptions = [
                "driver": "qcow2", "node-name": "top", "file": ["driver": "file", "filename": .string("\(folder)/top")],
            ]
            let bench = try DiskBench(folder, drives: [drive])
            try body(bench, folder)
            bench.end()
        }
    }
    private func refusal(_ bench: DiskBench, _ operation: BlockOperation, _ arguments: JSONObject) -> String? {
        do throws(MachineError) { _ = try bench.machine.blockOperation(operation, arguments) } catch {
            return error.description
        }
        return nil
    }
    private func status(_ bench: DiskBench, _ wanted: String) {
        bench.running.wait(wanted) {
            let jobs = (try? bench.machine.blockOperation(.queryJobs, [:]))?.arrayValue ?? []
            return jobs.first?.objectValue?["status"]?.stringValue == wanted
        }
    }

    @Test func verbsAreTakenInTheirTime() throws {
        try withDisk { bench, folder in
            let job: JSONObject = ["id": "j"]
            #expect(
                refusal(
                    bench, .driveMirror,
                    [
                        "device": "d", "job-id": "j", "target": .string("\(folder)/copy"), "sync": "full",
                        "auto-finalize": false, "auto-dismiss": false,
                    ]) == nil)
            status(bench, "ready")
            #expect(refusal(bench, .finalizeJob, job)?.contains("in state 'ready'") == true)
            #expect(refusal(bench, .resumeJob, job) == "Can't resume a job that was not paused")
            #expect(refusal(bench, .pauseJob, job) == nil)
            status(bench, "standby")
            #expect(refusal(bench, .pauseJob, job) == "Job is already paused")
            let paused = refusal(bench, .cancelBlockJob, ["device": "j"])
            #expect(paused == "The block job for device 'j' is currently paused")
            #expect(refusal(bench, .completeJob, job) == nil)
            #expect(refusal(bench, .resumeJob, job) == nil)
            status(bench, "pending")
            for (operation, verb) in [
                (BlockOperation.pauseJob, "pause"), (.completeJob, "complete"), (.dismissJob, "dismiss"),
            ] {
                let words = refusal(bench, operation, job)
                #expect(words == "Job 'j' in state 'pending' cannot accept command verb '\(verb)'")
            }
            #expect(refusal(bench, .finalizeJob, job) == nil)
            status(bench, "concluded")
            #expect(refusal(bench, .cancelJob, job)?.contains("in state 'concluded'") == true)
            #expect(refusal(bench, .dismissJob, job) == nil)
            #expect(refusal(bench, .dismissJob, job) == "Job not found")
        }
    }

    /// A new image does not go where one is in use, not even by this machine.
    @Test func imagesInUseAreNotReplaced() throws {
        try withDisk { bench, folder in
            let mine = [UInt8](repeating: 7, count: 65536)
            #expect(try bench.write(0, mine) == 0)
            #expect(try bench.flush() == 0)
            for name in ["top", "base"] {
                let place = JSONValue.string("\(folder)/\(name)")
                let before = try HostFile.contents("\(folder)/\(name)", limit: 16 << 20)
                let snapshot = refusal(bench, .snapshotSync, ["device": "d", "snapshot-file": place])
                #expect(snapshot?.contains("\(folder)/\(name)") == true)
                for operation in [BlockOperation.driveMirror, .driveBackup] {
                    let arguments: JSONObject = ["device": "d", "job-id": "j", "target": place, "sync": "full"]
                    #expect(refusal(bench, operation, arguments)?.contains("\(folder)/\(name)") == true)
                }
                #expect(try HostFile.contents("\(folder)/\(name)", limit: 16 << 20) == before, "\(name)")
            }
            #expect(try bench.read(0, count: 128).bytes == mine)
        }
    }

    @Test func optionsThatContradictEachOther() throws {
        try withDisk { bench, folder in
            func backup(_ more: JSONObject) -> String? {
                var arguments: JSONObject = ["device": "d", "job-id": "j", "target": .string("\(folder)/copy")]
                for member in more.members { arguments[member.name] = member.value }
                return refusal(bench, .driveBackup, arguments)
            }
            _ = try bench.machine.blockOperation(.addBitmap, ["node": "top", "name": "b"])
            #expect(try bench.write(0, [UInt8](repeating: 1, count: 512)) == 0)
            let words = "Bitmap sync mode must be given when providing a bitmap"
            #expect(backup(["sync": "full", "bitmap": "b"]) == words)
            #expect(backup(["sync": "none", "bitmap": "b", "bitmap-mode": "always"])?.contains("'none'") == true)
            #expect(backup(["sync": "full", "bitmap": "b", "bitmap-mode": "never"])?.contains("'never'") == true)
            #expect(backup(["sync": "full", "bitmap-mode": "never"])?.contains("without a bitmap") == true)
            #expect(backup(["sync": "full", "job-id": "1 2"]) == "Invalid job ID '1 2'")
            let both = refusal(bench, .stream, ["device": "d", "base": "base", "bottom": "top"])
            #expect(both == "'base' and 'bottom' cannot be specified at the same time")
            let other = refusal(
                bench, .driveMirror,
                ["device": "d", "target": .string("\(folder)/copy"), "sync": "full", "replaces": "nobody"])
            #expect(other == "Failed to find node with node-name='nobody'")
            // None of them has taken what the bitmap marks.
            let block = try bench.machine.blockOperation(.queryJobs, [:]).arrayValue
            #expect(block?.isEmpty == true)
            #expect(backup(["sync": "incremental", "bitmap": "b"]) == nil)
            bench.running.wait("incremental") {
                bench.events.contains { event in
                    guard case .blockJob("BLOCK_JOB_COMPLETED", let data) = event else { return false }
                    return data["len"]?.uint64Value == 65536
                }
            }
        }
    }
}
