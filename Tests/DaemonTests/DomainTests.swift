import Daemon
import HostOS
import RPCWire
import Testing

@Suite("Definitions of domains", .enabled(if: TestPrograms.hasEmulator))
struct DomainTests {
    private static let uuid = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

    private static func states(_ client: TestClient, _ flags: UInt32 = 0) throws -> [String] {
        try client.call(Remote.ConnectListAllDomains.self, .init(needResults: 1, flags: flags)).domains.map(\.name)
    }

    @Test("A definition is kept, listed, told of and taken away")
    func life() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        let callback = try client.call(
            Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.lifecycle, dom: nil)
        ).callbackID
        let domain = try client.call(
            Remote.DomainDefineXML.self, .init(xml: TestXML.domain("one", uuid: Self.uuid))
        ).dom
        #expect(domain.name == "one")
        #expect(domain.id == -1)
        #expect(domain.uuid.description == Self.uuid)
        let added = try client.event(Remote.DomainEventCallbackLifecycle.self)
        #expect(added.callbackID == callback)
        #expect(added.dom == domain)
        #expect(added.event == VirDomainEventType.defined)
        #expect(added.detail == VirDomainEventDefinedDetailType.added)
        #expect(try Self.states(client) == ["one"])
        #expect(try Self.states(client, VirConnectListAllDomainsFlags.active) == [])
        let info = try client.call(Remote.DomainGetInfo.self, .init(dom: domain))
        #expect(info.maxMem == 131_072)
        #expect(info.state == UInt8(VirDomainState.shutoff))
        let xml = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        #expect(xml.contains("<uuid>\(Self.uuid)</uuid>"))
        #expect(xml.contains("<memory unit='KiB'>131072</memory>"))
        _ = try client.call(Remote.DomainUndefine.self, .init(dom: domain))
        #expect(try client.event(Remote.DomainEventCallbackLifecycle.self).event == VirDomainEventType.undefined)
        let gone = try client.failure(Remote.DomainLookupByName.self, .init(name: "one"))
        #expect(gone?.code == VirErrorNumber.noDomain)
        #expect(gone?.message == "Domain not found: no domain with matching name 'one'")
        #expect(gone?.str1 == "Domain not found: %s")
    }

    @Test("Names and UUIDs belong to one domain each")
    func conflicts() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        func define(_ xml: String) throws -> RemoteError? {
            try client.failure(Remote.DomainDefineXML.self, .init(xml: xml))
        }
        #expect(try define(TestXML.domain("one", uuid: Self.uuid)) == nil)
        #expect(try define(TestXML.domain("one", uuid: Self.uuid)) == nil)
        let sameName = try define(TestXML.domain("one"))
        #expect(sameName?.message == "operation failed: domain 'one' already exists with uuid \(Self.uuid)")
        let sameUUID = try define(TestXML.domain("two", uuid: Self.uuid))
        #expect(sameUUID?.message == "operation failed: domain 'one' is already defined with uuid \(Self.uuid)")
    }

    @Test(
        "What cannot be a definition is refused with a code and a text",
        arguments: [
            "", "<domain", "<network/>", "<domain type='qemu'/>", "<domain type='alien'><name>x</name></domain>",
            TestXML.domain("a/b"), TestXML.domain("a\nb"), TestXML.domain(""), TestXML.domain(".."),
            TestXML.domain("x", uuid: "no uuid"), TestXML.domain("x", devices: "<disk type='file'><target/></disk>"),
            "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain>&a;</domain>", String(repeating: "<domain>", count: 5000),
            TestXML.domain(String(repeating: "n", count: 4096)),
        ])
    func refused(xml: String) throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        let error = try #require(try client.failure(Remote.DomainDefineXML.self, .init(xml: xml)))
        #expect(error.code > 0)
        #expect(error.message?.isEmpty == false)
        #expect(try Self.states(client).isEmpty)
    }

    @Test("The next daemon knows what was defined, started by itself, titled and renamed")
    func lasting() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { HostFile.removeTree(folder) }
        let before: String
        do {
            let daemon = try TestDaemon(folder: folder)
            let client = try daemon.client()
            let domain = try client.call(
                Remote.DomainDefineXML.self, .init(xml: TestXML.domain("old", uuid: Self.uuid))
            ).dom
            _ = try client.call(
                Remote.DomainSetMetadata.self,
                .init(
                    dom: domain, type: VirDomainMetadataType.title, metadata: "A title", key: nil, uri: nil,
                    flags: VirDomainModificationImpact.config))
            _ = try client.call(Remote.DomainRename.self, .init(dom: domain, newName: "new", flags: 0))
            before = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        }
        let daemon = try TestDaemon(folder: folder)
        let client = try daemon.client()
        #expect(try Self.states(client) == ["new"])
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "new")).dom
        #expect(try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml == before)
        let title = try client.call(
            Remote.DomainGetMetadata.self, .init(dom: domain, type: VirDomainMetadataType.title, uri: nil, flags: 0))
        #expect(title.metadata == "A title")
    }

    @Test("Two clients that define and undefine the same name at once end with one domain or none")
    func race() throws {
        let daemon = try TestDaemon()
        let threads = try (0..<4).map { number in
            let client = Guarded(try daemon.client())
            return try HostThread(name: "client \(number)") {
                for _ in 0..<25 {
                    let defined = try? client.value.call(
                        Remote.DomainDefineXML.self, .init(xml: TestXML.domain("same", uuid: Self.uuid)))
                    if let defined { _ = try? client.value.call(Remote.DomainUndefine.self, .init(dom: defined.dom)) }
                }
            }
        }
        for thread in threads { thread.join() }
        let client = try daemon.client()
        let left = try Self.states(client)
        let files = try HostFolder.names(in: daemon.folder + "/etc/qemu").filter { $0.hasSuffix(".xml") }
        #expect(left.count <= 1)
        #expect(files.count == left.count)
    }

    /// A client that one thread alone uses.
    private final class Guarded: @unchecked Sendable {
        let value: TestClient
        init(_ value: TestClient) { self.value = value }
    }
}

