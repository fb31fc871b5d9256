import JSON
import Machine
import MachineControl
import TestSupport
import Testing

/// What a line prints, through QMP, which adds no echo.
private func human(_ line: String, _ machine: FakeMachine = FakeMachine()) throws -> String {
    let client = Client(machine)
    let escaped = line.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    let reply = try client.value(
        "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"\(escaped)\"}}")
    return (reply["return"]?.stringValue ?? "\(reply)").replacing("\r\n", with: "\n")
}

private let texts: [(String, String)] = [
    ("info status", "VM status: paused (prelaunch)\n"),
    ("info kvm", "kvm support: disabled\n"),
    ("info cpus", "* CPU #0: thread_id=3967\n  CPU #1: thread_id=3968\n"),
    ("info numa", "0 nodes\n"),
    ("i /b 0x70", "portb[0x0070] = 0x5a\n"),
    ("i /w 0x10064", "portl[0x0064] = 0x0064005a\n"),
    ("info uuid", "00000000-0000-0000-0000-000000000000\n"),
    ("info chardev", "serial0: filename=stdio\n"),
    (
        "info network",
        "e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56\n \\ #nic0: index=0,type=user,net=10.0.2.0,restrict=off\n"
    ),
    (
        "info block",
        """
        virtio0 (#block1): /bin/ls (raw, read-only)
            Attached to:      /machine/peripheral/d/virtio-backend
            Cache mode:       writeback

        ide1-cd0: [not inserted]
            Attached to:      /machine/unattached/device[24]
            Removable device: not locked, tray closed

        """
    ),
    (
        "info pci",
        """
          Bus  0, device   3, function 0:
            Ethernet controller: PCI device 8086:100e
              PCI subsystem 1af4:1100
              IRQ 11, pin A
              BAR0: 32 bit memory at 0xfebc0000 [0xfebdffff].
              BAR1: I/O at 0xffffffffffffffff [0x003e].
              id ""

        """
    ),
    (
        "info qtree",
        """
        bus: main-system-bus
          type System
          dev: i440FX-pcihost, id ""
            bus: pci.0
              type PCI
              dev: virtio-blk-pci, id "d"
                vectors = 2 (0x2)
                drive = "v"
                class SCSI controller, addr 00:04.0, pci id 1af4:1001 (sub 1af4:0002)

        """
    ),
    (
        "info mtree",
        """
        address-space: memory
          0000000000000000-ffffffffffffffff (prio 0, i/o): system
            0000000000000000-0000000007ffffff (prio 0, ram): pc.ram

        address-space: I/O
          0000000000000000-000000000000ffff (prio 0, i/o): io
            00000000000003f8-00000000000003ff (prio 0, i/o): serial

        """
    ),
    (
        "info mem",
        "0000000000000000-0000000000002000 0000000000002000 -rw\n0000000000004000-0000000000005000 0000000000001000 ur-\n"
    ),
    ("xp/8xb 0", "0000000000000000: 0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07\n"),
    ("xp/3xw 0x10", "0000000000000010: 0x13121110 0x17161514 0x1b1a1918\n"),
    ("xp/2xg 4080+8", "0000000000000ff8: Cannot access memory\n"),
    ("xp/4dw 0", "0000000000000000:   50462976  117835012  185207048  252579084\n"),
    ("xp/2c 0x40", "0000000000000040: '@' 'A'\n"),
    ("xp/1ow 0", "0000000000000000: 000300400400\n"),
    ("xp/1ug 0", "0000000000000000:   506097522914230528\n"),
    ("x/2xh 0xffff800000000010", "ffff800000000010: 0x1110 0x1312\n"),
    ("x 0", "0000000000000000: Cannot access memory\n"),
    (
        "xp/2i 0x12",
        "0x00000012:  12 13                    op18\n0x00000014:  14 15                    op20\n"
    ),
    ("xp/1i 0x13", "0x00000013:  13                       (bad)\n"),
    ("xp/s 0", "invalid char in format: 's'\nTry \"help xp\" for more information\n"),
    ("xp/4x", "unexpected end of expression\nTry \"help xp\" for more information\n"),
    ("print 1+2*3", "0x7\n"), ("print/d -1", "-1\n"), ("p/u 0-1", "18446744073709551615\n"), ("p $rip", "0x10\n"),
    ("p/x ($eax & 0xf0) | 1", "0xf1\n"), ("p 010", "0x8\n"), ("p 'A'", "0x41\n"), ("p ~0", "0xffffffffffffffff\n"),
    ("p 1/0", "division by zero\nTry \"help print\" for more information\n"),
    ("p $foo", "unknown register\nTry \"help print\" for more information\n"),
    ("p (1", "')' expected\nTry \"help print\" for more information\n"),
    ("p 0x", "invalid number: '0x'\nTry \"help print\" for more information\n"),
    ("foo", "unknown command: 'foo'\n"), ("info foo", "unknown command: 'info foo'\n"), ("", ""),
    ("cpu 9", "invalid CPU index\n"),
    ("cpu", "unexpected end of expression\nTry \"help cpu\" for more information\n"),
    ("stop 1", "stop|s: extraneous characters at the end of line\nTry \"help stop\" for more information\n"),
    ("help stop", "stop|s  -- stop emulation\n"),
    ("help x", "x /fmt addr -- virtual memory dump starting at 'addr'\n"),
    ("help info mtree", "info mtree [-f] -- show memory tree (-f: dump flat view for address spaces)\n"),
    ("logfile", "logfile: filename expected\nTry \"help logfile\" for more information\n"),
    ("memsave 0 1", "memsave: filename expected\nTry \"help memsave\" for more information\n"),
    ("sendkey nonsense", "Error: invalid parameter: nonsense\n"),
    ("info registers 7", "CPU#7 not available\n"),
    ("log foo", "invalid log item 'foo'; 'log help' lists them\n"),
]

