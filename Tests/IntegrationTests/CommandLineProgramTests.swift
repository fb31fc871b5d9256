import Foundation
import TestSupport
import Testing

/// The program as a user runs it: wrong command lines, and files that are not what they should be.
@Suite(.enabled(if: FileManager.default.fileExists(atPath: Repository.program), "needs the program"))
struct CommandLineProgramTests {
    static func run(_ arguments: [String]) throws -> HostProgram {
        try HostProgram.run(Repository.program, arguments, seconds: 60)
    }

    /// A line of words, single quotes keeping blanks together.
    static func words(_ line: String) -> [String] {
        var result: [String] = []
        for (place, part) in line.components(separatedBy: "'").enumerated() {
            if place % 2 == 1 { result.append(part) } else { result += part.split(separator: " ").map(String.init) }
        }
        return result
    }

    /// For each option: lines with an unknown value, an unknown parameter, a value of a wrong type, or none.
    static let wrong: [String: [(line: String, names: String)]] = [
        "loadvm": [("-loadvm nothing -drive file=/nonexistent.qcow2,if=virtio", "'/nonexistent.qcow2'")],
        "incoming": [("-incoming foo:1", "foo:1"), ("-incoming file:/nonexistent", "'/nonexistent'")],
        "machine": [
            ("-machine foo", "valid: pc, q35, microvm"), ("-machine pc,foo=1", "'foo'"),
            ("-machine pc,hpet=2", "'on' or 'off'"),
        ],
        "M": [("-M foo", "'foo'"), ("-M accel=foo", "valid: tcg"), ("-M pc,acpi=maybe", "valid: on, off, auto")],
        "accel": [
            ("-accel foo", "valid: tcg"), ("-accel tcg,thread=two", "single, multi"),
            ("-accel tcg,tb-size=x", "number"),
        ],
        "enable-kvm": [("-enable-kvm -accel tcg", "incompatible")],
        "perfmap": [],
        "cpu": [
            ("-cpu foo", "There is no CPU model 'foo'"), ("-cpu qemu64,foo=on", "'foo'"), ("-cpu ''", "-cpu help"),
        ],
        "smp": [
            ("-smp 0", "greater than zero"), ("-smp x", "number"), ("-smp 2,foo=1", "valid: cpus"),
            ("-smp 3,cores=2", "maxcpus"),
        ],
        "m": [
            ("-m 0", "above 0"), ("-m x", "size"), ("-m 1G,foo=1", "valid: size"), ("-m 64,slots=x", "number"),
            ("-m 64,slots=1", "maxmem"),
        ],
        "mem-path": [("-mem-path /dev/null/x", "Not a directory")],
        "mem-prealloc": [],
        "numa": [
            ("-numa foo", "valid: node"), ("-numa node,foo=1", "'foo'"), ("-numa node,nodeid=x", "number"),
            ("-numa node,memdev=x", "'x' not found"), ("-numa node,cpus=9", "maxcpus"), ("-numa node", "RAM size"),
            ("-numa dist,src=0,dst=1,val=20", "no NUMA node"),
        ],
        "device": [
            ("-device foo", "'foo' is not a valid device model"), ("-device e1000,foo=1", "'e1000.foo' not found"),
            ("-device isa-debug-exit,iobase=x", "number of 32 bits"), ("-device virtio-blk-pci", "drive=id"),
            ("-M q35 -device pcie-root-port,id=a -device pcie-root-port,id=b", "Can't add chassis slot, error -16"),
            ("-device cirrus-vga,vgamem_mb=3", "2, 4, 8 or 16"),
            ("-device e1000,bus=foo", "Bus 'foo' not found"), ("-device isa-serial", "empty char device"),
        ],
        "global": [
            ("-global foo", "'foo'"), ("-global e1000.foo=1", "'e1000.foo' not found"),
            ("-global e1000.mitigation=2", "'on' or 'off'"),
        ],
        "set": [
            ("-set foo", "group.id.arg=value"), ("-set foo.a.b=1", "valid: device, drive"),
            ("-set device.x.y=1", "no device 'x'"),
        ],
        "object": [
            ("-object foo,id=a", "valid: authz-list, authz-list-file"), ("-object iothread", "'id' is missing"),
            ("-object memory-backend-ram,id=m,size=x", "size"),
            ("-object memory-backend-file,id=m,size=64M", "'mem-path' is missing"),
            ("-object memory-backend-ram,id=m,size=64M,foo=1", "'foo'"),
            ("-object memory-backend-ram,id=m,size=64M,policy=bind", "host-nodes must be set"),
            ("-object memory-backend-ram,id=m,size=64M -m 128 -M memory-backend=m", "does not match"),
            ("-object rng-random,id=r,filename=/nonexistent -device virtio-rng-pci,rng=r", "No such file"),
        ],
        "name": [("-name a,foo=b", "valid: guest"), ("-name a,debug-threads=2", "'on' or 'off'")],
        "uuid": [("-uuid foo", "36 characters")],
        "hda": [("-hda /nonexistent", "no such file")], "hdb": [("-hdb /nonexistent", "no such file")],
        "hdc": [("-hdc /", "directory")], "hdd": [("-hdd /nonexistent", "no such file")],
        "cdrom": [("-cdrom /nonexistent", "no such file")],
        "fda": [("-fda /nonexistent", "no such file")], "fdb": [("-fdb /nonexistent", "no such file")],
        "pflash": [("-pflash /nonexistent", "no such file")],
        "drive": [
            ("-drive file=/nonexistent", "no such file"), ("-drive foo=1", "'foo'"),
            ("-drive file=x,if=foo", "valid: ide"), ("-drive file=x,index=y", "number"),
            ("-drive file=/dev/null,format=raw,readonly=2", "'on' or 'off'"),
            ("-drive file=x,format=foo", "valid: raw"), ("-drive index=0", "'file' is missing"),
        ],
        "blockdev": [
            ("-blockdev foo", "valid: file"), ("-blockdev file,node-name=a", "'filename' is missing"),
            ("-blockdev file,node-name=a,filename=/nonexistent", "no such file"),
            ("-blockdev file,node-name=a,filename=x,foo=1", "'foo'"), ("-blockdev '{\"driver\":'", "JSON"),
        ],
        "snapshot": [("-snapshot -hda /nonexistent", "no such file")],
        "netdev": [
            ("-netdev foo,id=n", "valid: user"), ("-netdev user", "'id' is missing"),
            ("-netdev user,id=n,foo=1", "'foo'"), ("-netdev user,id=n,net=x", "network"),
            ("-netdev user,id=n,restrict=2", "'on' or 'off'"), ("-netdev user,id=n,hostfwd=x", "hostport"),
            ("-netdev user,id=n,smb=/tmp", "smb"),
        ],
        "nic": [
            ("-nic foo", "valid: user"), ("-nic user,model=foo", "valid: virtio-net-pci"),
            ("-nic user,mac=x", "MAC address"), ("-nic user,foo=1", "'foo'"),
        ],
        "fsdev": [
            ("-fsdev foo", "valid: local"), ("-fsdev local,id=f", "'path' is missing"),
            ("-fsdev local,id=f,path=/tmp,security_model=foo", "valid: passthrough, none, mapped-xattr"),
        ],
        "virtfs": [
            ("-virtfs foo", "valid: local"), ("-virtfs local,path=/tmp,mount_tag=t", "'security_model' is missing"),
        ],
        "net": [("-net foo", "valid: user"), ("-net nic,model=foo", "NIC model"), ("-net user,foo=1", "'foo'")],
        "chardev": [
            ("-chardev foo,id=c", "valid: null"), ("-chardev null", "'id' is missing"),
            ("-chardev null,id=c,foo=1", "'foo'"), ("-chardev file,id=c", "'path' is missing"),
            ("-chardev file,id=c,path=/nonexistent/x", "No such file"), ("-chardev socket,id=c,port=x", "number"),
            ("-chardev ringbuf,id=c,size=3", "power of two"), ("-chardev stdio,id=c,mux=2", "'on' or 'off'"),
        ],
        "serial": [
            ("-serial foo", "valid: null"), ("-serial file:/nonexistent/x", "No such file"),
            ("-serial unix:/nonexistent/x,server=on", "No such file"), ("-serial tcp:x", "host:port"),
            ("-serial chardev:c", "\"c\" not found"),
        ],
        "parallel": [("-parallel foo", "valid: null")],
        "monitor": [("-monitor foo", "valid: null")], "qmp": [("-qmp foo", "valid: null")],
        "qmp-pretty": [("-qmp-pretty foo", "valid: null")],
        "mon": [
            ("-mon c", "\"c\" not found"), ("-mon c,mode=foo", "valid: readline, control"), ("-mon c,foo=1", "'foo'"),
        ],
        "debugcon": [("-debugcon foo", "valid: null")],
        "nographic": [], "display": [("-display foo", "valid: none")], "vga": [("-vga foo", "valid: none, std")],
        "vnc": [
            ("-vnc foo", "expects host:N"), ("-vnc :x", "after the colon"), ("-vnc :0,foo=1", "'foo'"),
            ("-vnc unix:", "path"), ("-vnc none,share=x", "valid: allow-exclusive"),
            ("-vnc none,password=x", "'on' or 'off'"), ("-vnc none,websocket=x", "a port"),
            ("-vnc none,tls-creds=x", "No TLS credentials with id 'x'"), ("-vnc unix:/nonexistent/x", "No such file"),
        ],
        "spice": [
            ("-spice foo=1", "'foo'"), ("-spice addr=x", "neither port nor tls-port"), ("-spice port=x", "number"),
            ("-spice port=0,unix=on", "'addr'"), ("-spice port=5930,sasl=on", "'sasl' is not supported"),
            ("-spice port=5930,image-compression=x", "valid: auto_glz"),
            ("-spice port=5930,password=a,password-secret=b", "mutually exclusive"),
            ("-spice port=5930,password-secret=x", "No secret with id 'x'"),
            ("-spice port=5930,tls-channel=main", "tls-port"), ("-spice port=5930,plaintext-channel=x", "default"),
            ("-spice tls-port=5931,x509-dir=/nonexistent", "certificates"),
            ("-spice unix=on,addr=/nonexistent/x", "No such file"),
        ],
        "audio": [("-audio foo", "'model' is missing"), ("-audio none,model=foo", "valid: ac97, hda")],
        "tpmdev": [
            ("-tpmdev emulator", "'id' is missing"), ("-tpmdev foo,id=x", "valid: emulator"),
            ("-tpmdev emulator,id=x", "chardev"),
        ],
        "x-fork": [("-x-fork foo", "invalid keyword 'foo'"), ("-x-fork {}", "not complete")],
        "k": [("-k xx", "valid: ar")], "usb": [], "usbdevice": [("-usbdevice foo", "valid: keyboard")],
        "audiodev": [("-audiodev foo,id=a", "valid: none")],
        "no-acpi": [("-no-acpi=1", "invalid option")], "no-hpet": [("-M microvm,hpet=off", "hpet")],
        "rtc": [("-rtc foo=1", "valid: base"), ("-rtc base=x", "a date"), ("-rtc clock=x", "valid: host, rt, vm")],
        "smbios": [
            ("-smbios type=99", "one of 0, 1"), ("-smbios type=1,foo=x", "'foo'"),
            ("-smbios file=/nonexistent", "No such file"), ("-smbios type=1,uuid=x", "UUID"), ("-smbios x", "expects"),
        ],
        "fw_cfg": [
            ("-fw_cfg x", "file and string"), ("-fw_cfg opt/x,foo=1", "'foo'"),
            ("-fw_cfg opt/x,file=/nonexistent", "No such file"),
        ],
        "watchdog-action": [("-watchdog-action foo", "valid: reset")],
        "kernel": [("-kernel /nonexistent", "No such file")],
        "initrd": [("-initrd x", "-kernel")], "append": [("-append x", "-kernel")],
        "bios": [("-bios /nonexistent", "could not load")],
        "L": [("-L /nonexistent -bios foo.bin", "could not load")],
        "option-rom": [("-option-rom /nonexistent", "No such file")],
        "boot": [
            ("-boot x", "valid: a, b, c, d, n"), ("-boot cc", "twice"), ("-boot menu=2", "'on' or 'off'"),
            ("-boot splash-time=x", "number"),
        ],
        "S": [], "no-reboot": [], "no-shutdown": [], "nodefaults": [], "no-user-config": [], "only-migratable": [],
        "no-fd-bootchk": [], "help": [], "h": [], "version": [],
        "action": [
            ("-action foo=bar", "valid: reboot"), ("-action panic=bar", "valid: pause"),
            ("-action panic", "needs a value"),
        ],
        "pidfile": [("-pidfile /nonexistent/x", "No such file")],
        "daemonize": [("-daemonize -serial stdio", "stdio"), ("-daemonize -nographic", "-nographic")],
        "gdb": [("-gdb foo", "valid: null")], "s": [("-s -gdb tcp::0", "GDB")],
        "d": [("-d foo", "valid: out_asm")], "D": [("-D /nonexistent/x", "No such file")],
        "trace": [("-trace events=/nonexistent", "No such file"), ("-trace file=x,foo=1", "'foo'")],
        "sandbox": [("-sandbox foo", "'on' or 'off'"), ("-sandbox on,spawn=x", "valid: allow, deny")],
        "overcommit": [("-overcommit foo=1", "valid: mem-lock"), ("-overcommit mem-lock=x", "'on' or 'off'")],
        "icount": [
            ("-icount foo=1", "valid: shift"), ("-icount 11", "0 to 10, or auto"), ("-icount sleep=off", "shift"),
            ("-icount auto,sleep=off", "incompatible"), ("-icount 1,sleep=x", "'on' or 'off'"),
        ],
        "msg": [("-msg foo=1", "valid: timestamp"), ("-msg timestamp=2", "'on' or 'off'")],
        "add-fd": [
            ("-add-fd fd=1,set=1", "above 2"), ("-add-fd fd=777,set=1", "open descriptor"),
            ("-add-fd fd=x,set=1", "number"), ("-add-fd foo=1", "valid: fd"),
        ],
        "echr": [("-echr x", "0 to 255"), ("-echr 256", "0 to 255")], "seed": [("-seed x", "number")],
    ]

