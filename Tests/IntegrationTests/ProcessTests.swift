import Foundation
import Testing

/// The machine as a process of its host: exit status, life in the background.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct ProcessTests {
    private static let debugExit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]

    /// A program of the guest writes to the port, and the process ends with twice the value plus one.
    @Test(arguments: [0, 127] as [UInt8])
    func aDebugExitGivesTheStatus(value: UInt8) throws {
        let machine = try GuestMachine(booting: ["-nic", "none"] + Self.debugExit)
        try machine.wait(for: "Type poweroff to end.")
        // Linux lets a program of root's use a port that it asks for.
        try machine.write(
            FlatGuest.program([
                0xB8, 0xAD, 0, 0, 0, 0xBF, 0xF4, 0, 0, 0,  // mov eax, 173 (ioperm); mov edi, 0xf4
                0xBE, 1, 0, 0, 0, 0xBA, 1, 0, 0, 0, 0x0F, 0x05,  // mov esi, 1; mov edx, 1; syscall
                0xB0, value, 0xE6, 0xF4,  // mov al, value; out 0xf4, al
                0xB8, 60, 0, 0, 0, 0x0F, 0x05,  // mov eax, 60 (exit); syscall
            ]), to: "/tmp/leave")
        try machine.type("chmod +x /tmp/leave; /tmp/leave")
        #expect(try machine.status() == Int32(value) << 1 | 1)
    }

    /// A kernel of a few bytes by the multiboot protocol: it shows its module's content and ends with a status.
    @Test func aFlatKernelShowsItsModuleAndEnds() throws {
        let folder = try TemporaryFolder()
        let kernel = FlatGuest.multiboot([
            0x3D, 0x02, 0xB0, 0xAD, 0x2B, 0x75, 0x20,  // cmp eax, 2BADB002; jne fail
            0x83, 0x7B, 0x14, 0x01, 0x75, 0x1A,  // cmp dword [ebx+20], 1 (modules); jne fail
            0x8B, 0x53, 0x18, 0x8B, 0x32,  // mov edx, [ebx+24]; mov esi, [edx] (start)
            0x8B, 0x4A, 0x04, 0x29, 0xF1, 0xFC,  // mov ecx, [edx+4] (end); sub ecx, esi; cld
            0x66, 0xBA, 0xF8, 0x03, 0xF3, 0x6E,  // mov dx, 3f8; rep outsb
            0xB0, 0x15, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD,  // mov al, 21; out 0xf4, al; hlt; jmp -1
            0x90, 0x90,
            0xB0, 0x01, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD,  // fail: mov al, 1; out 0xf4, al; hlt; jmp -1
        ])
        try kernel.write(to: URL(fileURLWithPath: folder.path("kernel")))
        try Data("What the module holds\n".utf8).write(to: URL(fileURLWithPath: folder.path("module")))
        for board in ["pc", "microvm"] {
            let machine = try GuestMachine(
                ["-M", board, "-m", "16", "-nographic", "-nic", "none", "-kernel", folder.path("kernel")]
                    + ["-initrd", folder.path("module")] + Self.debugExit)
            #expect(try machine.status() == 43)
            #expect(try machine.remainder().contains("What the module holds"))
        }
    }

    @Test(arguments: ["powerdown", "SIGTERM"]) func aDaemonReturnsAtOnceAndLeavesItsNumber(_ way: String) throws {
        let folder = try TemporaryFolder()
        // The descriptors by which a test watches its processes would keep it waiting for the daemon.
        let closed = "cd \(folder.path); for f in /proc/$$/fd/*; do f=${f##*/}; ((f > 2)) && eval \"exec $f>&-\"; done; exec \"$@\""
        let starter = try GuestMachine(
            program: "/bin/bash",
            ["-c", closed, "bash", Repository.program]
                + ["-daemonize", "-m", "256", "-display", "none", "-nic", "none", "-pidfile", "pid"]
                + ["-serial", "file:\(folder.path("console"))", "-kernel", Repository.kernel]
                + ["-qmp", "unix:qmp,server=on,wait=off"]
                + ["-initrd", Repository.initramfs, "-append", "console=ttyS0"])
        #expect(try starter.status() == 0)
        // It leaves nothing open that its caller could wait for.
        #expect(try starter.remainder() == "" && starter.isFinished)
        let text = try String(contentsOfFile: folder.path("pid"), encoding: .utf8)
        let process = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        defer { kill(process, SIGKILL) }
        #expect(process != starter.identifier)
        #expect(kill(process, 0) == 0)

        let monitor = try MonitorClient(path: folder.path("qmp"))
        let end = Date().addingTimeInterval(60)
        var console = ""
        while !console.contains("Type poweroff to end."), Date() < end {
            Thread.sleep(forTimeInterval: 0.1)
            console = (try? String(contentsOfFile: folder.path("console"), encoding: .utf8)) ?? ""
        }
        #expect(console.contains("Type poweroff to end."))
        if way == "powerdown" { try monitor.execute("system_powerdown") } else { kill(process, SIGTERM) }
        try monitor.wait(forEvent: "SHUTDOWN")
        while kill(process, 0) == 0, Date() < end { Thread.sleep(forTimeInterval: 0.05) }
        #expect(kill(process, 0) != 0)
        // It is in another folder by now, and yet finds what it has to take away.
        #expect(!FileManager.default.fileExists(atPath: folder.path("pid")))
        #expect(!FileManager.default.fileExists(atPath: folder.path("qmp")))
    }

    @Test func aSignalEndsTheMachine() throws {
        let machine = try GuestMachine(booting: ["-nic", "none"])
        try machine.wait(for: "Linux version")
        kill(machine.identifier, SIGTERM)
        #expect(try machine.status(seconds: 10) == 0)
        #expect(try machine.remainder().contains("terminating on signal 15 from pid \(getpid())"))
    }
}
