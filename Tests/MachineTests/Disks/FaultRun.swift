import BlockImage
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// One machine in the way of whose disk's image a fault stands, from its start to the next one's.
final class FaultRun {
    /// How requests fail.
    struct Fault: Sendable, CustomStringConvertible {
        var status: Int32
        var torn: String
        var isOnce: Bool
        var isNoSpace: Bool { status == 28 }
        var description: String { "errno \(status), \(torn), \(isOnce ? "once" : "for good")" }
        static let all: [Fault] = [true, false].flatMap { isOnce in
            [(5, "none"), (28, "none"), (28, "prefix"), (5, "scattered")].map {
                Fault(status: $0.0, torn: $0.1, isOnce: isOnce)
            }
        }
    }

    let event: BlockEvent
    let fault: Fault?
    let policy: ErrorPolicy
    private let source: FaultedImage
    private var models: [DiskModel]
    private var numbers: SplitMix64
    /// What is not as it should be, in words.
    private(set) var wrong: [String] = []
    /// Where the fault showed: at the start, at the guest, at a monitor, in a job.
    private(set) var felt: Set<String> = []
    /// The disk is the base's: the image above was committed.
    private var isCommitted = false
    private var bench: DiskBench?

    init(_ source: FaultedImage, _ event: BlockEvent, _ fault: Fault?, _ policy: ErrorPolicy, seed: UInt64) {
        (self.source, self.event, self.fault, self.policy) = (source, event, fault, policy)
        models = source.models
        numbers = SplitMix64(state: seed &* 0x1000_0001)
    }

    /// The image that makes each event.
    static func shape(for event: BlockEvent) -> FaultedImage.Shape {
        switch event {
        case .reftableUpdate: .lostCounts
        case .refblockAlloc, .refblockAllocHookup, .refblockAllocWrite, .refblockUpdate: .smallCounts
        case .reftableGrow, .refblockAllocWriteBlocks, .refblockAllocWriteTable, .refblockAllocSwitchTable:
            .fullCounts
        default: .usual
        }
    }
    /// Events that only packing into a new image makes.
    private var isAtTarget: Bool { [.writeCompressed, .clusterAllocBytes, .l2UpdateCompressed].contains(event) }
    private var isCopying: Bool { event == .corWrite }

    private func faulty(_ path: String, hasFault: Bool) -> JSONObject {
        let plain: JSONObject = ["driver": "file", "filename": .string(path)]
        guard hasFault, let fault else { return plain }
        // The event comes a few times before it makes a fault, but for those that seldom come.
        let count = event == .none || source.shape == .smallCounts ? 0 : Int(numbers.next() % 3)
        var states: [JSONValue] = []
        for state in 1..<1 + count {
            states.append([
                "event": .string(event.rawValue), "state": .number(state), "new_state": .number(state + 1),
            ])
        }
        var options: JSONObject = [
            "driver": "blkdebug", "image": .object(plain), "set-state": .array(states),
            "inject-error": [
                [
                    "event": .string(event.rawValue), "state": .number(count == 0 ? 0 : 1 + count),
                    "errno": .number(fault.status), "once": .bool(fault.isOnce), "x-torn": .string(fault.torn),
                ]
            ],
        ]
        if event.rawValue.contains("rmw") { options["align"] = 4096 }
        return options
    }

    /// Starts the machine, works, ends it, and looks at what it leaves.
    func perform() throws {
        var files = DiskBench.files
        files["image"] = source.image
        files["base"] = source.base ?? []
        try Samples.withFolder(files) { folder in
            let graph = BlockGraph()
            try graph.makeImage("\(folder)/target", format: "qcow2", size: UInt64(source.size))
            graph.closeAll()
            do throws(MachineBuildError) {
                bench = try make(folder)
            } catch {
                // It does not start: one line, and nothing has happened.
                felt.insert("start")
                if error.description.contains("\n") { wrong.append("The error has lines: \(error)") }
            }
            if let bench {
                try work(bench)
                look(bench)
                bench.end()
            }
            bench = nil
            try examine(folder)
        }
    }

