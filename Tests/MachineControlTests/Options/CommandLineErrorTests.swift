import Machine
import MachineControl
import TestSupport
import Testing

private let failures: [(String, String)] = [
    ("-foo", "-foo: invalid option; see -help"),
    ("-enable-kmv", "-enable-kmv: invalid option; did you mean '-enable-kvm'?"),
    ("-kernel", "-kernel: requires an argument: file"),
    (
        "-boot",
        "-boot: requires an argument: [order=drives][,once=drives][,menu=on|off][,splash=file][,splash-time=ms][,reboot-timeout=ms][,strict=on|off]"
    ),
    ("-smp 0", "-smp 0: Invalid CPU topology: 'cpus' must be greater than zero"),
    ("-smp x", "-smp x: Parameter 'cpus' expects a number that is not negative, not 'x'"),
    (
        "-smp 2,foo=1",
        "-smp 2,foo=1: Invalid parameter 'foo'; valid: cpus, maxcpus, sockets, dies, clusters, cores, threads"
    ),
    ("-smp 2,core=1", "-smp 2,core=1: Invalid parameter 'core'; did you mean 'cores'?"),
    (
        "-smp 3,sockets=2,cores=2",
        "-smp 3,sockets=2,cores=2: Invalid CPU topology: sockets (2) * dies (1) * cores (2) * threads (0) is not maxcpus (3)"
    ),
    ("-smp 4,maxcpus=2", "-smp 4,maxcpus=2: Invalid CPU topology: maxcpus (2) is below cpus (4)"),
    ("-smp 300", "-smp 300: Invalid SMP CPUs 300. The max CPUs supported by machine 'pc' is 255"),
    ("-m 0", "-m 0: Parameter 'size' expects a size above 0, such as 512M, not '0'"),
    ("-m abc", "-m abc: Parameter 'size' expects a size, such as 512M or 4G, not 'abc'"),
    ("-m 99999999999E", "-m 99999999999E: Parameter 'size' expects a size, such as 512M or 4G, not '99999999999E'"),
    (
        "-global PIIX4_PM.disable_s3=x",
        "-global PIIX4_PM.disable_s3=x: Property 'PIIX4_PM.disable_s3' doesn't take value 'x', it expects a number of 8 bits"
    ),
    (
        "-global isa-fdc.foo=1",
        "-global isa-fdc.foo=1: Property 'isa-fdc.foo' not found; '-device isa-fdc,help' lists them"
    ),
    (
        "-device PIIX4_PM",
        "-device PIIX4_PM: Parameter 'driver' expects a pluggable device type: 'PIIX4_PM' is part of the board"
    ),
    ("-m 1G,slots=2", "-m 1G,slots=2: slots specified but no maxmem"),
    ("-machine foo", "-machine foo: unsupported machine type 'foo'; valid: pc, q35, microvm, none"),
    ("-M pc,hpet=maybe", "-M pc,hpet=maybe: Parameter 'hpet' expects 'on' or 'off', not 'maybe'"),
    ("-M pc,hpt=on", "-M pc,hpt=on: Invalid parameter 'hpt'; did you mean 'hpet'?"),
    (
        "-M microvm,hpet=off",
        "-M microvm,hpet=off: Property 'microvm-machine.hpet' not found; '-machine microvm,help' lists them"
    ),
    ("-accel foo", "-accel foo: invalid accelerator 'foo'; valid: tcg, translator, kvm, auto"),
    ("-accel foo -accel bar", "-accel foo: invalid accelerator 'foo'; valid: tcg, translator, kvm, auto"),
    ("-M accel=foo:bar", "-M accel=foo:bar: invalid accelerator 'foo'; valid: tcg, translator, kvm, auto"),
    ("-accel kvm,thread=multi", "-accel kvm,thread=multi: Property 'thread' is not one of accelerator 'kvm'"),
    ("-accel tcg -M accel=kvm", "The -accel and \"-machine accel=\" options are incompatible"),
    ("-device foo", "-device foo: 'foo' is not a valid device model name; '-device help' lists them"),
    (
        "-device virtio-blk-pic",
        "-device virtio-blk-pic: 'virtio-blk-pic' is not a valid device model name; did you mean 'virtio-blk-pci'?"
    ),
    (
        "-device virtio-blk-pci,foo=1",
        "-device virtio-blk-pci,foo=1: Property 'virtio-blk-pci.foo' not found; '-device virtio-blk-pci,help' lists them"
    ),
    (
        "-device virtio-net-pci,mac=zz",
        "-device virtio-net-pci,mac=zz: Property 'virtio-net-pci.mac' doesn't take value 'zz', it expects a MAC address, such as 52:54:00:12:34:56"
    ),
    (
        "-device isa-debug-exit,iobase=4294967296",
        "-device isa-debug-exit,iobase=4294967296: Property 'isa-debug-exit.iobase' doesn't take value '4294967296', it expects a number of 32 bits"
    ),
    (
        "-device virtio-blk-pci,drive=foo",
        "-device virtio-blk-pci,drive=foo: Property 'virtio-blk-pci.drive' can't find value 'foo'"
    ),
    ("-device virtio-blk-pci", "-device virtio-blk-pci: drive property not set: 'virtio-blk-pci' needs drive=id"),
    ("-device ''", "-device : Parameter 'driver' is missing"),
    ("-device '{\"driver\":'", "-device {\"driver\":: JSON parse error, input ends inside a value at offset 10"),
    (
        "-drive if=foo",
        "-drive if=foo: Parameter 'if' does not accept value 'foo'; valid: ide, scsi, floppy, pflash, mtd, sd, virtio, none"
    ),
    (
        "-drive file=x,cache=writeback2",
        "-drive file=x,cache=writeback2: Parameter 'cache' does not accept value 'writeback2'; did you mean 'writeback'?"
    ),
    ("-drive if=virtio", "-drive if=virtio: Parameter 'file' is missing"),
    ("-hda a -drive file=b,index=0", "-drive file=b,index=0: drive with bus=0, unit=0 (index=0) exists"),
    ("-hda a b.img", "b.img: drive with bus=0, unit=0 (index=0) exists"),
    ("a b", "b: there is already an image without an option; name further ones with -drive"),
    ("-netdev foo,id=x", "-netdev foo,id=x: Parameter 'type' does not accept value 'foo'; valid: user, tap, bridge, socket, stream, dgram, hubport, vhost-user, af-packet"),
    ("-netdev vde,id=x", "-netdev vde,id=x: network back-end 'vde' is not supported yet; valid: user, tap, bridge, socket, stream, dgram, hubport, vhost-user, af-packet"),
    ("-netdev stream,id=x", "-netdev stream,id=x: Parameter 'addr' is missing"),
    ("-netdev stream,id=x,addr.type=unix", "-netdev stream,id=x,addr.type=unix: Parameter 'addr.path' is missing"),
    (
        "-netdev socket,id=x,listen=:1,connect=:2",
        "-netdev socket,id=x,listen=:1,connect=:2: exactly one of listen=, connect=, mcast=, udp=, and fd= is required"
    ),
    ("-netdev socket,id=x,udp=h:1", "-netdev socket,id=x,udp=h:1: localaddr= is mandatory with udp="),
    (
        "-netdev tap,id=x,vhostfd=3,vhost=off",
        "-netdev tap,id=x,vhostfd=3,vhost=off: vhostfd(s)= is not valid without vhost"
    ),
    ("-netdev tap,id=x,fd=3,ifname=t", "-netdev tap,id=x,fd=3,ifname=t: ifname= is invalid with fd= or fds="),
    ("-netdev user,id=x,smb=/tmp", "-netdev user,id=x,smb=/tmp: 'smb' is not supported: sharing a directory needs a server of SMB"),
    ("-netdev user", "-netdev user: Parameter 'id' is missing"),
    (
        "-netdev user,id=x,hostfwd=tcp:22",
        "-netdev user,id=x,hostfwd=tcp:22: Parameter 'hostfwd' expects [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport, not 'tcp:22'"
    ),
    (
        "-nic user,model=ne3210",
        "-nic user,model=ne3210: Unsupported NIC model: 'ne3210'; valid: virtio-net-pci, virtio-net-pci-transitional, virtio-net-pci-non-transitional, e1000, e1000e, pcnet, rtl8139"
    ),
    (
        "-chardev foo,id=a",
        "-chardev foo,id=a: invalid character back-end 'foo'; valid: null, stdio, file, pty, pipe, serial, tty, parallel, parport, socket, udp, ringbuf, vc, qemu-vdagent, spicevmc, spiceport"
    ),
    ("-chardev null", "-chardev null: Parameter 'id' is missing"),
    ("-serial stdoi", "-serial stdoi: invalid character back-end 'stdoi'; did you mean 'stdio'?"),
    (
        "-serial stdio -monitor stdio",
        "cannot use stdio by multiple character devices: 'serial0' and 'compat_monitor0'; 'mon:stdio' shares it"
    ),
    (
        "-chardev null,id=a -serial chardev:a -serial chardev:a",
        "-serial: chardev 'a' is already in use; mux=on shares it"
    ),
    ("-mon foo", "-mon: chardev \"foo\" not found"),
    (
        "-rtc base=foo",
        "-rtc base=foo: Parameter 'base' expects 'utc', 'localtime' or a date such as 2006-06-17T16:01:21 or 2006-06-17, not 'foo'"
    ),
    ("-boot order=zz", "-boot order=zz: Invalid boot device 'z'; valid: a, b, c, d, n"),
    ("-boot cc", "-boot cc: Boot device 'c' was given twice"),
    ("-name a,b=c", "-name a,b=c: Invalid parameter 'b'; valid: guest, process, debug-threads"),
    (
        "-object foo,id=a",
        "-object foo,id=a: Parameter 'qom-type' does not accept value 'foo'; valid: authz-list, authz-list-file, authz-simple, filter-dump, iothread, memory-backend-file, memory-backend-memfd, memory-backend-ram, rng-builtin, rng-random, secret, tls-creds-psk, tls-creds-x509, thread-context, throttle-group"
    ),
    (
        "-object memory-backend-ram,id=m,size=foo",
        "-object memory-backend-ram,id=m,size=foo: Parameter 'size' expects a size, such as 512M or 4G, not 'foo'"
    ),
    (
        "-object iothread,id=9",
        "-object iothread,id=9: Parameter 'id' expects an identifier: a letter, then letters, digits, '-', '.', '_', not '9'"
    ),
    ("-fsdev synth,id=f", "-fsdev synth,id=f: fsdriver 'synth' is not supported; use 'local'"),
    (
        "-fsdev local,id=f,path=/,security_model=mapped-file",
        "-fsdev local,id=f,path=/,security_model=mapped-file: security_model 'mapped-file' is not supported; use 'mapped-xattr'"
    ),
    (
        "-fsdev local,id=f,path=/,security_model=x",
        "-fsdev local,id=f,path=/,security_model=x: Parameter 'security_model' does not accept value 'x'; valid: passthrough, none, mapped-xattr"
    ),
    ("-fsdev local,id=f,path=/", "-fsdev local,id=f,path=/: Parameter 'security_model' is missing"),
    (
        "-fsdev local,id=f,path=/,security_model=mapped,fmode=600",
        "-fsdev local,id=f,path=/,security_model=mapped,fmode=600: Parameter 'fmode' expects an octal mode, from 0000 to 0777, not '600'"
    ),
    (
        "-virtfs local,path=/,security_model=none",
        "-virtfs local,path=/,security_model=none: Parameter 'mount_tag' is missing"
    ),
    ("-smbios type=99", "-smbios type=99: Parameter 'type' expects one of 0, 1, 2, 3, 4, 8, 11, 17, 41, not '99'"),
    ("-fw_cfg x", "-fw_cfg x: name, plus exactly one of file and string, are needed"),
    ("-display gtk", "-display gtk: display 'gtk' is not supported yet; valid: none, curses, vnc"),
    ("-vga foo", "-vga foo: unknown vga type 'foo'; valid: none, std, cirrus, virtio"),
    (
        "-action reboot=foo",
        "-action reboot=foo: Parameter 'reboot' does not accept value 'foo'; valid: reset, shutdown"
    ),
    ("-action shutdown", "-action shutdown: Parameter 'shutdown' needs a value"),
    (
        "-blockdev foo",
        "-blockdev foo: Parameter 'driver' does not accept value 'foo'; valid: file, host_device, host_cdrom, null-co, null-aio, blkdebug, nbd, luks, copy-on-read, throttle, raw, qcow2, vmdk, vdi, vhdx, vpc, bochs, cloop, dmg, parallels, qcow, qed"
    ),
    (
        "-blockdev driver=file,filename=/x",
        "-blockdev driver=file,filename=/x: 'node-name' must be specified for the root node"
    ),
    ("-blockdev driver=file,node-name=a", "-blockdev driver=file,node-name=a: Parameter 'filename' is missing"),
    (
        "-blockdev raw,node-name=a,file=b",
        "-blockdev: Cannot find device='' nor node-name='b', which 'a' has as its file"
    ),
    (
        "-d foo,int",
        "-d foo,int: invalid log item 'foo'; valid: out_asm, in_asm, op, op_opt, op_ind, int, exec, cpu, fpu, mmu, pcall, cpu_reset, unimp, guest_errors, page, nochain, plugin, strace, tid, all, none"
    ),
    ("-append x", "-append only allowed with -kernel option"),
    ("-nographic -daemonize", "-nographic cannot be used with -daemonize"),
    ("-set device.x.y=z", "-set device.x.y=z: there is no device 'x' before it"),
    (
        "-uuid 123",
        "-uuid 123: failed to parse UUID string: wrong format; it takes 36 characters, such as 123e4567-e89b-12d3-a456-426614174000"
    ),
    ("-name a\n\u{1b}[2J,x=1", "-name a\\x0a\\x1b[2J,x=1: Invalid parameter 'x'; valid: guest, process, debug-threads"),
]

