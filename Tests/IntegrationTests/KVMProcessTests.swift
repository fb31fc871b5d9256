import Foundation
import TestSupport
import Testing

/// KVM as users meet it: by the program's options, its messages, its monitor and its exit status.
@Suite("KVM on the command line", .serialized, .enabled(if: Runner.hasProgram, "there is no apus-vmm beside the tests"))
struct KVMProcessTests {
    private static let plain = ["-m", "64", "-nodefaults", "-display", "none", "-no-reboot"]
    private static let debugExit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    private static let needsKVM = "this user cannot open /dev/kvm"

    /// Runs a kernel to its end.
    private func run(_ kernel: FlatKernel, _ options: [String]) throws -> HostProgram {
        try Runner.withFolder { folder in
            let path = "\(folder)/kernel.flat"
            try Data(kernel.file).write(to: URL(fileURLWithPath: path))
            return try Runner.run(
                Repository.program, Self.plain + Self.debugExit + ["-serial", "stdio", "-kernel", path] + options)
        }
    }

    @Test("The choice of the fastest engine is one line of the log")
    func choice() throws {
        let outcome = try run(.exiting(3), ["-accel", "auto"])
        #expect(outcome.status == 7)
        let lines = outcome.errors.split(separator: "\n").filter { $0.contains("Using ") }
        #expect(lines.count == 1, "\(outcome.errors)")
        #expect(lines.first?.contains("trial of") == true && lines.first?.contains("µs") == true)
        // A KVM that emulates loses against software that does not.
        if Runner.hasKVM, Runner.isParavirtual { #expect(lines.first?.contains("Using tcg") == true) }
    }

    @Test("More processors than the host has are warned of, and run", .enabled(if: Runner.hasKVM, "\(needsKVM)"))
    func overcommit() throws {
        let count = ProcessInfo.processInfo.activeProcessorCount * 2
        let outcome = try run(FlatKernel("processors", FlatKernel.processors), ["-accel", "kvm", "-smp", "\(count)"])
        #expect(outcome.errors.contains("\(count) virtual processors share the host's"))
        #expect(outcome.status == 1, "\(outcome)")
    }

    @Test(
        "Without descriptors for its processors the machine does not start, and says why",
        .enabled(if: Runner.hasKVM, "\(needsKVM)"))
    func descriptorLimit() throws {
        let command = "ulimit -n 40; exec \"$0\" \"$@\""
        let options = ["-accel", "kvm", "-smp", "64", "-serial", "none"]
        let outcome = try Runner.run("/bin/sh", ["-c", command, Repository.program] + Self.plain + options)
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("make processor"), "\(outcome.errors)")
        #expect(outcome.errors.contains("ulimit -n"))
    }

    @Test("Properties that cannot be are refused in words", .enabled(if: Runner.hasKVM, "\(needsKVM)"))
    func refusals() throws {
        let ring = try run(.exiting(0), ["-accel", "kvm,dirty-ring-size=1000"])
        #expect(ring.status == 1 && ring.errors.contains("a power of two from 1024"), "\(ring)")
        let fallback = try run(.exiting(0), ["-machine", "pc,accel=kvm:tcg", "-cpu", "qemu64"])
        #expect(fallback.status == 1)
    }

    @Test(
        "Features that KVM has not are warned of one by one, and refused where that is asked for",
        .enabled(if: Runner.hasKVM && Runner.isParavirtual, "virtualization of guests is there, or no KVM"))
    func features() throws {
        let warned = try run(.exiting(1), ["-accel", "kvm", "-cpu", "qemu64,+svm,+xop"])
        #expect(warned.status == 3)
        for name in ["svm", "xop"] {
            #expect(warned.errors.split(separator: "\n").filter { $0.contains(".\(name) ") }.count == 1, "\(warned)")
        }
        let silent = try run(.exiting(1), ["-accel", "kvm", "-cpu", "qemu64,+svm,check=off"])
        #expect(silent.status == 3 && !silent.errors.contains("svm"))
        let enforced = try run(.exiting(1), ["-accel", "kvm", "-cpu", "qemu64,+svm,enforce"])
        #expect(enforced.status == 1 && enforced.errors.contains("svm"), "\(enforced)")
        let host = try run(.exiting(1), ["-accel", "kvm", "-cpu", "host"])
        #expect(host.status == 3 && !host.errors.contains("lacks"), "\(host)")
    }

