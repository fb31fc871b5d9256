internal import Execution
package import Machine

/// One debugger's conversation: bytes of GDB's remote protocol in, bytes out.
///
/// Every processor is a thread, numbered from 1, of process 1. All stop and run together (all-stop mode), but those
/// that a `vCont` leaves out stand. Confined to the thread that owns the connection.
package final class RemoteSession {
    let target: any DebugTarget
    private var framer = RemoteFramer()
    private var acknowledges = true
    private var lastReply: [UInt8] = []
    /// The debugger waits for a stop.
    var awaitsStop = false
    /// The processors that `g`, `m` and their like, and that `c` and `s` mean.
    var current = 0
    var resumed: Int?
    var usesProcesses = false
    /// Memory commands mean physical addresses (`Qqemu.PhyMemMode`).
    var isPhysical = false
    /// While stepping: bit 0 always, 1 without interrupts, 2 without timers (`Qqemu.sstep`).
    var stepBits: UInt64 = 7
    var monitor = HMPState()
    /// The threads that `qsThreadInfo` has still to name.
    var unnamed: [Int] = []
    /// Packets to be sent before the reply at hand.
    var before: [UInt8] = []
    private(set) var isAttached = false

    package init(_ target: any DebugTarget) { self.target = target }

    /// A debugger has connected: the machine stops.
    package func open() {
        target.attach()
        isAttached = true
        acknowledges = true
        awaitsStop = false
        current = 0
        resumed = nil
        framer = RemoteFramer()
    }

    /// It is gone without a word.
    package func close() {
        guard isAttached else { return }
        isAttached = false
        awaitsStop = false
        target.detach()
    }

    /// What to send for some bytes of the debugger.
    package func receive(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        for byte in bytes {
            switch framer.take(byte) {
            case .packet(let content):
                if acknowledges { output.append(UInt8(ascii: "+")) }
                let reply = answer(content)
                output += before
                before = []
                if let reply { output += send(reply) }
            case .damaged: if acknowledges { output.append(UInt8(ascii: "-")) }
            case .again: if acknowledges { output += lastReply }
            case .interrupt: if isAttached { target.interrupt() }
            case nil: break
            }
        }
        return output
    }

    /// The machine has stopped: what to send.
    package func stopped() -> [UInt8] {
        guard isAttached, !target.isRunning else { return [] }
        let stop = target.takeStop()
        guard awaitsStop else { return [] }
        awaitsStop = false
        return send(stopReply(stop))
    }

    /// The program ends: what to send.
    package func ended(status: UInt8) -> [UInt8] {
        guard isAttached else { return [] }
        isAttached = false
        return awaitsStop ? send(Array("W".utf8) + Hexadecimal.text([status])) : []
    }

    private func send(_ reply: [UInt8]) -> [UInt8] {
        lastReply = RemoteFramer.packet(reply)
        return lastReply
    }

    // MARK: Commands

    static let ok = Array("OK".utf8)
    /// A command or a part of it that is not known.
    static let unknown: [UInt8] = []
    /// An error's number is free of meaning for debuggers; these are the values of errno.
    static func error(_ number: UInt8) -> [UInt8] { Array("E".utf8) + Hexadecimal.text([number]) }
    static let badAddress = error(14)
    static let badArgument = error(22)

    /// The reply to a command; nil: none now.
    private func answer(_ content: [UInt8]) -> [UInt8]? {
        guard let letter = content.first else { return Self.unknown }
        let rest = content.dropFirst()
        switch letter {
        case UInt8(ascii: "?"): return state()
        case UInt8(ascii: "!"): return Self.ok
        case UInt8(ascii: "g"), UInt8(ascii: "G"), UInt8(ascii: "p"), UInt8(ascii: "P"): return registers(letter, rest)
        case UInt8(ascii: "m"), UInt8(ascii: "M"), UInt8(ascii: "X"), UInt8(ascii: "x"): return memory(letter, rest)
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): return point(rest, inserts: letter == UInt8(ascii: "Z"))
        case UInt8(ascii: "H"): return selectThread(rest)
        case UInt8(ascii: "T"): return thread(rest).map { $0 == nil ? Self.badArgument : Self.ok } ?? Self.badArgument
        case UInt8(ascii: "c"), UInt8(ascii: "C"), UInt8(ascii: "s"), UInt8(ascii: "S"): return resume(letter, rest)
        case UInt8(ascii: "v"): return longCommand(rest)
        case UInt8(ascii: "q"), UInt8(ascii: "Q"): return query(content)
        case UInt8(ascii: "D"): return detach()
        case UInt8(ascii: "k"):
            target.kill()
            return nil
        default: return Self.unknown
        }
    }

    /// `?`: a debugger that comes finds no points.
    private func state() -> [UInt8]? {
        if !isAttached { open() }
        target.removeAllPoints()
        if target.isRunning { target.interrupt() }
        awaitsStop = false
        return stopReply((current, DebugStop.step))
    }

    private func detach() -> [UInt8] {
        target.detach()
        isAttached = false
        awaitsStop = false
        // The machine goes on as it would without a debugger.
        try? target.operations.resume()
        return Self.ok
    }

    func startNoAcknowledge() { acknowledges = false }

    // MARK: Stops

    /// `T05thread:01;` and its like.
    private func stopReply(_ stop: (processor: Int, stop: DebugStop)?) -> [UInt8] {
        let signal: UInt8
        if stop != nil {
            signal = 5  // TRAP
        } else {
            signal =
                switch target.runState {
                case .shutdown: 3  // QUIT
                case .internalError: 6  // ABRT
                case .watchdog: 14  // ALRM
                case .ioError: 23  // IO, by the debugger's numbers
                default: 2  // INT
                }
        }
        if let stop { current = stop.processor }
        var text = "thread:\(threadName(current));"
        if case .watchpoint(let address, let kind) = stop?.stop {
            let word =
                switch kind {
                case .write: "watch"
                case .read: "rwatch"
                case .access: "awatch"
                }
            text += "\(word):\(String(address, radix: 16));"
        }
        return Array("T".utf8) + Hexadecimal.text([signal]) + Array(text.utf8)
    }

    // MARK: Threads

    func threadName(_ processor: Int) -> String {
        let number = String(processor + 1, radix: 16)
        let padded = number.utf8.count < 2 ? "0" + number : number
        return usesProcesses ? "p1.\(padded)" : padded
    }

    /// The processor of `1`, `p1.1`, `-1` (all) or `0` (any). The outer nil: not a thread; the inner one: all.
    func thread(_ text: ArraySlice<UInt8>) -> Int?? {
        var text = text
        if text.first == UInt8(ascii: "p") {
            text = text.dropFirst()
            let dot = text.firstIndex(of: UInt8(ascii: ".")) ?? text.endIndex
            let process = text[..<dot]
            guard process.elementsEqual("-1".utf8) || (Hexadecimal.number(process) ?? 2) <= 1 else {
                return Int??.none
            }
            if dot == text.endIndex { return Int??.some(nil) }
            text = text[(dot + 1)...]
        }
        if text.elementsEqual("-1".utf8) { return Int??.some(nil) }
        guard let number = Hexadecimal.number(text) else { return Int??.none }
        if number == 0 { return Int??.some(current) }
        guard number <= UInt64(target.processorCount) else { return Int??.none }
        return Int??.some(Int(number) - 1)
    }

    private func selectThread(_ rest: ArraySlice<UInt8>) -> [UInt8] {
        guard let kind = rest.first, let found = thread(rest.dropFirst()) else { return Self.badArgument }
        switch kind {
        case UInt8(ascii: "g"): current = found ?? current
        case UInt8(ascii: "c"): resumed = found
        default: return Self.badArgument
        }
        return Self.ok
    }
}
