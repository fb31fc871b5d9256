import Foundation
import TestSupport
import X86

/// Runs binutils' objdump.
enum Objdump {
    /// One line of its output.
    struct Line: CustomStringConvertible {
        var address: UInt64
        var bytes: [UInt8]
        /// Mnemonic and operands.
        var text: String
        var description: String {
            "\(bytes.map { String($0, radix: 16) }.joined(separator: " ")): \(text)"
        }
    }

    struct Failure: Error {
        var status: Int32
    }

    static let path = "/usr/bin/objdump"
    /// Programs with much code of many kinds, those of them that are here.
    static let programs = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6"]
        .filter(FileManager.default.isReadableFile)
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Disassembles a section of an ELF file.
    static func disassemble(section: String, of file: String) throws -> [Line] {
        try run(["-d", "-w", "-M", "intel64", "-j", section, file])
    }

    /// Disassembles raw bytes.
    static func disassemble(_ bytes: [UInt8], code: CodeSize, options: String = "intel64") throws -> [Line] {
        let machine =
            switch code {
            case .bits16: "i8086"
            case .bits32: "i386"
            case .bits64: "i386:x86-64"
            }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("x86-\(UUID().uuidString).bin")
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try run(["-D", "-w", "-z", "-b", "binary", "-m", machine, "-M", options, file.path])
    }

    private static func run(_ arguments: [String]) throws -> [Line] {
        let program = try HostProgram.run(path, arguments)
        guard program.status == 0 else { throw Failure(status: program.status) }
        return [UInt8](program.output.utf8).split(separator: UInt8(ascii: "\n")).compactMap(parse)
    }

    /// Parses `  1139:\t55                   \tpush   %rbp`.
    private static func parse(_ line: ArraySlice<UInt8>) -> Line? {
        let fields = line.split(separator: UInt8(ascii: "\t"), maxSplits: 2)
        guard fields.count == 3, fields[0].last == UInt8(ascii: ":") else { return nil }
        let address = fields[0].reduce(0 as UInt64) { sum, character in
            digit(character).map { sum << 4 | UInt64($0) } ?? sum
        }
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in fields[1] {
            guard let digit = digit(character) else { continue }
            if let value = high {
                bytes.append(value << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return Line(address: address, bytes: bytes, text: String(decoding: fields[2], as: UTF8.self))
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
