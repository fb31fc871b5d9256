import Daemon
import HostOS
import RPCWire
import Testing

@Suite("Networks")
struct NetworkTests {
    private static let xml = """
        <network><name>n</name><forward mode='nat'/>\
        <ip address='10.9.8.1' netmask='255.255.255.0'><dhcp><range start='10.9.8.2' end='10.9.8.99'/></dhcp></ip>\
        </network>
        """

    private static func names(_ client: TestClient, _ flags: UInt32 = 0) throws -> [String] {
        try client.call(Remote.ConnectListAllNetworks.self, .init(needResults: 1, flags: flags)).nets.map(\.name)
    }

    @Test("The default network is there and runs; taken away, it stays away")
    func standard() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { HostFile.removeTree(folder) }
        do {
            let client = try TestDaemon(folder: folder).client()
            #expect(try Self.names(client, VirConnectListAllNetworksFlags.active) == ["default"])
            let net = try client.call(Remote.NetworkLookupByName.self, .init(name: "default")).net
            #expect(try client.call(Remote.NetworkGetBridgeName.self, .init(net: net)).name == "virbr0")
            #expect(try client.call(Remote.NetworkGetAutostart.self, .init(net: net)).autostart == 1)
            _ = try client.call(Remote.NetworkDestroy.self, .init(net: net))
            _ = try client.call(Remote.NetworkUndefine.self, .init(net: net))
            _ = try client.call(Remote.NetworkDefineXML.self, .init(xml: Self.xml))
        }
        let client = try TestDaemon(folder: folder).client()
        #expect(try Self.names(client) == ["n"])
    }

    @Test("A network that never says whether it runs keeps nobody from the daemon")
    func silent() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { HostFile.removeTree(folder) }
        try HostFolder.make(folder + "/programs")
        // It stands where the daemon finds the program of networks, and goes with its folder.
        let script = "#!/bin/sh\nwhile [ -e '\(folder)/programs' ]; do sleep 1; done\n"
        try HostFile.replace(folder + "/programs/apus", with: Array(script.utf8), permissions: 0o755)
        let began = HostClock.monotonic
        let client = try TestDaemon(folder: folder, emulator: folder + "/programs/apus-vmm").client()
        // The network itself is given a minute.
        #expect(HostClock.monotonic - began < 50_000_000_000)
        #expect(try Self.names(client, VirConnectListAllNetworksFlags.inactive) == ["default"])
    }

    @Test("A network whose process somebody has stopped keeps nobody from the next daemon, and goes on")
    func stopped() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let first = try DaemonProcess(folder: folder, options: ["--networks", "switch"])
        let text = String(decoding: try HostFile.contents("\(folder)/run/switch/default/pid"), as: UTF8.self)
        let process = try HostProcess(number: try #require(Int32(text.filter(\.isNumber))))
        defer { process.kill() }
        first.kill()
        process.send(signal: 19)  // SIGSTOP
        let began = HostClock.monotonic
        let second = try DaemonProcess(folder: folder, options: ["--networks", "switch"])
        let client = try second.client()
        #expect(try Self.names(client, VirConnectListAllNetworksFlags.active) == ["default"])
        // One question without an answer, and nothing that was waited for twice.
        #expect(HostClock.monotonic - began < 30_000_000_000)
        process.send(signal: 18)  // SIGCONT
        let net = try client.call(Remote.NetworkLookupByName.self, .init(name: "default")).net
        _ = try client.call(Remote.NetworkDestroy.self, .init(net: net))
        #expect(process.waitForEnd(milliseconds: 20_000))
    }

    @Test("A network that another daemon defined starts")
    func definedBefore() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { HostFile.removeTree(folder) }
        do {
            let client = try TestDaemon(folder: folder).client()
            _ = try client.call(Remote.NetworkDefineXML.self, .init(xml: Self.xml))
        }
        let client = try TestDaemon(folder: folder).client()
        let net = try client.call(Remote.NetworkLookupByName.self, .init(name: "n")).net
        _ = try client.call(Remote.NetworkCreate.self, .init(net: net))
        #expect(try Self.names(client, VirConnectListAllNetworksFlags.active) == ["default", "n"])
    }

    @Test("A network is defined, started, changed while it runs, stopped and taken away, and tells of it")
    func life() throws {
        let client = try TestDaemon().client()
        let callback = try client.call(
            Remote.ConnectNetworkEventRegisterAny.self, .init(eventID: VirNetworkEventID.lifecycle, net: nil)
        ).callbackID
        let net = try client.call(Remote.NetworkDefineXML.self, .init(xml: Self.xml)).net
        #expect(try client.event(Remote.NetworkEventLifecycle.self).callbackID == callback)
        // The first has its own bridge.
        #expect(try client.call(Remote.NetworkGetBridgeName.self, .init(net: net)).name == "virbr1")
        let twice = try client.failure(
            Remote.NetworkDefineXML.self, .init(xml: Self.xml))
        #expect(twice?.message == "operation failed: network 'n' already exists with uuid \(net.uuid)")
        _ = try client.call(Remote.NetworkCreate.self, .init(net: net))
        let host = "<host mac='52:54:00:00:00:01' name='a' ip='10.9.8.7'/>"
        func update(_ command: Int32, _ xml: String, _ flags: UInt32) throws -> RemoteError? {
            try client.failure(
                Remote.NetworkUpdate.self,
                .init(
                    net: net, command: UInt32(command), section: UInt32(VirNetworkUpdateSection.ipDhcpHost),
                    parentIndex: -1, xml: xml, flags: flags))
        }
        #expect(try update(VirNetworkUpdateCommand.addLast, host, 3) == nil)
        #expect(try update(VirNetworkUpdateCommand.addLast, host, 1)?.code == VirErrorNumber.operationInvalid)
        for flags: UInt32 in [0, VirNetworkXMLFlags.inactive] {
            let xml = try client.call(Remote.NetworkGetXMLDesc.self, .init(net: net, flags: flags)).xml
            #expect(xml.contains("<host mac='52:54:00:00:00:01' name='a' ip='10.9.8.7'/>"))
        }
        #expect(try update(VirNetworkUpdateCommand.delete, "<host mac='52:54:00:00:00:01'/>", 1) == nil)
        #expect(try update(VirNetworkUpdateCommand.delete, "<host mac='52:54:00:00:00:01'/>", 1) != nil)
        #expect(try update(99, host, 1) != nil)
        _ = try client.call(Remote.NetworkDestroy.self, .init(net: net))
        _ = try client.call(Remote.NetworkUndefine.self, .init(net: net))
        var seen: [Int32] = []
        while seen.last != VirNetworkEventLifecycleType.undefined {
            seen.append(try client.event(Remote.NetworkEventLifecycle.self).event)
        }
        typealias Type = VirNetworkEventLifecycleType
        #expect(seen == [Type.started, Type.stopped, Type.undefined])
        let gone = try client.failure(Remote.NetworkLookupByName.self, .init(name: "n"))
        #expect(gone?.message == "Network not found: no network with matching name 'n'")
    }

    @Test(
        "What cannot be a network is refused",
        arguments: [
            "", "<network/>", "<network><name>a/b</name></network>", "<domain/>",
            "<network><name>x</name><forward mode='nat'/></network>",
            "<network><name>x</name><ip address='1.2.3' netmask='255.0.0.0'/></network>",
            """
            <network><name>x</name><ip address='10.0.0.1' netmask='255.255.255.0'><dhcp>\
            <range start='10.0.1.2' end='10.0.1.9'/></dhcp></ip></network>
            """,
            "<network><name>x</name><bridge name='virbr0'/></network>",
        ])
    func refused(xml: String) throws {
        let client = try TestDaemon().client()
        let error = try #require(try client.failure(Remote.NetworkDefineXML.self, .init(xml: xml)))
        #expect(error.code > 0)
        #expect(error.message?.isEmpty == false)
        #expect(try Self.names(client) == ["default"])
    }
}

