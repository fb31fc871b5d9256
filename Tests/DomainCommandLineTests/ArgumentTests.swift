import DomainCommandLine
import DomainModel
import JSON
import Testing

/// A complete domain of devices that a test names.
func makeDomain(
    machine: String = "pc", _ devices: String = "", memory: Int = 131_072, more: String = "", os: String = ""
) throws -> Domain {
    var domain = try Domain(
        xml: """
            <domain type='qemu'><name>test</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
            <memory>\(memory)</memory><os><type machine='\(machine)'>hvm</type>\(os)</os>\(more)
            <devices>\(devices)</devices></domain>
            """)
    try domain.fillIn(HostProfile.x86(emulator: "/usr/bin/qemu-system-x86_64"))
    domain.prepareToStart()
    return domain
}

@Suite struct ArgumentTests {
    private let plan = LaunchPlan(folder: "/run/m", monitor: LaunchPlan.Monitor.path("/run/m/monitor.sock"))

    private func words(_ domain: Domain, _ plan: LaunchPlan? = nil) throws -> [String] {
        try QEMUArguments(domain, plan: plan ?? self.plan).words
    }

    /// The values of an option in order.
    private func values(_ option: String, _ words: [String]) -> [String] {
        words.indices.filter { words[$0] == option && $0 + 1 < words.count }.map { words[$0 + 1] }
    }

    /// The JSON value of the device with that identifier.
    private func device(_ id: String, _ words: [String]) throws -> JSONValue {
        let all = try values("-device", words).map { try JSONReader.parse($0) }
        return try #require(all.first { $0["id"]?.stringValue == id })
    }

