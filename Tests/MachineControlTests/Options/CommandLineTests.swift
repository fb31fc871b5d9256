import FileSharing
import JSON
import Machine
import MachineControl
import Testing

@Test func nothingSaidIsAPCWithDefaults() throws {
    let machine = try machine("")
    #expect(machine.board.kind == .pc)
    #expect(machine.accelerators == [AcceleratorConfiguration(kind: .translator)])
    #expect(machine.memory.size == 128 << 20)
    #expect(try ProcessorTopology(machine.topology).processors == 1)
    #expect(machine.nics.map(\.model) == ["e1000"])
    #expect(machine.nics.map(\.network) == machine.networks.map(\.id))
    #expect(machine.networks.map(\.kind) == [.user])
    #expect(machine.serialPorts == ["serial0"])
    #expect(machine.monitors == [MonitorConfiguration(characterDevice: "compat_monitor0", mode: .readline)])
    #expect(machine.defaultDevices.cdrom)
}

@Test func theProgramsNameChoosesEngines() throws {
    #expect(try machine("", program: "qemu-kvm").accelerators.map(\.kind) == [.kvm, .translator])
    #expect(try machine("", program: "/opt/apus-vmm").accelerators.map(\.kind) == [.automatic])
    #expect(try machine("-accel kvm -accel tcg,thread=single").accelerators.map(\.kind) == [.kvm, .translator])
    #expect(try machine("-M pc,accel=kvm:tcg").accelerators.map(\.kind) == [.kvm, .translator])
    #expect(try machine("-enable-kvm").accelerators.map(\.kind) == [.kvm])
    #expect(try machine("--enable-kvm").accelerators.map(\.kind) == [.kvm])
    #expect(try machine("-accel translator,tb-size=64").accelerators[0].translationBufferSize == 64 << 20)
}

