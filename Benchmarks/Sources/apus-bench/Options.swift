import Foundation

/// What a run is told by its environment.
struct Options {
    let rounds: Int
    /// Parts of the names of rows and groups that are wanted; empty for all.
    let only: [String]
    let processor: String
    let peer: String
    let program: String
    let kernel: String
    let initramfs: String
    /// The multiboot kernel that times exits.
    let exits: String
    /// A Debian that firmware boots, a disk that paints without end, and a viewer that counts: rows without theirs are
    /// skipped.
    let bootDisk: String
    let motion: String
    let viewer: String
    /// Mebibytes of each guest.
    let memory: Int
    /// Seconds after which a row counts as failed.
    let limit: Double
    /// Further options for both machines.
    let more: [String]

    struct Unusable: Error, CustomStringConvertible {
        let description: String
    }

    init(_ environment: [String: String]) throws(Unusable) {
        func number(_ name: String, _ otherwise: Int, _ range: ClosedRange<Int>) throws(Unusable) -> Int {
            guard let text = environment[name], !text.isEmpty else { return otherwise }
            guard let value = Int(text), range.contains(value) else {
                throw Unusable(
                    description: "\(name) must be from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
            }
            return value
        }
        func text(_ name: String, _ otherwise: String) -> String {
            environment[name].flatMap { $0.isEmpty ? nil : $0 } ?? otherwise
        }
        rounds = try number("ROUNDS", 5, 1...99)
        memory = try number("MEMORY", 512, 128...65536)
        limit = Double(try number("LIMIT", 60, 1...3600))
        only = text("ONLY", "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        processor = text("CPU", "qemu64")
        peer = text("QEMU", "qemu-system-x86_64")
        program = text("APUS", ".build/release/apus-vmm")
        kernel = text("KERNEL", "guest/vmlinuz")
        initramfs = text("INITRAMFS", "guest/bench.cpio.gz")
        exits = text("EXITS", "guest/exits.flat")
        bootDisk = text("BOOTDISK", "guest/boot.qcow2")
        motion = text("MOTION", "guest/motion.raw")
        viewer = text("VIEWER", "guest/viewer")
        more = text("OPTIONS", "").split(separator: " ").map(String.init)
        for file in [program, kernel, initramfs, exits] where !FileManager.default.fileExists(atPath: file) {
            throw Unusable(description: "There is no \(file); 'make bench' makes it")
        }
        guard Self.path(of: peer) != nil else {
            throw Unusable(description: "There is no \(peer) to compare with; it is in Debian's qemu-system-x86")
        }
    }

    func wants(_ name: String, _ group: Workload.Group) -> Bool {
        only.isEmpty || only.contains { name.lowercased().contains($0) || group.rawValue == $0 }
    }

    /// Where a program is, as a shell finds it.
    static func path(of program: String) -> String? {
        if program.contains("/") { return program }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        return folders.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
