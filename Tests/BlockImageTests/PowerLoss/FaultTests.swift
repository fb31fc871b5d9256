import BlockImage
import CLinux
import TestSupport
import Testing

/// Requests fail at every named point of the driver's work: nothing that was flushed is lost, and the image is clean
/// when it is next used.
@Suite struct FaultTests {
    /// How a write fails.
    struct Fault: Sendable, CustomStringConvertible {
        var status: Int32
        var torn: String
        var isOnce: Bool
        var description: String { "errno \(status), \(torn), \(isOnce ? "once" : "for good")" }

        static let all: [Fault] = [true, false].flatMap { isOnce in
            [
                Fault(status: EIO, torn: "none", isOnce: isOnce), Fault(status: ENOSPC, torn: "none", isOnce: isOnce),
                Fault(status: ENOSPC, torn: "prefix", isOnce: isOnce),
                Fault(status: EIO, torn: "scattered", isOnce: isOnce),
            ]
        }

        func configuration(_ event: BlockEvent, state: Int) -> String {
            """
            [inject-error]
            event = "\(event.rawValue)"
            state = "\(state)"
            errno = "\(status)"
            once = "\(isOnce ? "on" : "off")"
            x-torn = "\(torn)"
            """
        }
    }

    /// Work that comes to as many points as it can.
    private func work(_ disk: CrashDisk, _ node: QCow2Node) {
        for number in 0..<60 {
            disk.step(node)
            if number % 25 == 24 {
                // Larger and back: L1 tables come and go.
                let size = node.sizeInBytes
                let coverage = UInt64(disk.configuration.clusterSize * disk.configuration.clusterSize / 8)
                try? node.resize(to: size + 3 * coverage, preallocation: .off)
                guard node.sizeInBytes > size else { continue }
                _ = node.writeAndWait(at: node.sizeInBytes - 512, bytes: [UInt8](repeating: 1, count: 512))
                try? node.resize(to: size, preallocation: .off)
            }
            for index in disk.models.indices where number % 20 == 19 {
                let (status, bytes) = node.bytesAndWait(
                    at: UInt64(disk.models[index].first) * 512, count: disk.models[index].count * 512)
                if status == 0, let wrong = disk.models[index].compareAlive(bytes) { disk.failures.append(wrong) }
            }
        }
    }

    @Test(arguments: CrashConfiguration.all, Fault.all)
    func randomFaults(_ configuration: CrashConfiguration, _ fault: Fault) throws {
        let image = try CrashDisk(configuration, seed: 0).makeImage()
        for (number, event) in BlockEvent.allCases.enumerated() where event != .none {
            let disk = CrashDisk(configuration, seed: UInt64(number))
            let file = VolatileNode(image)
            // The event comes several times before it makes a fault.
            let count = Int(disk.numbers.next() % 4)
            var text = ""
            for state in 1..<1 + count {
                text +=
                    "[set-state]\nevent = \"\(event.rawValue)\"\nstate = \"\(state)\"\nnew_state = \"\(state + 1)\"\n"
            }
            text += fault.configuration(event, state: 1 + count)
            let debug = try BlkdebugNode(image: file, nodeName: "debug", configuration: text)
            if let node = try? disk.open(debug) {
                work(disk, node)
                node.close()
            }
            // What the process has written is there; what it flushed in vain may not be.
            disk.examine(VolatileNode(file.bytes), isLost: true)
            disk.mend(VolatileNode(file.bytes))
            let failures = disk.failures
            #expect(failures.isEmpty, "\(event.rawValue): \(failures.prefix(3))")
        }
    }

