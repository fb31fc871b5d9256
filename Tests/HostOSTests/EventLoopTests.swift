import HostOS
import Synchronization
import Testing

/// Collects what handlers did, in order.
private final class Record: Sendable {
    private let items = Mutex<[String]>([])
    func add(_ item: String) { items.withLock { $0.append(item) } }
    var all: [String] { items.withLock { $0 } }
}

@Suite struct EventLoopTests {
    @Test func postedWorkRunsInOrderAndBeforeTimersAndDescriptors() throws {
        let loop = try EventLoop()
        let record = Record()
        let pair = try DescriptorPair.pipe()
        try pair.output.writeAll([1])
        let source = try loop.add(pair.input, [.read]) { _ in record.add("descriptor") }
        let timer = loop.makeTimer { record.add("timer") }
        timer.arm(at: 1)
        loop.post { record.add("first") }
        loop.post { record.add("second") }

        loop.turn(wait: true)

        #expect(record.all == ["first", "second", "timer", "descriptor"])
        source.remove()
    }

    @Test func timersFireByDeadlineThenByArming() throws {
        let loop = try EventLoop()
        let record = Record()
        let timers = (0..<5).map { index in loop.makeTimer { record.add("\(index)") } }
        for (index, deadline) in [30, 10, 20, 10, 5].enumerated() { timers[index].arm(at: UInt64(deadline)) }

        loop.turn(wait: true)

        #expect(record.all == ["4", "1", "3", "2", "0"])
        #expect(timers.allSatisfy { !$0.isArmed })
    }

    @Test func aTimerNeverFiresEarlyAndStopsTheLoop() throws {
        let loop = try EventLoop()
        let begin = HostClock.monotonic
        let timer = loop.makeTimer { loop.stop() }
        timer.arm(after: 20_000_000)

        loop.run()

        #expect(HostClock.monotonic - begin >= 20_000_000)
    }

    @Test func armingAgainReplacesAndCancellingPrevents() throws {
        let loop = try EventLoop()
        let record = Record()
        let moved = loop.makeTimer { record.add("moved") }
        let cancelled = loop.makeTimer { record.add("cancelled") }
        let end = loop.makeTimer { loop.stop() }
        moved.arm(after: 1_000_000_000_000)
        moved.arm(after: 1_000_000)
        cancelled.arm(after: 500_000)
        cancelled.cancel()
        end.arm(after: 5_000_000)

        loop.run()

        #expect(record.all == ["moved"])
    }

    @Test func aTimerThatArmsItselfForThePastWaitsForTheNextRound() throws {
        let loop = try EventLoop()
        let record = Record()
        let slot = Mutex<EventTimer?>(nil)
        let timer = loop.makeTimer {
            record.add("again")
            slot.withLock { $0 }?.arm(at: 0)
        }
        slot.withLock { $0 = timer }
        let other = loop.makeTimer { record.add("other") }
        timer.arm(at: 1)
        other.arm(at: 2)

        loop.turn(wait: true)

        #expect(record.all == ["again", "other"])
        #expect(timer.isArmed)
        timer.cancel()
        slot.withLock { $0 = nil }
    }

    @Test func aTimerArmedAgainForTheSameTimeFiresAgain() throws {
        let loop = try EventLoop()
        let record = Record()
        let slot = Mutex<EventTimer?>(nil)
        let timer = loop.makeTimer {
            record.add("fired")
            if record.all.count < 5 { slot.withLock { $0 }?.arm(at: 1) } else { loop.stop() }
        }
        slot.withLock { $0 = timer }
        timer.arm(at: 1)

        loop.run()

        #expect(record.all.count == 5)
        slot.withLock { $0 = nil }
    }

    @Test func aTimerArmedFromAnotherThreadWakesTheLoop() throws {
        let loop = try EventLoop()
        let timer = loop.makeTimer { loop.stop() }
        let far = loop.makeTimer {}
        far.arm(after: 3_600_000_000_000)
        let thread = try HostThread(name: "armer") {
            Bell().wait(nanoseconds: 20_000_000)
            timer.arm(after: 1_000_000)
        }
        loop.run()
        thread.join()
        #expect(far.isArmed)
        far.cancel()
    }

    @Test func aTimerMayCancelAnotherThatIsDue() throws {
        let loop = try EventLoop()
        let record = Record()
        let second = loop.makeTimer { record.add("second") }
        let first = loop.makeTimer {
            record.add("first")
            second.cancel()
        }
        first.arm(at: 1)
        second.arm(at: 2)

        loop.turn(wait: true)

        #expect(record.all == ["first"])
    }

    @Test func manyTimersInRandomOrderFireSorted() throws {
        let loop = try EventLoop()
        let fired = Mutex<[UInt64]>([])
        var seed: UInt64 = 42
        var timers: [EventTimer] = []
        for index in 0..<500 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let deadline = 1 + (seed >> 33) % 1000
            let timer = loop.makeTimer { fired.withLock { $0.append(deadline) } }
            timer.arm(at: deadline)
            timers.append(timer)
            if index % 7 == 3 { timers[index / 2].cancel() }
        }
        let armed = timers.filter { $0.isArmed }.count