@Suite("Secrets, filters and the host's devices")
struct SmallObjectTests {
    @Test("A secret keeps its value over a restart; a private one tells it to nobody")
    func secrets() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { HostFile.removeTree(folder) }
        let value: [UInt8] = [0, 1, 2, 250, 251]
        let secret: RemoteSecret
        do {
            let client = try TestDaemon(folder: folder).client()
            let xml = "<secret><usage type='ceph'><name>c</name></usage></secret>"
            secret = try client.call(Remote.SecretDefineXML.self, .init(xml: xml, flags: 0)).secret
            _ = try client.call(Remote.SecretSetValue.self, .init(secret: secret, value: value, flags: 0))
            let hidden = try client.call(
                Remote.SecretDefineXML.self,
                .init(xml: "<secret private='yes'><usage type='tls'><name>t</name></usage></secret>", flags: 0)
            ).secret
            _ = try client.call(Remote.SecretSetValue.self, .init(secret: hidden, value: value, flags: 0))
            let refused = try client.failure(Remote.SecretGetValue.self, .init(secret: hidden, flags: 0))
            #expect(refused?.code == VirErrorNumber.invalidSecret)
        }
        let daemon = try TestDaemon(folder: folder)
        let client = try daemon.client()
        let found = try client.call(Remote.SecretLookupByUsage.self, .init(usageType: 2, usageID: "c")).secret
        #expect(found == secret)
        #expect(try client.call(Remote.SecretGetValue.self, .init(secret: secret, flags: 0)).value == value)
        let reader = try daemon.client(readOnly: true)
        let denied = try reader.failure(Remote.SecretGetValue.self, .init(secret: secret, flags: 0))
        #expect(denied?.code == VirErrorNumber.operationDenied)
        _ = try client.call(Remote.SecretUndefine.self, .init(secret: secret))
        #expect(try client.failure(Remote.SecretLookupByUUID.self, .init(uuid: secret.uuid))?.code == 66)
    }

    @Test("A filter is kept until nobody includes it")
    func filters() throws {
        let client = try TestDaemon().client()
        let xml = "<filter name='one' chain='ipv4'><rule action='drop' direction='in'/></filter>"
        let one = try client.call(Remote.NWFilterDefineXML.self, .init(xml: xml)).nwfilter
        let two = try client.call(
            Remote.NWFilterDefineXML.self, .init(xml: "<filter name='two'><filterref filter='one'/></filter>")
        ).nwfilter
        #expect(try client.failure(Remote.NWFilterUndefine.self, .init(nwfilter: one)) != nil)
        _ = try client.call(Remote.NWFilterUndefine.self, .init(nwfilter: two))
        _ = try client.call(Remote.NWFilterUndefine.self, .init(nwfilter: one))
        #expect(try client.call(Remote.ConnectNumOfNwfilters.self, .init()).num == 0)
    }

    @Test("Counters of a cell or a processor that the host does not have are refused")
    func counters() throws {
        let client = try TestDaemon().client()
        for cell: Int32 in [-1, 0] {
            let count = try client.call(
                Remote.NodeGetMemoryStats.self, .init(nparams: 0, cellNum: cell, flags: 0)
            ).nparams
            let stats = try client.call(
                Remote.NodeGetMemoryStats.self, .init(nparams: count, cellNum: cell, flags: 0)
            ).params
            #expect(stats.map(\.field) == Array(["total", "free", "buffers", "cached"].prefix(cell == 0 ? 2 : 4)))
            #expect(stats.first { $0.field == "total" }.map { $0.value > 0 } ?? false)
        }
        for cell: Int32 in [-2, 1 << 20, .max, .min] {
            let refused = try client.failure(
                Remote.NodeGetMemoryStats.self, .init(nparams: 4, cellNum: cell, flags: 0))
            #expect(refused?.code == VirErrorNumber.invalidArg)
        }
        for cpu: Int32 in [-2, 1 << 20, .max, .min] {
            let refused = try client.failure(Remote.NodeGetCPUStats.self, .init(cpuNum: cpu, nparams: 4, flags: 0))
            #expect(refused?.message == "Invalid cpuNum in virHostCPUGetStatsLinux")
        }
        #expect(
            try client.call(Remote.NodeGetCPUStats.self, .init(cpuNum: 0, nparams: 4, flags: 0)).params.count == 4)
    }

    @Test("The host's devices and interfaces have documents that say their own names")
    func devices() throws {
        let client = try TestDaemon().client()
        let devices = try client.call(Remote.ConnectListAllNodeDevices.self, .init(needResults: 1, flags: 0)).devices
        #expect(devices.contains { $0.name == "computer" })
        for device in devices {
            let xml = try client.call(Remote.NodeDeviceGetXMLDesc.self, .init(name: device.name, flags: 0)).xml
            #expect(xml.contains("<name>\(device.name)</name>"))
        }
        let cards = try client.call(Remote.ConnectListAllInterfaces.self, .init(needResults: 1, flags: 0)).ifaces
        for card in cards {
            let xml = try client.call(Remote.InterfaceGetXMLDesc.self, .init(iface: card, flags: 0)).xml
            #expect(xml.contains("name='\(card.name)'"))
        }
        let missing = try client.failure(Remote.NodeDeviceLookupByName.self, .init(name: "../../etc"))
        #expect(missing?.code == VirErrorNumber.noNodeDevice)
    }
}
