/// What the tests need to know about the text of a Swift file. Not a parser: enough to tell code from the rest.
enum SwiftText {
    /// The text with comments, and what stands in string literals, made blank. Lines keep their numbers.
    static func code(of text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var i = 0
        func at(_ index: Int, is string: StaticString) -> Bool {
            let wanted = Array(string.description.utf8)
            return index + wanted.count <= bytes.count && bytes[index..<index + wanted.count].elementsEqual(wanted)
        }
        /// Blanks `count` bytes.
        func skip(_ count: Int) {
            for _ in 0..<count where i < bytes.count {
                result.append(bytes[i] == UInt8(ascii: "\n") ? bytes[i] : UInt8(ascii: " "))
                i += 1
            }
        }
        while i < bytes.count {
            if at(i, is: "//") {
                while i < bytes.count, bytes[i] != UInt8(ascii: "\n") { skip(1) }
            } else if at(i, is: "/*") {
                var depth = 0
                repeat {
                    if at(i, is: "/*") {
                        depth += 1
                        skip(2)
                    } else if at(i, is: "*/") {
                        depth -= 1
                        skip(2)
                    } else {
                        skip(1)
                    }
                } while depth > 0 && i < bytes.count
            } else if at(i, is: "\"\"\"") {
                skip(3)
                while i < bytes.count, !at(i, is: "\"\"\"") { skip(bytes[i] == UInt8(ascii: "\\") ? 2 : 1) }
                skip(3)
            } else if bytes[i] == UInt8(ascii: "\"") {
                skip(1)
                while i < bytes.count, bytes[i] != UInt8(ascii: "\""), bytes[i] != UInt8(ascii: "\n") {
                    skip(bytes[i] == UInt8(ascii: "\\") ? 2 : 1)
                }
                skip(1)
            } else {
                result.append(bytes[i])
                i += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The words of code: what stands between characters that cannot be part of a name.
    static func words(of code: String) -> [Substring] {
        code.split { !($0.isLetter || $0.isNumber || $0 == "_") }
    }

    /// Whether code holds an `unsafe` expression: the word and what it covers. `case unsafe`, `.unsafe` and
    /// `nonisolated(unsafe)` are none.
    static func hasUnsafeExpression(_ code: String) -> Bool {
        code.firstMatch(of: /\bunsafe [A-Za-z_\[(&]/) != nil
    }

    /// The modules that a file imports: of `internal import struct A.B`, `A`.
    static func imports(of code: String) -> [String] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "let", "var", "typealias"]
        return code.split(separator: "\n").compactMap { line in
            let words = line.split { $0 == " " || $0 == "." || $0 == ";" }
            guard let place = words.firstIndex(of: "import"), place < 4, place + 1 < words.count else { return nil }
            // Before it stand only access levels and attributes.
            let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
            guard words[..<place].allSatisfy({ levels.contains($0) || $0.hasPrefix("@") }) else { return nil }
            let name = kinds.contains(words[place + 1]) && place + 2 < words.count ? place + 2 : place + 1
            return String(words[name])
        }
    }
}
