import HostOS
import JSON
import Machine
import MachineControl
import Synchronization
import Testing

@Test func eventsComeBeforeTheReplyThatCausedThem() {
    let machine = FakeMachine()
    let client = Client(machine)
    let timestamp = #""timestamp": {"seconds": 1700000000, "microseconds": 123456}"#
    #expect(client.send("{'execute':'cont'}") == ["{\(timestamp), \"event\": \"RESUME\"}", "{\"return\": {}}"])
    #expect(
        client.send("{'execute':'system_reset'}").first
            == "{\(timestamp), \"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-system-reset\"}}"
    )
    #expect(
        client.send("{'execute':'quit','id':9}") == [
            "{\(timestamp), \"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}",
            "{\"return\": {}, \"id\": 9}",
        ])
    #expect(machine.calls == ["cont", "reset", "quit"])
}

@Test func severalClientsSeeEveryEvent() {
    let machine = FakeMachine()
    let first = Client(machine)
    let wakes = Atomic<Int>(0)
    let wakeCount = WakeCounter(wakes: { wakes.add(1, ordering: .relaxed) })
    let second = QMPSession(machine: machine, wake: wakeCount.wakes)
    _ = second.open()
    machine.send(.powerDown)
    #expect(second.pendingEvents() == [])  // not negotiated
    _ = second.receive(Array("{'execute':'qmp_capabilities'}".utf8))
    _ = first.send("{'execute':'stop'}")
    #expect(lines(second.pendingEvents()).count == 1)
    #expect(wakes.load(ordering: .relaxed) == 2)
    second.close()
    machine.send(.resume)
    #expect(second.pendingEvents() == [])
    #expect(lines(first.session.pendingEvents()).count == 1)
}

struct WakeCounter { let wakes: @Sendable () -> Void }

@Test func eventsOfAGuestDoNotPileUp() {
    let machine = FakeMachine()
    let client = Client(machine, now: { 0 })
    for offset in 0..<5000 { machine.send(.rtcChange(offset: Int64(offset), path: "/machine/rtc")) }
    #expect(lines(client.session.pendingEvents()).count == 1)
    for _ in 0..<5000 { machine.send(.reset(.guestReset)) }
    #expect(lines(client.session.pendingEvents()).count == 1024)
}

/// The first at once, then the last of each second; those of each port by themselves, and those of other kinds as they come.
@Test func eventsOfStatesComeOnceASecond() throws {
    let machine = FakeMachine()
    let time = Atomic<UInt64>(0)
    let clock = Clock(time: { time.load(ordering: .relaxed) })
    let client = Client(machine, now: clock.time)
    func told() throws -> [String] {
        try lines(client.session.pendingEvents()).map { line in
            let event = try JSONReader.parse(line)
            let data = event["data"]
            return (event["event"]?.stringValue ?? "") + (data?["actual"]?.uint64Value.map { " \($0)" } ?? "")
                + (data?["id"]?.stringValue.map { " \($0)" } ?? "") + (data?["open"]?.boolValue.map { " \($0)" } ?? "")
        }
    }
    #expect(client.session.eventDeadline == nil)
    for actual in UInt64(1)...9 { machine.send(.balloonChange(actual: actual)) }
    for isOpen in [true, false] {
        for id in ["a", "b"] { machine.send(.serialPortChange(id: id, isOpen: isOpen)) }
    }
    machine.send(.resume)
    #expect(try told() == ["BALLOON_CHANGE 1", "VSERPORT_CHANGE a true", "VSERPORT_CHANGE b true", "RESUME"])
    #expect(client.session.eventDeadline == 1_000_000_000)
    time.store(999_999_999, ordering: .relaxed)
    #expect(try told() == [])
    time.store(1_000_000_000, ordering: .relaxed)
    #expect(try Set(told()) == ["BALLOON_CHANGE 9", "VSERPORT_CHANGE a false", "VSERPORT_CHANGE b false"])
    // A second after that one, too.
    machine.send(.balloonChange(actual: 10))
    #expect(try told() == [] && client.session.eventDeadline == 2_000_000_000)
    time.store(2_000_000_000, ordering: .relaxed)
    #expect(try told() == ["BALLOON_CHANGE 10"])
    // Where nothing came for a second, the next comes at once.
    time.store(3_000_000_000, ordering: .relaxed)
    #expect(try told() == [] && client.session.eventDeadline == nil)
    machine.send(.balloonChange(actual: 11))
    #expect(try told() == ["BALLOON_CHANGE 11"])
}

struct Clock { let time: @Sendable () -> UInt64 }
