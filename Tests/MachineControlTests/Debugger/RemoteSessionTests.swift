import Execution
import Foundation
import Machine
import MachineControl
import Synchronization
import Testing

/// A debugger that speaks without acknowledgements after its first packet.
private struct Debugger {
    let target = FakeTarget()
    let session: RemoteSession

    init() {
        session = RemoteSession(target)
        session.open()
        _ = session.receive(RemoteFramer.packet(Array("QStartNoAckMode".utf8)))
        target.state.withLock { $0.calls = [] }
    }

    /// The contents of the packets that answer one.
    func ask(_ text: String) -> [String] { ask(Array(text.utf8)) }
    func ask(_ content: [UInt8]) -> [String] { Self.contents(session.receive(RemoteFramer.packet(content))) }
    static func contents(_ bytes: [UInt8]) -> [String] {
        var framer = RemoteFramer()
        return bytes.compactMap { byte in
            if case .packet(let content)? = framer.take(byte) { String(decoding: content, as: UTF8.self) } else { nil }
        }
    }
}

@Suite struct RemoteSessionTests {
    @Test func packetsAreCutSummedAndEscaped() {
        var framer = RemoteFramer()
        let bytes = Array("+$g#67\u{3}-$g#68$ab}\u{3}#43$x$m1,2#fc".utf8)
        let events = bytes.compactMap { framer.take($0) }
        #expect(
            events == [
                .packet(Array("g".utf8)), .interrupt, .again, .damaged, .packet(Array("ab#".utf8)),
                .packet(Array("m1,2".utf8)),
            ])
        var back = RemoteFramer()
        let all = (0...255).map { UInt8($0) }
        let again = RemoteFramer.packet(all).compactMap { back.take($0) }
        #expect(again == [.packet(all)])
    }

    @Test func packetsAreAcknowledgedUntilTheDebuggerWantsNoMore() {
        let session = RemoteSession(FakeTarget())
        session.open()
        #expect(session.receive("$qC#b4".utf8) == Array("+$QC01#f5".utf8))
        #expect(session.receive("-".utf8) == Array("$QC01#f5".utf8))
        #expect(session.receive("$qC#00".utf8) == Array("-".utf8))
        #expect(session.receive("$QStartNoAckMode#b0".utf8) == Array("+$OK#9a".utf8))
        #expect(session.receive("$qC#b4".utf8) == Array("$QC01#f5".utf8))
    }

    @Test func registersAreReadAndWritten() {
        let debugger = Debugger()
        #expect(debugger.ask("P10=8877665544332211") == ["OK"])
        #expect(debugger.ask("p10") == ["8877665544332211"])
        #expect(debugger.ask("g")[0].count == FakeTarget.sizes.reduce(0, +) * 2)
        #expect(debugger.ask("P10=88") == ["E16"])
        #expect(debugger.ask("p99") == ["E16"])
        #expect(debugger.ask("Hg2") == ["OK"])
        #expect(debugger.ask("P0=0100000000000000") == ["OK"])
        #expect(debugger.target.calls == ["register 16 of 0", "register 0 of 1"])
    }

    @Test func memoryIsReadAndWritten() {
        let debugger = Debugger()
        #expect(debugger.ask("M1000,3:0a0b0c") == ["OK"])
        #expect(debugger.ask("m1000,4") == ["0a0b0c00"])
        #expect(debugger.ask(Array("X1001,2:".utf8) + [0x23, 0x7d]) == ["OK"])
        #expect(debugger.ask("m1000,4") == ["0a237d00"])
        #expect(debugger.ask("X1000,0:") == ["OK"])
        #expect(debugger.ask("m0,4") == ["E0e"])
        #expect(debugger.ask("m1fff,2") == ["E0e"])
        #expect(debugger.ask("M1000,3:0a0b") == ["E16"])
        #expect(debugger.ask("Qqemu.PhyMemMode:1") == ["OK"])
        #expect(debugger.ask("qqemu.PhyMemMode") == ["1"])
        #expect(debugger.ask("M1000,1:00") == ["OK"])
        #expect(debugger.target.calls == ["write 3 for 0", "write 2 for 0", "write 1 for physical"])
    }

    @Test func pointsAreInsertedAndRemoved() {
        let debugger = Debugger()
        #expect(debugger.ask("Z0,ffffffff81000000,1") == ["OK"])
        #expect(debugger.ask("Z1,10,1") == ["OK"])
        #expect(debugger.ask("Z2,20,8") == ["OK"])
        #expect(debugger.ask("Z3,20,8") == [""])
        #expect(debugger.ask("z0,ffffffff81000000,1") == ["OK"])
        #expect(debugger.ask("Z5,0,1") == [""])
        #expect(debugger.ask("Z0,zz,1") == ["E16"])
        #expect(debugger.target.calls.count == 4)
        #expect(debugger.target.calls[0] == "insert \(DebugPoint.breakpoint(0xffff_ffff_8100_0000))")
    }

    @Test func theMachineRunsAndStops() {
        let debugger = Debugger()
        #expect(debugger.ask("c") == [])
        debugger.target.stop(1, .breakpoint(0x10))
        #expect(Debugger.contents(debugger.session.stopped()) == ["T05thread:02;"])
        // The processor that stopped is the one that is meant from now on.
        #expect(debugger.ask("qC") == ["QC02"])
        #expect(debugger.ask("s") == [])
        debugger.target.stop(0, .watchpoint(address: 0x1234, kind: .write))
        #expect(Debugger.contents(debugger.session.stopped()) == ["T05thread:01;watch:1234;"])
        // A stop that nobody waits for is not told.
        debugger.target.stop(0, nil)
        #expect(debugger.session.stopped() == [])
        #expect(debugger.ask("vCont;s:2") == [])
        #expect(debugger.session.receive([3]) == [])
        debugger.target.stop(0, nil)
        #expect(Debugger.contents(debugger.session.stopped()) == ["T02thread:01;"])
        #expect(debugger.ask("vCont;s:1;c") == [])
        debugger.target.stop(0, .step)
        _ = debugger.session.stopped()
        #expect(debugger.ask("Qqemu.sstep=1") == ["OK"])
        #expect(debugger.ask("vCont;s:-1") == [])
        #expect(
            debugger.target.calls == [
                "resume 0c 1c", "resume 0c 1s", "resume 1s", "interrupt", "resume 0s 1c",
                "resume 0s 1s with interrupts",
            ])
        #expect(Debugger.contents(debugger.session.ended(status: 0)) == ["W00"])
    }

    @Test func threadsHaveNames() {
        let debugger = Debugger()
        #expect(debugger.ask("qfThreadInfo") == ["m01,02"])
        #expect(debugger.ask("qsThreadInfo") == ["l"])
        #expect(debugger.ask("T2") == ["OK"])
        #expect(debugger.ask("T3") == ["E16"])
        #expect(debugger.ask("qThreadExtraInfo,2") == ["4350552331205b68616c746564205d"])
        #expect(debugger.ask("qSupported:multiprocess+;xmlRegisters=i386")[0].hasSuffix(";multiprocess+"))
        #expect(debugger.ask("qfThreadInfo") == ["mp1.01,p1.02"])
        #expect(debugger.ask("Hgp1.2") == ["OK"])
        #expect(debugger.ask("Hgp7.2") == ["E16"])
        #expect(debugger.ask("?") == ["T05thread:p1.02;"])
        #expect(debugger.ask("qAttached:1") == ["1"])
    }

    @Test func theDescriptionComesInPieces() {
        let debugger = Debugger()
        var text = ""
        while true {
            let piece = debugger.ask("qXfer:features:read:target.xml:\(String(text.utf8.count, radix: 16)),ffff")[0]
            text += piece.dropFirst()
            if piece.hasPrefix("l") { break }
        }
        #expect(text == debugger.target.description("target.xml"))
        #expect(debugger.ask("qXfer:features:read:other.xml:0,100") == ["E00"])
        #expect(debugger.ask("qXfer:features:read:target.xml:ffffff,100") == ["l"])
    }

    @Test func linesGoToTheMonitor() {
        let debugger = Debugger()
        let line = Array("qRcmd,".utf8) + "info status".utf8.flatMap { Array(String($0, radix: 16).utf8) }
        let answer = debugger.ask(line)
        #expect(answer.count == 2 && answer[0].hasPrefix("O") && answer[1] == "OK")
        #expect(
            answer[0].dropFirst() == "VM status: paused (prelaunch)\n".utf8.map { String(format: "%02x", $0) }.joined())
    }

    @Test func aDebuggerGoesAndTheMachineGoesOn() {
        let debugger = Debugger()
        #expect(debugger.ask("D;1") == ["OK"])
        #expect(debugger.target.calls == ["detach"])
        #expect(debugger.target.machine.calls == ["cont"])
        #expect(debugger.ask("k") == [])
        #expect(debugger.target.calls == ["detach", "kill"])
    }

    /// Random packets, and real ones with random changes. Whatever comes, the session answers or says nothing.
    @Test func hostilePackets() {
        let seeds = [
            "qSupported:multiprocess+", "vCont;s:p1.1;c:p1.-1", "m1000,10", "M1000,2:0102", "X1000,4:abcd", "G00",
            "P3=00",
            "Z2,1000,8", "z0,10,1", "Hg-1", "Hcp1.2", "qXfer:features:read:target.xml:0,ffb", "qRcmd,68656c70", "T1",
            "?",
            "qThreadExtraInfo,1", "vAttach;1", "vKill;1", "C05;1000", "s1000", "D;1", "qqemu.sstep", "Qqemu.sstep=7",
            "g",
            "p10", "qfThreadInfo", "x1000,40",
        ].map { Array($0.utf8) }
        let rounds = 4000 * (Int(ProcessInfo.processInfo.environment["APUS_FUZZ_ROUNDS"] ?? "") ?? 1)
        var random = Generator(state: 0x5eed)
        let session = RemoteSession(FakeTarget())
        session.open()
        var sent = 0
        for _ in 0..<rounds {
            var content = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                let place = Int.random(in: 0...content.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0 where place < content.count: content[place] = UInt8.random(in: 0...255, using: &random)
                case 1 where place < content.count: content.remove(at: place)
                case 2: content.insert(Array(":;,=p-1f".utf8).randomElement(using: &random)!, at: place)
                case 3:
                    content = Array(content.prefix(place)) + Array("ffffffffffffffff".utf8) + content.dropFirst(place)
                default: content += seeds.randomElement(using: &random)!
                }
            }
            let bytes =
                Bool.random(using: &random) ? RemoteFramer.packet(content) : content + RemoteFramer.packet(content)
            sent += session.receive(bytes).count
            if Int.random(in: 0..<20, using: &random) == 0 { sent += session.stopped().count }
        }
        #expect(sent > rounds)
        // Longer than any packet may be: damaged, and the next one counts again.
        _ = session.receive([UInt8(ascii: "$")] + [UInt8](repeating: 0x61, count: 1 << 20) + Array("#00".utf8))
        _ = session.receive(RemoteFramer.packet(Array("QStartNoAckMode".utf8)))
        _ = session.receive(RemoteFramer.packet(Array("qSupported:".utf8)))
        #expect(Debugger.contents(session.receive(RemoteFramer.packet(Array("qsThreadInfo".utf8)))).count == 1)
    }
}

private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
