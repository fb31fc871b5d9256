internal import HostOS
internal import SystemPackage

/// What keeps the processes that serve one machine (its TPM, its shared folders) to that machine: who takes such a process
/// over has no more of the host than the machine itself.
struct ServerConfinement: Sendable {
    /// SELinux's labels of the machine; nil: it has none.
    let label: MachineLabel?
    /// The machine's own user; nil: the daemon's.
    let owner: MachineUser.Owner?
    /// Where roots of processes' own are put together; nil: they see the host's.
    let staging: String?

    /// - Parameter isConfined: whether the machine is kept within rules of Landlock, a user and a root of its own.
    init(_ user: MachineUser, _ label: MachineLabel?, isConfined: Bool, staging: String) {
        self.label = label
        self.staging = isConfined && MachineRoot.isSupported ? staging : nil
        // Without a root of its own a process could not reach what lies in folders of root's.
        owner = self.staging == nil ? nil : user.owner
    }

    /// Starts a program with the given descriptors.
    ///
    /// - Parameters:
    ///   - places: all that it reaches; nil: it confines itself, and gets the label alone.
    ///   - hasPowers: whether it needs root's powers: files that it makes are others'.
    func spawn(
        _ program: String, _ arguments: [String], _ descriptors: [Descriptor], places: [MachineConfinement.Place]?,
        hasPowers: Bool = false
    ) throws(HostError) -> HostProcess {
        var identity: ProcessIdentity?
        if let label, let policy = LabelPolicy.host {
            identity = ProcessIdentity(label: policy.server(program, of: label.process))
        }
        if staging != nil, !hasPowers {
            let user = owner.map { ProcessIdentity.Owner(user: $0.user, group: $0.group) }
            identity = ProcessIdentity(owner: user, powers: [], label: identity?.label)
        }
        // Within Landlock's rules a process takes a label on only where it has a root of its own.
        let isConfined = places != nil && FileConfinement.isSupported && (label == nil || staging != nil)
        return try HostProcess.spawn(
            program, arguments: [program] + arguments,
            environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: descriptors,
            confinement: isConfined ? try MachineConfinement.make(places ?? []) : nil,
            isolation: isConfined ? try isolation(places ?? []) : nil, identity: identity)
    }

    private func isolation(_ places: [MachineConfinement.Place]) throws(HostError) -> ProcessIsolation? {
        guard let staging else { return nil }
        try HostFolder.make(staging, permissions: 0o700)
        let root = MachineRoot(staging: staging, owner: owner?.user ?? 0, places: places, imageLabel: label?.image)
        return ProcessIsolation(steps: root.steps, hasOwnNetwork: true)
    }

    /// Makes what lies in a folder the process's own. No link in it is followed: another process of the machine's may have
    /// left it there.
    func take(_ folder: String) throws(HostError) {
        for name in try HostFolder.names(in: folder) + [""] {
            let path = name.isEmpty ? folder : "\(folder)/\(name)"
            guard (try? HostFile.target(ofLink: path)) == nil else { continue }
            let user = owner?.user ?? HostIdentity.userID
            if try HostFile.details(path).owner != user { try HostFile.setOwner(path, user, group: owner?.group ?? 0) }
            try labelOwn(path)
        }
    }

    /// Gives a file of the machine's own its label.
    func labelOwn(_ path: String) throws(HostError) {
        guard let label, label.relabels else { return }
        do throws(HostError) { try SecurityLabels.set(path, label.image) } catch {
            if error.errno != .notSupported, error.errno != .readOnlyFileSystem { throw error }
        }
    }
}

extension LabelPolicy {
    /// What a program that serves a machine is known as: of the type that the policy has for such programs when the daemon
    /// starts them (`swtpm_t`), or else of the machine's own, and always with the machine's categories.
    func server(_ program: String, of machine: SecurityContext) -> SecurityContext {
        guard let file = SecurityLabels.of(program), let made = Self.made(own, file), made.type != own.type else {
            return machine
        }
        return SecurityContext(user: made.user, role: made.role, type: made.type, range: machine.range)
    }

    /// What the kernel makes of a process of one label that starts a program of another (`/sys/fs/selinux/create`).
    private static func made(_ process: SecurityContext, _ file: SecurityContext) -> SecurityContext? {
        let folder = "/sys/fs/selinux"
        guard let number = HostDescription.number("\(folder)/class/process/index"),
            let question = try? HostFile.open("\(folder)/create", HostFile.Mode.readWrite),
            (try? question.writeAll(Array("\(process) \(file) \(number)".utf8))) != nil,
            let answer = try? question.readAvailable(limit: 8192)
        else { return nil }
        return SecurityContext(String(decoding: answer, as: UTF8.self))
    }
}