@Test(arguments: failures)
func oneLineNamesWhatIsWrong(line: String, expected: String) {
    #expect(failure(line) == expected)
}

@Test(arguments: [
    "-h", "-help", "--help", "-version", "-machine help", "-M ?", "-M pc,help", "-accel help", "-smp help",
    "-device help", "-device ?", "-device virtio-blk-pci,help", "-netdev help", "-chardev help", "-object help",
    "-object memory-backend-ram,help", "-drive help", "-blockdev help", "-nic user,model=help", "-d help", "-vga help",
    "-display help", "-audiodev help",
])
func helpIsATextAndNoMachine(line: String) {
    guard case .information(let text) = request(line) else {
        Issue.record("\(request(line))")
        return
    }
    #expect(text.count > 20 || line == "-audiodev help")
    #expect(text.hasSuffix("\n"))
}

@Test func deviceHelpHasQEMUsShape() {
    #expect(
        request("-device isa-debug-exit,help")
            == .information(
                """
                isa-debug-exit options:
                  iobase=<uint32>        -  (default: 1281)
                  iosize=<uint32>        -  (default: 2)

                """))
    guard case .information(let text) = request("-device help") else { return }
    #expect(text.contains("name \"e1000\", bus PCI, alias \"e1000-82540em\", desc \"Intel Gigabit Ethernet\"\n"))
}

