import DomainModel
import TestSupport
import Testing

/// Documents besides domains: what is read is written again.
@Suite struct DocumentTests {
    /// In libvirt's own form, so that each comes back byte for byte.
    static let documents = [
        """
        <domainsnapshot>
          <name>s1</name>
          <description>text</description>
          <state>running</state>
          <parent>
            <name>s0</name>
          </parent>
          <creationTime>1700000000</creationTime>
          <memory snapshot='external' file='/m'/>
          <disks>
            <disk name='vda' snapshot='external' type='file'>
              <driver type='qcow2'/>
              <source file='/s1.qcow2'/>
            </disk>
            <disk name='vdb' snapshot='no'/>
          </disks>
          <active>1</active>
        </domainsnapshot>

        """,
        """
        <domaincheckpoint>
          <name>c1</name>
          <creationTime>1700000000</creationTime>
          <disks>
            <disk name='vda' checkpoint='bitmap' bitmap='c1'/>
            <disk name='vdb' checkpoint='no'/>
          </disks>
        </domaincheckpoint>

        """,
        """
        <domainbackup mode='pull'>
          <incremental>c1</incremental>
          <server transport='tcp' name='localhost' port='10809'/>
          <disks>
            <disk name='vda' backup='yes' type='file' backupmode='incremental' exportname='vda' index='2'>
              <driver type='qcow2'/>
              <scratch file='/scratch'/>
            </disk>
          </disks>
        </domainbackup>

        """,
        """
        <networkport>
          <uuid>11111111-2222-3333-4444-555555555555</uuid>
          <owner>
            <name>vm</name>
            <uuid>11111111-2222-3333-4444-555555555556</uuid>
          </owner>
          <mac address='52:54:00:00:00:01'/>
          <rxfilters trustGuest='no'/>
          <plug type='network' bridge='virbr0' macTableManager='libvirt'/>
        </networkport>

        """,
        """
        <filterbinding>
          <owner>
            <name>vm</name>
            <uuid>11111111-2222-3333-4444-555555555556</uuid>
          </owner>
          <portdev name='vnet0'/>
          <mac address='52:54:00:00:00:01'/>
          <filterref filter='clean-traffic'>
            <parameter name='MAC' value='52:54:00:00:00:01'/>
          </filterref>
        </filterbinding>

        """,
        """
        <device>
          <name>net_eth0</name>
          <path>/sys/devices/x</path>
          <devnode type='dev'>/dev/x</devnode>
          <parent>computer</parent>
          <driver>
            <name>e1000</name>
          </driver>
          <capability type='net'>
            <interface>eth0</interface>
            <address>52:54:00:00:00:01</address>
            <link speed='1000' state='up'/>
            <capability type='80203'/>
          </capability>
        </device>

        """,
        """
        <interface type='bridge' name='br0'>
          <start mode='onboot'/>
          <mtu size='1500'/>
          <protocol family='ipv4'>
            <dhcp peerdns='yes'/>
            <route gateway='10.0.0.1'/>
          </protocol>
          <bridge stp='on' delay='0'>
            <interface type='ethernet' name='eth0'>
              <mac address='52:54:00:00:00:01'/>
            </interface>
          </bridge>
        </interface>

        """,
        """
        <domainCapabilities>
          <path>/usr/bin/qemu-system-x86_64</path>
          <domain>qemu</domain>
          <machine>pc-i440fx-7.2</machine>
          <arch>x86_64</arch>
          <vcpu max='255'/>
          <iothreads supported='yes'/>
          <os supported='yes'>
            <enum name='firmware'/>
            <loader supported='yes'>
              <value>/usr/share/OVMF/OVMF_CODE.fd</value>
              <enum name='type'>
                <value>rom</value>
                <value>pflash</value>
              </enum>
            </loader>
          </os>
          <cpu>
            <mode name='custom' supported='yes'>
              <model usable='yes' vendor='unknown'>qemu64</model>
            </mode>
          </cpu>
          <devices>
            <disk supported='yes'>
              <enum name='bus'>
                <value>ide</value>
                <value>virtio</value>
              </enum>
            </disk>
            <rng supported='no'/>
          </devices>
          <features>
            <gic supported='no'/>
          </features>
        </domainCapabilities>

        """,
        """
        <cpu mode='custom' match='exact' check='partial'>
          <model fallback='forbid'>Nehalem</model>
          <topology sockets='1' dies='1' cores='2' threads='1'/>
          <feature policy='require' name='aes'/>
        </cpu>

        """,
        """
        <sysinfo type='smbios'>
          <bios>
            <entry name='vendor'>Apus</entry>
          </bios>
          <processor>
            <entry name='socket_destination'>CPU 0</entry>
          </processor>
        </sysinfo>

        """,
    ]

