import Network
import NetworkSwitch
import TestSupport
import Testing

@Suite struct DNSTests {
    private func query(_ name: String, _ kind: UInt16 = 1, edns: UInt16? = nil) -> [UInt8] {
        var bytes: [UInt8] = [0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns == nil ? 0 : 1]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(kind >> 8), UInt8(kind & 255), 0, 1]
        if let edns { bytes += [0, 0, 41, UInt8(edns >> 8), UInt8(edns & 255), 0, 0, 0, 0, 0, 0] }
        return bytes
    }
    private func server() -> DNSServer {
        var configuration = DNSConfiguration()
        configuration.domain = DNSName("lab.test")
        configuration.isDomainLocal = true
        configuration.addresses[DNSName("gate.example")!] = [
            IPv4Address("192.168.122.7")!, IPv4Address("192.168.122.8")!,
        ]
        configuration.texts[DNSName("note.example")!] = ["a text"]
        configuration.services = [
            .init(
                name: DNSName("_ldap._tcp.lab.test")!, priority: 1, weight: 2, port: 389,
                target: DNSName("gate.example")!)
        ]
        configuration.forwarders = [(DNSName("corp.example"), "10.1.1.1"), (nil, "fd00::53")]
        var server = DNSServer(configuration)
        server.machines[DNSName("alice")!] = IPv4Address("192.168.122.50")
        return server
    }
    /// The code and the data of an answer's records.
    private func answer(_ bytes: [UInt8]) throws -> (code: UInt8, count: Int, bytes: [UInt8]) {
        guard case .answer(let answer) = server().verdict(bytes) else {
            Issue.record("no answer")
            return (99, 0, [])
        }
        #expect(Array(answer[..<2]) == [0xAB, 0xCD] && answer[2] & 0x80 != 0)
        return (answer[3] & 15, Int(answer[6]) << 8 | Int(answer[7]), answer)
    }

    @Test func machinesAndRecordsAreKnown() throws {
        for name in ["alice", "ALICE", "alice.lab.test"] {
            let found = try answer(query(name))
            #expect(found.code == 0 && found.count == 1 && found.bytes.suffix(4) == [192, 168, 122, 50])
        }
        #expect(try answer(query("gate.example")).count == 2)
        #expect(try answer(query("gate.example", 28)).count == 0, "There is the name, but no such address")
        #expect(try answer(query("note.example", 16)).bytes.suffix(7) == [6] + Array("a text".utf8))
        #expect(try answer(query("_ldap._tcp.lab.test", 33)).count == 1)
        let reverse = try answer(query("50.122.168.192.in-addr.arpa", 12))
        #expect(String(decoding: reverse.bytes, as: UTF8.self).contains("alice"))
        #expect(try answer(query("9.122.168.192.in-addr.arpa", 12)).code == 3)
    }

    @Test func whatIsKnownNowhereOrElsewhere() throws {
        #expect(try answer(query("bob")).code == 3, "A plain name goes nowhere")
        #expect(try answer(query("bob.lab.test")).code == 3)
        #expect(server().verdict(query("www.example.org")) == .forward(["fd00::53"]))
        #expect(server().verdict(query("www.corp.example")) == .forward(["10.1.1.1"]))
        var silent = server()
        silent.configuration.isEnabled = false
        #expect(silent.verdict(query("alice")) == .drop)
    }

    @Test func longAnswersAreCut() throws {
        var server = server()
        server.configuration.addresses[DNSName("many.example")!] = (0..<80).map {
            IPv4Address(rawValue: 0x0A00_0000 + $0)
        }
        guard case .answer(let short) = server.verdict(query("many.example")) else { return #expect(Bool(false)) }
        #expect(short.count <= 512 && short[2] & 2 != 0)
        guard case .answer(let long) = server.verdict(query("many.example", edns: 4096)) else {
            return #expect(Bool(false))
        }
        #expect(long.count > 512 && long.count <= 1400)
    }

    @Test func whatIsNoQueryIsDropped() {
        let server = server()
        #expect(server.verdict([]) == .drop && server.verdict([UInt8](repeating: 0, count: 12)) == .drop)
        var response = query("alice")
        response[2] = 0x81
        #expect(server.verdict(response) == .drop)
        #expect(DNSQuery([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 0x0C, 0, 1, 0, 1]) == nil, "A pointer to itself")
        #expect(DNSName("") == nil && DNSName("a..b") == nil && DNSName(String(repeating: "a", count: 64)) == nil)
    }

    @Test func randomQueriesNeverHarm() {
        let server = server()
        var generator = FixedGenerator(seed: 5)
        for _ in 0..<FuzzRounds.times(5000) {
            var bytes = query("alice.lab.test", 255, edns: 1000)
            for _ in 0..<Int.random(in: 0..<8, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
            if case .answer(let answer) = server.verdict(bytes) { #expect(answer.count <= 1400) }
        }
    }
}
