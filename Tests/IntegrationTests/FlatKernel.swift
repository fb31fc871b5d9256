import Foundation
import TestSupport

/// A small kernel in the form in which test kernels come: a 32-bit ELF file with a multiboot header, that writes to the
/// first serial port and ends the machine by isa-debug-exit at F4H.
struct FlatKernel: Sendable, CustomStringConvertible {
    let name: String
    let code: [UInt8]

    init(_ name: String, _ code: [UInt8]) {
        self.name = name
        self.code = code
    }

    var description: String { name }

    private static let start = 0x10_0000
    private static let libraryStart = 0x11_0000

    /// The file: header and one program header, then from 1000H on what goes to 1 MiB.
    var file: [UInt8] {
        func little(_ value: Int, _ size: Int) -> [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        // Multiboot 0.6.96, 3.1.1: magic, flags, and what makes the sum zero.
        let magic = 0x1BAD_B002
        var image = little(magic, 4) + little(0, 4) + little(-magic, 4) + code
        image += [UInt8](repeating: 0, count: Self.libraryStart - Self.start - image.count) + Self.library
        // ELF-32, executable, for the 80386; the entry is behind the multiboot header.
        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 1, 1, 1] + [UInt8](repeating: 0, count: 9)
        file += little(2, 2) + little(3, 2) + little(1, 4) + little(Self.start + 12, 4) + little(52, 4)
        file += little(0, 4) + little(0, 4) + little(52, 2) + little(32, 2) + little(1, 2) + little(40, 2)
        file += little(0, 2) + little(0, 2)
        file += little(1, 4) + little(0x1000, 4) + little(Self.start, 4) + little(Self.start, 4)
        file += little(image.count, 4) + little(image.count + 0x1000, 4) + little(7, 4) + little(0x1000, 4)
        return file + [UInt8](repeating: 0, count: 0x1000 - file.count) + image
    }

    /// The kernel that ends with a value.
    static func exiting(_ value: UInt32) -> FlatKernel {
        var code = exit
        for index in 0..<4 { code[6 + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8)) }
        return FlatKernel("exit \(value)", code)
    }
}

/// Programs that are run to their end.
enum Runner {
    static let peer = "/usr/bin/qemu-system-x86_64"
    static let hasPeer = FileManager.default.isExecutableFile(atPath: peer)
    static let hasProgram = FileManager.default.isExecutableFile(atPath: Repository.program)
    /// KVM opens for this user.
    static let hasKVM = FileManager.default.isWritableFile(atPath: "/dev/kvm")
    /// It emulates ring 0, as the processor shows no virtualization.
    static let isParavirtual: Bool = {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        return !text.contains(" vmx") && !text.contains(" svm")
    }()

    /// Runs a program to its end, at most `seconds` long.
    static func run(_ program: String, _ arguments: [String], seconds: Double = 90) throws -> HostProgram {
        try HostProgram.run(program, arguments, seconds: seconds)
    }

    /// A folder for a test's files, which goes with the test.
    static func withFolder<R>(_ body: (String) throws -> R) throws -> R {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-flat.\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder.path)
    }
}