    private func make(_ folder: String) throws(MachineBuildError) -> DiskBench {
        var drive = DriveConfiguration(id: "d")
        drive.interface = .none
        drive.discardUnmap = true
        drive.copyOnRead = isCopying
        drive.fileOptions = [
            "driver": "qcow2", "file": .object(faulty("\(folder)/image", hasFault: !isAtTarget)),
            "l2-cache-size": .number(source.clusterSize), "refcount-cache-size": .number(source.clusterSize),
        ]
        var target = BlockNodeConfiguration(driver: "qcow2")
        target.nodeName = "t"
        target.other = ["file": .object(faulty("\(folder)/target", hasFault: isAtTarget))]
        do {
            return try DiskBench(folder, drives: [drive], policy: policy) { $0.blockNodes = [target] }
        } catch let error as MachineBuildError { throw error } catch { throw MachineBuildError("\(error)") }
    }

    // MARK: Work

    /// What a monitor asks for. False: it was refused.
    @discardableResult
    private func ask(_ what: String, _ body: () throws(MachineError) -> Void) -> Bool {
        do throws(MachineError) {
            try body()
            return true
        } catch {
            felt.insert("monitor: \(what): \(error)")
            if error.description.contains("\n") { wrong.append("The error has lines: \(error)") }
            return false
        }
    }

    private func work(_ bench: DiskBench) throws {
        let machine = bench.machine
        guard try guest(bench, 8) else { return }
        // Larger by some tables, and back.
        let coverage = source.clusterSize * source.clusterSize / 8
        if ask(
            "grow",
            { () throws(MachineError) in
                try machine.resizeBlock(device: "d", node: nil, size: UInt64(source.size + 3 * coverage))
            })
        {
            let last = (source.size + 3 * coverage) / 512 - 1
            guard accept(try bench.write(last, [UInt8](repeating: 1, count: 512))) else { return }
            ask("shrink") { () throws(MachineError) in
                try machine.resizeBlock(device: "d", node: nil, size: UInt64(source.size))
            }
        }
        for round in 0..<2 {
            let made = ask("snapshot") { () throws(MachineError) in
                _ = try machine.blockOperation(.internalSnapshot, ["device": "d", "name": "a"])
            }
            guard try guest(bench, 6) else { return }
            guard made else { continue }
            ask("delete \(round)") { () throws(MachineError) in
                _ = try machine.blockOperation(.deleteInternalSnapshot, ["device": "d", "name": "a"])
            }
        }
        if source.shape == .usual, try !state(machine) { return }
        if source.shape == .usual,
            let failure = bench.job(
                .backup, ["device": "d", "target": "t", "sync": "full", "compress": true, "job-id": "j"])
        {
            felt.insert("backup: \(failure)")
        }
        guard try guest(bench, 8) else { return }
        let status = try bench.flush()
        guard accept(status) else { return }
        if status == 0 { for index in models.indices { models[index].flushed() } }
        try finish(bench)
    }

    /// Saves the machine in the image and goes back to that. False: it is not what it was.
    private func state(_ machine: VirtualMachine) throws -> Bool {
        // What a snapshot brings back has to be what was there.
        let isSaved = ask("savevm") { () throws(MachineError) in
            try machine.saveSnapshot("s", vmstate: nil, devices: nil, replaces: false)
        }
        guard isSaved else { return machine.runState == .running }
        let isLoaded = ask("loadvm") { () throws(MachineError) in
            try machine.loadSnapshot("s", vmstate: nil, devices: nil)
        }
        guard isLoaded else { return false }
        ask("delvm") { () throws(MachineError) in try machine.deleteSnapshot("s", devices: nil) }
        return machine.runState == .running
    }

