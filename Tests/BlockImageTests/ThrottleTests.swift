import BlockImage
import HostOS
import Synchronization
import TestSupport
import Testing

/// Limits of throughput: the buckets with a clock of their own, then groups.
@Suite struct ThrottleTests {
    private static func limits(_ options: [String: String]) throws -> ThrottleLimits {
        var limits = ThrottleLimits()
        try limits.apply(options)
        return limits
    }

    /// How many requests of a length a second takes, when one follows the other at once.
    private static func rate(
        _ options: [String: String], length: UInt64, isWrite: Bool, skipping: UInt64 = 0, milliseconds: UInt64 = 1000
    ) throws -> Int {
        var buckets = ThrottleBuckets(try limits(options), now: 0)
        var (now, count): (UInt64, Int) = (0, 0)
        while now < (skipping + milliseconds) * 1_000_000 {
            let pause = buckets.wait(isWrite: isWrite, now: now)
            guard pause == 0 else {
                now += pause
                continue
            }
            buckets.book(length, isWrite: isWrite)
            if now >= skipping * 1_000_000 { count += 1 }
            now += 1000
        }
        return count
    }

    @Test func averagesAreKept() throws {
        #expect(try (109...112).contains(Self.rate(["x-iops-total": "100"], length: 4096, isWrite: false)))
        #expect(
            try (99...101).contains(Self.rate(["x-iops-total": "100"], length: 4096, isWrite: true, skipping: 1000)))
        #expect(
            try (255...257)
                .contains(Self.rate(["limits.bps-write": "1048576"], length: 4096, isWrite: true, skipping: 1000)))
        // What limits writes does not hold up reads, and bytes count as requests by their size.
        #expect(try Self.rate(["x-iops-write": "10"], length: 4096, isWrite: false) > 900_000)
        #expect(
            try (24...26)
                .contains(
                    Self.rate(
                        ["x-iops-read": "100", "x-iops-size": "4096"], length: 16384, isWrite: false, skipping: 1000)))
    }

    @Test func burstsHaveTheirOwnRate() throws {
        // 50 a second, but 200 for two seconds after a rest.
        let burst = ["x-iops-total": "50", "x-iops-total-max": "200", "x-iops-total-max-length": "2"]
        #expect(try (195...225).contains(Self.rate(burst, length: 512, isWrite: false)))
        #expect(try (49...52).contains(Self.rate(burst, length: 512, isWrite: false, skipping: 4000)))
        // Without a length the whole burst may come at once.
        let once = ["x-iops-total": "50", "x-iops-total-max": "200"]
        #expect(try Self.rate(once, length: 512, isWrite: false, milliseconds: 1) >= 200)
    }

    @Test(arguments: [
        (["x-bps-total": "100", "x-bps-read": "5"], "bps/iops/max total values and read/write values"),
        (["x-bps-total": "10", "x-bps-total-max": "5"], "bps_max/iops_max cannot be lower than bps/iops"),
        (["limits.iops-read-max": "5"], "bps_max/iops_max require corresponding bps/iops values"),
        (["x-bps-total": "5", "x-bps-total-max-length": "3"], "burst length set without burst rate"),
        (["x-bps-total": "5", "x-bps-total-max": "6", "x-bps-total-max-length": "0"], "the burst length cannot be 0"),
        (["x-iops-size": "5"], "iops size requires an iops value to be set"),
        (["x-bps-total": "-1"], "Property values cannot be negative"),
        (["limits.bps-total": "-1"], "bps/iops/max values must be within [0, 1000000000000000]"),
        (["x-bps-total": "2000000000000000"], "bps/iops/max values must be within [0, 1000000000000000]"),
        (["x-bps-total": "1k"], "Parameter 'x-bps-total' expects integer"),
        (["x-foo": "1"], "Parameter 'x-foo' is unexpected"),
        (["limits.foo": "1"], "Parameter 'limits.foo' is unexpected"), (["id": "1"], "Parameter 'id' is unexpected"),
        (
            ["x-bps-total": "5", "x-bps-total-max": "6", "x-bps-total-max-length": "5000000000"],
            "x-bps-total-max-length value must be in the range [0, 4294967295]"
        ),
        (
            ["x-bps-total": "5", "x-bps-total-max": "900000000000000", "x-bps-total-max-length": "10"],
            "burst length too high for this burst rate"
        ),
    ])
    func contradictionsAreNamed(_ options: [String: String], _ words: String) {
        var text = ""
        do { _ = try Self.limits(options) } catch { text = "\(error)" }
        #expect(text.hasPrefix(words), "\(text)")
    }

    @Test func anyOptionsEndInLimitsOrWords() {
        var numbers = SplitMix64(state: 9)
        let names = ThrottleLimits.names.flatMap { ["x-" + $0, "limits." + $0] } + ["x-", "limits.", "", "id"]
        let values = [
            "0", "1", "-1", "", "9223372036854775807", "18446744073709551616", "1e3", " 1", "4294967296", "x",
        ]
        var usable = 0
        for _ in 0..<FuzzRounds.times(4000) {
            var options: [String: String] = [:]
            for _ in 0..<Int(numbers.next() % 4) {
                options[names[Int(numbers.next() % UInt64(names.count))]] =
                    values[Int(numbers.next() % UInt64(values.count))]
            }
            guard let limits = try? Self.limits(options) else { continue }
            usable += 1
            var buckets = ThrottleBuckets(limits, now: 0)
            for step in 0..<4 as Range<UInt64> {
                buckets.book(numbers.next() >> (numbers.next() % 64), isWrite: step % 2 == 0)
                _ = buckets.wait(isWrite: step % 2 == 1, now: numbers.next() >> 8)
            }
        }
        #expect(usable > 100)
    }

    /// One with a long queue does not keep another from its turn.
    @Test func membersHaveTheirTurns() throws {
        let graph = BlockGraph()
        defer { graph.closeAll() }
        try graph.throttles.add("g", ["x-iops-total": "200"])
        let order = Mutex<[Int]>([])
        let devices = try (0..<2).map { index in
            try graph.openDevice(
                ["driver": "throttle", "throttle-group": "g", "file.driver": "null-co", "node-name": "n\(index)"],
                id: "d\(index)")
        }
        func send(_ index: Int, _ count: Int) {
            for _ in 0..<count {
                devices[index].submit(
                    BlockRequest(operation: .writeZeroes(mayUnmap: false), offset: 0, length: 512) { _ in
                        order.withLock { $0.append(index) }
                    })
            }
        }
        send(0, 80)
        send(1, 20)
        let bell = Bell()
        for _ in 0..<6000 where order.withLock(\.count) < 100 { bell.wait(nanoseconds: 5_000_000) }
        // All of the second are done while the first still has many to do.
        let all = order.withLock { $0 }
        let done = all.lastIndex(of: 1).map { all[..<$0].count { $0 == 0 } } ?? 0
        #expect(all.count == 100 && (35...50).contains(done), "\(done) of \(all)")
    }

    @Test func groupsLiveAsLongAsTheyAreUsed() throws {
        let graph = BlockGraph()
        defer { graph.closeAll() }
        try graph.throttles.add("g", ["x-iops-total": "10"])
        #expect(throws: BlockError.message("A group with this name already exists")) {
            try graph.throttles.add("g", [:])
        }
        #expect(throws: BlockError.message("Throttle group 'h' does not exist")) {
            try graph.open(["driver": "throttle", "throttle-group": "h", "file.driver": "null-co"])
        }
        try graph.open(["driver": "throttle", "throttle-group": "g", "file.driver": "null-co", "node-name": "n"])
        #expect(!graph.throttles.remove("g"))
        try graph.remove("n")
        #expect(graph.throttles.remove("g") && graph.throttles.group(named: "g") == nil)
        // One that no object stands for goes with its last device.
        let device = BlockDevice(id: "d", root: NullNode(nodeName: "null"))
        device.throttle = graph.throttles.group(named: "h", limits: try Self.limits(["x-bps-read": "5"]))
        #expect(graph.throttles.group(named: "h") != nil)
        device.throttle = nil
        #expect(graph.throttles.group(named: "h") == nil)
        device.root.close()
    }

    /// What waits is not lost when limits go, or when somebody waits for the end.
    @Test func nothingWaitsForEver() throws {
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let group = graph.throttles.group(named: "g", limits: try Self.limits(["x-iops-total": "1"]))
        let device = BlockDevice(id: "d", root: NullNode(nodeName: "null"))
        device.throttle = group
        let done = Atomic(0)
        func send() {
            for _ in 0..<10 {
                device.submit(
                    BlockRequest(operation: .discard, offset: 0, length: 512) { _ in done.add(1, ordering: .relaxed) })
            }
        }
        send()
        device.drain()
        #expect(done.load(ordering: .relaxed) == 10)
        send()
        device.throttle = nil
        device.drain()
        #expect(done.load(ordering: .relaxed) == 20)
        device.root.close()
    }
}
