import Foundation
import TestSupport

/// A guest that is a host with SELinux: few hosts of tests have it. Debian's kernel keeps to a policy of our own, with the
/// types that every policy has for machines, and the daemon and its machines run in it.
enum MandatoryAccess {
    /// Why it cannot be made on this host; nil where it can.
    static let absence: String? = ["secilc", "setpriv", "strip", "tar", "ldd"].first { name in
        (try? HostProgram.run("which", [name]))?.status != 0
    }.map { "no \($0)" }

    /// Whether the guest has an emulator of TPMs, and what gives files another label.
    static let hasTPM = ["swtpm", "chcon"].allSatisfy { (try? HostProgram.run("which", [$0]))?.status == 0 }

    /// Makes a disk that is an archive of what the guest has besides its initramfs.
    static func makeDisk(_ folder: TemporaryFolder) throws -> String {
        let source = try folder.file("policy.cil", Array(policy.utf8))
        let disk = folder.path("disk.raw")
        let files = [source, Repository.apus, Repository.program, Repository.kernel, disk]
        try HostProgram.output("bash", ["-ec", script, "make"] + files)
        return disk
    }

    private static let script = #"""
        work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
        # It becomes the root, and machines are users of their own.
        chmod 755 "$work"
        install -D -m 755 "$2" "$work/usr/bin/apus"
        install -D -m 755 "$3" "$work/usr/bin/apus-vmm"
        install -D -m 755 "$(command -v setpriv)" "$work/usr/bin/setpriv"
        # busybox's own knows no labels.
        install -D -m 755 "$(command -v ls)" "$work/usr/bin/list"
        for pair in swtpm:swtpm chcon:relabel; do
            if program=$(command -v "${pair%:*}"); then install -D -m 755 "$program" "$work/usr/bin/${pair#*:}"; fi
        done
        for program in "$work"/usr/bin/*; do
            strip "$program"
            ldd "$program" | grep -o '/[^ ]*' | while read -r library; do install -D -m 755 "$library" "$work$library"; done
        done
        cp "$4" "$work/vmlinuz"
        contexts=$work/etc/selinux/own/contexts
        mkdir -p "$contexts"
        printf '# A remark.\nSELINUX=enforcing\nSELINUXTYPE=own\n' >"$work/etc/selinux/config"
        printf 'system_u:system_r:svirt_t:s0\nsystem_u:system_r:svirt_tcg_t:s0\n' >"$contexts/virtual_domain_context"
        printf 'system_u:object_r:svirt_image_t:s0\nsystem_u:object_r:virt_content_t:s0\n' >"$contexts/virtual_image_context"
        secilc -M true -c 33 -o "$work/policy" -f /dev/null "$1"
        tar -C "$work" -cf "$5" .
        """#

    /// In the Common Intermediate Language. Who is not a machine may do everything; classes and rights that are not named
    /// here are not looked at.
    private static var policy: String {
        let sids = """
            kernel security unlabeled fs file file_labels init any_socket port netif netmsg node igmp_packet icmp_socket
            tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net sysctl_net_unix sysctl_vm sysctl_dev kmod
            policy scmp_packet devnull
            """.split(whereSeparator: \.isWhitespace)
        let kernels: Set<Substring> = ["kernel", "init", "kmod"]
        let types = ["kernel_t", "base_t", "svirt_t", "svirt_tcg_t", "svirt_image_t", "virt_content_t", "svirt_tmpfs_t"]
            + ["swtpm_t", "swtpm_exec_t"]
        let file = """
            ioctl read write create getattr setattr lock relabelfrom relabelto append map unlink link rename execute quotaon
            mounton audit_access open execmod watch execute_no_trans entrypoint
            """
        let process = """
            fork transition sigchld sigkill sigstop signull signal ptrace getsched setsched getsession getpgid setpgid getcap
            setcap share getattr setexec setfscreate noatsecure siginh setrlimit rlimitinh dyntransition setcurrent execmem
            execstack execheap setkeycreate setsockcreate getrlimit
            """
        var lines = ["(handleunknown allow)", "(mls true)"]
        lines += ["(class file (\(file)))", "(class process (\(process)))"]
        // Labels are given to files of classes that are known; what else is done with these nobody asks.
        let classes = ["dir", "lnk_file", "chr_file", "blk_file", "sock_file", "fifo_file"]
        lines += classes.flatMap { ["(class \($0) (ioctl))", "(allow every every (\($0) (ioctl)))"] }
        lines.append("(classorder (file process \(classes.joined(separator: " "))))")
        lines += (0..<64).map { "(category c\($0))" }
        lines.append("(categoryorder (\((0..<64).map { "c\($0)" }.joined(separator: " "))))")
        lines += ["(sensitivity s0)", "(sensitivityorder (s0))", "(sensitivitycategory s0 (range c0 c63))"]
        lines += ["(level low (s0))", "(level high (s0 (range c0 c63)))"]
        lines += ["(role system_r)", "(role object_r)", "(user system_u)", "(typeattribute every)"]
        lines += types.flatMap { ["(type \($0))", "(roletype system_r \($0))", "(roletype object_r \($0))"] }
        lines.append("(typeattributeset every (\(types.joined(separator: " "))))")
        lines += ["(userrole system_u system_r)", "(userrole system_u object_r)"]
        lines += ["(userlevel system_u low)", "(userrange system_u (low high))"]
        for sid in sids {
            let context = kernels.contains(sid) ? "system_r kernel_t (low high)" : "object_r base_t (low low)"
            lines += ["(sid \(sid))", "(sidcontext \(sid) (system_u \(context)))"]
        }
        lines.append("(sidorder (\(sids.joined(separator: " "))))")
        for system in ["tmpfs", "devtmpfs", "devpts"] {
            lines.append("(fsuse trans \(system) (system_u object_r base_t (low low)))")
        }
        lines += ["(allow kernel_t every (file (\(file))))", "(allow every every (process (\(process))))"]
        lines.append("(typetransition kernel_t swtpm_exec_t process swtpm_t)")
        lines.append("(allow swtpm_t every (file (\(file))))")
        for machine in ["svirt_t", "svirt_tcg_t"] {
            lines += ["svirt_image_t", "svirt_tmpfs_t", machine].map { "(allow \(machine) \($0) (file (\(file))))" }
            lines.append("(allow \(machine) virt_content_t (file (ioctl read getattr lock map open)))")
            // Programs, what they read, and logs.
            let reading = "ioctl read getattr lock append map execute open entrypoint execute_no_trans"
            lines.append("(allow \(machine) base_t (file (\(reading))))")
            lines.append("(typetransition \(machine) base_t file svirt_tmpfs_t)")
            lines.append("(mlsconstrain (file (\(file))) (or (dom h1 h2) (neq t1 \(machine))))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