@Test func warningsStopNothing() {
    guard case .machine(_, let warnings) = request("-vga std -fw_cfg x,string=y -global foo.bar=1") else {
        Issue.record("no machine")
        return
    }
    #expect(
        warnings == [
            "qemu-system-x86_64: warning: -fw_cfg x,string=y: externally provided fw_cfg item names should be prefixed with \"opt/\"",
            "qemu-system-x86_64: warning: -global foo.bar=1: there is no device model 'foo'",
        ])
}

/// Where somebody else has opened the kernel's vhost, there is nothing to look for on the host.
@Test(arguments: [("vhost=on,vhostfd=3", true), ("fds=5:6,vhostfds=3:4", true), ("vhost=off", false), ("ifname=t0", false)])
func vhostIsTaken(options: String, isUsed: Bool) {
    guard case .machine(let machine, let warnings) = request("-netdev tap,id=x,\(options)") else {
        Issue.record("no machine")
        return
    }
    // That the back-end has no card is another one.
    #expect(warnings.filter { !$0.hasSuffix("has no peer") } == [])
    guard let network = machine.networks.first(where: { $0.id == "x" }), case .tap(let tap) = network.peer else {
        Issue.record("no tap")
        return
    }
    #expect(tap.usesVhost == isUsed && tap.vhostDescriptors.isEmpty == !isUsed)
}

