internal import CLinux
internal import HostOS

/// Lines from standard input. On a terminal a line can be edited, the ones before come back, and Tab completes.
final class LineInput {
    private let input = Descriptor(borrowing: 0)
    private let output = Descriptor(borrowing: 1)
    private var pending: [UInt8] = []
    private var hasEnded = false
    private var history: [String] = []
    /// What is asked while nobody types, with the connection's descriptor: to answer pings.
    var idle: (() -> Descriptor?)?
    /// Serves the connection when something came.
    var serve: (() -> Void)?
    /// The ways a line can go on.
    var completions: ((String) -> [String])?

    var isTerminal: Bool { input.kind == .terminal }

    /// Bytes when there are some; empty at the end.
    private func more() -> [UInt8] {
        while true {
            var waiting = [input]
            if let other = idle?() { waiting.append(other) }
            let ready = Waiting.forAny(waiting, milliseconds: -1)
            if ready.count > 1, ready[1] { serve?() }
            if ready[0] { return (try? input.readAvailable(limit: 4096)) ?? [] }
        }
    }

    /// The next line as it comes; nil at the end.
    func plainLine() -> String? {
        while true {
            if let end = pending.firstIndex(of: 10) {
                let line = pending[..<end]
                pending = Array(pending[(end + 1)...])
                return String(decoding: line, as: UTF8.self)
            }
            if hasEnded || pending.count > 1 << 20 {
                guard !pending.isEmpty else { return nil }
                defer { pending = [] }
                return String(decoding: pending, as: UTF8.self)
            }
            let bytes = more()
            if bytes.isEmpty { hasEnded = true }
            pending += bytes
        }
    }

    /// A line that is not shown.
    func secret(_ prompt: String, _ shell: Shell) throws -> String {
        shell.flush()
        shell.aside(prompt)
        let terminal = try RawTerminal(input, signals: true)
        defer {
            terminal?.restore()
            shell.aside("\n")
        }
        guard terminal != nil else { return plainLine() ?? "" }
        var bytes: [UInt8] = []
        while true {
            for byte in more() {
                switch byte {
                case 10, 13: return String(decoding: bytes, as: UTF8.self)
                case 8, 127: _ = bytes.popLast()
                default: bytes.append(byte)
                }
            }
        }
    }

    // MARK: - Editing

    /// A line with a prompt before it; nil at the end.
    func line(_ prompt: String) -> String? {
        guard isTerminal, let terminal = try? RawTerminal(input, signals: true) else {
            try? output.writeAll(Array(prompt.utf8))
            return plainLine()
        }
        defer { terminal.restore() }
        var edit = LineEdit(history: history)
        draw(prompt, edit)
        while true {
            let bytes = pending.isEmpty ? more() : pending
            pending = []
            if bytes.isEmpty { return nil }
            var rest = bytes[...]
            while let key = LineEdit.key(&rest) {
                switch key {
                case .enter:
                    try? output.writeAll([13, 10])
                    pending = Array(rest)
                    let text = edit.text
                    if !text.trimmed.isEmpty, history.last != text { history.append(text) }
                    return text
                case .end where edit.text.isEmpty:
                    try? output.writeAll([13, 10])
                    return nil
                case .tab: complete(&edit)
                default: edit.take(key)
                }
            }
            draw(prompt, edit)
        }
    }

    private func complete(_ edit: inout LineEdit) {
        let found = completions?(edit.beforeCursor) ?? []
        guard let first = found.first else { return }
        let common = found.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
        let word = edit.beforeCursor.split(separator: " ", omittingEmptySubsequences: false).last ?? ""
        if common.count > word.count {
            edit.insert(String(common.dropFirst(word.count)) + (found.count == 1 ? " " : ""))
        } else if found.count > 1 {
            try? output.writeAll(Array(("\r\n" + found.joined(separator: "  ") + "\r\n").utf8))
        }
    }