    /// Runs a line beside options that open nothing; asserts what every error owes.
    private static func check(_ line: String, _ names: String) throws {
        let quiet = line.contains("-nographic") || line.contains("-daemonize") || line.contains("-display")
        var arguments = quiet ? [] : ["-display", "none"]
        for option in ["serial", "monitor"] where !line.contains("-\(option)") && !line.contains("-nographic") {
            arguments += ["-\(option)", option == "serial" ? "null" : "none"]
        }
        let outcome = try run(arguments + words(line))
        #expect(outcome.status == 1, "\(line): \(outcome)")
        #expect(outcome.output.isEmpty, "\(line): \(outcome)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(line): \(outcome)")
        #expect(outcome.errors.hasPrefix("apus-vmm: "), "\(line): \(outcome)")
        #expect(outcome.errors.contains(names), "\(line): \(outcome)")
    }

    /// The options that `-help` shows: whether each takes an argument.
    private static func options() throws -> [(name: String, takesArgument: Bool)] {
        try run(["-help"]).output.split(separator: "\n").filter { $0.hasPrefix("-") }.map { line in
            let words = line.dropFirst().split(separator: " ", omittingEmptySubsequences: false)
            // Help begins in column 16, an argument right after the name.
            return (String(words[0]), words.count > 1 && !words[1].isEmpty && words[0].count != 14)
        }
    }

