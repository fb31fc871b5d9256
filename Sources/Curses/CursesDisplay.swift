public import Display
public import HostOS
internal import Synchronization

/// Why a terminal cannot be a display.
public struct CursesError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
}

/// A machine's text consoles in the terminal that the process was started in, on a thread of their own: what a VGA shows
/// in its text modes, monitors and serial ports. Alt and a digit change between them.
///
/// Of a picture only its size is said. The terminal is the process's own until `close`, the process's end or a fatal
/// signal, and then as it was.
public final class CursesDisplay: @unchecked Sendable {
    // Sendable: what changes is used on the loop's thread only, but for `isClosed`.

    /// The shortest and the longest time between two looks at the console, in nanoseconds.
    private static let shortest: UInt64 = 30_000_000
    private static let longest: UInt64 = 120_000_000
    /// How long the rest of a key's sequence may take: terminals send it in one piece.
    private static let patience: UInt64 = 40_000_000
    /// How long a terminal that takes nothing is waited for in the end, in milliseconds.
    private static let lastWait: Int32 = 500

    private let consoles: [DisplayConsole]
    private let press: @Sendable ([UInt8]) -> Bool
    private let input: Descriptor
    private let output: Descriptor
    /// Whether the descriptor blocks, as others have it too: it is written in small pieces after a look at its room.
    private let isShared: Bool
    private let loop: EventLoop
    private let thread = Mutex<HostThread?>(nil)
    private let isClosed = Mutex(false)
    private let terminal = Mutex<RawTerminal?>(nil)

    private var source: EventSource?
    private var writable: EventSource?
    private var timer: EventTimer?
    private var keyTimer: EventTimer?
    private var interval = CursesDisplay.shortest
    private var console = 0
    private var painter: TerminalPainter
    private var decoder = KeyDecoder()
    /// What the terminal has not taken yet.
    private var pending: [UInt8]

    /// A display that does nothing to its terminal before `start`.
    /// - Parameters:
    ///   - consoles: what there is to see, at least one; the first is shown.
    ///   - input: the terminal that is typed at.
    ///   - output: the terminal that shows it.
    ///   - isUnicode: whether it shows Unicode, in UTF-8, or ASCII alone.
    ///   - press: presses keys of the guest's together, by their scan codes of set 1.
    public init(
        consoles: [DisplayConsole], input: Descriptor, output: Descriptor, isUnicode: Bool,
        press: @escaping @Sendable ([UInt8]) -> Bool
    ) throws(CursesError) {
        guard !consoles.isEmpty else { throw CursesError(description: "There is no console to show in the terminal") }
        guard output.kind == .terminal else { throw CursesError(description: "Standard output is no terminal") }
        guard input.kind == .terminal else { throw CursesError(description: "Standard input is no terminal") }
        self.consoles = consoles
        self.press = press
        self.input = input
        painter = TerminalPainter(isUnicode: isUnicode)
        pending = TerminalPainter.greeting
        do throws(HostError) {
            // The same terminal opened anew does not block, without becoming so for others who share it.
            if let own = try? HostFile.open("/proc/self/fd/\(output.rawValue)", .write, nonBlocking: true) {
                (self.output, isShared) = (own, false)
            } else {
                (self.output, isShared) = (try output.duplicate(), true)
            }
            loop = try EventLoop()
        } catch { throw CursesError(description: "\(error)") }
    }

    /// Takes the terminal, and shows the first console.
    public func start() throws(CursesError) {
        do throws(HostError) {
            let raw = try RawTerminal(input, signals: false, farewell: TerminalPainter.farewell, to: output)
            terminal.withLock { $0 = raw }
            source = try loop.add(input.duplicate(), [.read]) { [weak self] _ in self?.read() }
            writable = try loop.add(output, []) { [weak self] _ in self?.flush() }
            timer = loop.makeTimer { [weak self] in self?.look() }
            keyTimer = loop.makeTimer { [weak self] in self?.finishKey() }
            loop.post { [weak self] in self?.look() }
            let made = try HostThread(name: "curses") { [loop] in loop.run() }
            thread.withLock { $0 = made }
        } catch { throw CursesError(description: "\(error)") }
    }

