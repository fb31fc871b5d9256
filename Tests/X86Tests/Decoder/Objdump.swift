import Foundation

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
    static let libc = "/lib/x86_64-linux-gnu/libc.so.6"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Disassembles a section of an ELF file.
    static func disassemble(section: String, of file: String, limit: Int) throws -> [Line] {
        try run(["-d", "-w", "-M", "intel64", "--no-addresses", "-j", section, file], limit: limit)
    }

    /// Disassembles raw bytes.
    static func disassemble(_ bytes: [UInt8], machine: String) throws -> [Line] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("x86-\(UUID().uuidString).bin")
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try run(
            ["-D", "-w", "-z", "-b", "binary", "-m", "i386", "-M", machine + ",intel64", file.path], limit: 64 << 20)
    }

    private static func run(_ arguments: [String], limit: Int) throws -> [Line] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments.filter { $0 != "--no-addresses" }
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(status: process.terminationStatus) }
        return output.split(separator: UInt8(ascii: "\n")).compactMap(parse)
    }

    /// Parses `  1139:\t55                   \tpush   %rbp`.
    private static func parse(_ line: Data) -> Line? {
        let fields = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        guard fields.count >= 3, let colon = fields[0].firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = String(decoding: fields[0][..<colon], as: UTF8.self).trimmingCharacters(in: .whitespaces)
        guard let address = UInt64(digits, radix: 16) else { return nil }
        var bytes: [UInt8] = []
        var value: UInt8?
        for character in fields[1] {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - 0x30
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - 0x61 + 10
            default: continue
            }
            if let high = value {
                bytes.append(high << 4 | digit)
                value = nil
            } else {
                value = digit
            }
        }
        let text = fields[2...].map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        return Line(address: address, bytes: bytes, text: text)
    }
}