    // MARK: What cannot be opened

    /// Runs with a view of /dev and as a user of the given kind.
    private func run(_ prefix: [String], _ options: [String]) throws -> HostProgram {
        try Runner.withFolder { folder in
            // A place that every user may read.
            for (name, bytes) in [("kernel.flat", Data(FlatKernel.exiting(1).file))] {
                try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
            }
            let arguments = Self.plain + Self.debugExit + ["-serial", "none", "-kernel", "\(folder)/kernel.flat"]
            return try Runner.run("/usr/bin/env", prefix + [Repository.program] + arguments + options)
        }
    }

    private static let canUnshare =
        getuid() == 0 && (try? Runner.run("/usr/bin/unshare", ["-m", "true"]))?.status == 0

    @Test(
        "Ways in which /dev/kvm cannot be opened are told with the way out, the list falls back, and the trial says so",
        .enabled(if: canUnshare, "needs root with mount namespaces"),
        arguments: [
            ("mount -t tmpfs none /dev", ["There is no /dev/kvm", "-accel tcg"]),
            ("mount --bind /dev/null /dev/kvm", ["ask KVM for its version"]),
        ])
    func cannotOpen(command: String, words: [String]) throws {
        if command.contains("bind"), !FileManager.default.fileExists(atPath: "/dev/kvm") { return }
        let prefix = ["unshare", "-m", "sh", "-c", "\(command); exec \"$0\" \"$@\""]
        for options in [["-accel", "kvm"], ["-enable-kvm"]] {
            let refused = try run(prefix, options)
            #expect(refused.status == 1, "\(refused)")
            for word in words { #expect(refused.errors.contains(word), "\(refused)") }
        }
        let fallen = try run(prefix, ["-machine", "pc,accel=kvm:tcg"])
        #expect(fallen.status == 3 && fallen.errors.contains("Falling back to tcg"), "\(fallen)")
        let tried = try run(prefix, ["-accel", "auto"])
        #expect(tried.status == 3 && tried.errors.contains("Using tcg"), "\(tried)")
        #expect(tried.errors.contains("kvm cannot be used"), "\(tried)")
    }

    @Test(
        "A user without rights is told of the group to join", .enabled(if: canUnshare && Runner.hasKVM, "needs root"))
    func noPermission() throws {
        let command =
            "mount -t tmpfs none /mnt && cp -a /dev/kvm /mnt/kvm && chmod 660 /mnt/kvm && chgrp kvm /mnt/kvm "
            + "&& mount --bind /mnt/kvm /dev/kvm "
            + "&& exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\""
        guard (try? String(contentsOfFile: "/etc/group", encoding: .utf8))?.contains("\nkvm:") == true else {
            print("Skipped: this host has no group 'kvm'")
            return
        }
        let refused = try run(["unshare", "-m", "sh", "-c", command], ["-accel", "kvm"])
        #expect(refused.status == 1, "\(refused)")
        #expect(refused.errors.contains("usermod -aG kvm"), "\(refused)")
    }

    // MARK: The monitor

    private func monitor(_ kernel: FlatKernel, _ options: [String], _ body: (GuestMachine) throws -> Void) throws {
        try Runner.withFolder { folder in
            let path = "\(folder)/kernel.flat"
            try Data(kernel.file).write(to: URL(fileURLWithPath: path))
            let machine = try GuestMachine(
                Self.plain + ["-S", "-serial", "none", "-qmp", "stdio", "-kernel", path] + options)
            try machine.wait(for: "\"QMP\"")
            try machine.type(#"{"execute":"qmp_capabilities"}"#)
            try body(machine)
            try machine.type(#"{"execute":"quit"}"#)
            #expect(try machine.status(seconds: 60) == 0)
        }
    }

    @Test(
        "What KVM cannot go on from stops the machine with an event, the registers, the code and the reason",
        .enabled(if: Runner.hasKVM && Runner.isParavirtual, "this KVM can go on from it, or there is none"))
    func internalError() throws {
        try monitor(FlatKernel("breakpoint", FlatKernel.breakpoint), ["-accel", "kvm"]) { machine in
            try machine.type(#"{"execute":"cont"}"#)
            try machine.wait(for: "\"STOP\"")
            try machine.type(#"{"execute":"query-status"}"#)
            try machine.wait(for: "internal-error")
            let text = machine.console
            #expect(text.contains("KVM internal error"), "\(text)")
            #expect(text.contains("RBX=1234") && text.contains("code cc "), "\(text)")
            // It does not go on without a reset.
            try machine.type(#"{"execute":"cont"}"#)
            try machine.wait(for: "Resetting the Virtual Machine is required")
        }
    }

    @Test(
        "A memory module is plugged into a machine of KVM, and its guest uses it in long mode",
        .enabled(if: Runner.hasKVM, "\(needsKVM)"),
        arguments: ["kvm", "kvm,kernel-irqchip=on", "kvm,kernel-irqchip=off", "kvm,dirty-ring-size=1024"])
    func module(engine: String) throws {
        try Runner.withFolder { folder in
            let path = "\(folder)/kernel.flat"
            try Data(FlatKernel("module", FlatKernel.module).file).write(to: URL(fileURLWithPath: path))
            let machine = try GuestMachine(
                Self.plain + Self.debugExit + [
                    "-accel", engine, "-m", "64,slots=2,maxmem=1G", "-serial", "file:\(folder)/out", "-qmp", "stdio",
                    "-object", "memory-backend-ram,id=m,size=128M", "-kernel", path,
                ])
            try machine.wait(for: "\"QMP\"")
            try machine.type(#"{"execute":"qmp_capabilities"}"#)
            try machine.type(
                #"{"execute":"device_add","arguments":{"driver":"pc-dimm","id":"d","memdev":"m"},"id":"add"}"#)
            #expect(try machine.status(seconds: 60) == 85, "\(machine.console)")
            #expect(try String(contentsOfFile: "\(folder)/out", encoding: .utf8) == "000000010000000008000000\n")
        }
    }

    @Test("query-kvm, info kvm, and threads that can be pinned", .enabled(if: Runner.hasKVM, "\(needsKVM)"))
    func threads() throws {
        let options = ["-accel", "kvm", "-smp", "2", "-object", "thread-context,id=near,cpu-affinity=0"]
        try monitor(.exiting(0), options) { machine in
            try machine.type(#"{"execute":"query-kvm"}"#)
            try machine.wait(for: "\"enabled\": true")
            try machine.type(
                #"{"execute":"human-monitor-command","arguments":{"command-line":"info kvm"}}"#)
            try machine.wait(for: "kvm support: enabled")
            try machine.type(#"{"execute":"query-cpus-fast","id":"threads"}"#)
            try machine.wait(for: "\"id\": \"threads\"")
            let numbers = machine.console.matches(of: /"thread-id": (\d+)/).compactMap { Int($0.1) }.filter { $0 > 1 }
            #expect(numbers.count == 2 && Set(numbers).count == 2, "\(machine.console)")
            for number in numbers {
                #expect(try Runner.run("/usr/bin/taskset", ["-p", "1", "\(number)"]).status == 0)
                let allowed = try String(
                    contentsOfFile: "/proc/\(machine.identifier)/task/\(number)/status", encoding: .utf8)
                #expect(allowed.contains("Cpus_allowed_list:\t0\n"))
            }
            try machine.type(
                #"{"execute":"qom-get","arguments":{"path":"/objects/near","property":"thread-id"},"id":"near"}"#)
            try machine.wait(for: "\"id\": \"near\"")
            let line = machine.console.split(separator: "\n").first { $0.contains("\"id\": \"near\"") } ?? ""
            let thread = try #require(line.firstMatch(of: /"return": (\d+)/)).1
            let status = try String(
                contentsOfFile: "/proc/\(machine.identifier)/task/\(thread)/status", encoding: .utf8)
            #expect(status.contains("Cpus_allowed_list:\t0\n"), "\(status)")
            #expect(status.contains("Name:\tTC near"))
        }
    }

    /// What the kernel knows of guest memory: the mapping of just so many bytes.
    private func memoryFlags(_ options: [String], engine: String = "tcg") throws -> [String] {
        var flags: [String] = []
        try monitor(.exiting(0), ["-accel", engine] + options) { machine in
            try machine.type(#"{"execute":"query-status","id":"up"}"#)
            try machine.wait(for: "\"id\": \"up\"")
            // A file without a size, of which Foundation reads the beginning only.
            let text = try Runner.run("/bin/cat", ["/proc/\(machine.identifier)/smaps"]).output
            var isRAM = false
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.first == "Size:" { isRAM = words.dropFirst().first == "65536" }
                if isRAM, words.first == "Rss:" { flags.append("rss=\(words[1])") }
                if isRAM, words.first == "VmFlags:" { flags += words.dropFirst().map(String.init) }
            }
        }
        return flags
    }

    @Test("Guest memory may be merged and in huge pages, and is there from the start where that is asked for")
    func memory() throws {
        let usual = try memoryFlags([])
        #expect(!usual.isEmpty, "guest memory is one mapping")
        if FileManager.default.fileExists(atPath: "/sys/kernel/mm/ksm/run") {
            #expect(usual.contains("mg"))
            #expect(try !memoryFlags(["-machine", "pc,mem-merge=off"]).contains("mg"))
        } else {
            print("Skipped: this kernel merges no pages")
        }
        if FileManager.default.fileExists(atPath: "/sys/kernel/mm/transparent_hugepage/enabled") {
            #expect(usual.contains("hg"))
        } else {
            print("Skipped: this kernel has no transparent huge pages")
        }
        #expect(try memoryFlags(["-mem-prealloc"]).contains("rss=65536"))
        // As much as root may lock.
        if getuid() == 0 { #expect(try memoryFlags(["-overcommit", "mem-lock=on"]).contains("lo")) }
    }

    @Test("Guest memory is of huge pages of the host's pool, and too small a pool is told before the start")
    func hugePages() throws {
        let pool = "/proc/sys/vm/nr_hugepages"
        let before = (try? String(contentsOfFile: pool, encoding: .utf8)) ?? ""
        // 64 MiB in pages of 2 MiB, beside what there was.
        let wanted = (Int(before.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) + 32
        guard getuid() == 0, (try? "\(wanted)".write(toFile: pool, atomically: false, encoding: .utf8)) != nil else {
            return print("Skipped: this user cannot change the pool of huge pages")
        }
        defer { try? before.write(toFile: pool, atomically: false, encoding: .utf8) }
        let now = (try? String(contentsOfFile: pool, encoding: .utf8)) ?? ""
        guard Int(now.trimmingCharacters(in: .whitespacesAndNewlines)) == wanted else {
            return print("Skipped: this host has no 64 MiB of huge pages left")
        }
        func backend(_ megabytes: Int) -> [String] {
            [
                "-object", "memory-backend-memfd,id=m,size=\(megabytes)M,hugetlb=on,prealloc=on", "-machine",
                "pc,memory-backend=m",
            ]
        }
        for engine in Runner.hasKVM ? ["tcg", "kvm"] : ["tcg"] {
            let flags = try memoryFlags(backend(64), engine: engine)
            #expect(flags.contains("ht"), "\(engine): \(flags)")
        }
        let small = try run(.exiting(0), ["-m", "1024"] + backend(1024) + ["-accel", "tcg"])
        #expect(small.status == 1)
        #expect(small.errors.contains("memory 'm'") && small.errors.contains("Cannot allocate memory"), "\(small)")
    }

    @Test(
        "Contexts on processors that there are not are refused",
        arguments: ["cpu-affinity=1023", "cpu-affinity=x", "cpu-affinity=5-2", "node-affinity=1000"])
    func refusedContext(property: String) throws {
        let outcome = try run(.exiting(0), ["-accel", "tcg", "-object", "thread-context,id=t,\(property)"])
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.errors.contains("thread-context"))
    }

    @Test("The host check runs under both of its names")
    func hostCheck() throws {
        try Runner.withFolder { folder in
            let link = "\(folder)/virt-host-validate"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Repository.program)
            for (program, arguments) in [(Repository.apus, ["host", "check", "--json"]), (link, ["--json"])] {
                let outcome = try Runner.run(program, arguments)
                #expect(outcome.output.contains("\"checks\""), "\(program): \(outcome)")
                #expect(outcome.status == 0 || outcome.output.contains("FAIL"))
            }
        }
    }

    @Test("The image tool is a command of apus")
    func imageCommand() throws {
        let outcome = try Runner.run(Repository.apus, ["image", "--version"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.output.contains("version"))
    }
}
