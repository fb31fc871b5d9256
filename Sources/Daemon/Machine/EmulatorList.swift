internal import DomainModel
internal import HostOS
internal import Synchronization

/// The emulators of this host. Each is asked once, when it is first needed, and again when its file has changed; the
/// answers are kept on the disk, for the next daemon.
final class EmulatorList: Sendable {
    /// Held by who asks a program: who comes next waits for that answer.
    private let asking = Mutex<Void>(())
    private let known = Mutex<[String: (mark: String, emulator: Emulator)]>([:])
    /// The programs that domains without `<emulator>` use, best first.
    let paths: [String]
    private let folder: DocumentFolder
    /// What machines begin with.
    let firmware: FirmwareCatalog

    /// - Parameter cache: the folder for what was answered.
    init(paths: [String], cache: String, firmware: FirmwareCatalog) {
        self.firmware = firmware
        self.paths = paths
        folder = DocumentFolder(path: cache)
    }

    /// The program for domains that name none.
    var standard: Emulator? {
        for path in paths {
            if let emulator = emulator(path) { return emulator }
        }
        return nil
    }

    /// A program by its path.
    func emulator(_ path: String) -> Emulator? {
        guard HostFile.status(path).kind == .file, let mark = EmulatorList.mark(path) else { return nil }
        if let found = known.withLock({ $0[path] }), found.mark == mark { return found.emulator }
        return asking.withLock { _ in ask(path, mark) }
    }

    private func ask(_ path: String, _ mark: String) -> Emulator? {
        if let found = known.withLock({ $0[path] }), found.mark == mark { return found.emulator }
        let name = String(path.map { $0 == "/" ? "-" : $0 }.suffix(200))
        if let kept = try? folder.read(name), kept["mark"] == mark, kept["path"] == path,
            let emulator = Emulator(kept: kept)
        {
            known.withLock { $0[path] = (mark, emulator) }
            return emulator
        }
        guard let emulator = Emulator(probing: path) else { return nil }
        known.withLock { $0[path] = (mark, emulator) }
        var document = emulator.document
        document.set("mark", mark)
        // Who cannot keep it asks again.
        try? folder.save(name, document)
        return emulator
    }

    /// Tells one state of a program and of its modules from all others.
    private static func mark(_ path: String) -> String? {
        guard let details = try? HostFile.details(path) else { return nil }
        var words = ["\(HostFile.status(path).size)"]
        let modules = try? HostFile.details("/usr/lib/x86_64-linux-gnu/qemu")
        for time in [details.modified, details.changed] + (modules.map { [$0.modified] } ?? []) {
            words.append("\(time.seconds).\(time.nanoseconds)")
        }
        return words.joined(separator: " ")
    }
}

extension Emulator {
    /// What is kept of it.
    var document: XMLTree {
        var tree = XMLTree.of(
            "emulator", ["path": path, "version": "\(version)", "apus": isApus ? "yes" : "no"])
        for machine in machines {
            var element = XMLTree.of("machine", ["name": machine.name])
            element.set("canonical", machine.canonical)
            tree.append(element)
        }
        tree.append(.text("devices", devices.sorted().joined(separator: " ")))
        tree.append(.text("models", processorModels.joined(separator: " ")))
        return tree
    }

    /// What was kept; nil: it is damaged.
    init?(kept tree: XMLTree) {
        guard tree.name == "emulator", let path = tree["path"], let version = tree["version"].flatMap({ UInt64($0) }),
            let devices = tree.child("devices")?.text, let models = tree.child("models")?.text
        else { return nil }
        self.init(
            path: path, version: version,
            machines: tree.all("machine").map { (name: $0["name"] ?? "", canonical: $0["canonical"]) },
            devices: Set(devices.split(separator: " ").map(String.init)),
            processorModels: models.split(separator: " ").map(String.init), isApus: tree["apus"] == "yes")
    }
}