    @Test func faultsAndPowerLoss() throws {
        for configuration in CrashConfiguration.all {
            let image = try CrashDisk(configuration, seed: 0).makeImage()
            for seed in 0..<UInt64(40 * fuzzRounds) {
                let disk = CrashDisk(configuration, seed: seed)
                let event = BlockEvent.allCases[Int(disk.numbers.next() % UInt64(BlockEvent.allCases.count))]
                let fault = Fault.all[Int(disk.numbers.next() % UInt64(Fault.all.count))]
                let file = VolatileNode(image)
                file.failPower(after: 20 + Int(disk.numbers.next() % 150))
                let debug = try BlkdebugNode(
                    image: file, nodeName: "debug", configuration: fault.configuration(event, state: 0))
                if let node = try? disk.open(debug) {
                    work(disk, node)
                    node.close()
                }
                let bytes = file.afterPowerLoss(&disk.numbers)
                disk.examine(VolatileNode(bytes), isLost: true)
                disk.mend(VolatileNode(bytes))
                let failures = disk.failures
                #expect(failures.isEmpty, "\(configuration), \(event.rawValue), \(fault): \(failures.prefix(3))")
            }
        }
    }

    /// A machine's state in an image; copies on read; counts that are lost and made anew.
    private func stateAndCounts(_ seen: inout Set<BlockEvent>) throws {
        let disk = CrashDisk(CrashConfiguration(name: "state", clusterSize: 4096, hasBacking: true), seed: 1)
        let file = VolatileNode(try disk.makeImage())
        let debug = try BlkdebugNode(image: file, nodeName: "debug", configuration: "")
        let node = try disk.open(debug)
        let state = [UInt8](repeating: 3, count: 70_000)
        try unsafe state.withUnsafeBytes { try unsafe node.writeState(at: 0, $0) }
        var found = [UInt8](repeating: 0, count: state.count)
        try unsafe found.withUnsafeMutableBytes { try unsafe node.readState(at: 0, $0) }
        #expect(found == state)
        let copying = try CopyOnReadNode(node, nodeName: "copies", node: NodeOptions())
        let (status, bytes) = copying.bytesAndWait(at: 1024, count: 10_000)
        #expect(status == 0 && bytes == Array(DiskModel.bytes(0..<32, DiskModel.base)[1024..<11_024]))
        #expect(try node.extents(offset: 1024, length: 10_000, limit: 9).allSatisfy(\.isAllocated))
        copying.close()
        node.close()
        var lost = file.bytes
        // The entries of the table of counts, which the header names.
        let table = lost[48..<56].reduce(0) { $0 << 8 | Int($1) }
        lost.replaceSubrange(table..<table + 4096, with: repeatElement(0, count: 4096))
        let broken = try BlkdebugNode(image: VolatileNode(lost), nodeName: "debug", configuration: "")
        _ = try QCow2Check(file: broken, repair: .all) { _ in }.run()
        let again = try QCow2Check(file: broken, repair: .nothing) { _ in }.run()
        #expect(again.corruptions == 0 && again.errors == 0)
        seen.formUnion(debug.eventCounts.keys)
        seen.formUnion(broken.eventCounts.keys)
    }

    @Test func theWorkComesToTheEvents() throws {
        var seen: Set<BlockEvent> = []
        for configuration in CrashConfiguration.all {
            for seed in 0..<6 as Range<UInt64> {
                let disk = CrashDisk(configuration, seed: seed)
                let file = VolatileNode(try disk.makeImage())
                let debug = try BlkdebugNode(image: file, nodeName: "debug", configuration: "")
                let node = try disk.open(debug)
                work(disk, node)
                if seed == 5 {
                    try node.resize(to: node.sizeInBytes + 1 << 20, preallocation: .full)
                    try node.makeEmpty()
                }
                node.close()
                seen.formUnion(debug.eventCounts.keys)
            }
        }
        try stateAndCounts(&seen)
        let aligned = try BlkdebugNode(image: VolatileNode(), nodeName: "debug", configuration: "", alignment: 4096)
        #expect(aligned.writeAndWait(at: 100, bytes: [UInt8](repeating: 5, count: 9000)) == 0)
        #expect(aligned.bytesAndWait(at: 99, count: 3).bytes == [0, 5, 5])
        #expect(aligned.bytesAndWait(at: 9098, count: 3).bytes == [5, 5, 0])
        seen.formUnion(aligned.eventCounts.keys)
        let missing = Set(BlockEvent.allCases).subtracting(seen).map(\.rawValue).sorted()
        #expect(missing == [])
        #expect(BlockEvent.allCases.count == 48)
    }
}