@Test func theContractsLines() throws {
    // Q15
    let many = try machine("-smp 8,sockets=2,cores=2,threads=2 /root/kvm_demo/rhel6u3.img")
    let topology = try ProcessorTopology(many.topology)
    #expect(topology.processors == 8)
    #expect(topology.place(of: 7) == ProcessorTopology.Place(socket: 1, die: 0, core: 1, thread: 1))
    #expect(many.drives.map(\.file) == ["/root/kvm_demo/rhel6u3.img"])
    #expect(many.drives.map(\.id) == ["ide0-hd0"])
    // Q16
    for line in ["-cpu ?", "-cpu help"] {
        guard case .information(let text) = request(line) else { return #expect(Bool(false), "no list") }
        for name in ["qemu64", "Nehalem", "EPYC", "max", "host", "avx2"] { #expect(text.contains(name)) }
    }
    #expect(try machine("-cpu SandyBridge").processorModel == "SandyBridge")
    // Q20
    #expect(try machine("-m 1024").memory.size == 1 << 30)
    #expect(try machine("-m 1G").memory.size == 1 << 30)
    // Q22
    let install = try machine(
        "-hda windows-master.qcow2 -m 512 -boot d -cdrom /home/user/isos/en_winxp_pro_with_sp2.iso", program: "qemu-kvm"
    )
    #expect(install.drives.map(\.id) == ["ide0-hd0", "ide1-cd0"])
    #expect(install.drives.map(\.media) == [.disk, .cdrom])
    #expect(install.drives[1].readOnly)
    #expect(install.boot.order == "d")
    #expect(!install.defaultDevices.cdrom)
    // Q23
    let clone = try machine("-hda windows-clone.qcow2 -m 400", program: "qemu-kvm")
    #expect(clone.memory.size == 400 << 20)
    #expect(clone.drives[0].format == nil)
}

@Test(
    arguments: [
        ("128", 128 << 20), ("size=64", 64 << 20), ("1.5G", 3 << 29), ("2g,slots=2,maxmem=4G", 2 << 30),
        ("0x40", 64 << 20),
        ("262144k", 256 << 20), ("1T", 1 << 40), ("1", 1 << 20), ("1025k", (1024 + 8) << 10),
    ] as [(String, UInt64)])
func memorySizes(text: String, bytes: UInt64) throws {
    #expect(try machine("-m \(text)").memory.size == bytes)
}

@Test func boardsTakeTheOldSpellingOfProperties() throws {
    let pc = try machine("-machine pc,kernel_irqchip=off,dump_guest_core=off,mem_merge=off")
    #expect(pc.board.kernelIRQChip == .off)
    #expect(!pc.board.dumpsGuestMemory && !pc.board.mergesMemory)
    #expect(try machine("-machine microvm,isa_serial=off").board.isaSerial == false)
    #expect(try machine("-m 64,maxmem=1G").memory.maximum == 1 << 30)
}

@Test(
    arguments: [
        "PIIX4_PM.disable_s3=1", "ICH9-LPC.disable_s4=1", "kvm-pit.lost_tick_policy=delay",
        "mc146818rtc.lost_tick_policy=slew", "isa-fdc.fdtypeA=144", "virtio-mmio.force-legacy=off",
    ])
func globalsReachWhatIsOnTheBoard(text: String) throws {
    #expect(try machine("-global \(text)").globals.count == 1)
}

@Test func drivesTakeTheOptionsOfTheirNodes() throws {
    let lines: [(String, CacheMode)] = [
        ("cache.direct=on", .none), ("cache.writeback=off", .writethrough), ("cache.no-flush=on", .unsafe),
        ("cache=none,cache.direct=off", .writeback), ("cache.direct=on,cache.writeback=off", .directsync),
        ("cache=unsafe,cache.no-flush=off", .writeback),
    ]
    for (text, mode) in lines {
        let drive = try #require(try machine("-drive file=x,format=raw,\(text)").drives.first)
        #expect(drive.cache == mode && drive.fileOptions.isEmpty)
    }
    let both = try machine("-drive file=x,cache.no-flush=on,cache.direct=on").drives[0]
    #expect(both.cache == .none && both.fileOptions["cache"] == ["no-flush": true])
    let node = try machine(
        "-drive file=x,format=qcow2,node-name=a,auto-read-only=on,l2-cache-size=1M,lazy-refcounts=on").drives[0]
    #expect(
        node.fileOptions
            == ["node-name": "a", "auto-read-only": true, "lazy-refcounts": true, "l2-cache-size": .integer(1 << 20)])
    let raw = try machine("-drive file=x,format=raw,offset=512,size=1M").drives[0]
    #expect(raw.fileOptions == ["offset": .integer(512), "size": .integer(1 << 20)])
    let none = try machine("-drive driver=null-co,size=1M,if=virtio").drives[0]
    #expect(none.fileOptions == ["driver": "null-co", "size": .integer(1 << 20)])
}

@Test func nographicSharesTheTerminal() throws {
    let shared = try machine("-nographic")
    #expect(
        shared.characterDevices == [
            {
                var device = CharacterDeviceConfiguration(id: "serial0", kind: .stdio(signal: false))
                device.isMultiplexed = true
                return device
            }()
        ])
    #expect(shared.serialPorts == ["serial0"])
    #expect(shared.monitors.map(\.characterDevice) == ["serial0"])
    let apart = try machine("-nographic -monitor none")
    #expect(apart.characterDevices.map(\.kind) == [.stdio(signal: nil)])
    #expect(apart.monitors == [])
    #expect(try machine("-nographic -serial mon:stdio").monitors.map(\.characterDevice) == ["serial0"])
    let bare = try machine("-nographic -nodefaults")
    #expect(bare.characterDevices == [])
    #expect(bare.nics == [])
    #expect(bare.serialPorts == [])
    let several = try machine("-serial null -serial none -serial mon:stdio -monitor none")
    #expect(several.serialPorts == ["serial0", nil, "serial2"])
}

@Test func shortCharacterBackEnds() throws {
    func kind(_ text: String) throws -> CharacterBackendKind? {
        try machine("-serial '\(text)'").characterDevices.first { $0.id == "serial0" }?.kind
    }
    #expect(try kind("file:/tmp/a,b") == .file(path: "/tmp/a,b", append: false, input: nil))
    #expect(try kind("pty") == .pty(path: nil))
    #expect(try kind("/dev/ttyS0") == .serial(path: "/dev/ttyS0"))
    #expect(try kind("pipe:/tmp/p") == .pipe(path: "/tmp/p"))
    #expect(
        try kind("udp:h:1@:2") == .udp(host: "h", port: "1", localHost: "", localPort: "2"))
    guard case .socket(let tcp)? = try kind("tcp:[::1]:4444,server,nowait,nodelay") else {
        Issue.record("not a socket")
        return
    }
    #expect(tcp.address == .inet(host: "::1", port: "4444", to: nil, ipv4: nil, ipv6: nil))
    #expect(tcp.isServer && !tcp.waits && tcp.noDelay)
    guard case .socket(let unix)? = try kind("unix:/tmp/s=1,server=on,wait=off") else {
        Issue.record("not a socket")
        return
    }
    #expect(unix.address == .unix(path: "/tmp/s=1", abstract: false, tight: true))
    #expect(unix.isServer && !unix.waits)
}

