import DeviceModel
import Synchronization

/// A device that remembers writes and answers reads with a constant.
final class Probe: BusDevice {
    let answer: UInt64
    let writes = Mutex<[UInt64]>([])
    init(_ answer: UInt64) { self.answer = answer }
    func read(offset: UInt64, size: Int) -> UInt64 { answer &+ offset }
    func write(offset: UInt64, size: Int, value: UInt64) { writes.withLock { $0.append(value) } }
}

/// Remembers messages.
final class Messages: MSISink {
    private let state = Mutex<[(UInt64, UInt32)]>([])
    var all: [UInt32] { state.withLock { $0.map(\.1) } }
    var addresses: [UInt64] { state.withLock { $0.map(\.0) } }
    func deliver(address: UInt64, data: UInt32) { state.withLock { $0.append((address, data)) } }
}

/// Remembers the levels of lines.
final class Lines: InterruptSink {
    private let state = Mutex<[Int: Bool]>([:])
    func setLine(_ line: Int, level: Bool) { state.withLock { $0[line] = level } }
    subscript(line: Int) -> Bool { state.withLock { $0[line] ?? false } }
}

/// A bus with everything a function reaches.
struct TestBoard {
    let io = Bus()
    let memory = Bus()
    let messages = Messages()
    let lines = Lines()
    let bus: PCIBus

    init() {
        let lines = self.lines
        bus = PCIBus(
            spaces: PCISpaces(io: io, memory: memory, msi: messages),
            routing: .swizzled((0..<4).map { InterruptLine(sink: lines, number: $0) }))
    }
}

extension PCIIdentity {
    static let test = PCIIdentity(vendorID: 0x1234, deviceID: 0x5678, classCode: 0x0C0330, revision: 7)
}
