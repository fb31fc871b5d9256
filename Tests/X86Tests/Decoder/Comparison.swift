import Foundation
import X86

/// Compares decoder and disassembler with objdump's output.
enum Comparison {
    /// A line that does not agree, and what the decoder made of it.
    struct Difference {
        var line: Objdump.Line
        var ours: String
    }

    /// The differences that have no reason.
    static func compare(_ lines: [Objdump.Line], code: CodeSize) -> [Difference] {
        lines.compactMap { line in
            // Most lines agree to the letter.
            if let instruction = try? Decoder.decode(line.bytes, code: code),
                Int(instruction.length) == line.bytes.count,
                Disassembler.format(instruction, address: line.address, code: code) == line.text
            {
                return nil
            }
            let text = normalize(line.text)
            // A line of prefixes alone.
            if text.isEmpty || text.hasPrefix(".byte") { return nil }
            do throws(DecodeError) {
                let instruction = try Decoder.decode(line.bytes, code: code)
                let ours = normalize(Disassembler.format(instruction, address: line.address, code: code))
                if text.hasPrefix("(bad)") {
                    return KnownDifferences.weDecode.contains(instruction.mnemonic)
                        ? nil : Difference(line: line, ours: ours)
                }
                if Int(instruction.length) != line.bytes.count {
                    // Objdump joins FWAIT and the x87 instruction after it.
                    if instruction.mnemonic == .wait { return nil }
                    return Difference(line: line, ours: "length \(instruction.length) \(ours)")
                }
                if ours == text || KnownDifferences.isOnlySpelling(instruction, ours, line, text, code) { return nil }
                return Difference(line: line, ours: ours)
            } catch {
                if text.hasPrefix("(bad)") || KnownDifferences.weDoNot(line, text, code) { return nil }
                return Difference(line: line, ours: "\(error)")
            }
        }
    }

    private static let sizeNames: [(String, UInt16)] = [
        ("BYTE", 1), ("WORD", 2), ("DWORD", 4), ("FWORD", 6), ("QWORD", 8), ("TBYTE", 10), ("XMMWORD", 16),
        ("YMMWORD", 32),
    ]

    /// The memory operands of another size than objdump's, in its Intel syntax.
    static func compareMemorySizes(_ lines: [Objdump.Line], code: CodeSize) -> [Difference] {
        lines.compactMap { line in
            guard let instruction = decode(line.bytes, code),
                let mark = line.text.range(of: " PTR ")
            else { return nil }
            let name = line.text[..<mark.lowerBound].split(whereSeparator: { " ,".contains($0) }).last
            let operands = [
                instruction.operands.0, instruction.operands.1, instruction.operands.2, instruction.operands.3,
            ]
            guard let theirs = sizeNames.first(where: { $0.0 == name ?? "" })?.1,
                let ours = operands.first(where: { $0.kind == .memory })?.size
            else { return nil }
            // INVLPG accesses nothing.
            return ours == theirs || ours == 0 ? nil : Difference(line: line, ours: "\(instruction.mnemonic) \(ours)")
        }
    }

    /// The commonest kinds of difference with an example of each.
    static func summary(_ differences: [Difference]) -> String {
        let groups = Dictionary(grouping: differences) { difference in
            let ours = difference.ours.prefix { $0 != " " }
            return "\(ours) for \(normalize(difference.line.text).prefix { $0 != " " })"
        }
        return groups.sorted { $0.value.count > $1.value.count }.prefix(40).map { name, members in
            "\n\(members.count) \(name): \(members[0].line) -> \(members[0].ours)"
        }.joined()
    }

    private static let prefixes: Set<String> = [
        "cs", "ds", "es", "ss", "fs", "gs", "data16", "data32", "addr32", "addr16", "notrack", "bnd", "xacquire",
        "xrelease", "repz", "repnz", "rep", "lock",
    ]

    /// Drops what the decoder does not keep: prefixes without effect, branch hints, symbols, the pseudo index register.
    static func normalize(_ text: String) -> String {
        var text = text
        if let mark = text.firstIndex(of: "#") { text = String(text[..<mark]) }
        if let mark = text.firstIndex(of: "<") { text = String(text[..<mark]) }
        for remark in ["(8087 only)", "(287 only)", ",pn", ",pt"] {
            text = text.replacingOccurrences(of: remark, with: "")
        }
        var words = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        while let first = words.first, prefixes.contains(first) || first.hasPrefix("rex") { words.removeFirst() }
        // In ELF files objdump prints branch targets without 0x.
        if let name = words.first, name.hasPrefix("j") || name.hasPrefix("call") || name.hasPrefix("loop") {
            words = words.map { $0.hasPrefix("0x") ? String($0.dropFirst(2)) : $0 }
        }
        text = words.joined(separator: " ")
        for pseudo in [",%riz,", ",%eiz,"] {
            if let range = text.range(of: pseudo), let end = text[range.upperBound...].firstIndex(of: ")") {
                text.removeSubrange(range.lowerBound..<end)
            }
        }
        return text
    }
}
