import DomainModel
import Foundation
import TestSupport
import Testing

/// Damaged documents of every kind: each ends in a value or in an error with a number and a text, never in a trap.
@Suite struct HostileTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Definitions")

    private static var rounds: Int {
        400 * (ProcessInfo.processInfo.environment["APUS_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 1)
    }

    private static let seeds: [[UInt8]] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        var seeds = files.sorted().compactMap { try? Data(contentsOf: folder.appending(path: $0)) }.map { [UInt8]($0) }
        seeds += DocumentTests.documents.map { Array($0.utf8) }
        return seeds
    }()

    /// Reads a document as its root says, completes it where that can be, and writes it.
    private func exercise(_ bytes: [UInt8]) throws(DefinitionError) {
        let tree = try XMLReader.parse(bytes: bytes, limits: XMLLimits(size: 1 << 20, depth: 64, nodes: 1 << 14))
        var generator = SplitMix64(state: 3)
        switch tree.name {
        case "domain":
            var domain = try Domain(tree: tree)
            _ = domain.xml()
            try domain.fillIn(HostProfile.x86(emulator: "/q"), using: &generator)
            domain.prepareToStart()
            _ = try Domain(xml: domain.xml(options: .secure))
        case "network":
            var network = try VirtualNetwork(tree: tree)
            network.fillIn(bridge: "virbr0", using: &generator)
            _ = try VirtualNetwork(xml: network.xml())
        case "pool":
            var pool = try StoragePool(tree: tree)
            try pool.fillIn(using: &generator)
            _ = try StoragePool(xml: pool.xml())
        case "volume": _ = try StorageVolume(xml: StorageVolume(tree: tree).xml())
        case "secret": _ = try Secret(xml: Secret(tree: tree).xml())
        case "filter": _ = try NetworkFilter(xml: NetworkFilter(tree: tree).xml())
        case "filterbinding": _ = try FilterBinding(xml: FilterBinding(tree: tree).xml())
        case "networkport": _ = try NetworkPort(xml: NetworkPort(tree: tree).xml())
        case "domainsnapshot": _ = try DomainSnapshot(xml: DomainSnapshot(tree: tree).xml())
        case "domaincheckpoint": _ = try DomainCheckpoint(xml: DomainCheckpoint(tree: tree).xml())
        case "domainbackup": _ = try DomainBackup(xml: DomainBackup(tree: tree).xml())
        case "device": _ = try NodeDevice(xml: NodeDevice(tree: tree).xml())
        case "interface": _ = try HostInterface(xml: HostInterface(tree: tree).xml())
        case "capabilities": _ = try Capabilities(xml: Capabilities(tree: tree).text())
        case "domainCapabilities": _ = try DomainCapabilities(xml: DomainCapabilities(tree: tree).xml())
        case "cpu": _ = try CPU(xml: CPU(tree: tree).xml())
        case "sysinfo": _ = try SystemInformation(xml: SystemInformation(tree: tree).xml())
        default: _ = try Device(xml: XMLWriter.write(tree))
        }
    }

    /// One change that a hostile client might make.
    private func damaged(_ bytes: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0...Int.random(in: 0..<3, using: &generator) {
            guard bytes.count > 4 else { return bytes }
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<7, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: place)
            case 2: bytes.truncateAt(place)
            case 3: bytes.insert(contentsOf: Array("&lt;'\"<>/".utf8).shuffled(using: &generator).prefix(2), at: place)
            case 4:
                // A number becomes one at the edge of some range.
                let edges = [
                    "4294967295", "18446744073709551615", "-1", "0", "4294967296", "0xffffffff",
                    "999999999999999999999",
                ]
                guard let start = bytes[place...].firstIndex(where: { $0 >= 0x30 && $0 <= 0x39 }) else { continue }
                let end = bytes[start...].firstIndex { $0 < 0x30 || $0 > 0x39 } ?? bytes.count
                bytes.replaceSubrange(
                    start..<end, with: Array((edges.randomElement(using: &generator) ?? "0").utf8))
            case 5:
                // A value becomes another word of the same document.
                let words = String(decoding: bytes, as: UTF8.self).split { "'\"<>= \n/".contains($0) }
                guard let word = words.randomElement(using: &generator),
                    let start = bytes[place...].firstIndex(of: UInt8(ascii: "'")),
                    let end = bytes[(start + 1)...].firstIndex(of: UInt8(ascii: "'"))
                else { continue }
                bytes.replaceSubrange((start + 1)..<end, with: Array(word.utf8))
            default:
                let end = min(bytes.count, place + Int.random(in: 1..<80, using: &generator))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
        }
        return bytes
    }

    @Test func randomDamageEndsInAValueOrAnError() {
        var generator = SplitMix64(state: 42)
        var refused = 0
        var accepted = 0

        for round in 0..<Self.rounds {
            let bytes = damaged(Self.seeds[round % Self.seeds.count], &generator)
            do throws(DefinitionError) {
                try exercise(bytes)
                accepted += 1
            } catch {
                refused += 1
                #expect(error.code.rawValue > 0)
                #expect(!error.message.isEmpty)
            }
        }

        #expect(refused > 0)
        #expect(accepted > 0)
    }

    @Test(arguments: [
        "memory", "vcpu", "currentMemory", "maxMemory", "iothreads",
    ])
    func hostileNumbersOfADomainAreRefusedOrBounded(element: String) {
        for value in ["-1", "18446744073709551615", "99999999999999999999", "1e9", " ", "0x10", "1 2", "４"] {
            let xml =
                "<domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os></domain>"
                .replacingOccurrences(of: "<os>", with: "<\(element)>\(value)</\(element)><os>")
            #expect(throws: DefinitionError.self, "\(element) \(value)") {
                var domain = try Domain(
                    xml: xml.replacingOccurrences(of: element == "memory" ? "<memory>1024</memory>" : "§", with: ""))
                try domain.fillIn(HostProfile.x86(emulator: "/q"))
                // What is left is a count that no machine has, refused when it is started.
                if element == "vcpu" || element == "iothreads" || value == " " { throw DefinitionError(.overflow, "x") }
            }
        }
    }

    @Test func namesOfAllKindsAreReadOrRefused() throws {
        let long = String(repeating: "n", count: 4096)

        #expect(try Domain(xml: "<domain type='qemu'><name>\(long)</name></domain>").name == long)
        #expect(throws: DefinitionError.self) { try Domain(xml: "<domain type='qemu'><name>a\nb</name></domain>") }
        #expect(throws: DefinitionError.self) { try Domain(xml: "<domain type='qemu'><name>../x</name></domain>") }
    }

    @Test func indexesFarBeyondAnyMachineTakeNoMemory() throws {
        let controllers =
            "<controller type='pci' index='4294967295' model='pci-bridge'/>"
            + "<controller type='virtio-serial' index='4294967295'/><controller type='scsi' index='4294967295'/>"
        let disk =
            "<disk><source file='/a'/><target dev='sda' bus='scsi'/>"
            + "<address type='drive' controller='4294967295' bus='0' target='0' unit='0'/></disk>"
        for machine in ["pc", "q35"] {
            var domain = try Domain(
                xml: "<domain type='qemu'><name>a</name><memory>1024</memory><os><type machine='\(machine)'>hvm</type>"
                    + "</os><devices>\(controllers)\(disk)</devices></domain>")
            try? domain.fillIn(HostProfile.x86(emulator: "/q"))
            #expect(domain.devices.controllers.count < 600)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func truncateAt(_ place: Int) { removeSubrange(place...) }
}