private let looks: [(String, String)] = [
    ("gva2gpa 0x1000", "gpa: 0x101000\n"), ("gva2gpa 0x9000", "Unmapped\n"),
    ("gpa2hva 0x10", "Host virtual address for 0x10 (pc.ram) is 0x7f0000000010\n"),
    ("gpa2hva 0x1000", "No memory is mapped at address 0x1000\n"),
    ("info qom-tree /nope", "Path '/nope' could not be resolved.\n"),
    (
        "info qom-tree", "/machine (pc-i440fx-7.2-machine)\n  /i440fx (i440FX-pcihost)\n  /peripheral (container)\n"
            + "    /d (virtio-blk-pci)\n  /peripheral-anon (container)\n  /unattached (container)\n"
            + "    /device[0] (qemu64-x86_64-cpu)\n    /device[1] (qemu64-x86_64-cpu)\n"
    ),
    ("help foo", "unknown command: 'foo'\n"), ("help info foo", "unknown command: 'info foo'\n"),
    ("boot_set zz", "Invalid boot device 'z'\n"),
    (
        "info pic",
        "ioapic0: ver=0x20 id=0x00 sel=0x12 (redir[1])\n"
            + "  pin 0  0x010000000000e931 dest=1 vec=49  active-lo level        lowest logical\n"
            + "  pin 1  0x0000000000010000 dest=0 vec=0   active-hi edge  masked fixed  physical\n"
            + "  IRR      0 \n  Remote IRR 0 \n"
            + "pic1: irr=00 imr=00 isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=00 fnm=0\n"
            + "pic0: irr=01 imr=fb isr=00 hprio=0 irq_base=30 rr_sel=0 elcr=00 fnm=0\n"
    ),
    (
        "info mtree -f",
        "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"
            + "  0000000000000000-0000000007ffffff (prio 0, ram): pc.ram\n\n"
            + "FlatView #1\n AS \"I/O\", root: io\n Root memory region: io\n"
            + "  00000000000003f8-00000000000003ff (prio 0, i/o): serial\n"
    ),
]

@Test(arguments: looks)
func looksAreQEMUs(line: String, expected: String) throws {
    #expect(try human(line) == expected)
}

