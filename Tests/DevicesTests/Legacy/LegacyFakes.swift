import DeviceModel
import Synchronization
import TestSupport

/// An interrupt controller that writes down what it hears.
final class RecordedLines: InterruptSink {
    struct Change: Equatable { let line: Int, level: Bool }
    private struct State: Sendable {
        var levels: [Int: Bool] = [:]
        var changes: [(Int, Bool)] = []
        var edges: [Int: Int] = [:]
    }
    private let state = Mutex(State())

    func setLine(_ line: Int, level: Bool) {
        state.withLock { state in
            if level && state.levels[line] != true { state.edges[line, default: 0] += 1 }
            state.levels[line] = level
            state.changes.append((line, level))
            if state.changes.count > 10_000 { state.changes.removeAll() }
        }
    }
    func level(_ line: Int) -> Bool { state.withLock { $0.levels[line] ?? false } }
    /// Rising edges since the start.
    func edges(_ line: Int) -> Int { state.withLock { $0.edges[line] ?? 0 } }
    var changes: [Change] { state.withLock { $0.changes.map { Change(line: $0.0, level: $0.1) } } }
}

/// Takes messages and keeps the last ones.
final class RecordedMessages: MSISink {
    struct Message: Equatable { let address: UInt64, data: UInt32 }
    private let state = Mutex<[Message]>([])

    func deliver(address: UInt64, data: UInt32) {
        state.withLock { messages in
            if messages.count > 10_000 { messages.removeAll() }
            messages.append(Message(address: address, data: data))
        }
    }
    var messages: [Message] { state.withLock { $0 } }
    func clear() { state.withLock { $0 = [] } }
}

/// A host that keeps what the guest says and holds what the guest has no room for.
final class RecordedCharacters: CharacterPort {
    private struct State: Sendable {
        var written: [UInt8] = []
        var held: [UInt8] = []
        var receiver: (any CharacterReceiver)?
        var accepts = 0
    }
    private let state = Mutex(State())

    func write(_ bytes: [UInt8]) {
        state.withLock { state in
            state.written += bytes
            if state.written.count > 100_000 { state.written.removeAll() }
        }
    }
    func setReceiver(_ receiver: (any CharacterReceiver)?) { state.withLock { $0.receiver = receiver } }
    func acceptInput() {
        state.withLock { $0.accepts += 1 }
        deliver()
    }
    /// Input from the host.
    func type(_ bytes: [UInt8]) {
        state.withLock { $0.held += bytes }
        deliver()
    }
    private func deliver() {
        guard let receiver = state.withLock({ $0.receiver }) else { return }
        while held > 0 {
            let room = receiver.receiveCapacity()
            guard room > 0 else { return }
            let piece = state.withLock { state in
                let piece = Array(state.held.prefix(room))
                state.held.removeFirst(piece.count)
                return piece
            }
            receiver.receive(piece)
        }
    }
    var written: [UInt8] { state.withLock { $0.written } }
    var held: Int { state.withLock { $0.held.count } }
    var accepts: Int { state.withLock { $0.accepts } }
}

/// Counts calls and keeps the last values of a callback.
final class Recorded<Value: Sendable>: Sendable {
    private let state = Mutex<[Value]>([])
    func note(_ value: Value) {
        state.withLock { values in
            if values.count > 10_000 { values.removeAll() }
            values.append(value)
        }
    }
    var values: [Value] { state.withLock { $0 } }
}

/// Pokes a device at random: 100,000 accesses of all sizes at `offsets`, time passing between. Returns a digest of
/// everything read, so that two devices can be compared.
@discardableResult
func poke(
    _ device: any BusDevice, offsets: [UInt64], clock: ManualClock, seed: UInt64, count: Int = 100_000,
    step: UInt64 = 50_000
) -> UInt64 {
    var random = SplitMix64(state: seed)
    var digest: UInt64 = 0
    let sizes = [1, 1, 1, 1, 2, 4, 8]
    for _ in 0..<count {
        let bits = random.next()
        let offset = offsets[Int(bits % UInt64(offsets.count))]
        let size = sizes[Int(bits >> 16 & 0xFF) % sizes.count]
        if bits >> 32 & 1 == 0 {
            digest = (digest &* 31) ^ device.read(offset: offset, size: size)
        } else {
            var value = random.next()
            // Small numbers reach more of a register's meanings than large ones.
            if bits >> 33 & 1 == 0 { value &= 0xFF }
            device.write(offset: offset, size: size, value: size == 8 ? value : value & ((1 << (8 * UInt64(size))) - 1))
        }
        if bits >> 34 & 7 == 0 { clock.advance(by: random.next() % step) }
    }
    return digest
}