    @Test func everyOptionRefusesWhatDoesNotFit() throws {
        let options = try Self.options()
        #expect(options.count > 60)
        for option in options {
            let lines = try #require(Self.wrong[option.name], "-\(option.name) has no line in the table")
            for (line, names) in lines { try Self.check(line, names) }
            if option.takesArgument {
                try Self.check("-\(option.name)", "requires an argument")
                #expect(!lines.isEmpty, "-\(option.name)")
            }
        }
        try Self.check("-nosuchthing", "invalid option")
        try Self.check("--nosuchthing", "invalid option")
        try Self.check("-enable-kmv", "did you mean '-enable-kvm'?")
        try Self.check("/nonexistent", "no such file")
    }

    @Test(arguments: [
        ("-help", "usage: "), ("--help", "usage: "), ("-h", "usage: "), ("-version", "QEMU emulator version 7.2.0"),
        ("--version", "Apus"), ("-machine help", "pc "), ("-M help", "microvm "), ("-M pc,help", "hpet=<"),
        ("-cpu help", "x86 Nehalem"), ("-cpu ?", "x86 qemu64"), ("-accel help", "tcg\n"),
        ("-device help", "name \"e1000\", bus PCI"), ("-device e1000,help", "mac=<str>"),
        ("-device ?", "virtio-net-pci"),
        ("-netdev help", "user\n"), ("-nic help", "user\n"), ("-nic model=help", "e1000\n"),
        ("-chardev help", "ringbuf"), ("-object help", "memory-backend-memfd"),
        ("-object memory-backend-file,help", "mem-path=<"), ("-smp help", "maxcpus=<"), ("-m help", "slots=<"),
        ("-drive help", "cache=<"), ("-blockdev help", "qcow2"), ("-d help", "guest_errors"),
        ("-display help", "none\n"), ("-vga help", "none "), ("-rtc help", "clock=<"),
        ("-audiodev help", "none\n"), ("-boot help", "menu=<"), ("-numa help", "memdev=<"),
    ])
    func helpIsOnStandardOutput(_ line: String, _ word: String) throws {
        let outcome = try Self.run(Self.words(line))
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
        #expect(outcome.output.contains(word), "\(outcome.output.prefix(500))")
    }

