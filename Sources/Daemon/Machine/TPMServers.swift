internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization
internal import SystemPackage

/// The swtpm processes of machines with an emulated TPM. They end with the connection to their machine, so that machine and
/// TPM go on together while no daemon runs.
final class TPMServers: Sendable {
    private static let program = "/usr/bin/swtpm"
    /// Makes a new TPM with the certificates that a maker would have put into it.
    private static let maker = "/usr/bin/swtpm_setup"

    private let folder: String
    private let logs: String
    private let secrets: SecretDriver
    private let running = Mutex<[UUIDBytes: [HostProcess]]>([:])
    private let log = Logger("tpm")

    /// Whether the host can emulate one.
    static var isAvailable: Bool { HostFile.status(program).kind == .file }

    init(paths: DaemonPaths, secrets: SecretDriver) {
        folder = paths.state + "/swtpm"
        logs = paths.logs + "/swtpm/libvirt/qemu"
        self.secrets = secrets
    }

    /// What a TPM remembers.
    private func state(_ domain: UUIDBytes, _ backend: TPM.Backend) -> String {
        "\(folder)/\(domain)/\(backend.version == "1.2" ? "tpm1.2" : "tpm2")"
    }

    /// Starts those of a machine; their sockets are in its folder, and wait for it.
    ///
    /// - Parameter isIncoming: what the TPM remembers comes with the machine.
    func start(
        _ domain: UUIDBytes, _ live: XMLTree, folder: String, isIncoming: Bool, _ confinement: ServerConfinement
    ) throws(LibvirtError) {
        guard DomainFigures.devices(live, "tpm").contains(where: { $0.child("backend")?["type"] == "emulator" }),
            let definition = try? DomainModel.Domain(tree: live, options: [.lenient])
        else { return }
        guard Self.isAvailable else {
            throw LibvirtError.configUnsupported("Unable to find 'swtpm' binary in $PATH")
        }
        for tpm in definition.devices.tpms where tpm.backend.type == "emulator" && tpm.backend.source?.path == nil {
            do throws(HostError) {
                try start(domain, definition.name, tpm.backend, folder: folder, isIncoming: isIncoming, confinement)
            } catch { throw LibvirtError.system("\(error)") }
        }
    }

    private func start(
        _ domain: UUIDBytes, _ name: String, _ backend: TPM.Backend, folder: String, isIncoming: Bool,
        _ confinement: ServerConfinement
    ) throws(HostError) {
        let state = state(domain, backend)
        try HostFolder.make(logs, permissions: 0o700)
        let logPath = "\(logs)/\(name)-swtpm.log"
        let isNew = ((try? HostFolder.names(in: state)) ?? []).isEmpty
        try HostFolder.make(state, permissions: 0o700)
        let phrase = try phrase(backend)
        let version = backend.version == "1.2" ? [] : ["--tpm2"]
        if isNew, !isIncoming {
            let words = ["--tpm-state", state, "--vmid", "\(name):\(domain)", "--logfile", logPath] + version
            try make(words, backend, phrase, folder)
        }
        let listener = try SecurityLabels.withSockets(of: confinement.label?.process) { () throws(HostError) in
            try Socket.listen(try SocketAddress.unix("\(folder)/swtpm.sock"))
        }
        try listener.setNonBlocking(false)
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        let output = try HostFile.open(logPath, HostFile.Mode.append, permissions: 0o600)
        try confinement.take(state)
        try confinement.labelOwn(logPath)
        var descriptors = [null, output, output, listener]
        var words = [
            "socket", "--ctrl", "type=unixio,fd=3", "--tpmstate", "dir=\(state),mode=0600", "--terminate",
        ]
        if let phrase {
            // It reads each to its end while it starts.
            for option in ["--key", "--migration-key"] {
                let (input, writer) = try DescriptorPair.pipe()
                try writer.writeAll(phrase)
                words += [option, "pwdfd=\(descriptors.count),mode=aes-256-cbc"]
                descriptors.append(input)
            }
        }
        let own: [MachineConfinement.Place] = [(state, [.read, .write, .change, .move])]
        let process = try confinement.spawn(
            Self.program, words + version, descriptors, places: MachineConfinement.programs + own)
        running.withLock { $0[domain, default: []].append(process) }
    }

    /// What encrypts a TPM's state; nil: nothing does.
    private func phrase(_ backend: TPM.Backend) throws(HostError) -> [UInt8]? {
        guard let secret = backend.encryptionSecret else { return nil }
        var reference = SecretReference()
        reference.uuid = secret
        let value: [UInt8]
        do throws(LibvirtError) { value = try secrets.value(of: reference, usage: "vtpm") } catch {
            throw HostError("encrypt the TPM's state: \(error)", .invalidArgument)
        }
        // A pipe holds as much without a reader.
        guard value.count <= 32_768 else { throw HostError("use a phrase of \(value.count) bytes", .invalidArgument) }
        return value
    }

    /// A TPM without certificates is one nevertheless: what goes wrong here is for the log.
    private func make(
        _ words: [String], _ backend: TPM.Backend, _ phrase: [UInt8]?, _ folder: String
    ) throws(HostError) {
        guard HostFile.status(Self.maker).kind == .file else {
            return log.info("There is no swtpm_setup: a new TPM has no certificates")
        }
        var words = words + ["--create-ek-cert", "--create-platform-cert", "--lock-nvram", "--not-overwrite"]
        if let banks = backend.banks {
            let list = [
                ("sha1", banks.sha1), ("sha256", banks.sha256), ("sha384", banks.sha384), ("sha512", banks.sha512),
            ]
            words += ["--pcr-banks", list.filter(\.1).map(\.0).joined(separator: ",")]
        }
        let path = "\(folder)/tpm.key"
        if let phrase {
            try HostFile.replace(path, with: phrase, permissions: 0o600)
            words += ["--pwdfile", path, "--cipher", "aes-256-cbc"]
        }
        defer { if phrase != nil { try? HostFile.remove(path) } }
        do throws(LibvirtError) {
            if HostIdentity.userID != 0 {
                try ChildProgram.run(Self.maker, ["--create-config-files", "skip-if-exist"])
            }
            try ChildProgram.run(Self.maker, words)
        } catch { log.warning("A new TPM has no certificates: \(error)") }
    }

    /// Takes those of a machine that has gone off the host.
    func end(_ domain: UUIDBytes) {
        for process in running.withLock({ $0.removeValue(forKey: domain) }) ?? [] {
            // It writes down what it remembers.
            if !process.waitForEnd(milliseconds: 2000) { process.kill() }
            _ = process.waitForEnd(milliseconds: 5000)
            process.reap()
        }
    }

    /// A domain that is gone needs no TPM any more, unless its definition or a client says so.
    func forget(_ domain: UUIDBytes, _ definition: XMLTree, flags: UInt32 = 0) {
        let isKept = DomainFigures.devices(definition, "tpm").contains {
            $0.child("backend")?["persistent_state"] == "yes"
        }
        typealias Flags = VirDomainUndefineFlagsValues
        guard flags & Flags.tpm != 0 || !isKept && flags & Flags.keepTpm == 0 else { return }
        HostFile.removeTree("\(folder)/\(domain)")
    }
}
