import DomainModel
import Foundation
import HostOS
import Network
import NetworkSwitch
import TestSupport
import Testing

/// The kernel's network in namespaces of threads.
enum KernelNetwork {
    static let absence: String? = {
        guard geteuid() == 0 else { return "not root" }
        guard FileManager.default.fileExists(atPath: "/usr/sbin/nft") else { return "no nft" }
        guard FileManager.default.fileExists(atPath: "/dev/net/tun") else { return "no /dev/net/tun" }
        guard (try? inNamespace({ try HostLink.addBridge("br0") })) != nil else {
            return "no namespaces or bridges here"
        }
        return nil
    }()

    private final class Box<Result>: @unchecked Sendable { var result: Swift.Result<Result, any Error>? }

    /// Runs something on a thread with a network of its own.
    static func inNamespace<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        let box = Box<Result>()
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            box.result = Swift.Result {
                // CLONE_NEWNET (unshare(2)), which Swift's view of the C library does not show.
                typealias Unshare = @convention(c) (Int32) -> Int32
                guard let symbol = unsafe dlsym(nil, "unshare"),
                    unsafe unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000) == 0
                else { throw NetworkError("no namespace") }
                return try body()
            }
            done.signal()
        }
        thread.stackSize = 1 << 23
        thread.start()
        done.wait()
        return try #require(box.result).get()
    }
}

/// Filters of taps on a bridge of the kernel, frame by frame beside the switch's own: both must let the same through. In
/// a network namespace that a thread of the test makes and that goes with it.
@Suite(.serialized, .enabled(if: KernelNetwork.absence == nil, "\(KernelNetwork.absence ?? "")"))
struct PortFirewallTests {
    private static let mac: [UInt8] = [0x52, 0x54, 0, 0, 0, 1]
    private static let other: [UInt8] = [0x52, 0x54, 0, 0, 0, 2]
    private static let mark: [UInt8] = [0xA5, 0x5A, 0xC3, 0x3C]

    private struct Generated: Sendable {
        let frame: [UInt8]
        let outward: Bool
    }

    private static func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

