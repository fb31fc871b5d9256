import Foundation
import Glibc

/// How processes ended that Foundation started.
enum ProcessEnd {
    /// A process's status, or 128 and the signal that ended it; nil while it runs. The kernel is asked: Foundation's own
    /// word comes when all have ended that have inherited a descriptor of it, which whatever another test starts at the
    /// same moment does.
    static func status(of process: Process) -> Int32? {
        var info = unsafe siginfo_t()
        // SAFETY: the structure lives for the call.
        let result = unsafe waitid(P_PID, id_t(process.processIdentifier), &info, WEXITED | WNOWAIT | WNOHANG)
        if result == 0 {
            guard unsafe info.si_signo == SIGCHLD else { return nil }
            let code = unsafe info._sifields._sigchld.si_status
            return unsafe info.si_code == Int32(CLD_EXITED) ? code : 128 + code
        }
        if errno == EINTR { return nil }
        // Foundation was first, and says it soon.
        process.waitUntilExit()
        return process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
    }
}
