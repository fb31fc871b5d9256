/// Why a command line starts no machine.
public enum OptionError: Error, Equatable, Sendable {
    /// Something is wrong: one sentence without the program's name and the option.
    case invalid(String)
    /// A text was asked for.
    case information(String)
}

extension OptionError {
    /// A value that does not fit its parameter, with what would have.
    static func value(_ name: String, _ value: String, expects: String) -> OptionError {
        .invalid("Parameter '\(name)' expects \(expects), not '\(printable(value))'")
    }
    /// A parameter that is not there.
    static func missing(_ name: String) -> OptionError { .invalid("Parameter '\(name)' is missing") }

    /// An unknown name among known ones: the nearest if one is near, else all of them if they are few.
    static func unknown(_ what: String, _ name: String, among known: [String], hint: String? = nil) -> OptionError {
        var text = "\(what) '\(printable(name))'"
        if let nearest = Suggestion.nearest(to: name, among: known) {
            text += "; did you mean '\(nearest)'?"
        } else if let hint {
            text += "; \(hint)"
        } else if !known.isEmpty && known.count <= 24 {
            text += "; valid: " + known.joined(separator: ", ")
        }
        return .invalid(text)
    }
}

/// A text from outside, safe for one line of a terminal: control characters as escapes, cut after some characters.
func printable(_ text: String, limit: Int = 200) -> String {
    var result = ""
    for (place, scalar) in text.unicodeScalars.enumerated() {
        if place == limit { return result + "…" }
        if scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) || scalar.value == 0x2028
            || scalar.value == 0x2029
        {
            result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// As many characters as a line for the user may have that is the program's own, such as one that names all features
/// of a processor.
let lineLimit = 16384

/// The known word that a mistyped one is nearest to.
enum Suggestion {
    /// The known word within a third of the word's length, at most 3 edits; the first of the nearest.
    static func nearest(to word: String, among known: [String]) -> String? {
        let letters = Array(word.lowercased().utf8)
        guard letters.count >= 2, letters.count <= 40 else { return nil }
        let limit = max(1, min(3, letters.count / 3))
        var best: (distance: Int, word: String)?
        for candidate in known {
            let other = Array(candidate.lowercased().utf8)
            guard abs(other.count - letters.count) <= limit else { continue }
            let found = distance(letters, other)
            if found <= limit, found < best?.distance ?? .max { best = (found, candidate) }
        }
        return best?.word
    }

    /// Levenshtein's distance, with a swap of neighbours as one edit.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var previous = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(
                    previous[column + 1] + 1, current[column] + 1, previous[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    cost = min(cost, before[column - 1] + 1)
                }
                current.append(cost)
            }
            before = previous
            previous = current
        }
        return previous[right.count]
    }
}
