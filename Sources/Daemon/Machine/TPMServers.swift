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
        _ domain: UUIDBytes, _ live: XMLTree, folder: String, isIncoming: Bool, _ label: MachineLabel?
    ) throws(LibvirtError) {
        guard DomainFigures.devices(live, "tpm").contains(where: { $0.child("backend")?["type"] == "emulator" }),
            let definition = try? DomainModel.Domain(tree: live, options: [.lenient])
        else { return }
        guard Self.isAvailable else {
            throw LibvirtError.configUnsupported("Unable to find 'swtpm' binary in $PATH")
        }
        for tpm in definition.devices.tpms where tpm.backend.type == "emulator" && tpm.backend.source?.path == nil {
            do throws(HostError) {
                try start(domain, definition.name, tpm.backend, folder: folder, isIncoming: isIncoming, label)
            } catch { throw LibvirtError.system("\(error)") }
        }
    }

    private func start(
        _ domain: UUIDBytes, _ name: String, _ backend: TPM.Backend, folder: String, isIncoming: Bool,
        _ label: MachineLabel?
    ) throws(HostError) {
        let state = state(domain, backend)
        try HostFolder.make(logs, permissions: 0o700)
        let logPath = "\(logs)/\(name)-swtpm.log"
        let isNew = ((try? HostFolder.names(in: state)) ?? []).isEmpty
        try HostFolder.make(state, permissions: 0o700)
        var key: [String] = []
        if let secret = backend.encryptionSecret {
            var reference = SecretReference()
            reference.uuid = secret
            let value: [UInt8]
            do throws(LibvirtError) { value = try secrets.value(of: reference, usage: "vtpm") } catch {
                throw HostError("encrypt the TPM's state: \(error)", .invalidArgument)
            }
            let path = "\(state)/.key"
            try HostFile.replace(path, with: value, permissions: 0o600)
            key = ["pwdfile=\(path),mode=aes-256-cbc"]
        }
        defer { if !key.isEmpty { try? HostFile.remove("\(state)/.key") } }
        let version = backend.version == "1.2" ? [] : ["--tpm2"]
        if isNew, !isIncoming {
            make(["--tpm-state", state, "--vmid", "\(name):\(domain)", "--logfile", logPath] + version, backend, key)
        }
        let listener = try SecurityLabels.withSockets(of: label?.process) { () throws(HostError) in
            try Socket.listen(try SocketAddress.unix("\(folder)/swtpm.sock"))
        }
        try listener.setNonBlocking(false)
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        let output = try HostFile.open(logPath, HostFile.Mode.append, permissions: 0o600)
        let words =
            ["swtpm", "socket", "--ctrl", "type=unixio,fd=3", "--tpmstate", "dir=\(state),mode=0600", "--terminate"]
            + version + key.flatMap { ["--key", $0, "--migration-key", $0] }
        let own: [MachineConfinement.Place] = [(state, [.read, .write, .change, .move])]
        let process = try HostProcess.spawn(
            Self.program, arguments: words, environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [null, output, output, listener],
            confinement: FileConfinement.isSupported
                ? try MachineConfinement.make(MachineConfinement.programs + own) : nil)
        running.withLock { $0[domain, default: []].append(process) }
        // It reads its key before it serves anybody.
        if !key.isEmpty { _ = process.waitForEnd(milliseconds: 200) }
    }

    /// A TPM without certificates is one nevertheless: what goes wrong here is for the log.
    private func make(_ words: [String], _ backend: TPM.Backend, _ key: [String]) {
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
        if let key = key.first, let path = key.split(separator: ",").first?.dropFirst("pwdfile=".count) {
            words += ["--pwdfile", String(path), "--cipher", "aes-256-cbc"]
        }
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