@Test func drives() throws {
    let machine = try machine(
        "-drive file=a,,b.img,if=virtio,format=raw,cache=none,aio=native,discard=unmap,detect-zeroes=unmap,werror=enospc"
            + " -drive if=none,id=d1,file=/dev/sdb,readonly=on -device virtio-blk,drive=d1,id=v1"
            + " -drive file=c.img -drive file.driver=file,file.filename=d.img,file.locking=off,if=virtio -snapshot")
    #expect(machine.drives.map(\.id) == ["virtio0", "d1", "ide0-hd0", "virtio1"])
    #expect(machine.drives[0].file == "a,b.img")
    #expect(machine.drives[0].cache == .none)
    #expect(machine.drives[0].asynchronousIO == .native)
    #expect(machine.drives[0].discardUnmap)
    #expect(machine.drives[0].detectZeroes == .unmap)
    #expect(machine.drives[0].writeErrors == .enospc)
    #expect(machine.drives[0].snapshot)
    #expect(machine.drives[1].readOnly)
    #expect(machine.devices[0].driver == "virtio-blk-pci")
    #expect(machine.devices[0].properties == ["drive": "d1"])
    #expect(machine.drives[3].fileOptions["file"]?["filename"] == "d.img")
    #expect(try MachineControlTests.machine("-M microvm -drive file=x").drives[0].interface == .virtio)
}

@Test func blockNodesNestByDotsAndByJSON() throws {
    let dotted = try machine(
        "-blockdev driver=raw,node-name=r,file.driver=file,file.filename=/x,cache.direct=on,read-only=on"
            + " -device virtio-blk-pci,drive=r")
    let json = try machine(
        #"-blockdev '{"driver": "raw", "node-name": "r", "file": {"driver": "file", "filename": "/x"}, "cache": {"direct": true}, "read-only": true}'"#
            + #" -device '{"driver": "virtio-blk-pci", "drive": "r"}'"#)
    #expect(dotted.blockNodes == json.blockNodes)
    #expect(dotted.devices.map(\.properties) == json.devices.map(\.properties))
    var file = BlockNodeConfiguration(driver: "file")
    file.filename = "/x"
    #expect(dotted.blockNodes[0].file == .node(file))
    #expect(dotted.blockNodes[0].cacheDirect && dotted.blockNodes[0].readOnly)
    let named = try machine("-blockdev file,node-name=f,filename=/x -blockdev raw,node-name=r,file=f")
    #expect(named.blockNodes[1].file == .reference("f"))
}

@Test func networkPeersAreTyped() throws {
    let machine = try machine(
        "-netdev stream,id=a,addr.type=unix,addr.path=/tmp/s,server=on"
            + " -netdev stream,id=b,addr.type=inet,addr.host=h,addr.port=9,reconnect=2"
            + " -netdev socket,id=c,listen=:1234 -netdev socket,id=d,mcast=230.0.0.1:99,localaddr=127.0.0.1"
            + " -netdev dgram,id=e,local.type=unix,local.path=/a,remote.type=unix,remote.path=/b"
            + " -netdev hubport,id=f,hubid=3,netdev=a -netdev tap,id=g,ifname=t0,script=no,queues=2"
            + " -netdev bridge,id=h,br=br1"
            + #" -netdev '{"type":"stream","addr":{"type":"fd","str":"7"},"id":"i"}'"#
            + " -object filter-dump,id=j,netdev=a,file=/tmp/x.pcap,queue=rx")
    var tap = TapConfiguration()
    tap.interface = "t0"
    tap.queues = 2
    #expect(
        machine.networks.map(\.peer) == [
            .stream(address: .unix(path: "/tmp/s"), isServer: true, reconnect: 0, hasHeaders: false),
            .stream(address: .internet(host: "h", port: "9"), isServer: false, reconnect: 2000, hasHeaders: false),
            .stream(address: .internet(host: "", port: "1234"), isServer: true, reconnect: 0, hasHeaders: false),
            .datagram(local: .internet(host: "127.0.0.1", port: ""), remote: .internet(host: "230.0.0.1", port: "99")),
            .datagram(local: .unix(path: "/a"), remote: .unix(path: "/b")), .hub(3, joins: "a"), .tap(tap),
            .bridge(name: "br1", helper: "/usr/lib/qemu/qemu-bridge-helper"),
            .stream(address: .descriptor("7"), isServer: false, reconnect: 0, hasHeaders: false),
        ])
    #expect(machine.objects.first?.properties == ["netdev": "a", "file": "/tmp/x.pcap", "queue": "rx"])
}