@Test func theLocalControllerIsShown() throws {
    let lines = try human("info lapic").split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines[0] == "dumping local APIC state for CPU 0 ")
    #expect(lines[2] == "LVT0\t 0x00008700 active-hi level                             ExtINT (vec 0)")
    #expect(lines[3] == "LVT1\t 0x00000400 active-hi edge                              NMI   ")
    #expect(lines[7] == "LVTT\t 0x000200ef active-hi edge                 periodic     Fixed  (vec 239)")
    #expect(lines[8] == "Timer\t DCR=0x3 (divide by 16) initial_count = 62500 current_count = 1000")
    #expect(lines[9] == "SPIV\t 0x000001ff APIC enabled, focus=off, spurious vec 255")
    #expect(lines[10] == "ICR\t 0x0000c0fb physical level assert no-shorthand")
    #expect(lines[11] == "ICR2\t 0x01000000 cpu 1 (APIC ID)")
    #expect(lines[13] == "ISR\t 236" && lines[14] == "IRR\t 37(level)")
    #expect(lines[16] == "APR 0x00 TPR 0x20 DFR 0x0f LDR 0x01 PPR 0xe0")
    #expect(try human("info lapic 7") == "No CPU available\n")
}

@Test func objectsAndDrivesComeByTheirOptions() throws {
    let machine = FakeMachine()
    #expect(try human("object_add rng-random,id=r", machine) == "")
    #expect(try human("boot_set nc", machine) == "boot device list now set to nc\n")
    #expect(try human("drive_add 0 if=none,id=d9,file=/x,format=raw", machine) == "OK\n")
    #expect(try human("drive_add -n 0 driver=null-co,node-name=nn", machine) == "")
    #expect(try human("drive_add 0 if=virtio,id=d8,file=/x", machine) == "Can't hot-add drive to type virtio\n")
    #expect(machine.calls == ["object rng-random r", "boot nc", "drive d9 /x", "node nn"])
    #expect(try human("object_add foo,id=r", machine).hasPrefix("Error: Parameter 'qom-type' does not accept value 'foo'"))
}

@Test(arguments: texts)
func printsAsQEMUDoes(line: String, expected: String) throws {
    #expect(try human(line) == expected)
}

@Test func commandsReachTheMachine() throws {
    let machine = FakeMachine()
    for line in ["stop", "c", "system_reset", "system_powerdown", "nmi", "pmemsave 0x10 4096 \"/tmp/a b\"", "quit"] {
        #expect(try human(line, machine) == "")
    }
    #expect(machine.calls == ["stop", "cont", "reset", "powerdown", "nmi", "save 16 4096 - /tmp/a b", "quit"])
}

@Test func registersAreInQEMUsLayout() throws {
    let text = try human("info registers").split(separator: "\n", omittingEmptySubsequences: false)
    #expect(text[1] == "CPU#0")
    #expect(text[2] == "RAX=123456789abcdef0 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000")
    #expect(text[6] == "RIP=0000000000000010 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0")
    #expect(text[8] == "CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]")
    #expect(try human("info registers -a").contains("\nCPU#1\n"))
}

/// A terminal of the monitor.
private func terminal(_ input: String, _ machine: FakeMachine = FakeMachine()) -> String {
    let session = HMPSession(machine: machine)
    _ = session.open()
    return String(decoding: session.receive(Array(input.utf8)), as: UTF8.self)
}

@Test func thePromptGreets() {
    let text = String(decoding: HMPSession(machine: FakeMachine()).open(), as: UTF8.self)
    #expect(text == "QEMU 7.2.0 monitor - type 'help' for more information\r\n(qemu) \u{1b}[K")
}

@Test func portsAreWritten() throws {
    let machine = FakeMachine()
    #expect(try human("o /b 0x80 0x1ff", machine) == "" && human("o /h 0x72 0x12345", machine) == "")
    #expect(try human("o 0xcf8 0x80000000", machine) == "")
    #expect(machine.calls == ["o 128 1 255", "o 114 2 9029", "o 3320 4 2147483648"])
}

@Test func memoryBackendsAndNodes() throws {
    var configuration = MachineConfiguration()
    configuration.memory.size = 512 << 20
    #expect(
        try human("info memdev", FakeMachine(configuration))
            == "memory backend: pc.ram\n  size:  536870912\n  merge: true\n  dump: true\n  prealloc: false\n"
            + "  share: false\n  reserve: true\n  policy: default\n  host nodes: \n\n")
    var object = ObjectConfiguration(type: "memory-backend-memfd", id: "b")
    object.properties = ["size": 268_435_456, "policy": "bind", "host-nodes": [0, 1], "prealloc": true]
    configuration.objects = [object]
    configuration.numa.nodes = [
        NUMAConfiguration.Node(memory: 256 << 20, backend: "b"), NUMAConfiguration.Node(memory: 256 << 20),
    ]
    configuration.numa.processors = [1, 0]
    let machine = FakeMachine(configuration)
    #expect(try human("info memdev", machine).hasPrefix("memory backend: b\n  size:  268435456\n"))
    #expect(try human("info memdev", machine).hasSuffix("  share: true\n  reserve: true\n  policy: bind\n  host nodes: 0,1\n\n"))
    #expect(
        try human("info numa", machine)
            == "2 nodes\nnode 0 cpus: 1\nnode 0 size: 256 MB\nnode 0 plugged: 0 MB\nnode 1 cpus: 0\n"
            + "node 1 size: 256 MB\nnode 1 plugged: 0 MB\n")
}

