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

    init(
        path: String, version: UInt64, machines: [(name: String, canonical: String?)], devices: Set<String>,
        processorModels: [String], isApus: Bool
    ) {
        self.path = path
        self.version = version
        self.machines = machines
        self.devices = devices
        self.processorModels = processorModels
        self.isApus = isApus
    }

    /// Asks a program. Nil: it cannot be run, or is no emulator.
    init?(probing path: String) {
        // All at once: each spends its time in its own start.
        let questions = [["-version"], ["-machine", "help"], ["-cpu", "help"], ["-device", "help"]]
        let started = questions.map { try? ChildProgram(path, $0) }
        let answers = started.map { $0?.finish(milliseconds: 60_000).output }
        guard let version = answers[0],
            let range = version.firstRange(of: "version ")
        else { return nil }
        let numbers = version[range.upperBound...].prefix { $0.isNumber || $0 == "." }.split(separator: ".")
            .map { UInt64($0) ?? 0 }
        guard numbers.count >= 2 else { return nil }
        self.path = path
        self.version = numbers[0] * 1_000_000 + numbers[1] * 1000 + (numbers.count > 2 ? numbers[2] : 0)
        isApus = version.contains("apus")
        machines = Emulator.machines(answers[1] ?? "")
        processorModels = Emulator.processors(answers[2] ?? "")
        devices = Emulator.devices(answers[3] ?? "")
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
}