@Suite("Pools and volumes")
struct StorageTests {
    @Test("A pool of a folder, its volumes, and a volume that goes out and comes back with its holes")
    func volumes() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        let path = daemon.folder + "/pool"
        let xml = "<pool type='dir'><name>p</name><target><path>\(path)</path></target></pool>"
        _ = try client.call(
            Remote.ConnectStoragePoolEventRegisterAny.self, .init(eventID: VirStoragePoolEventID.lifecycle, pool: nil))
        let pool = try client.call(Remote.StoragePoolDefineXML.self, .init(xml: xml, flags: 0)).pool
        _ = try client.call(Remote.StoragePoolBuild.self, .init(pool: pool, flags: 0))
        _ = try client.call(Remote.StoragePoolCreate.self, .init(pool: pool, flags: 0))
        typealias Events = VirStoragePoolEventLifecycleType
        for event in [Events.defined, Events.created, Events.started] {
            #expect(try client.event(Remote.StoragePoolEventLifecycle.self).event == event)
        }
        let wanted = "<volume><name>v.raw</name><capacity unit='MiB'>2</capacity><allocation>0</allocation></volume>"
        let volume = try client.call(Remote.StorageVolCreateXML.self, .init(pool: pool, xml: wanted, flags: 0)).vol
        #expect(volume.key == path + "/v.raw")
        let info = try client.call(Remote.StorageVolGetInfo.self, .init(vol: volume))
        #expect(info.capacity == 2 << 20)
        #expect(info.allocation == 0)
        let twice = try client.failure(Remote.StorageVolCreateXML.self, .init(pool: pool, xml: wanted, flags: 0))
        #expect(twice?.code == VirErrorNumber.storageVolExist)

        let data = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let upload = RPCHeader(program: .remote, procedure: Remote.StorageVolUpload.number, type: .call, serial: 900)
        try client.send(
            try Frame(upload, Remote.StorageVolUpload.Arguments(vol: volume, offset: 0, length: 0, flags: 1)))
        #expect(try client.answer(900).header.status == RPCStatus.ok.rawValue)
        try client.send(try Frame(upload.answering(.streamHole, .continue), StreamHole(length: 1 << 20)))
        try client.send(Frame(upload.answering(.stream, .continue), payload: Array(data[..<262_120])))
        try client.send(Frame(upload.answering(.stream, .continue), payload: Array(data[262_120...])))
        try client.send(Frame(upload.answering(.stream, .ok)))
        let done = try client.next()
        #expect(done.header == upload.answering(.stream, .ok))