    /// The last thing that happens to the chain of images.
    private func finish(_ bench: DiskBench) throws {
        guard source.base != nil else { return }
        var failure: String?
        switch numbers.next() % 3 {
        case 0: failure = bench.job(.stream, ["device": "d", "job-id": "j"])
        case 1:
            failure = bench.job(.commit, ["device": "d", "job-id": "j"], completes: true)
            isCommitted = failure == nil
        default: break
        }
        if let failure { felt.insert("job: \(failure)") }
    }

    /// Notes how a request ended. False: the machine stands for good.
    private func accept(_ status: UInt8?) -> Bool {
        guard let status else {
            felt.insert("stop")
            if fault?.isOnce ?? true { wrong.append("The machine does not go on") }
            return false
        }
        if status != 0 {
            felt.insert("guest")
            if policy == .stop { wrong.append("The guest sees status \(status), though errors stop the machine") }
        }
        return true
    }

    /// Some requests. False: the machine stands for good.
    private func guest(_ bench: DiskBench, _ count: Int) throws -> Bool {
        for _ in 0..<count {
            let region = Int(numbers.next() % 2)
            let total = models[region].count
            let perCluster = source.clusterSize / 512
            var start = Int(numbers.next() % UInt64(total))
            var count = 1 + Int(numbers.next() % UInt64(2 * perCluster))
            if numbers.next() % 3 == 0 { (start, count) = (start / perCluster * perCluster, perCluster) }
            count = min(count, total - start)
            let place = models[region].first + start
            let status: UInt8?
            switch numbers.next() % 12 {
            case 0..<5:
                let stamp = models[region].stamp()
                status = try bench.write(place, DiskModel.bytes(place..<place + count, stamp))
                models[region].note(start, count, stamp, isDone: status == 0)
            case 5, 6:
                status = try bench.writeZeroes(place, count: count, mayUnmap: numbers.next() % 2 == 0)
                models[region].note(start, count, 0, isDone: status == 0)
            case 7, 8:
                status = try bench.discard(place, count: count)
                models[region].noteDiscard(start, count)
            case 9, 10:
                let bytes: [UInt8]
                (status, bytes) = try bench.read(models[region].first, count: total)
                if status == 0, let words = models[region].compareAlive(bytes) { wrong.append("read: \(words)") }
            default:
                status = try bench.flush()
                if status == 0 { for index in models.indices { models[index].flushed() } }
            }
            guard accept(status) else { return false }
        }
        return true
    }

    // MARK: Afterwards

    /// What was done about errors is what was asked for.
    private func look(_ bench: DiskBench) {
        if bench.stops > 0 { felt.insert("stop") }
        if policy == .report && bench.stops > 0 { wrong.append("The machine stopped, though errors are reported") }
        for (action, isWrite, isNoSpace) in bench.told {
            felt.insert("told")
            let wanted: ErrorPolicy =
                switch policy {
                case .enospc: isWrite && isNoSpace ? .stop : .report
                default: policy
                }
            if action != wanted { wrong.append("An error was told as \(action), not as \(wanted)") }
        }
    }

    private func examine(_ folder: String) throws {
        // Counts that were lost before are so until somebody has opened it.
        let isLost = source.shape == .lostCounts && felt.contains("start")
        wrong += FaultedImage.damage("\(folder)/image", isMended: isLost).map { "image: \($0)" }
        wrong += FaultedImage.damage("\(folder)/target").map { "target: \($0)" }
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let base = ["driver": "raw", "file.driver": "file", "file.filename": "\(folder)/base"]
        let node = try graph.open(isCommitted ? base : FaultedImage.options("\(folder)/image"))
        for index in models.indices {
            let (status, bytes) = node.bytesAndWait(
                at: UInt64(models[index].first) * 512, count: models[index].count * 512)
            if status != 0 { wrong.append("The next start's read ends with \(status)") }
            if status == 0, let words = models[index].compare(bytes, isLost: true) { wrong.append("later: \(words)") }
        }
        if source.filled > 0 {
            let (status, bytes) = node.bytesAndWait(at: 0, count: source.filled)
            if status != 0 || bytes.contains(where: { $0 != 0x77 }) { wrong.append("Old content is lost") }
        }
    }
}
