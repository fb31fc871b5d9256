import Foundation
import TestSupport

/// The functions of an object file and what they call, as `objdump` tells it.
struct ObjectFile {
    struct Function {
        let name: String
        /// Symbols that the function's relocations name.
        var calls: Set<String> = []
    }

    let functions: [Function]

    private struct Place {
        let section: Substring
        let range: Range<UInt64>
        let name: String
    }

    /// Reads the object at `path`.
    init(path: String) throws {
        // -t: `offset flags section<TAB>size name`; -r: `offset type symbol±addend` under a heading for each section.
        let listing = try HostProgram.run("env", ["LC_ALL=C", "objdump", "-t", "-r", path])
        guard listing.status == 0 else { throw ObjectError(path: path) }
        var places: [Place] = []
        var calls: [(section: Substring, offset: UInt64, symbol: String)] = []
        var section: Substring = ""
        for line in listing.output.split(separator: "\n") {
            if line.hasPrefix("RELOCATION RECORDS FOR [") {
                section = line.dropFirst(24).prefix { $0 != "]" }
                continue
            }
            let fields = line.split { $0 == " " || $0 == "\t" }
            guard fields.count >= 3, let offset = UInt64(fields[0], radix: 16) else { continue }
            if section.isEmpty {
                guard fields.contains("F"), let tab = line.firstIndex(of: "\t") else { continue }
                let left = line[..<tab].split(separator: " ")
                let right = line[tab...].split { $0 == " " || $0 == "\t" }
                guard let home = left.last, let size = right.first.flatMap({ UInt64($0, radix: 16) }),
                    let name = right.last, size > 0
                else { continue }
                places.append(Place(section: home, range: offset..<offset + size, name: String(name)))
            } else {
                let symbol = fields[2].prefix { $0 != "-" && $0 != "+" && $0 != "@" }
                calls.append((section, offset, String(symbol)))
            }
        }
        functions = Self.join(places, calls)
    }

    private static func join(
        _ places: [Place], _ calls: [(section: Substring, offset: UInt64, symbol: String)]
    ) -> [Function] {
        var sorted = places.sorted { ($0.section, $0.range.lowerBound) < ($1.section, $1.range.lowerBound) }
        // Two names of one function: one is enough.
        sorted = sorted.enumerated().filter { index, place in
            index == 0 || sorted[index - 1].section != place.section || sorted[index - 1].range != place.range
        }.map(\.element)
        var functions = sorted.map { Function(name: $0.name) }
        for call in calls {
            var low = 0
            var high = sorted.count
            while low < high {
                let middle = (low + high) / 2
                let place = sorted[middle]
                if (place.section, place.range.lowerBound) <= (call.section, call.offset) {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            guard low > 0 else { continue }
            let place = sorted[low - 1]
            if place.section == call.section && place.range.contains(call.offset) {
                functions[low - 1].calls.insert(call.symbol)
            }
        }
        return functions
    }
}

/// `objdump` could not read a file.
struct ObjectError: Error, CustomStringConvertible {
    let path: String
    var description: String { "Cannot read the object file '\(path)'" }
}
