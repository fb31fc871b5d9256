internal import Machine

/// Takes a line of the monitor for people apart, by the arguments that its command declares.
struct HMPLineParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ line: String) { bytes = Array(line.utf8) }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }
    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x09 { position += 1 }
    }

    /// The first word, which ends at a blank or a slash.
    mutating func commandName() -> String? {
        skipSpace()
        let start = position
        while let byte = current, byte != 0x20, byte != 0x09, byte != UInt8(ascii: "/") { position += 1 }
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    /// The arguments; throws what does not fit.
    mutating func arguments(
        of command: HMPCommand, machine: any MachineOperations, state: HMPState
    ) throws(MonitorError) -> HMPArguments {
        var result = HMPArguments()
        result.format = state.format
        for argument in command.arguments {
            skipSpace()
            switch argument.kind {
            case .flag(let letter):
                if current == UInt8(ascii: "-"), position + 1 < bytes.count,
                    bytes[position + 1] == letter.asciiValue,
                    position + 2 == bytes.count || bytes[position + 2] == 0x20
                {
                    position += 2
                    result.flags.insert(letter)
                }
            case .format:
                if command.name == "print" { result.format = MemoryFormat() }
                result.format.count = 1
                if current == UInt8(ascii: "/") { try format(&result.format) }
            case .rest:
                let text = String(decoding: bytes[position...], as: UTF8.self)
                position = bytes.count
                if !text.isEmpty { result.words[argument.name] = text }
                if text.isEmpty, !argument.isOptional { throw .generic("\(command.name): string expected") }
            case .word:
                if let word = try word() {
                    result.words[argument.name] = word
                } else if !argument.isOptional {
                    throw .generic("\(command.name): \(argument.name == "filename" ? "filename" : "string") expected")
                }
            case .expression:
                if current == nil {
                    if argument.isOptional { continue }
                    throw .generic("unexpected end of expression")
                }
                result.numbers[argument.name] = try expression(machine: machine, state: state)
            }
        }
        skipSpace()
        guard current == nil else {
            throw .generic("\(command.title): extraneous characters at the end of line")
        }
        return result
    }

    private mutating func word() throws(MonitorError) -> String? {
        guard let first = current else { return nil }
        var word: [UInt8] = []
        guard first == UInt8(ascii: "\"") else {
            while let byte = current, byte != 0x20, byte != 0x09 {
                word.append(byte)
                position += 1
            }
            return String(decoding: word, as: UTF8.self)
        }
        position += 1
        while let byte = current, byte != UInt8(ascii: "\"") {
            position += 1
            guard byte == UInt8(ascii: "\\") else {
                word.append(byte)
                continue
            }
            guard let escaped = current else { break }
            position += 1
            switch escaped {
            case UInt8(ascii: "n"): word.append(0x0a)
            case UInt8(ascii: "r"): word.append(0x0d)
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): word.append(escaped)
            default: throw .generic("unsupported escape code: '\\\(Character(UnicodeScalar(escaped)))'")
            }
        }
        guard current != nil else { throw .generic("unterminated string") }
        position += 1
        return String(decoding: word, as: UTF8.self)
    }

    private mutating func format(_ format: inout MemoryFormat) throws(MonitorError) {
        position += 1
        var hasSize = false
        var hasCount = false
        while let byte = current, byte != 0x20, byte != 0x09 {
            position += 1
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                format.count = (hasCount ? format.count : 0) * 10 + Int(byte - UInt8(ascii: "0"))
                hasCount = true
                guard format.count <= MemoryFormat.countLimit else {
                    throw .generic("invalid count in format: at most \(MemoryFormat.countLimit)")
                }
            case UInt8(ascii: "b"): format.size = 1
            case UInt8(ascii: "h"): format.size = 2
            case UInt8(ascii: "w"): format.size = 4
            case UInt8(ascii: "g"), UInt8(ascii: "L"): format.size = 8
            case UInt8(ascii: "o"), UInt8(ascii: "d"), UInt8(ascii: "u"), UInt8(ascii: "x"), UInt8(ascii: "c"),
                UInt8(ascii: "i"):
                format.letter = byte
            default: throw .generic("invalid char in format: '\(printable(String(UnicodeScalar(byte))))'")
            }
            hasSize =
                hasSize || [UInt8(ascii: "b"), UInt8(ascii: "h"), UInt8(ascii: "w"), UInt8(ascii: "g")].contains(byte)
        }
        if format.letter == UInt8(ascii: "c"), !hasSize { format.size = 1 }
    }

    private mutating func expression(
        machine: any MachineOperations, state: HMPState
    ) throws(MonitorError) -> UInt64 {
        var expression = MonitorExpression(bytes: bytes, position: position) { name in
            guard let registers = try? machine.registers(of: state.processor) else { return nil }
            return RegisterText.value(of: name, registers)
        }
        let value = try expression.evaluate()
        position = expression.position
        return value
    }
}
