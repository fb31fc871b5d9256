internal import CLinux

/// System calls that a process gives up for ever: a filter of seccomp(2), for all of its threads and what it starts.
public struct SystemCallFilter: Sendable {
    private enum Action: Sendable {
        /// The call fails: the caller may have another way.
        case refuse
        /// No sane program gets there: the process ends.
        case end
    }

    private var rules: [(number: Int32, action: Action)] = []
    private var deniesProcesses = false

    /// Refuses what no machine ever needs: changes of the kernel, of mounts, of the clock, and looking into other
    /// processes.
    public init() {
        let numbers = [
            SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kexec_load, SYS_kexec_file_load,
            SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
            SYS_reboot, SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_acct,
            SYS_quotactl, SYS_bpf, SYS_perf_event_open, SYS_setns, SYS_unshare, SYS_sethostname, SYS_setdomainname,
            SYS_add_key, SYS_request_key, SYS_keyctl, SYS_open_by_handle_at, SYS_lookup_dcookie, SYS_fanotify_init,
            SYS_vhangup, SYS_iopl, SYS_ioperm,
        ]
        rules = numbers.map { (Int32($0), Action.end) }
    }

    /// Refuses calls that are there for old programs alone (`obsolete=deny`).
    public mutating func refuseObsolete() {
        let numbers = [
            SYS_uselib, SYS_sysfs, SYS__sysctl, SYS_ustat, SYS_create_module, SYS_nfsservctl, SYS_modify_ldt,
        ]
        rules += numbers.map { (Int32($0), Action.refuse) }
    }

    /// Refuses to become somebody else (`elevateprivileges=deny`).
    public mutating func refuseElevation() {
        let numbers = [
            SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups,
            SYS_setfsuid, SYS_setfsgid, SYS_capset,
        ]
        rules += numbers.map { (Int32($0), Action.refuse) }
    }

    /// Refuses to start processes (`spawn=deny`); threads are fine.
    public mutating func refuseProcesses() {
        deniesProcesses = true
        rules += [SYS_fork, SYS_vfork, SYS_execve, SYS_execveat].map { (Int32($0), Action.refuse) }
    }

    /// Refuses to change priorities and places (`resourcecontrol=deny`).
    public mutating func refuseResourceControl() {
        let numbers = [
            SYS_setpriority, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setattr, SYS_sched_setaffinity,
            SYS_ioprio_set,
        ]
        rules += numbers.map { (Int32($0), Action.refuse) }
    }

    /// Puts the process under the filter. There is no way back.
    public func install() throws(HostError) {
        let program = steps
        // SAFETY: the array lives for the call, and the kernel copies it.
        let status = unsafe program.withUnsafeBufferPointer {
            unsafe apus_seccomp($0.baseAddress, UInt16($0.count))
        }
        if status != 0 { throw HostError(reason: status, "give up system calls") }
    }

    /// The filter, in the language of bpf(4): each rule compares the call's number and answers, or goes on.
    private var steps: [sock_filter] {
        // BPF_LD+BPF_W+BPF_ABS, BPF_JMP+BPF_JEQ+BPF_K, BPF_JMP+BPF_JSET+BPF_K, BPF_RET+BPF_K
        let (load, equal, anyBit, answer): (UInt16, UInt16, UInt16, UInt16) = (0x20, 0x15, 0x45, 0x06)
        // SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO
        let (allowed, ended, failed): (UInt32, UInt32, UInt32) = (0x7fff_0000, 0x8000_0000, 0x0005_0000)
        // AUDIT_ARCH_X86_64
        let architecture: UInt32 = 0xC000_003E
        var list = [
            sock_filter(code: load, jt: 0, jf: 0, k: 4), sock_filter(code: equal, jt: 1, jf: 0, k: architecture),
            sock_filter(code: answer, jt: 0, jf: 0, k: ended), sock_filter(code: load, jt: 0, jf: 0, k: 0),
            // Numbers of the x32 form would pass by all comparisons.
            sock_filter(code: anyBit, jt: 0, jf: 1, k: 0x4000_0000),
            sock_filter(code: answer, jt: 0, jf: 0, k: failed | UInt32(ENOSYS)),
        ]
        for rule in rules {
            list.append(sock_filter(code: equal, jt: 0, jf: 1, k: UInt32(bitPattern: rule.number)))
            let outcome: UInt32 =
                switch rule.action {
                case .refuse: failed | UInt32(EPERM)
                case .end: ended
                }
            list.append(sock_filter(code: answer, jt: 0, jf: 0, k: outcome))
        }
        if deniesProcesses {
            // The newer call's flags are in memory, where a filter cannot look: the library falls back to the older.
            list.append(sock_filter(code: equal, jt: 0, jf: 1, k: UInt32(SYS_clone3)))
            list.append(sock_filter(code: answer, jt: 0, jf: 0, k: failed | UInt32(ENOSYS)))
            list.append(sock_filter(code: equal, jt: 0, jf: 4, k: UInt32(SYS_clone)))
            list.append(sock_filter(code: load, jt: 0, jf: 0, k: 16))
            // CLONE_THREAD
            list.append(sock_filter(code: anyBit, jt: 1, jf: 0, k: 0x0001_0000))
            list.append(sock_filter(code: answer, jt: 0, jf: 0, k: failed | UInt32(EPERM)))
            list.append(sock_filter(code: answer, jt: 0, jf: 0, k: allowed))
        }
        list.append(sock_filter(code: answer, jt: 0, jf: 0, k: allowed))
        return list
    }
}