@Test func devicesAreTyped() throws {
    let machine = try machine(
        "-netdev user,id=n,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-10.0.2.15:53,net=10.1.0.0/16,restrict=on"
            + " -device virtio-net-pci,netdev=n,mac=52:54:00:00:00:01,mq=on,vectors=4,addr=05.0,nocsum"
            + " -device isa-debug-exit,iobase=0xf4,iosize=0x04 -global virtio-net-pci.rx_queue_size=512")
    #expect(
        machine.devices[0].properties == [
            "netdev": "n", "mac": "52:54:00:00:00:01", "mq": true, "vectors": 4, "addr": "05.0", "csum": false,
        ])
    #expect(machine.devices[1].properties == ["iobase": 0xf4, "iosize": 4])
    #expect(machine.globals == [GlobalProperty(driver: "virtio-net-pci", property: "rx_queue_size", value: "512")])
    #expect(machine.nics == [])
    let forwards = machine.networks[0].user.hostForwards
    #expect(forwards.map(\.hostPort) == [2222, 53])
    #expect(forwards.map(\.isUDP) == [false, true])
    #expect(forwards[1].guestAddress == "10.0.2.15")
    #expect(machine.networks[0].user.restricted)
}

@Test func objectsAreTyped() throws {
    let machine = try machine(
        "-object memory-backend-memfd,id=m,size=256M,share=on,hugetlb=off -M pc,memory-backend=m"
            + #" -object '{"qom-type": "iothread", "id": "io1"}' -object rng-random,id=r,filename=/dev/urandom"#
            + " -device virtio-rng-pci,rng=r -drive if=none,id=d,file=x -device virtio-blk-pci,drive=d,iothread=io1")
    #expect(machine.objects.map(\.type) == ["memory-backend-memfd", "iothread", "rng-random"])
    #expect(machine.objects[0].properties == ["size": 268_435_456, "share": true, "hugetlb": false])
    #expect(machine.board.memoryBackend == "m")
}

@Test func foldersAreShared() throws {
    let machine = try machine(
        "-fsdev local,id=f,path=/tmp,security_model=mapped-xattr,readonly=on,fmode=0640,multidevs=remap"
            + " -device virtio-9p-pci,fsdev=f,mount_tag=a -virtfs local,path=/var,mount_tag=b,security_model=none")
    #expect(machine.sharedFolders.map(\.options.path) == ["/tmp", "/var"])
    #expect(machine.sharedFolders.map(\.options.securityModel) == [.mapped, .none])
    #expect(machine.sharedFolders[0].options.isReadOnly && machine.sharedFolders[0].options.fileMode == 0o640)
    #expect(machine.sharedFolders[0].options.folderMode == 0o700 && machine.sharedFolders[0].options.devices == .remap)
    let devices = machine.devices.filter { $0.driver == "virtio-9p-pci" }
    #expect(devices.map { $0.properties["mount_tag"] } == ["a", "b"])
    #expect(devices.map { $0.properties["fsdev"] == .string(machine.sharedFolders[0].id) } == [true, false])
}

@Test func theRestOfTheOptions() throws {
    let machine = try machine(
        "-name guest=g,process=p,debug-threads=on -uuid 123e4567-e89b-12d3-a456-426614174000 -S -no-shutdown"
            + " -action panic=exit-failure,watchdog=inject-nmi -rtc base=2006-06-17T16:01:21,clock=vm,driftfix=slew"
            + " -smbios type=1,manufacturer=Acme,serial=7 -smbios type=11,value=a,value=b -fw_cfg opt/x,string=y"
            + " -boot order=cd,menu=on,splash-time=100 -overcommit mem-lock=on -msg timestamp=on -add-fd fd=5,set=2"
            + " -d int,guest_errors -D /tmp/l -sandbox on,spawn=deny -chardev socket,id=q,path=/tmp/q,server=on,wait=off"
            + " -mon chardev=q,mode=control,pretty=on -s -kernel k -append 'a b' -initrd i -L /fw -no-hpet -usb"
            + " -audiodev '{\"id\":\"a\",\"driver\":\"none\"}' -no-user-config -display none -vga none")
    #expect(machine.name == "g")
    #expect(machine.uuid?.prefix(4) == [0x12, 0x3e, 0x45, 0x67])
    #expect(machine.lifecycle.startsPaused && machine.lifecycle.shutdown == .pause)
    #expect(machine.lifecycle.panic == .exitFailure && machine.lifecycle.watchdog == .injectNMI)
    #expect(machine.clock.base == .date(1_150_560_081))
    #expect(machine.clock.source == .virtual && machine.clock.slewsLostTicks)
    #expect(machine.smbios[1] == .fields(type: 11, ["value": ["a", "b"]]))
    #expect(machine.firmwareEntries == [FirmwareEntry(name: "opt/x", content: .string("y"))])
    #expect(machine.boot.order == "cd" && machine.boot.menu == true)
    #expect(machine.process.sandbox?.deniesSpawn == true)
    #expect(machine.process.descriptors.map(\.descriptor) == [5])
    #expect(machine.monitors.map(\.mode) == [.control])
    #expect(machine.gdbServer == "gdb")
    #expect(!machine.board.hpet && machine.usb)
    #expect(machine.boot.append == "a b")
}