        loop.turn(wait: true)

        let order = fired.withLock { $0 }
        #expect(order == order.sorted())
        #expect(order.count == armed)
    }

    @Test func aHandlerThatRemovesAnotherKeepsItFromRunningInTheSameRound() throws {
        let loop = try EventLoop()
        let record = Record()
        let pairs = try (0..<8).map { _ in try DescriptorPair.pipe() }
        let sources = Mutex<[EventSource]>([])
        for pair in pairs {
            try pair.output.writeAll([1])
            let source = try loop.add(pair.input, [.read]) { _ in
                record.add("ran")
                for source in sources.withLock({ $0 }) { source.remove() }
            }
            sources.withLock { $0.append(source) }
        }

        loop.turn(wait: true)
        loop.turn(wait: false)

        #expect(record.all == ["ran"])
    }

    @Test func interestLostInARoundIsNotReported() throws {
        let loop = try EventLoop()
        let record = Record()
        let pairs = try (0..<2).map { _ in try DescriptorPair.pipe() }
        let sources = Mutex<[EventSource]>([])
        for pair in pairs {
            try pair.output.writeAll([1])
            let source = try loop.add(pair.input, [.read]) { _ in
                record.add("ran")
                for source in sources.withLock({ $0 }) { try? source.modify([]) }
            }
            sources.withLock { $0.append(source) }
        }

        loop.turn(wait: true)
        loop.turn(wait: false)
        #expect(record.all == ["ran"])

        try sources.withLock { $0 }[0].modify([.read])
        loop.turn(wait: true)
        #expect(record.all == ["ran", "ran"])
        for source in sources.withLock({ $0 }) { source.remove() }
    }

    @Test func aRemovedSourceLetsGoOfItsDescriptor() throws {
        let loop = try EventLoop()
        weak var watched: Descriptor?
        do {
            let pair = try DescriptorPair.pipe()
            watched = pair.input
            let source = try loop.add(pair.input, [.read]) { _ in }
            source.remove()
            source.remove()
        }
        #expect(watched == nil)
    }

    @Test func hangUpWithoutInterestDoesNotSpin() throws {
        let loop = try EventLoop()
        let record = Record()
        var (near, far): (Descriptor, Descriptor?) = try DescriptorPair.sockets()
        let source = try loop.add(near, []) { _ in record.add("ran") }
        far = nil
        _ = far
        loop.turn(wait: false)
        #expect(record.all.isEmpty)
        try source.modify([.read])
        loop.turn(wait: true)
        #expect(record.all == ["ran"])
        source.remove()
        near = source.descriptor
    }

    @Test func filesThatEpollRefusesAreAlwaysReady() throws {
        let loop = try EventLoop()
        let record = Record()
        let null = try HostFile.open("/dev/null", .read)
        let source = try loop.add(null, [.read]) { events in record.add(events.contains(.read) ? "read" : "odd") }
        loop.turn(wait: true)
        loop.turn(wait: true)
        #expect(record.all == ["read", "read"])
        try source.modify([])
        loop.turn(wait: false)
        #expect(record.all.count == 2)
        source.remove()
    }

    @Test func workFromManyThreadsAllRunsOnTheLoop() throws {
        let loop = try EventLoop()
        let count = Atomic<Int>(0)
        let elsewhere = Atomic<Int>(0)
        let threads = try (0..<4).map { index in
            try HostThread(name: "poster \(index)") {
                for _ in 0..<2000 {
                    loop.post {
                        if !loop.isCurrent { elsewhere.add(1, ordering: .relaxed) }
                        if count.add(1, ordering: .relaxed).newValue == 8000 { loop.stop() }
                    }
                }
            }
        }

        loop.run()

        for thread in threads { thread.join() }
        let (all, strays) = (count.load(ordering: .relaxed), elsewhere.load(ordering: .relaxed))
        #expect(all == 8000)
        #expect(strays == 0)
        #expect(!loop.isCurrent)
    }

    @Test func sourcesAddedAndRemovedFromAnotherThreadWhileTheLoopRuns() throws {
        let loop = try EventLoop()
        let runs = Atomic<Int>(0)
        let thread = try HostThread(name: "adder") {
            for _ in 0..<300 {
                guard let pair = try? DescriptorPair.pipe(), (try? pair.output.writeAll([1])) != nil,
                    let source = try? loop.add(pair.input, [.read], handler: { _ in runs.add(1, ordering: .relaxed) })
                else { continue }
                source.remove()
            }
            loop.stop()
        }
        loop.run()
        thread.join()
        // Every source and its descriptor are gone: the loop has nothing to do.
        let before = runs.load(ordering: .relaxed)
        loop.turn(wait: false)
        let after = runs.load(ordering: .relaxed)
        #expect(after == before)
    }

    @Test func stopBeforeRunMakesItReturnAtOnceAndOnlyOnce() throws {
        let loop = try EventLoop()
        loop.stop()
        loop.run()
        let timer = loop.makeTimer { loop.stop() }
        timer.arm(after: 1_000_000)
        loop.run()
        #expect(!timer.isArmed)
    }
}
