import DomainModel
import Testing

@Suite struct DomainTests {
    private let head = "<domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os>"

    private func domain(_ more: String = "") throws -> Domain { try Domain(xml: head + more + "</domain>") }

    private func refusal(_ xml: String) -> DefinitionError? {
        #expect(throws: DefinitionError.self) { try Domain(xml: xml) }
    }

    @Test func readsTheLeastThatIsADomain() throws {
        let domain = try domain()

        #expect(domain.name == "a")
        #expect(domain.type == .qemu)
        #expect(domain.memory.size?.kibibytes == 1024)
    }

    @Test func unitsBecomeKibibytesRoundedUp() throws {
        for (text, expected) in [
            ("<memory unit='MiB'>2</memory>", 2048), ("<memory unit='b'>1025</memory>", 2),
            ("<memory unit='GB'>1</memory>", 976_563), ("<memory unit='m'>1</memory>", 1024),
            ("<memory unit='TiB'>1</memory>", 1 << 30),
        ] {
            let domain = try Domain(xml: "<domain type='kvm'><name>a</name>\(text)</domain>")

            #expect(domain.memory.size?.kibibytes == UInt64(expected))
        }
    }

    @Test(arguments: [
        ("<foo/>", 27, "XML error: expecting root element of 'domain', not 'foo'"),
        ("<domain/>", 1, "internal error: missing domain type attribute"),
        ("<domain type='zz'/>", 67, "unsupported configuration: invalid domain type zz"),
        ("<domain type='qemu'/>", 21, "missing name information"),
        ("<domain type='qemu'><name>a/b</name></domain>", 27, "XML error: name a/b cannot contain '/'"),
        ("<domain type='qemu'><name>a</name><uuid>12</uuid></domain>", 1, "internal error: malformed uuid element"),
        (
            "<domain type='qemu'><name>a</name><memory unit='foo'>1</memory></domain>", 8,
            "invalid argument: unknown suffix 'foo'"
        ),
        (
            "<domain type='qemu'><name>a</name><os><type>foo</type></os></domain>", 67,
            "unsupported configuration: unknown OS type 'foo'"
        ),
        (
            "<domain type='qemu'><name>a</name><features><foo/></features></domain>", 67,
            "unsupported configuration: unexpected feature 'foo'"
        ),
        (
            "<domain type='qemu'><name>a</name><on_crash>foo</on_crash></domain>", 67,
            "unsupported configuration: unknown on_crash action: foo"
        ),
    ])
    func refusesWithTheNumberAndTheWordsOfLibvirt(xml: String, code: Int, message: String) {
        let error = refusal(xml)

        #expect(error?.code.rawValue == Int32(code))
        #expect(error?.message == message)
    }

    @Test(arguments: [
        (
            "<disk type='file'><target dev='vda' bus='foo'/></disk>",
            "XML error: Invalid value for attribute 'bus' in element 'target': 'foo'."
        ),
        (
            "<interface type='foo'/>",
            "XML error: Invalid value for attribute 'type' in element 'interface': 'foo'."
        ),
        (
            "<interface type='user'><mac address='52:54'/></interface>",
            "XML error: unable to parse mac address '52:54'"
        ),
        ("<interface type='bridge'/>", "XML error: interface type='bridge' requires a 'source' element"),
        (
            "<console type='foo'/>",
            "unsupported configuration: unknown type presented to host for character device: foo"
        ),
        ("<disk><target/></disk>", "missing target information for device"),
        (
            "<disk><address type='pci' bus='zz'/><target dev='a'/></disk>",
            "XML error: Invalid value for attribute 'bus' in element 'address': 'zz'. "
                + "Expected non-negative integer value"
        ),
    ])
    func refusesADeviceInTheWordsOfLibvirt(device: String, message: String) {
        #expect(refusal(head + "<devices>\(device)</devices></domain>")?.message == message)
    }

    @Test func anUnknownElementIsRefusedByNameAndLine() {
        let error = refusal(head + "\n<devices>\n<gizmo/>\n</devices></domain>")

        #expect(error?.code == .invalidSchema)
        #expect(error?.line == 3)
        #expect(error?.message.contains("'gizmo' in element 'devices' at line 3") == true)
    }

    @Test func anUnknownAttributeIsRefusedByNameAndLine() {
        let error = refusal(head + "\n<vcpu shape='round'>1</vcpu></domain>")

        #expect(error?.message.contains("unknown attribute 'shape' in element 'vcpu' at line 2") == true)
    }

    @Test func aLenientReaderPassesOverTheUnknown() throws {
        let domain = try Domain(xml: head + "<gizmo/></domain>", options: .lenient)

        #expect(domain.name == "a")
    }

    @Test func metadataComesBackAsItWent() throws {
        let element = "<app:x xmlns:app=\"http://example.org/app\" a=\"1\">\n      <app:y>text</app:y>\n    </app:x>"
        let domain = try domain("<metadata>\(element)</metadata>")

        #expect(domain.xml().contains("  <metadata>\n    \(element)\n  </metadata>\n"))
        #expect(domain.metadata?.element(namespace: "http://example.org/app")?.name == "app:x")
    }

    @Test func metadataIsSetAndRemovedByNamespace() throws {
        var metadata = Metadata()
        try metadata.set(xml: "<x>1</x>", prefix: "app", namespace: "urn:a")
        try metadata.set(xml: "<y>2</y>", prefix: "app", namespace: "urn:a")

        #expect(metadata.elements.map(\.name) == ["app:y"])
        try metadata.set(xml: nil, prefix: "app", namespace: "urn:a")
        #expect(metadata.elements.isEmpty)
    }

    @Test func argumentsForQEMUAreKept() throws {
        let domain = try Domain(
            xml: "<domain type='qemu' xmlns:q='\(QEMUNamespace.uri)'><name>a</name>"
                + "<q:commandline><q:arg value='-foo'/><q:env name='A' value='b'/></q:commandline></domain>")

        #expect(domain.qemu.arguments == ["-foo"])
        #expect(domain.qemu.environment.map(\.value) == ["b"])
        #expect(domain.xml().hasPrefix("<domain type='qemu' xmlns:qemu='\(QEMUNamespace.uri)'>\n"))
        #expect(domain.xml().contains("  <qemu:commandline>\n    <qemu:arg value='-foo'/>\n"))
    }

    @Test func passwordsAreShownOnlyWhenAskedFor() throws {
        let domain = try domain("<devices><graphics type='vnc' passwd='secret'/></devices>")

        #expect(!domain.xml().contains("secret"))
        #expect(domain.xml(options: .secure).contains("passwd='secret'"))
    }

    @Test func aDefinitionDoesNotShowWhatTheRunningMachineAdded() throws {
        let xml = "<devices><memballoon model='virtio'><alias name='balloon0'/></memballoon></devices>"
        var domain = try domain(xml)
        domain.id = 7

        #expect(domain.xml().contains("id='7'"))
        #expect(domain.xml().contains("balloon0"))
        #expect(!domain.xml(options: .inactive).contains("id='7'"))
        #expect(!domain.xml(options: .inactive).contains("balloon0"))
    }

    @Test func aDeviceIsADocumentOfItsOwn() throws {
        let device = try Device(xml: "<disk type='file'><source file='/a'/><target dev='vdb' bus='virtio'/></disk>")

        guard case .disk(let disk) = device else {
            Issue.record("not a disk")
            return
        }
        #expect(disk.source?.file == "/a")
        #expect(device.xml().hasPrefix("<disk type='file' device='disk'>\n  <source file='/a'/>\n"))
        #expect(throws: DefinitionError.self) { try Device(xml: "<gizmo/>") }
    }
}