@Test func whatLibvirtWrites() throws {
    let machine = try machine(
        #"-name guest=vm1,debug-threads=on -S -object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/k"}'"#
            + " -machine pc-i440fx-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram -accel tcg -cpu qemu64"
            + #" -m size=524288k,slots=16,maxmem=4194304k -object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":536870912}'"#
            + " -overcommit mem-lock=off -smp 2,maxcpus=4,sockets=2,cores=2,threads=1 -uuid 123e4567-e89b-12d3-a456-426614174000"
            + " -no-user-config -nodefaults -chardev socket,id=charmonitor,fd=25,server=on,wait=off"
            + " -mon chardev=charmonitor,id=monitor,mode=control -rtc base=utc,driftfix=slew -no-hpet -no-shutdown"
            + " -boot menu=on,strict=on"
            + #" -blockdev '{"driver":"file","filename":"/d.img","aio":"native","node-name":"libvirt-1-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}'"#
            + #" -blockdev '{"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":true,"no-flush":false},"driver":"raw","file":"libvirt-1-storage"}'"#
            + #" -device '{"driver":"virtio-blk-pci","bus":"pci.0","addr":"0x3","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1,"write-cache":"on"}'"#
            + #" -netdev '{"type":"user","id":"hostnet0","hostfwd":[{"str":"tcp::2222-:22"}]}'"#
            + #" -device '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:00:00:01","bus":"pci.0","addr":"0x1.0x2"}'"#
            + " -chardev pty,id=charserial0 -device '{\"driver\":\"isa-serial\",\"chardev\":\"charserial0\",\"id\":\"serial0\",\"index\":0}'"
            + #" -audiodev '{"id":"audio1","driver":"none"}' -device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.0","addr":"0x4"}'"#
            + " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -msg timestamp=on")
    #expect(machine.devices.map(\.driver) == ["virtio-blk-pci", "virtio-net-pci", "isa-serial", "virtio-balloon-pci"])
    #expect(machine.devices[0].bus == "pci.0")
    #expect(machine.devices[0].properties["addr"] == "03.0")
    #expect(machine.devices[0].properties["bootindex"] == 1)
    #expect(machine.devices[1].properties["addr"] == "01.2")
    #expect(machine.networks[0].user.hostForwards.map(\.guestPort) == [22])
    #expect(machine.serialPorts == [])
    #expect(machine.memory.maximum == 4 << 30)
    #expect(try ProcessorTopology(machine.topology).maximum == 4)
    #expect(machine.characterDevices.map(\.id) == ["charmonitor", "charserial0"])
}

@Test func filesMayBeCalledHelp() throws {
    #expect(try machine("-drive file=help,format=raw").drives[0].file == "help")
    #expect(try machine("-fw_cfg name=opt/x,file=help").firmwareEntries[0].content == .file("help"))
    #expect(
        try machine("-chardev file,id=c,path=?").characterDevices[0].kind == .file(path: "?", append: false, input: nil)
    )
}

@Test func nics() throws {
    #expect(try machine("-nic none").nics == [])
    #expect(try machine("-net none").networks == [])
    let nic = try machine("-nic user,model=virtio-net-pci,mac=52:54:00:12:34:99,hostfwd=tcp::80-:80")
    #expect(nic.nics[0].model == "virtio-net-pci")
    #expect(nic.nics[0].mac == [0x52, 0x54, 0, 0x12, 0x34, 0x99])
    #expect(nic.networks[0].user.hostForwards.count == 1)
    let old = try machine("-net nic,model=e1000,macaddr=52:54:00:00:00:02 -net user")
    #expect(old.nics.count == 1 && old.nics[0].network == old.networks[0].id)
}
