import CharacterBackend
import DeviceModel
import HostOS
import Synchronization
import Testing

@Suite struct MuxTests {
    private struct Bench {
        let loop: EventLoop
        let backend = FakePort()
        let mux: CharacterMux
        let serial: MuxPort
        let monitor: MuxPort
        let toSerial = Sink()
        let toMonitor = Sink()
        let exits: ExitCount

        init(escape: UInt8 = 0x01) throws {
            let loop = try EventLoop()
            let exits = ExitCount()
            self.loop = loop
            self.exits = exits
            mux = CharacterMux(backend, loop: loop, escape: escape) { exits.add() }
            serial = mux.addPort(label: "serial0")
            monitor = mux.addPort(label: "monitor0")
            serial.setReceiver(toSerial)
            monitor.setReceiver(toMonitor)
            loop.turn(wait: false)
        }
    }

    final class ExitCount: Sendable {
        private let count = Mutex(0)
        func add() { count.withLock { $0 += 1 } }
        var value: Int { count.withLock { $0 } }
    }

    @Test func inputGoesToTheFirstUntilTheFocusMoves() throws {
        let bench = try Bench()
        bench.backend.type("login\u{01}chelp\u{01}cagain")
        #expect(bench.toSerial.text == "loginagain")
        #expect(bench.toMonitor.text == "help")
        #expect(bench.toSerial.events == [.focusLost, .focusGained])
        #expect(bench.toMonitor.events == [.focusGained, .focusLost])
        bench.mux.close()
    }

    @Test func theEscapeCharacterTwiceIsItself() throws {
        let bench = try Bench()
        bench.backend.type("a\u{01}\u{01}b")
        #expect(bench.toSerial.bytes == [0x61, 1, 0x62])
        bench.mux.close()
    }

    @Test func anEscapeMayBeSplitOverReads() throws {
        let bench = try Bench()
        bench.backend.type("\u{01}")
        bench.backend.type("c")
        bench.backend.type("m")
        #expect(bench.toMonitor.text == "m")
        bench.mux.close()
    }

    @Test func exitIsSaidAndDone() throws {
        let bench = try Bench()
        bench.backend.type("\u{01}x")
        #expect(bench.exits.value == 1)
        #expect(bench.backend.text == "QEMU: Terminated\r\n")
        bench.mux.close()
    }

    @Test func helpNamesTheEscapeCharacter() throws {
        let bench = try Bench(escape: 0x02)
        bench.backend.type("\u{02}h")
        #expect(bench.backend.text.contains("C-b x "))
        #expect(bench.toSerial.text == "")
        bench.backend.type("\u{01}")
        #expect(bench.toSerial.bytes == [1])
        bench.mux.close()
    }

    @Test func breakReachesTheFocusAndSyncAndUnknownLettersNobody() throws {
        let bench = try Bench()
        bench.backend.type("x\u{01}b\u{01}s\u{01}q")
        #expect(bench.toSerial.events == [.breakReceived])
        #expect(bench.toSerial.text == "x")
        #expect(bench.toMonitor.events.isEmpty)
        bench.mux.close()
    }

    @Test func commandsAreSeenWhileTheDeviceHasNoRoomAndNothingIsLost() throws {
        let bench = try Bench()
        let slow = Sink(room: 3)
        bench.serial.setReceiver(slow)
        bench.loop.turn(wait: false)
        bench.backend.type("abcdef")
        #expect(slow.text == "abc")
        bench.backend.type("\u{01}x")
        #expect(bench.exits.value == 1)
        #expect(bench.mux.receiveCapacity() == 4096 - 3)
        slow.addRoom(2)
        bench.serial.acceptInput()
        bench.loop.turn(wait: false)
        #expect(slow.text == "abcde")
        slow.addRoom(10)
        bench.serial.acceptInput()
        bench.loop.turn(wait: false)
        #expect(slow.text == "abcdef")
        #expect(!slow.overrun)
        bench.mux.close()
    }

    @Test func aFullBufferTellsTheBackendToStop() throws {
        let bench = try Bench()
        bench.serial.setReceiver(Sink(room: 0))
        bench.backend.type(String(repeating: "x", count: 4096))
        #expect(bench.mux.receiveCapacity() == 0)
        bench.mux.close()
    }

    @Test func timesGoBeforeLines() throws {
        let bench = try Bench()
        bench.backend.type("\u{01}t")
        bench.serial.write(bytes("one\n"))
        bench.monitor.write(bytes("two"))
        bench.backend.type("\u{01}t")
        bench.serial.write(bytes("\nthree"))
        #expect(bench.backend.text.hasPrefix("[00:00:0"))
        #expect(bench.backend.text.contains("one\n[00:00:0"))
        #expect(bench.backend.text.hasSuffix("] two\nthree"))
        bench.mux.close()
    }

    @Test func focusByCall() throws {
        let bench = try Bench()
        bench.mux.focus(on: bench.monitor)
        bench.loop.turn(wait: false)
        #expect(bench.mux.focused === bench.monitor)
        bench.backend.type("m")
        #expect(bench.toMonitor.text == "m")
        bench.mux.close()
    }

    @Test func telnetCommandsLeaveTheStream() {
        var filter = TelnetFilter()
        let input: [UInt8] = [
            0x61, 0xFF, 0xFD, 0x03, 0x62, 0xFF, 0xFF, 0xFF, 0xFA, 0x18, 0xFF, 0xFF, 0x00, 0xFF, 0xF0, 0x0D, 0x00, 0xFF,
            0xF3,
            0x63, 0x0D, 0x0A, 0x00,
        ]
        var data: [UInt8] = []
        var events: [CharacterEvent] = []
        for byte in input {
            let (part, seen) = filter.receive([byte])
            data += part
            events += seen
        }
        #expect(data == [0x61, 0x62, 0xFF, 0x0D, 0x63, 0x0D, 0x0A, 0x00])
        #expect(events == [.breakReceived])
        #expect(TelnetFilter.quote([1, 0xFF, 2]) == [1, 0xFF, 0xFF, 2])
    }

    @Test func aRingKeepsOrderOverItsEdge() {
        var ring = ByteRing()
        var model: [UInt8] = []
        var seed: UInt64 = 7
        for _ in 0..<2000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let count = Int(seed >> 40) % 400
            if seed >> 63 == 0 {
                let part = (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ Int(seed >> 32)) }
                ring.append(part[...])
                model += part
            } else {
                #expect(ring.take(count) == Array(model.prefix(count)))
                model.removeFirst(min(count, model.count))
            }
            #expect(ring.count == model.count)
            let front = unsafe ring.withFront { unsafe Array($0) }
            #expect(front == Array(model.prefix(front.count)))
            #expect(model.isEmpty || !front.isEmpty)
        }
        ring.removeFirst(.max)
        ring.removeFirst(-1)
        #expect(ring.isEmpty)
    }
}