        let file = try HostFile.contents(volume.key)
        #expect(file.count == 2 << 20)
        #expect(Array(file[(1 << 20)..<(1 << 20) + data.count]) == data)
        #expect(file[..<(1 << 20)].allSatisfy { $0 == 0 })

        let (holes, bytes) = try Self.download(client, volume)
        #expect(holes + bytes.count == 2 << 20)
        #expect(holes >= 1 << 20)
        _ = try client.call(Remote.StorageVolDelete.self, .init(vol: volume, flags: 0))
        #expect(HostFile.status(volume.key).kind == .nothing)
    }

    private static func download(_ client: TestClient, _ volume: RemoteStorageVol) throws -> (Int, [UInt8]) {
        let call = RPCHeader(program: .remote, procedure: Remote.StorageVolDownload.number, type: .call, serial: 901)
        try client.send(
            try Frame(call, Remote.StorageVolDownload.Arguments(vol: volume, offset: 0, length: 0, flags: 1)))
        #expect(try client.answer(901).header.status == RPCStatus.ok.rawValue)
        var holes = 0
        var bytes: [UInt8] = []
        while true {
            let frame = try client.next()
            #expect(frame.header.serial == 901)
            if frame.header.messageType == .streamHole {
                var reader = XDRReader(frame.payload)
                holes += Int(try StreamHole(from: &reader).length)
            } else if frame.payload.isEmpty {
                break
            } else {
                bytes += frame.payload
            }
        }
        try client.send(Frame(call.answering(.stream, .ok)))
        #expect(try client.next().header == call.answering(.stream, .ok))
        return (holes, bytes)
    }

    @Test("A pool is made with its folder where that is asked for, and one that cannot start leaves nothing behind")
    func created() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        func names() throws -> [String] {
            try client.call(Remote.ConnectListAllStoragePools.self, .init(needResults: 1, flags: 0)).pools.map(\.name)
        }
        func xml(_ path: String) -> String {
            "<pool type='dir'><name>p</name><target><path>\(path)</path></target></pool>"
        }
        let path = daemon.folder + "/a/b"
        let missing = try client.failure(Remote.StoragePoolCreateXML.self, .init(xml: xml(path), flags: 0))
        #expect(missing?.message == "cannot open directory '\(path)': No such file or directory")
        #expect(try names() == [])
        let file = daemon.folder + "/file"
        try HostFile.replace(file, with: [])
        let withBuild = VirStoragePoolCreateFlags.withBuild
        #expect(
            try client.failure(Remote.StoragePoolCreateXML.self, .init(xml: xml(file), flags: withBuild)) != nil)
        #expect(try names() == [])
        let pool = try client.call(Remote.StoragePoolCreateXML.self, .init(xml: xml(path), flags: withBuild)).pool
        #expect(try client.call(Remote.StoragePoolIsActive.self, .init(pool: pool)).active == 1)
        _ = try client.call(Remote.StoragePoolDestroy.self, .init(pool: pool))
        #expect(try names() == [])
        // A pool that is defined stays so when it cannot start.
        let defined = try client.call(Remote.StoragePoolDefineXML.self, .init(xml: xml(file), flags: 0)).pool
        #expect(try client.failure(Remote.StoragePoolCreate.self, .init(pool: defined, flags: 0)) != nil)
        #expect(try names() == ["p"])
    }

    @Test("Pools that cannot be are refused, and volumes' names stay in their folder")
    func refused() throws {
        let daemon = try TestDaemon()
        let client = try daemon.client()
        for xml in [
            "<pool type='rbd'><name>x</name></pool>", "<pool type='dir'><name>a/b</name></pool>",
            "<pool type='dir'><name>x</name><target><path>relative</path></target></pool>", "<volume/>",
        ] {
            #expect(try client.failure(Remote.StoragePoolDefineXML.self, .init(xml: xml, flags: 0)) != nil)
        }
        let xml = "<pool type='dir'><name>p</name><target><path>\(daemon.folder)</path></target></pool>"
        let pool = try client.call(Remote.StoragePoolCreateXML.self, .init(xml: xml, flags: 0)).pool
        for name in ["../x", "a/b", ".hidden", ""] {
            let volume = "<volume><name>\(name)</name><capacity>1</capacity></volume>"
            #expect(
                try client.failure(Remote.StorageVolCreateXML.self, .init(pool: pool, xml: volume, flags: 0)) != nil)
        }
    }
}