@Test func noiseEndsInARequest() {
    // Options and arguments put together at random: whatever comes out, it comes out.
    let options = [
        "-smp", "-m", "-M", "-accel", "-device", "-drive", "-netdev", "-nic", "-chardev", "-serial", "-object",
        "-blockdev",
        "-boot", "-rtc", "-smbios", "-fw_cfg", "-global", "-set", "-numa", "-gdb", "-uuid", "-mon", "-net", "-name",
    ]
    let pieces = [
        "a", "=", ",", ",,", ".", ":", "{", "}", "\"", "driver", "file", "id", "size", "user", "tcp", "-", "0", "9",
        "e", "G",
        "virtio-blk-pci", "on", "no", "x=1", "cpus", "sockets", "18446744073709551616", "\u{301}", "\0", "[", "]", "@",
    ]
    var state: UInt64 = 5
    func next() -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33)
    }
    for _ in 0..<FuzzRounds.times(5000) {
        var arguments = ["qemu"]
        for _ in 0..<(1 + next() % 3) {
            arguments.append(options[next() % options.count])
            arguments.append((0..<(next() % 8)).map { _ in pieces[next() % pieces.count] }.joined())
        }
        if case .failure(let line) = CommandLineParser.parse(arguments) {
            #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 })
        }
    }
}
