import HostOS
import Network
import Synchronization

/// A network card for tests: keeps what it receives, has adjustable room, and makes frames by hand.
final class Card: FrameReceiver {
    static let mac: [UInt8] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]
    private struct State {
        var frames: [[UInt8]] = []
        var room = Int.max
        var overrun = false
    }
    private let state = Mutex(State())

    func canReceive() -> Bool { state.withLock { $0.room > 0 } }

    func receive(_ frame: UnsafeRawBufferPointer) {
        let bytes = unsafe Array(frame)
        state.withLock { state in
            if state.room <= 0 { state.overrun = true }
            state.room -= 1
            state.frames.append(bytes)
        }
    }

    func setRoom(_ room: Int) { state.withLock { $0.room = room } }
    var overrun: Bool { state.withLock { $0.overrun } }
    var frames: [[UInt8]] { state.withLock { $0.frames } }

    /// The first frame that matches and has not been taken, waiting up to ten seconds for it.
    func take(_ matches: ([UInt8]) -> Bool) -> [UInt8]? {
        let end = HostClock.monotonic + 120_000_000_000
        let pause = Bell()
        while HostClock.monotonic < end {
            let found = state.withLock { state -> [UInt8]? in
                state.frames.firstIndex(where: matches).map { state.frames.remove(at: $0) }
            }
            if let found { return found }
            pause.wait(nanoseconds: 1_000_000)
        }
        return nil
    }
}

extension NetworkBackend {
    @discardableResult
    func send(_ frame: [UInt8]) -> Bool { unsafe frame.withUnsafeBytes { unsafe transmit($0) } }
}

func big16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
func read16(_ bytes: [UInt8], _ at: Int) -> Int { bytes.count > at + 1 ? Int(bytes[at]) << 8 | Int(bytes[at + 1]) : -1 }

/// The ones' complement sum of RFC 1071.
func checksum(_ bytes: [UInt8]) -> Int {
    var sum = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
    }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~sum & 0xFFFF
}

func ethernet(to: [UInt8] = [UInt8](repeating: 0xFF, count: 6), type: Int, _ payload: [UInt8]) -> [UInt8] {
    to + Card.mac + big16(type) + payload
}

func ipv4(_ proto: UInt8, from: [UInt8], to: [UInt8], _ payload: [UInt8]) -> [UInt8] {
    var header: [UInt8] = [0x45, 0] + big16(20 + payload.count) + [0, 1, 0, 0, 64, proto, 0, 0] + from + to
    header.replaceSubrange(10..<12, with: big16(checksum(header)))
    return header + payload
}

/// A BOOTP request with DHCP's option 53 of the given type (RFC 2131).
func dhcp(type: UInt8) -> [UInt8] {
    var bootp = [UInt8](repeating: 0, count: 236)
    bootp.replaceSubrange(0..<8, with: [1, 1, 6, 0, 0xDE, 0xAD, 0xBE, 0xEF])
    bootp.replaceSubrange(28..<34, with: Card.mac)
    bootp += [0x63, 0x82, 0x53, 0x63, 53, 1, type, 55, 4, 1, 3, 6, 12, 255]
    let udp = big16(68) + big16(67) + big16(8 + bootp.count) + [0, 0] + bootp
    return ethernet(type: 0x0800, ipv4(17, from: [0, 0, 0, 0], to: [255, 255, 255, 255], udp))
}

func arp(operation: Int, from: [UInt8], to: [UInt8], mac: [UInt8] = [0, 0, 0, 0, 0, 0]) -> [UInt8] {
    ethernet(type: 0x0806, [0, 1, 8, 0, 6, 4] + big16(operation) + Card.mac + from + mac + to)
}

func isARP(_ frame: [UInt8], operation: Int) -> Bool { read16(frame, 12) == 0x0806 && read16(frame, 20) == operation }
func isUDP(_ frame: [UInt8], to port: Int) -> Bool {
    read16(frame, 12) == 0x0800 && frame.count > 42 && frame[23] == 17 && read16(frame, 36) == port
}
func isSYN(_ frame: [UInt8], to port: Int) -> Bool {
    read16(frame, 12) == 0x0800 && frame.count >= 54 && frame[23] == 6 && read16(frame, 36) == port
        && frame[47] & 0x12 == 2
}

/// The value of a DHCP option in a frame.
func option(_ code: UInt8, of frame: [UInt8]) -> [UInt8]? {
    var index = 14 + 20 + 8 + 240
    while index + 1 < frame.count, frame[index] != 255 {
        if frame[index] == 0 {
            index += 1
            continue
        }
        let end = index + 2 + Int(frame[index + 1])
        if end > frame.count { return nil }
        if frame[index] == code { return Array(frame[index + 2..<end]) }
        index = end
    }
    return nil
}