    /// Gives the terminal back. Any thread but the display's; may be called again.
    public func close() {
        let first = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return !isClosed
        }
        guard first else { return }
        if let thread = thread.withLock({ $0.take() }) {
            loop.post { [self] in
                source?.remove()
                writable?.remove()
                timer?.cancel()
                keyTimer?.cancel()
                loop.stop()
            }
            thread.join()
        }
        // A sequence that was cut in two would swallow the farewell.
        if !pending.isEmpty, terminal.withLock({ $0 != nil }),
            output.wait(for: [.write], milliseconds: Self.lastWait).contains(.write)
        {
            transfer()
        }
        terminal.withLock { $0.take() }?.restore()
    }

    // MARK: Output, on the loop's thread

    private func look() {
        guard pending.isEmpty || pending == TerminalPainter.greeting else { return }
        let now = HostClock.monotonic
        let text = consoles[console].screen.text(now: now, age: Self.longest)
        guard let size = output.windowSize else { return hangUp() }
        let bytes = painter.paint(text, columns: size.columns, rows: size.rows)
        // A console that stands still is looked at less and less often.
        interval = bytes.isEmpty ? min(interval + Self.shortest, Self.longest) : Self.shortest
        pending += bytes
        timer?.arm(at: now &+ interval)
        flush()
    }

    private func flush() {
        transfer()
        if pending.isEmpty, let timer, !timer.isArmed { timer.arm(after: interval) }
        try? writable?.modify(pending.isEmpty ? [] : [.write])
    }

    /// Writes what the terminal takes without waiting.
    private func transfer() {
        while !pending.isEmpty {
            if isShared, !output.wait(for: [.write], milliseconds: 0).contains(.write) { return }
            let part = isShared ? min(pending.count, 128) : pending.count
            let result = unsafe pending.withUnsafeBytes { buffer in
                // SAFETY: the part lies within the buffer, which outlives the call.
                unsafe output.write(UnsafeRawBufferPointer(rebasing: buffer[..<part]))
            }
            switch result {
            case .moved(let count): pending.removeFirst(count)
            case .wouldBlock: return
            case .end, .failed: pending = []
            }
        }
    }

    /// The terminal is gone; the process hears of it by a signal, if that is for it to hear.
    private func hangUp() {
        source?.remove()
        timer?.cancel()
        keyTimer?.cancel()
    }

    // MARK: Input, on the loop's thread

    private func read() {
        guard let bytes = try? input.readAvailable(limit: 4096), !bytes.isEmpty else { return hangUp() }
        keyTimer?.cancel()
        for byte in bytes { if let key = decoder.take(byte) { type(key) } }
        if decoder.isWaiting { keyTimer?.arm(after: Self.patience) }
    }

    private func finishKey() { if let key = decoder.flush() { type(key) } }

    private func type(_ key: TypedKey) {
        interval = Self.shortest
        timer?.arm(after: Self.shortest / 3)
        if key.alt, 0x31...0x39 ~= key.symbol, Int(key.symbol - 0x31) < consoles.count {
            console = Int(key.symbol - 0x31)
            return
        }
        if let terminal = consoles[console].terminal {
            terminal.type(symbol: key.symbol, control: key.control)
            return
        }
        guard let chord = key.chord else { return }
        _ = press(chord)
    }
}

extension TypedKey {
    /// The keys that are pressed together for it, by their scan codes; nil where the guest's keyboard has no such key.
    package var chord: [UInt8]? {
        guard let code = Keysyms.code(symbol) else { return nil }
        var codes: [UInt8] = []
        if control { codes.append(0x1D) }
        if alt { codes.append(0x38) }
        if shift || Keysyms.isShifted(symbol) { codes.append(0x2A) }
        return codes + [code]
    }
}