    @Test(.enabled(if: Repository.hasGuest, "needs 'make guest'")) func whatIsNoKernelOrRAMDiskIsRefused() throws {
        let folder = try TemporaryFolder()
        let kernel = try [UInt8](Data(contentsOf: URL(fileURLWithPath: Repository.kernel)))
        let initrd = try [UInt8](Data(contentsOf: URL(fileURLWithPath: Repository.initramfs)))
        func start(_ name: String, _ bytes: [UInt8]) throws -> String { "-kernel \(try folder.file(name, bytes))" }

        try Self.check(try start("empty", []), "is not a kernel")
        try Self.check(try start("noise", (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }), "is not a kernel")
        try Self.check("-kernel \(folder.path)", "Is a directory")
        for count in [600, 0x1F1, 4096, 300_000] {
            let cut = Array(kernel[..<count])
            try Self.check(try start("cut", cut), count == 0x1F1 ? "is not a kernel" : "truncated")
        }
        var odd = kernel
        odd[0x1F1] = 0xFF
        odd[0x206] = 0xFF
        let oddLine = try start("odd", odd)
        #expect(
            try Self.run(["-display", "none", "-monitor", "none", "-serial", "null"] + Self.words(oddLine)).status == 1)

        // ELF: a header alone, one whose tables lie outside, and a machine of another kind.
        var elf: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57)
        (elf[16], elf[18], elf[20]) = (2, 62, 1)
        try Self.check(try start("elf", elf), "elf'")
        elf[32] = 0xF0
        elf[54] = 56
        elf[56] = 9
        try Self.check(try start("elf", elf), "elf'")
        elf[18] = 183
        try Self.check(try start("elf", elf), "elf'")
        try Self.check(try start("elf", Array(elf[..<20])), "elf'")
        // Multiboot: the magic with a wrong sum, then with addresses that make no sense.
        var multiboot: [UInt8] = [0x02, 0xB0, 0xAD, 0x1B, 0, 0, 1, 0, 0xFE, 0x4F, 0x51, 0xE4]
        multiboot += [UInt8](repeating: 0xFF, count: 20)
        try Self.check(try start("multiboot", multiboot), "multiboot'")

        let good = "-kernel \(Repository.kernel)"
        try Self.check("\(good) -m 4", "needs")
        try Self.check("\(good) -initrd /nonexistent", "No such file")
        try Self.check("\(good) -initrd \(folder.path)", "Is a directory")
        try Self.check("\(good) -initrd \(try folder.file("none", []))", "it is empty")
        for count in [11, 5000, initrd.count / 2, initrd.count - 1] {
            let cut = try folder.file("cut.gz", Array(initrd[..<count]))
            try Self.check("\(good) -initrd \(cut)", "truncated")
        }
        var broken = initrd
        broken[initrd.count / 2] ^= 0x5A
        try Self.check("\(good) -initrd \(try folder.file("broken.gz", broken))", "gzip stream is broken")
        let header = Array("070701".utf8) + [UInt8](repeating: UInt8(ascii: "0"), count: 104)
        try Self.check("\(good) -initrd \(try folder.file("cpio", Array(header[..<60])))", "cpio archive is truncated")
        let large = try folder.file("large", [UInt8](repeating: 0x41, count: 90 << 20))
        try Self.check("\(good) -m 128 -initrd \(large)", "large'")
    }

    @Test(.enabled(if: getuid() != 0, "root reads every file")) func whatCannotBeReadIsNamed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("secret", [1, 2, 3])
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: path)
        try Self.check("-kernel \(path)", "Permission denied")
        try Self.check("-hda \(path)", "\(path)'")
    }

    @Test func imagesThatAreNotWhatIsSaid() throws {
        let folder = try TemporaryFolder()
        let noise = try folder.file("noise", (0..<70000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        for format in ["qcow2", "vmdk", "vdi", "vhdx", "vpc"] {
            try Self.check("-drive file=\(noise),format=\(format)", "noise'")
        }
        try Self.check("-drive file=\(folder.path),if=virtio", "directory")
        try Self.check("-drive file=\(noise),format=raw,if=scsi", "does not support if=scsi")
    }
}