    private func written(_ xml: String) throws -> String {
        switch try XMLReader.parse(xml).name {
        case "domainsnapshot": try DomainSnapshot(xml: xml).xml()
        case "domaincheckpoint": try DomainCheckpoint(xml: xml).xml()
        case "domainbackup": try DomainBackup(xml: xml).xml()
        case "networkport": try NetworkPort(xml: xml).xml()
        case "filterbinding": try FilterBinding(xml: xml).xml()
        case "device": try NodeDevice(xml: xml).xml()
        case "interface": try HostInterface(xml: xml).xml()
        case "domainCapabilities": try DomainCapabilities(xml: xml).xml()
        case "cpu": try CPU(xml: xml).xml()
        case "sysinfo": try SystemInformation(xml: xml).xml()
        default: ""
        }
    }

    @Test(arguments: documents)
    func whatIsReadIsWritten(document: String) throws {
        #expect(try written(document) == document)
    }

    @Test func capabilitiesAreWrittenWithLibvirtsEmptyLines() throws {
        var capabilities = Capabilities()
        capabilities.host.migrationTransports = ["tcp"]
        var guest = Capabilities.Guest()
        guest.osType = "hvm"
        guest.arch = "x86_64"
        guest.wordSize = 64
        var machine = Capabilities.Machine()
        machine.name = "pc"
        machine.canonical = "pc-i440fx-7.2"
        machine.maxCPUs = 255
        guest.machines = [machine]
        capabilities.guests = [guest]

        let text = capabilities.text()

        #expect(text.hasPrefix("<capabilities>\n\n  <host>\n"))
        #expect(text.contains("      <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>\n"))
        #expect(text.hasSuffix("  </guest>\n\n</capabilities>\n"))
        #expect(try Capabilities(xml: text) == capabilities)
    }

    @Test func aSnapshotKeepsItsDomain() throws {
        let domain =
            "<domain type='qemu'><name>a</name><memory unit='KiB'>1024</memory><devices/></domain>"
        let snapshot = try DomainSnapshot(xml: "<domainsnapshot><name>s</name>\(domain)</domainsnapshot>")

        #expect(snapshot.domain?.name == "a")
        #expect(try DomainSnapshot(xml: snapshot.xml()) == snapshot)
    }

    @Test func theOldFormOfASnapshotKnowsOnlyTheUUID() throws {
        let uuid = "11111111-2222-3333-4444-555555555555"
        let snapshot = try DomainSnapshot(
            xml: "<domainsnapshot><name>s</name><domain><uuid>\(uuid)</uuid></domain></domainsnapshot>")

        #expect(snapshot.domainUUID?.xml == uuid)
        #expect(snapshot.domain == nil)
    }

    @Test(arguments: [
        ("<pool/>", 1, "internal error: missing storage pool type"),
        ("<pool type='zz'/>", 1, "internal error: unknown storage pool type zz"),
        ("<pool type='dir'/>", 21, "missing name information"),
        ("<pool type='dir'><name>a/b</name></pool>", 27, "XML error: name a/b cannot contain '/'"),
    ])
    func aPoolIsRefusedInLibvirtsWords(xml: String, code: Int, message: String) {
        let error = #expect(throws: DefinitionError.self) { try StoragePool(xml: xml) }

        #expect(error?.code.rawValue == Int32(code))
        #expect(error?.message == message)
    }

    @Test func aStartedNetworkTellsItsPorts() throws {
        var network = try VirtualNetwork(xml: "<network><name>n</name><forward/></network>")
        var generator = SplitMix64(state: 1)

        network.fillIn(bridge: "virbr3", using: &generator)
        network.fillInStarted()

        #expect(network.bridge?.name == "virbr3")
        #expect(network.xml().contains("<port start='1024' end='65535'/>"))
    }
}
