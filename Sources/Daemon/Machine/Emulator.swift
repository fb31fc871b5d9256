internal import HostOS
internal import Synchronization

/// What one emulator program can do, found by asking it.
struct Emulator: Sendable {
    /// The program.
    let path: String
    /// Major, minor and micro version in libvirt's form: 7002022 is 7.2.22.
    let version: UInt64
    /// Boards, in the program's order, with what an alias stands for.
    let machines: [(name: String, canonical: String?)]
    /// Names that `-device` takes, aliases too.
    let devices: Set<String>
    /// Names that `-cpu` takes, without those that only say a version.
    let processorModels: [String]
    /// Whether it is ours: then its consoles, engines and limits are known.
    let isApus: Bool

    /// Whether a socket that already listens can be handed to it: then it can be connected to at once.
    var takesListener: Bool { !isApus }

    /// Whether machines may use the host's own virtualization.
    var offersKVM: Bool { (try? HostFile.open("/dev/kvm", HostFile.Mode.readWrite)) != nil }

    func has(device: String) -> Bool { devices.contains(device) }

    /// The board that a name stands for; the default board for nil.
    func canonicalMachine(_ name: String?) -> String {
        let wanted = name ?? "pc"
        return machines.first { $0.name == wanted }?.canonical ?? wanted
    }

    /// Asks a program. Nil: it cannot be run, or is no emulator.
    init?(probing path: String) {
        guard let version = Emulator.output(path, ["-version"]),
            let range = version.firstRange(of: "version ")
        else { return nil }
        let numbers = version[range.upperBound...].prefix { $0.isNumber || $0 == "." }.split(separator: ".")
            .map { UInt64($0) ?? 0 }
        guard numbers.count >= 2 else { return nil }
        self.path = path
        self.version = numbers[0] * 1_000_000 + numbers[1] * 1000 + (numbers.count > 2 ? numbers[2] : 0)
        isApus = version.contains("apus")
        machines = Emulator.machines(Emulator.output(path, ["-machine", "help"]) ?? "")
        processorModels = Emulator.processors(Emulator.output(path, ["-cpu", "help"]) ?? "")
        devices = Emulator.devices(Emulator.output(path, ["-device", "help"]) ?? "")
    }

    /// Lines such as `pc   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)`.
    static func machines(_ text: String) -> [(name: String, canonical: String?)] {
        text.split(separator: "\n").compactMap { line in
            guard let name = line.split(separator: " ").first, !line.hasSuffix(":") else { return nil }
            var canonical: String?
            if let range = line.firstRange(of: "(alias of ") {
                canonical = String(line[range.upperBound...].prefix { $0 != ")" })
            }
            return (String(name), canonical)
        }
    }

    /// Lines such as `x86 EPYC-v1   AMD EPYC Processor`.
    static func processors(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 2, words[0] == "x86" else { return nil }
            let name = words[1]
            guard let dash = name.lastIndex(of: "-"), name[dash...].hasPrefix("-v"),
                name[name.index(dash, offsetBy: 2)...].allSatisfy(\.isNumber)
            else { return ["base", "host", "max"].contains(name) ? nil : String(name) }
            return nil
        }
    }

    /// Lines such as `name "virtio-net-pci", bus PCI, alias "virtio-net"`.
    static func devices(_ text: String) -> Set<String> {
        var names: Set<String> = []
        for line in text.split(separator: "\n") where line.hasPrefix("name ") {
            let quoted = line.split(separator: "\"", omittingEmptySubsequences: false)
            if quoted.count > 1 { names.insert(String(quoted[1])) }
            if let range = line.firstRange(of: "alias \"") {
                names.insert(String(line[range.upperBound...].prefix { $0 != "\"" }))
            }
        }
        return names
    }

    /// What a program prints. It gets a minute.
    private static func output(_ path: String, _ arguments: [String]) -> String? {
        guard let (process, input) = start(path, arguments) else { return nil }
        var text: [UInt8] = []
        let deadline = HostClock.monotonic + 60_000_000_000
        while HostClock.monotonic < deadline, text.count < 4 << 20 {
            guard input.wait(for: [.read], milliseconds: 60_000) != [] else { break }
            guard let part = try? input.readAvailable(limit: 1 << 16), !part.isEmpty else { break }
            text += part
        }
        if !process.waitForEnd(milliseconds: 60_000) { process.kill() }
        _ = process.waitForEnd(milliseconds: 60_000)
        process.reap()
        return String(decoding: text, as: UTF8.self)
    }

    /// Starts it with a pipe, whose writing end then belongs to it alone: so its end is seen.
    private static func start(_ path: String, _ arguments: [String]) -> (HostProcess, Descriptor)? {
        guard let (input, output) = try? DescriptorPair.pipe(),
            let null = try? HostFile.open("/dev/null", HostFile.Mode.readWrite),
            let process = try? HostProcess.spawn(
                path, arguments: [path] + arguments, environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                descriptors: [null, output, null])
        else { return nil }
        return (process, input)
    }
}

/// The emulators of this host. Each is asked once, when it is first needed, and again when its file has changed.
final class EmulatorList: Sendable {
    private let known = Mutex<[String: (size: Int64, emulator: Emulator)]>([:])
    /// The programs that domains without `<emulator>` use, best first.
    let paths: [String]

    init(paths: [String]) { self.paths = paths }

    /// The program for domains that name none.
    var standard: Emulator? {
        for path in paths {
            if let emulator = emulator(path) { return emulator }
        }
        return nil
    }

    /// A program by its path.
    func emulator(_ path: String) -> Emulator? {
        let status = HostFile.status(path)
        guard status.kind == .file else { return nil }
        if let found = known.withLock({ $0[path] }), found.size == status.size { return found.emulator }
        guard let emulator = Emulator(probing: path) else { return nil }
        known.withLock { $0[path] = (status.size, emulator) }
        return emulator
    }
}
