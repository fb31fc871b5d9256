internal import DomainModel
internal import HostOS
internal import RPCWire

/// Makes a definition that a client sent whole: what it leaves out is filled in for this host, what it must not say is
/// refused.
enum DomainDefaults {
    struct Parsed: Sendable {
        var name: String
        var uuid: UUIDBytes
        var tree: XMLTree
    }

    /// Reads a domain's definition and completes it.
    static func parse(_ text: String, _ emulators: EmulatorList) throws(LibvirtError) -> Parsed {
        do throws(DefinitionError) {
            var domain = try DomainModel.Domain(xml: text)
            domain.id = nil
            var profile = try profile(domain.devices.emulator, emulators)
            profile.variablesFolder = emulators.firmware.variables
            try domain.fillIn(profile)
            return try parsed(domain)
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.none, message: error.message)
        }
    }

    /// Reads what was completed before, from the disk.
    static func read(_ tree: XMLTree) throws(LibvirtError) -> Parsed {
        do throws(DefinitionError) {
            return try parsed(DomainModel.Domain(tree: tree, options: [.lenient]))
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.none, message: error.message)
        }
    }

    private static func parsed(_ domain: DomainModel.Domain) throws(DefinitionError) -> Parsed {
        guard domain.name != ".", domain.name != ".." else {
            throw DefinitionError(.xmlError, "XML error: name \(domain.name) is not allowed")
        }
        guard let uuid = domain.uuid.flatMap({ UUIDBytes($0.bytes) }) else {
            throw DefinitionError(.internalError, "internal error: malformed uuid element")
        }
        return Parsed(name: domain.name, uuid: uuid, tree: domain.tree(options: [.secure]))
    }

    /// What this host has for a domain of an emulator; nil: of the standard one.
    private static func profile(_ path: String?, _ emulators: EmulatorList) throws(DefinitionError) -> HostProfile {
        guard let emulator = path.map({ emulators.emulator($0) }) ?? emulators.standard else {
            throw DefinitionError(
                .init(rawValue: VirErrorNumber.systemError),
                "Cannot check QEMU binary \(path ?? "qemu-system-x86_64"): No such file or directory")
        }
        return profile(emulator)
    }

    /// What this host has for a domain of an emulator.
    static func profile(_ emulator: Emulator) -> HostProfile {
        var aliases: [String: String] = [:]
        var machines: Set<String> = []
        for machine in emulator.machines {
            machines.insert(machine.canonical ?? machine.name)
            if let canonical = machine.canonical { aliases[machine.name] = canonical }
        }
        return HostProfile(
            emulators: ["x86_64": emulator.path, "i686": emulator.path], machineAliases: aliases, machines: machines,
            offersKVM: emulator.offersKVM)
    }
}