    @Test func theLeastDomainHasLibvirtsLine() throws {
        let words = try words(makeDomain())

        #expect(
            words == [
                "-name", "guest=test,debug-threads=on", "-S", "-machine",
                "pc-i440fx-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram,acpi=off", "-accel", "tcg", "-cpu",
                "qemu64", "-m", "128", "-object",
                "{\"qom-type\": \"memory-backend-ram\", \"id\": \"pc.ram\", \"size\": 134217728}", "-overcommit",
                "mem-lock=off", "-smp", "1,sockets=1,cores=1,threads=1", "-uuid",
                "11111111-2222-3333-4444-555555555555", "-display", "none", "-no-user-config", "-nodefaults",
                "-chardev", "socket,id=charmonitor,path=/run/m/monitor.sock,server=on,wait=off", "-mon",
                "chardev=charmonitor,id=monitor,mode=control", "-rtc", "base=utc", "-no-shutdown", "-boot",
                "strict=on", "-device",
                "{\"driver\": \"piix3-usb-uhci\", \"id\": \"usb\", \"bus\": \"pci.0\", \"addr\": \"0x1.0x2\"}",
                "-audiodev", "{\"id\": \"audio1\", \"driver\": \"none\"}", "-device",
                "{\"driver\": \"virtio-balloon-pci\", \"id\": \"balloon0\", \"bus\": \"pci.0\", \"addr\": \"0x2\"}",
                "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-msg",
                "timestamp=on",
            ])
    }

    @Test func aDiskIsTwoNodesAndADevice() throws {
        let words = try words(
            makeDomain(
                """
                <disk type='file'><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>
                <source file='/a,b"c'/><target dev='vda' bus='virtio'/><serial>s</serial></disk>
                """))
        let nodes = try values("-blockdev", words).map { try JSONReader.parse($0) }

        #expect(nodes.count == 2)
        #expect(nodes[0]["filename"]?.stringValue == "/a,b\"c")
        #expect(nodes[0]["aio"]?.stringValue == "native")
        #expect(nodes[0]["cache"]?["direct"]?.boolValue == true)
        #expect(nodes[1]["driver"]?.stringValue == "qcow2")
        #expect(nodes[1]["file"]?.stringValue == nodes[0]["node-name"]?.stringValue)
        let disk = try device("virtio-disk0", words)
        #expect(disk["drive"]?.stringValue == "libvirt-1-format")
        #expect(disk["bootindex"]?.intValue == 1)
        #expect(disk["write-cache"]?.stringValue == "on")
        #expect(disk["serial"]?.stringValue == "s")
    }

    @Test func aChainIsOpenedFromItsBottom() throws {
        let words = try words(
            makeDomain(
                """
                <disk type='file'><driver name='qemu' type='qcow2'/><source file='/top'/>
                <backingStore type='file'><format type='qcow2'/><source file='/middle'/>
                <backingStore type='file'><format type='raw'/><source file='/base'/><backingStore/></backingStore>
                </backingStore><target dev='vda' bus='virtio'/></disk>
                """))
        let nodes = try values("-blockdev", words).map { try JSONReader.parse($0) }

        #expect(nodes.compactMap { $0["filename"]?.stringValue } == ["/base", "/middle", "/top"])
        #expect(nodes[3]["backing"]?.stringValue == "libvirt-3-format")
        #expect(nodes[5]["backing"]?.stringValue == "libvirt-2-format")
        #expect(nodes[3]["read-only"]?.boolValue == true)
    }

    @Test func bootOrderGoesToTheFirstOfEachKind() throws {
        let words = try words(
            makeDomain(
                """
                <disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
                <disk><source file='/a'/><target dev='vda'/></disk><disk><source file='/b'/><target dev='vdb'/></disk>
                <interface type='user'/>
                """, os: "<boot dev='network'/><boot dev='cdrom'/><boot dev='hd'/>"))

        #expect(try device("net0", words)["bootindex"]?.intValue == 1)
        #expect(try device("ide0-0-0", words)["bootindex"]?.intValue == 2)
        #expect(try device("virtio-disk0", words)["bootindex"]?.intValue == 3)
        #expect(try device("virtio-disk1", words)["bootindex"] == nil)
    }

    @Test func commasAreDoubledWhereSyntaxIsQEMUs() throws {
        var domain = try makeDomain("<serial type='file'><source path='/a,b'/></serial>")
        domain.name = "a,b"
        let words = try words(domain)

        #expect(words.contains("guest=a,,b,debug-threads=on"))
        #expect(words.contains("file,id=charserial0,path=/a,,b"))
    }

    @Test func attachmentsAreThePlans() throws {
        var plan = plan
        plan.attachments = [
            0: LaunchPlan.Attachment.openTap("7:8", vhost: "9:10"),
            1: LaunchPlan.Attachment.stream(path: "/switch"),
        ]
        let interface = "<interface type='network'><source network='n'/><model type='virtio'/></interface>"
        let words = try words(makeDomain(interface + interface), plan)
        let backends = try values("-netdev", words).map { try JSONReader.parse($0) }

        #expect(backends[0]["fds"]?.stringValue == "7:8")
        #expect(backends[0]["vhostfds"]?.stringValue == "9:10")
        #expect(backends[1]["type"]?.stringValue == "stream")
        #expect(backends[1]["addr"]?["path"]?.stringValue == "/switch")
    }

    @Test func aMonitorMayBeInherited() throws {
        var plan = plan
        plan.monitor = LaunchPlan.Monitor.descriptor(3)

        #expect(try words(makeDomain(), plan).contains("socket,id=charmonitor,fd=3,server=on,wait=off"))
    }

    @Test func argumentsOfTheDefinitionGoThrough() throws {
        var domain = try makeDomain()
        domain.qemu.elements = [
            XMLTree(
                "qemu:commandline",
                nodes: [.element(XMLTree("qemu:arg", attributes: [XMLAttribute("value", "-x")]))])
        ]

        #expect(try words(domain).contains("-x"))
    }

    @Test func whatTheProgramDoesNotHaveIsLeftOutAndTold() throws {
        var plan = plan
        plan.knownDrivers = ["virtio-balloon-pci"]

        let arguments = try QEMUArguments(makeDomain(), plan: plan)

        #expect(arguments.omitted == ["piix3-usb-uhci usb"])
        #expect(values("-device", arguments.words).count == 1)
    }

    @Test func nodesAndIOThreadsAreObjects() throws {
        let words = try words(
            makeDomain(
                memory: 1 << 20,
                more: """
                    <vcpu current='2'>4</vcpu><iothreads>2</iothreads><cpu><topology sockets='1' cores='2' threads='2'/>
                    <numa><cell id='0' cpus='0-1' memory='512' unit='MiB'/>
                    <cell id='1' cpus='2,3' memory='512' unit='MiB'/></numa></cpu>
                    """))

        #expect(
            values("-numa", words) == [
                "node,nodeid=0,cpus=0-1,memdev=ram-node0", "node,nodeid=1,cpus=2,cpus=3,memdev=ram-node1",
            ])
        #expect(values("-smp", words) == ["2,maxcpus=4,sockets=1,dies=1,cores=2,threads=2"])
        #expect(values("-object", words).contains("{\"qom-type\": \"iothread\", \"id\": \"iothread2\"}"))
    }

    @Test func aStartTimeIsACivilDate() throws {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"), (951_782_399, "2000-02-28T23:59:59"), (951_868_800, "2000-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"), (4_102_444_799, "2099-12-31T23:59:59"),
        ] {
            let domain = try makeDomain(more: "<clock offset='absolute' start='\(seconds)'/>")

            #expect(values("-rtc", try words(domain)) == ["base=\(text)"])
        }
    }

    @Test(arguments: [
        "<disk type='nvme'><source type='pci' namespace='1'><address slot='1'/></source><target dev='vda'/></disk>",
        "<disk type='network'><source protocol='gluster' name='x'/><target dev='vda'/></disk>",
        "<interface type='direct'><source dev='eth0'/></interface>",
        "<graphics type='vnc' port='80'/>",
    ])
    func whatCannotBeSaidIsRefused(device: String) throws {
        let domain = try makeDomain(device)

        let error = #expect(throws: DefinitionError.self) { try QEMUArguments(domain, plan: plan) }

        #expect(error?.code == .configUnsupported)
    }
}