    /// Frames of which many are nearly right.
    private static func frames(_ count: Int, seed: UInt64, withTags: Bool) -> [Generated] {
        var generator = SplitMix64(state: seed)
        func any<Value>(_ values: [Value]) -> Value { values.randomElement(using: &generator)! }
        let addresses: [[UInt8]] = [
            [10, 0, 0, 1], [10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 9], [0, 0, 0, 0], [224, 0, 0, 5],
        ]
        let sixes: [[UInt8]] = [
            [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1], [0xFD] + [UInt8](repeating: 0, count: 14) + [2],
        ]
        let ports = [22, 25, 53, 67, 68, 999, 40000]
        return (0..<count).map { index in
            let outward = Bool.random(using: &generator)
            let own = any([mac, mac, mac, other])
            // Destinations that a bridge sends on whatever it has learnt.
            let to = any([everybody, [1, 0, 0x5E, 1, 2, 3], [0x52, 0x54, 0, 0, 0, 0x77]])
            var frame = to + (outward ? own : any([other, [0x52, 0x54, 0, 0, 0, 3]]))
            if withTags, Int.random(in: 0..<8, using: &generator) == 0 { frame += [0x81, 0, 0, any([5, 6])] }
            let tail = mark + big(index >> 16) + big(index & 0xFFFF)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                let proto = any([6, 17, 17, 1, 47] as [UInt8])
                var body = big(any(ports)) + big(any(ports)) + [0, 16, 0, 0]
                if proto == 1 { body = [any([0, 8]), 0, 0, 0, 0, 0, 0, 0] }
                var header: [UInt8] = [0x45, 0] + big(20 + body.count + tail.count) + [0, 0, 0, 0, 64, proto, 0, 0]
                header += any(addresses) + any(addresses)
                // A kernel that shows bridged packets to its IP rules looks at the checksum first.
                let sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(header[$1]) << 8 + Int(header[$1 + 1]) }
                header.replaceSubrange(10..<12, with: big(~(sum & 0xFFFF + sum >> 16) & 0xFFFF))
                frame += [8, 0] + header + body + tail
            case 5..<7:
                frame += [8, 6, 0, 1, 8, 0, 6, 4, 0, any([1, 2])] + any([own, own, other]) + any(addresses)
                frame += any([mac, other, everybody]) + any(addresses) + tail
            case 7:
                let proto = any([6, 17, 58] as [UInt8])
                var body = big(any(ports)) + big(any(ports)) + [0, 16, 0, 0]
                if proto == 58 { body = [any([128, 135]), 0, 0, 0, 0, 0, 0, 0] }
                frame += [0x86, 0xDD, 0x60, 0, 0, 0] + big(body.count + tail.count) + [proto, 64]
                frame += any(sixes) + any(sixes) + body + tail
            case 8:
                frame += [0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3] + own + [0, 0, 0, 0] + own + [0, 0, 0, 0] + tail
            default: frame += [0x88, 0xB5] + [UInt8](repeating: 0, count: 46) + tail
            }
            return Generated(frame: frame, outward: outward)
        }
    }

    /// The frames of ours that wait at a tap.
    private static func waiting(_ tap: TapDevice, _ milliseconds: Int32) -> Bool {
        var isThere = false
        var patience = milliseconds
        while tap.descriptor.wait(for: [.read], milliseconds: isThere ? 0 : patience).contains(.read) {
            guard let bytes = try? tap.descriptor.readAvailable(limit: 4096), !bytes.isEmpty else { break }
            if bytes.count > 8, Array(bytes.suffix(8).prefix(4)) == mark { isThere = true }
            patience = 1
        }
        return isThere
    }

    /// Sends frames through a bridge with a filter, and through the switch's filter; the places of those that differ.
    private static func differences(
        _ settings: PortSettings, _ frames: [Generated]
    ) throws -> (different: [Int], passed: Int) {
        try KernelNetwork.inNamespace {
            try HostLink.addBridge("br0")
            try HostLink.setUp("br0", true)
            let taps = try ["vnet7", "vnet8"].map { try TapDevice(name: $0, hasHeaders: false) }
            try HostTap.protect("vnet7", settings)
            for (place, tap) in taps.enumerated() {
                try HostTap.join(
                    tap.name, address: HardwareAddress([0x52, 0x54, 0, 0, 1, UInt8(place)]), bridge: "br0")
            }
            var guarding = PortGuard(settings)
            var different: [Int] = []
            var passed = 0
            for (place, one) in frames.enumerated() {
                // SAFETY: the array lives for the calls.
                let ours = unsafe one.frame.withUnsafeBytes {
                    unsafe one.outward ? guarding.passes($0, now: 1) : guarding.admits($0, now: 1)
                }
                let (from, to) = one.outward ? (taps[0], taps[1]) : (taps[1], taps[0])
                _ = unsafe one.frame.withUnsafeBytes { unsafe from.descriptor.write($0) }
                let kernels = waiting(to, ours ? 500 : 0)
                if ours != kernels { different.append(place) }
                if kernels { passed += 1 }
            }
            HostTap.release("vnet7")
            let list = try HostProgram.output("nft", ["list", "ruleset"])
            #expect(!list.contains("apus"), "The table goes with its last tap")
            return (different, passed)
        }
    }

    private func settings(_ rules: [String] = [], _ filter: PortFilter = [], ip: String? = "10.0.0.1") -> PortSettings {
        var settings = PortSettings(name: "vnet7")
        settings.address = HardwareAddress(Self.mac)
        settings.filter = filter
        settings.rules = rules
        if let ip { settings.addOnce(address: ip) }
        return settings
    }

    private func expectSame(_ settings: PortSettings, seed: UInt64, withTags: Bool = false) throws {
        let frames = Self.frames(FuzzRounds.times(400), seed: seed, withTags: withTags)
        let (different, passed) = try Self.differences(settings, frames)
        let first = different.first.map { "\(frames[$0].outward ? "out" : "in") \(frames[$0].frame)" } ?? ""
        #expect(different.isEmpty, "\(different.count) of \(frames.count), the first: \(first)")
        #expect(passed > 0 && passed < frames.count)
    }

    @Test func libvirtsFiltersByName() throws {
        try expectSame(settings([], .cleanTraffic), seed: 1, withTags: true)
        try expectSame(settings([], [.noMACSpoofing, .noIPMulticast, .noMACBroadcast]), seed: 2)
        // The first address that the machine shows is its own.
        try expectSame(settings([], .cleanTraffic, ip: nil), seed: 3)
    }

    @Test func rulesWithConnectionsAndChains() throws {
        func document(_ rules: String, chain: String = "root", priority: Int = 0) -> String {
            "<filter name='f' chain='\(chain)' priority='\(priority)'>\(rules)</filter>"
        }
        let server = document(
            """
            <rule action='accept' direction='in' priority='100'><tcp dstportstart='22' dstportend='30'/></rule>
            <rule action='accept' direction='out' priority='100'><udp dstportstart='53'/></rule>
            <rule action='accept' direction='inout' priority='200'><icmp type='8'/></rule>
            <rule action='accept' direction='out' priority='300'><icmpv6/></rule>
            <rule action='drop' direction='inout' priority='1000'><all/></rule>
            <rule action='drop' direction='inout' priority='1000'><all-ipv6/></rule>
            """)
        try expectSame(settings([server]), seed: 4)
        let chains = [
            document(
                """
                <rule action='return' direction='out' priority='400'><mac srcmacaddr='52:54:00:00:00:01'/></rule>
                <rule action='drop' direction='out' priority='500'><mac/></rule>
                """, chain: "mac", priority: -800),
            document(
                """
                <rule action='drop' direction='out' priority='300'><arp match='no' arpsrcipaddr='$IP'/></rule>
                <rule action='accept' direction='out'><arp opcode='Request'/></rule>
                <rule action='drop' direction='in'>
                  <arp match='no' arpdstmacaddr='52:54:00:00:00:00' arpdstmacmask='ff:ff:ff:ff:00:00'/>
                </rule>
                """, chain: "arp", priority: -500),
            document(
                """
                <rule action='drop' direction='out' priority='1'><ip match='no' srcipaddr='$IP'/></rule>
                <rule action='drop' direction='inout' priority='2'>
                  <ip protocol='udp' dstportstart='60' dstportend='70'/>
                </rule>
                <rule action='drop' direction='in' priority='3'><ip srcipaddr='10.0.0.8' srcipmask='29'/></rule>
                <rule action='drop' direction='inout' priority='4'><ipv6 srcipaddr='fe80::' srcipmask='16'/></rule>
                <rule action='accept' direction='inout' priority='5'><mac protocolid='rarp'/></rule>
                """),
        ]
        try expectSame(settings(chains), seed: 5)
        try expectSame(settings(chains + [server], .cleanTraffic, ip: nil), seed: 6, withTags: true)
    }

    @Test func limitsAndWhatCannotBeKept() throws {
        var limited = settings()
        limited.outbound = RateLimit(average: 64 << 10, burst: 64 << 10)
        let wanted = limited
        let frame = everybody + Self.mac + [0x88, 0xB5] + [UInt8](repeating: 7, count: 1000)
        let (came, list) = try KernelNetwork.inNamespace {
            try HostLink.addBridge("br0")
            try HostLink.setUp("br0", true)
            let taps = try ["vnet7", "vnet8"].map { try TapDevice(name: $0, hasHeaders: false) }
            try HostTap.protect("vnet7", wanted)
            for (place, tap) in taps.enumerated() {
                try HostTap.join(
                    tap.name, address: HardwareAddress([0x52, 0x54, 0, 0, 1, UInt8(place)]), bridge: "br0")
            }
            var came = 0
            for _ in 0..<1000 {
                _ = unsafe frame.withUnsafeBytes { unsafe taps[0].descriptor.write($0) }
                while let bytes = try? taps[1].descriptor.readAvailable(limit: 4096), !bytes.isEmpty {
                    if bytes.count == frame.count { came += 1 }
                }
            }
            // Twice the same is once.
            try HostTap.protect("vnet7", wanted)
            return (came, try HostProgram.output("nft", ["list", "ruleset"]))
        }
        #expect((100..<700).contains(came), "A burst of 128 KiB, and little more: \(came)")
        #expect(list.components(separatedBy: "limit rate over").count == 2)
        #expect(throws: NetworkError.self) { try HostTap.protect("a\"b", wanted) }
        var tagged = settings()
        tagged.vlan = 5
        let port = tagged
        #expect(throws: NetworkError.self) { try HostTap.check(port) }
        #expect(throws: NetworkError.self) {
            try HostTap.check(settings(["<filter name='x'><rule action='drop' direction='in'><stp/></rule></filter>"]))
        }
    }
}
