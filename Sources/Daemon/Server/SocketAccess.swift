internal import HostOS
internal import RPCWire

/// Who may use the sockets that change something.
public enum SocketAccess: Sendable, Equatable {
    /// The daemon's own user, and root.
    case own
    /// Whom the host's polkit lets, by libvirt's action `org.libvirt.unix.manage`.
    case polkit
    /// Whom SASL knows.
    case sasl

    private static let action = "org.libvirt.unix.manage"
    private static let program = "/usr/bin/pkcheck"

    /// What the system's daemon does: it asks polkit where that knows libvirt's actions.
    public static var ofSystem: SocketAccess {
        let parts = [program, "/usr/share/polkit-1/actions/org.libvirt.unix.policy"]
        return parts.allSatisfy { HostFile.status($0).kind == .file } ? .polkit : .own
    }

    /// Whether a client has to be asked for before it may do anything.
    func mustAsk(_ origin: ClientOrigin, readOnly: Bool) -> Bool {
        guard self == .polkit, !readOnly, case .local(let peer) = origin else { return false }
        return peer.map { $0.userID != 0 && $0.userID != HostIdentity.userID } ?? true
    }

    /// Asks polkit for a client, which may ask its user for a password. Waits for that.
    static func ask(_ origin: ClientOrigin) throws(LibvirtError) {
        guard case .local(let peer?) = origin, let start = HostProcess.startTime(of: peer.processID) else {
            throw denied("who the client is cannot be told")
        }
        let outcome: ChildProgram.Outcome
        do throws(HostError) {
            outcome = try ChildProgram(
                program,
                [
                    "--action-id", action, "--process", "\(peer.processID),\(start),\(peer.userID)",
                    "--allow-user-interaction",
                ]
            ).finish(milliseconds: 120_000)
        } catch { throw denied("\(error)") }
        // The wait status of exit codes 0 to 3 (pkcheck(1)).
        switch outcome.status {
        case 0: return
        case 2 << 8:
            throw LibvirtError(
                code: VirErrorNumber.authUnavailable, domain: VirErrorDomain.polkit,
                message: "authentication unavailable: no polkit agent available to authenticate action '\(action)'",
                detail: "no polkit agent available to authenticate action '\(action)'")
        case 3 << 8:
            throw LibvirtError(
                code: VirErrorNumber.authCancelled, domain: VirErrorDomain.polkit,
                message: "authentication cancelled: user cancelled authentication process",
                detail: "user cancelled authentication process")
        case 1 << 8: throw denied("access denied by policy")
        default: throw denied(outcome.complaints.isEmpty ? "polkit does not answer" : outcome.complaints)
        }
    }

    static func denied(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.authFailed, domain: VirErrorDomain.polkit,
            message: "authentication failed: \(detail)", detail: detail)
    }
}