@Test func linesAreEchoedAndRun() {
    #expect(terminal("info kvm\r") == "info kvm\r\nkvm support: disabled\r\n(qemu) \u{1b}[K")
    #expect(terminal("stop\r\ncont\n").contains("stop\r\n(qemu) \u{1b}[Kcont\r\n"))
    #expect(terminal("quit\rstop\r") == "quit\r\n")
}

@Test(arguments: [
    ("info kvx\u{7f}m", "info kvm"), ("xinfo kvm\u{1}\u{4}", "info kvm"), ("kvm\u{1}info \u{5}", "info kvm"),
    ("garbage\u{15}info kvm", "info kvm"), ("info foo\u{17}kvm", "info kvm"), ("info kvmxx\u{2}\u{2}\u{b}", "info kvm"),
    ("info vm\u{1b}[D\u{1b}[Dk", "info kvm"), ("nfo kvm\u{1b}[Hi\u{1b}[F", "info kvm"),
    ("info kkvm\u{1b}[1~\u{6}\u{6}\u{6}\u{6}\u{6}\u{1b}[3~", "info kvm"),
    ("inf\tkvm", "info kvm"), ("info k\t", "info kvm "), ("foo\u{3}info kvm", "info kvm"),
    ("é\u{7f}info kvm", "info kvm"),
])
func keysEditTheLine(keys: String, line: String) throws {
    let machine = FakeMachine()
    let text = terminal(keys + "\rinfo history\r", machine)
    #expect(text.contains("kvm support: disabled\r\n"))
    #expect(text.contains("0: '\(line)'\r\n1: 'info history'\r\n"))
}

@Test func historyComesBack() {
    let machine = FakeMachine()
    _ = terminal("stop\rcont\r\u{1b}[A\u{1b}[A\r\u{10}\u{10}\u{e}\r", machine)
    #expect(machine.calls == ["stop", "cont", "stop", "stop"])
}

@Test func tabShowsWhatFits() {
    #expect(terminal("system_\t").contains("\r\nsystem_powerdown  system_reset  system_wakeup\r\n\r(qemu) system_\u{1b}[K"))
    #expect(terminal("sys\t") == "system_")
}

@Test func noiseNeverStopsAMonitor() {
    var state: UInt64 = 9
    func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
    let pieces = [
        "info ", "x", "/4", "xp", " ", "0", "$rip", "(", ")", "-", "'", "\"", "\t", "\r", "\u{1b}[", "A", "3~",
        "\u{15}", "é", "p", "registers", "cpu ", "999999", "i", "g",
    ]
    for _ in 0..<FuzzRounds.times(500) {
        let session = HMPSession(machine: FakeMachine())
        var bytes: [UInt8] = []
        for _ in 0..<40 {
            bytes +=
                next() % 4 == 0
                ? [UInt8(truncatingIfNeeded: next())] : Array(pieces[Int(next() % UInt64(pieces.count))].utf8)
        }
        _ = session.receive(bytes)
        let end = String(decoding: session.receive(Array("\u{3}info uuid\r".utf8)), as: UTF8.self)
        #expect(end.contains("00000000-0000") || end.isEmpty)
    }
}

@Test func nestedPagingOfTheHostIsTold() throws {
    var status = AcceleratorStatus(name: "kvm", isKVM: true, reason: "as asked for")
    status.translation = [("ept", true), ("vpid", false)]
    let machine = FakeMachine(accelerator: status)

    #expect(
        try human("info kvm", machine)
            == "kvm support: enabled\nept: enabled\nvpid: disabled\naccelerator: kvm (as asked for)\n")
    let reply = try Client(machine).value("{'execute':'query-kvm'}")
    #expect(reply["return"] == ["enabled": true, "present": true, "ept": true, "vpid": false])
}
