/// Edits a line over a terminal in raw mode: bytes in, bytes to show and complete lines out.
///
/// Knows the keys that readline's users expect: arrows, Home, End, Delete, Backspace, Ctrl-A B D E F K L N P U W, Tab;
/// Ctrl-C drops the line. The line is bounded, so is the history.
struct LineEditor {
    /// What some bytes caused.
    enum Effect: Equatable {
        /// Bytes for the terminal.
        case show([UInt8])
        /// A complete line.
        case line(String)
    }
    private enum State { case plain, escape, sequence([UInt8]) }

    let prompt: String
    private(set) var history: [String] = []
    private var line: [UInt8] = []
    private var cursor = 0
    private var state = State.plain
    /// The place in the history that is shown; past its end, the line being typed.
    private var place = 0
    private var typed: [UInt8] = []
    private var endedByReturn = false
    private static let lineLimit = 4096
    private static let historyLimit = 64

    init(prompt: String) { self.prompt = prompt }

    /// Takes one byte. `complete` gives the names that a beginning of a line may go on with.
    mutating func take(_ byte: UInt8, complete: (String) -> [String]) -> [Effect] {
        switch state {
        case .escape where byte < 0x20, .sequence where byte < 0x20:
            // A control character ends a sequence that was cut off.
            state = .plain
            return key(byte, complete)
        case .escape:
            state = byte == UInt8(ascii: "[") || byte == UInt8(ascii: "O") ? .sequence([]) : .plain
            return []
        case .sequence(let parameters):
            if (0x30...0x3b).contains(byte), parameters.count < 8 {
                state = .sequence(parameters + [byte])
                return []
            }
            state = .plain
            return sequence(byte, parameters)
        case .plain: return key(byte, complete)
        }
    }

    /// The prompt and the line typed so far, to be shown after other output.
    func redraw() -> [UInt8] {
        var bytes = Array("\r\(prompt)".utf8) + line + Array("\u{1b}[K".utf8)
        let back = columns(line[cursor...])
        if back > 0 { bytes += Array("\u{1b}[\(back)D".utf8) }
        return bytes
    }

    private func columns(_ bytes: some Sequence<UInt8>) -> Int {
        // A byte that goes on a UTF-8 sequence takes no column.
        bytes.reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) }
    }
    private func previous(_ place: Int) -> Int {
        var place = place - 1
        while place > 0, line[place] & 0xc0 == 0x80 { place -= 1 }
        return max(0, place)
    }
    private func next(_ place: Int) -> Int {
        var place = place + 1
        while place < line.count, line[place] & 0xc0 == 0x80 { place += 1 }
        return min(place, line.count)
    }

    private mutating func sequence(_ byte: UInt8, _ parameters: [UInt8]) -> [Effect] {
        switch byte {
        case UInt8(ascii: "A"): return recall(place - 1)
        case UInt8(ascii: "B"): return recall(place + 1)
        case UInt8(ascii: "C"): return move(to: next(cursor))
        case UInt8(ascii: "D"): return move(to: previous(cursor))
        case UInt8(ascii: "H"): return move(to: 0)
        case UInt8(ascii: "F"): return move(to: line.count)
        case UInt8(ascii: "~"):
            switch parameters {
            case [UInt8(ascii: "1")], [UInt8(ascii: "7")]: return move(to: 0)
            case [UInt8(ascii: "4")], [UInt8(ascii: "8")]: return move(to: line.count)
            case [UInt8(ascii: "3")]: return delete(from: cursor, to: next(cursor))
            default: return []
            }
        default: return []
        }
    }

    private mutating func key(_ byte: UInt8, _ complete: (String) -> [String]) -> [Effect] {
        let afterReturn = endedByReturn
        endedByReturn = false
        switch byte {
        case 0x0a where afterReturn: return []
        case 0x0a, 0x0d:
            endedByReturn = byte == 0x0d
            return finish()
        case 1: return move(to: 0)
        case 2: return move(to: previous(cursor))
        case 3:
            line = []
            cursor = 0
            place = history.count
            return [.show(Array("^C\r\n".utf8)), .show(redraw())]
        case 4: return delete(from: cursor, to: next(cursor))
        case 5: return move(to: line.count)
        case 6: return move(to: next(cursor))
        case 8, 0x7f: return delete(from: previous(cursor), to: cursor)
        case 9: return tab(complete)
        case 11: return delete(from: cursor, to: line.count)
        case 12: return [.show(redraw())]
        case 14: return recall(place + 1)
        case 16: return recall(place - 1)
        case 21: return delete(from: 0, to: cursor)
        case 23: return delete(from: wordStart(), to: cursor)
        case 27:
            state = .escape
            return []
        case 0..<0x20: return []
        default: return insert([byte])
        }
    }

    private mutating func insert(_ bytes: [UInt8]) -> [Effect] {
        guard line.count + bytes.count <= Self.lineLimit else { return [.show([7])] }
        line.insert(contentsOf: bytes, at: cursor)
        cursor += bytes.count
        return [.show(cursor == line.count ? bytes : redraw())]
    }
    private mutating func delete(from start: Int, to end: Int) -> [Effect] {
        guard start < end else { return [] }
        line.removeSubrange(start..<end)
        cursor = start
        return [.show(redraw())]
    }
    private mutating func move(to place: Int) -> [Effect] {
        guard place != cursor else { return [] }
        cursor = place
        return [.show(redraw())]
    }
    private func wordStart() -> Int {
        var place = cursor
        while place > 0, line[place - 1] == 0x20 { place -= 1 }
        while place > 0, line[place - 1] != 0x20 { place -= 1 }
        return place
    }

    private mutating func recall(_ wanted: Int) -> [Effect] {
        guard wanted >= 0, wanted <= history.count, wanted != place else { return [] }
        if place == history.count { typed = line }
        place = wanted
        line = wanted == history.count ? typed : Array(history[wanted].utf8)
        cursor = line.count
        return [.show(redraw())]
    }

    private mutating func finish() -> [Effect] {
        let text = String(decoding: line, as: UTF8.self)
        if !text.isEmpty {
            // A line that was there moves to the end, as QEMU has it.
            history.removeAll { $0 == text }
            history.append(text)
            if history.count > Self.historyLimit { history.removeFirst() }
        }
        line = []
        typed = []
        cursor = 0
        place = history.count
        return [.show([0x0d, 0x0a]), .line(text)]
    }

    private mutating func tab(_ complete: (String) -> [String]) -> [Effect] {
        let head = String(decoding: line[..<cursor], as: UTF8.self)
        let names = complete(head)
        guard let first = names.first else { return [] }
        let last = head.split(separator: " ", omittingEmptySubsequences: false).last.map { $0.utf8.count } ?? 0
        if names.count == 1 { return insert(Array(first.utf8.dropFirst(last)) + [0x20]) }
        var common = Array(first.utf8)
        for name in names {
            common = zip(common, name.utf8).prefix { $0 == $1 }.map(\.0)
        }
        if common.count > last { return insert(Array(common.dropFirst(last))) }
        return [.show(Array("\r\n\(names.joined(separator: "  "))\r\n".utf8)), .show(redraw())]
    }
}