    private func draw(_ prompt: String, _ edit: LineEdit) {
        // The whole line, then back to where the cursor is.
        let back = TextTable.width(edit.afterCursor)
        let text = "\r\(prompt)\(edit.text)\u{1b}[K" + (back > 0 ? "\u{1b}[\(back)D" : "")
        try? output.writeAll(Array(text.utf8))
    }
}

extension String {
    func commonPrefix(with other: String) -> String {
        String(zip(self, other).prefix { $0 == $1 }.map { $0.0 })
    }
}

/// A line that is being typed.
struct LineEdit {
    enum Key: Equatable {
        case text(String)
        case enter, tab, left, right, up, down, home, end, backspace, delete, killAfter, killBefore, killWord, other
    }

    private var characters: [Character] = []
    private var cursor = 0
    private let history: [String]
    private var place: Int
    private var kept: [Character] = []

    init(history: [String]) {
        self.history = history
        place = history.count
    }

    var text: String { String(characters) }
    var beforeCursor: String { String(characters[..<cursor]) }
    var afterCursor: String { String(characters[cursor...]) }

    /// The next key of what was typed. Ctrl-D is `end`, which also moves to the line's end.
    static func key(_ bytes: inout ArraySlice<UInt8>) -> Key? {
        guard let first = bytes.popFirst() else { return nil }
        switch first {
        case 10, 13: return .enter
        case 9: return .tab
        case 1: return .home
        case 4, 5: return .end
        case 2: return .left
        case 6: return .right
        case 8, 127: return .backspace
        case 11: return .killAfter
        case 21: return .killBefore
        case 23: return .killWord
        case 14: return .down
        case 16: return .up
        case 27: return escape(&bytes)
        case 0..<32: return .other
        default: break
        }
        var word = [first]
        while let next = bytes.first, next >= 128 || first < 128 && next >= 32 && next != 127 {
            if first >= 128, next & 0xC0 != 0x80 { break }
            word.append(next)
            bytes = bytes.dropFirst()
        }
        return .text(String(decoding: word, as: UTF8.self))
    }

    private static func escape(_ bytes: inout ArraySlice<UInt8>) -> Key {
        guard let open = bytes.first, open == UInt8(ascii: "[") || open == UInt8(ascii: "O") else { return .other }
        bytes = bytes.dropFirst()
        var number = 0
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = min(99, number * 10 + Int(byte - 48))
            case UInt8(ascii: "A"): return .up
            case UInt8(ascii: "B"): return .down
            case UInt8(ascii: "C"): return .right
            case UInt8(ascii: "D"): return .left
            case UInt8(ascii: "H"): return .home
            case UInt8(ascii: "F"): return .end
            case UInt8(ascii: "~"): return number == 3 ? .delete : number == 1 ? .home : number == 4 ? .end : .other
            case UInt8(ascii: ";"): number = 0
            default: return .other
            }
        }
        return .other
    }

    mutating func insert(_ text: String) {
        characters.insert(contentsOf: text, at: cursor)
        cursor += text.count
    }

    mutating func take(_ key: Key) {
        switch key {
        case .text(let text): insert(text)
        case .left: cursor = max(0, cursor - 1)
        case .right: cursor = min(characters.count, cursor + 1)
        case .home: cursor = 0
        case .end: cursor = characters.count
        case .backspace where cursor > 0:
            cursor -= 1
            characters.remove(at: cursor)
        case .delete where cursor < characters.count: characters.remove(at: cursor)
        case .killAfter: characters.removeSubrange(cursor...)
        case .killBefore:
            characters.removeSubrange(..<cursor)
            cursor = 0
        case .killWord:
            var start = cursor
            while start > 0, characters[start - 1] == " " { start -= 1 }
            while start > 0, characters[start - 1] != " " { start -= 1 }
            characters.removeSubrange(start..<cursor)
            cursor = start
        case .up where place > 0:
            if place == history.count { kept = characters }
            place -= 1
            characters = Array(history[place])
            cursor = characters.count
        case .down where place < history.count:
            place += 1
            characters = place == history.count ? kept : Array(history[place])
            cursor = characters.count
        default: break
        }
    }
}
