internal import HostOS
internal import SystemPackage

/// The daemon of an ordinary user as a service of that user's systemd, which starts it when the first client comes.
enum UserService {
    private static var folder: String {
        (HostIdentity.environment("XDG_CONFIG_HOME") ?? "\(HostIdentity.home)/.config") + "/systemd/user"
    }

    private static let socket = """
        [Unit]
        Description=Apus, manager of this user's virtual machines

        [Socket]
        ListenStream=%t/libvirt/libvirt-sock
        ListenStream=%t/libvirt/virtqemud-sock
        SocketMode=0600
        DirectoryMode=0700
        RemoveOnStop=yes

        [Install]
        WantedBy=sockets.target

        """

    private static func service(_ program: String) -> String {
        """
        [Unit]
        Description=Apus, manager of this user's virtual machines
        Requires=apus.socket

        [Service]
        Type=notify
        ExecStart=\(program) daemon --timeout 120
        # Machines and networks are processes of their own, which go on without the daemon.
        KillMode=process
        Restart=on-failure

        """
    }

    /// Writes the units and has systemd listen; what there is to say to the user.
    static func install() throws(HostError) -> String {
        guard HostIdentity.userID != 0 else {
            throw HostError("install a user's service for root, whose daemon is the system's", .notPermitted)
        }
        let program = try HostFile.target(ofLink: "/proc/self/exe")
        guard !program.contains(where: { $0.isWhitespace || $0 == "%" || $0 == "\"" }) else {
            throw HostError("name '\(program)' in a unit of systemd", .invalidArgument)
        }
        try HostFolder.make(folder, permissions: 0o700)
        try HostFile.replace("\(folder)/apus.socket", with: Array(socket.utf8), permissions: 0o644)
        try HostFile.replace("\(folder)/apus.service", with: Array(service(program).utf8), permissions: 0o644)
        if systemctl(["daemon-reload"]), systemctl(["enable", "--now", "apus.socket"]) {
            return "Clients of qemu:///session find a daemon now: systemd starts it for them."
        }
        return """
            Written: \(folder)/apus.socket and apus.service.
            This user's systemd does not answer. Where there is one, enable them with
              systemctl --user enable --now apus.socket
            Elsewhere libvirt's clients start the daemon for themselves if they are told where it is:
              ln -s \(program) ~/.local/bin/libvirtd
              export LIBVIRTD_PATH=~/.local/bin
            """
    }

    /// Takes the units away.
    static func remove() throws(HostError) -> String {
        _ = systemctl(["disable", "--now", "apus.socket"])
        for name in ["apus.socket", "apus.service"] { try HostFile.remove("\(folder)/\(name)") }
        _ = systemctl(["daemon-reload"])
        return "Removed: \(folder)/apus.socket and apus.service."
    }

    private static func systemctl(_ words: [String]) -> Bool {
        (try? ChildProgram.run("/usr/bin/systemctl", ["--user", "--quiet"] + words)) != nil
    }
}
