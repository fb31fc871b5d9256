import DeviceModel
import GuestMemory
import HostOS
import Machine
import MachineState
import TestSupport
import Testing

/// One of two machines that are to be the same: without processors, the test is its guest.
final class Twin {
    let machine: VirtualMachine
    let engine: TwinEngine
    private let loop: EventLoop
    private let buses: ProcessorBuses
    private let workers: [any Device]
    /// How they stood when they had last nothing to do.
    private var settled: [DeviceState] = []

    /// Devices with threads that work for them.
    private static let busy: Set<String> = [
        "VirtioMMIO", "VirtioPCI", "IDEController", "AHCIController", "NVMeController", "FloppyController", "XHCI",
        "EHCI",
        "UHCI", "USBPeripheral", "TPMDevice", "PCICard",
    ]

    init(_ configuration: MachineConfiguration) throws {
        var configuration = configuration
        var counting = InstructionCounting(shift: 0)
        counting.sleeps = false
        configuration.clock.counting = counting
        loop = try EventLoop()
        final class Made: @unchecked Sendable { var engine: TwinEngine? }
        let made = Made()
        machine = try VirtualMachine(configuration, loop: loop) { request throws(MachineBuildError) in
            let engine = TwinEngine(request)
            made.engine = engine
            return engine
        }
        engine = try #require(made.engine)
        buses = try #require(engine.buses)
        workers = machine.parts.filter { Self.busy.contains(String(describing: type(of: $0))) }
        machine.setListening(true)
        resume()
    }
    func end() { machine.close() }

    var ports: [Bus.Range] { buses.io.ranges }
    var windows: [Bus.Range] { buses.memory.ranges }
    var functions: [PCIFunctionStatus] { machine.pciFunctions }

    // MARK: What is done to it

    /// Does it; what was read. With `stepwise`, threads finish what a timer had them do before time goes on.
    @discardableResult
    func perform(_ operation: TwinOperation, stepwise: Bool = false) -> UInt64? {
        switch operation {
        case .portRead(let port, let size): return buses.io.read(port, size: size)
        case .portWrite(let port, let size, let value): buses.io.write(port, size: size, value: value)
        case .read(let address, let size): return read(address, size)
        case .write(let address, let size, let value):
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
            if (try? engine.memory.write(GuestPhysical(address), bytes: bytes)) == nil {
                buses.memory.write(address, size: size, value: value)
            }
        case .store(let address, let bytes): try? engine.memory.write(GuestPhysical(address), bytes: bytes)
        case .advance(let time): engine.advance(by: time) { if stepwise { settle() } }
        case .input(let events): try? machine.sendInput(events)
        }
        return nil
    }
    private func read(_ address: UInt64, _ size: Int) -> UInt64 {
        if let bytes = try? engine.memory.bytes(GuestPhysical(address), count: size) {
            return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return buses.memory.read(address, size: size)
    }

    // MARK: Standing and going on

    func pause() {
        for device in machine.parts { device.pause() }
        machine.awaitWorkers()
        // What is on its way to a card is no part of the state: it is lost, as networks lose frames.
        machine.awaitFrames(losingRest: true)
        machine.setListening(false)
    }
    func resume() {
        for device in machine.parts { device.resume() }
        machine.setListening(true)
    }

    /// Returns when the threads of devices have nothing more to do.
    func settle() {
        for _ in 0..<50 {
            machine.awaitWorkers()
            machine.awaitFrames()
            for device in workers { device.pause() }
            let now = workers.map { $0.exportState() }
            for device in workers { device.resume() }
            if now == settled { break }
            settled = now
        }
        machine.awaitWorkers()
        machine.awaitFrames()
    }

    /// All of it, while it stands.
    func save() throws -> SavedBytes {
        let bytes = SavedBytes()
        try machine.tellAll(bytes)
        return bytes
    }
    func load(_ saved: SavedBytes) throws { try machine.take(SavedBytes(saved.bytes)) }
}

/// Where two machines differ.
enum TwinDifference {
    /// Lines of what differs, a few at most; none where nothing does.
    static func find(_ first: SavedBytes, _ second: SavedBytes, but living: Set<String>) throws -> [String] {
        let (one, other) = (try first.values(), try second.values())
        guard one.map(\.name) == other.map(\.name) else {
            return ["sections: \(one.map(\.name)), \(other.map(\.name))"]
        }
        var lines: [String] = []
        for (one, other) in zip(one, other) where !["machine", "clock"].contains(one.name) {
            find(one.state, other.state, one.name, living, &lines)
        }
        guard lines.isEmpty, !living.contains("memory") else { return Array(lines.prefix(12)) }
        let names = Set(one.map(\.name))
        let (here, there) = (memory(first, but: names), memory(second, but: names))
        for name in Set(here.keys).union(there.keys).sorted() where here[name] != there[name] {
            let place = zip(here[name] ?? [], there[name] ?? []).enumerated().first { $0.element.0 != $0.element.1 }
            lines.append("memory of '\(name)' from byte \(place?.offset ?? -1) of its section on")
        }
        return Array(lines.prefix(12))
    }

    private static func find(
        _ one: DeviceState, _ other: DeviceState, _ path: String, _ living: Set<String>, _ lines: inout [String]
    ) {
        for name in Set(one.fields.keys).union(other.fields.keys).sorted() {
            guard !living.contains(name), one.fields[name] != other.fields[name] else { continue }
            if case .list(let parts)? = one.fields[name], case .list(let others)? = other.fields[name],
                parts.count == others.count
            {
                for (index, (part, another)) in zip(parts, others).enumerated() {
                    find(part, another, "\(path).\(name)[\(index)]", living, &lines)
                }
                continue
            }
            lines.append("\(path).\(name): \(text(one.fields[name])) and \(text(other.fields[name]))")
        }
    }
    private static func text(_ value: DeviceState.Value?) -> String {
        switch value {
        case .integer(let number)?: String(number, radix: 16)
        case .bytes(let bytes)?: "\(bytes.count) bytes \(bytes.prefix(24))"
        case .string(let text)?: text
        case .list(let parts)?: "list of \(parts.count)"
        case nil: "nothing"
        }
    }

    /// What a stream has of memory that is not zero, by block.
    private static func memory(_ saved: SavedBytes, but values: Set<String>) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for section in saved.sections where !values.contains(section.name) && section.name != "end" {
            found[section.name, default: []] += saved.bytes[section.contents]
        }
        return found
    }
}
