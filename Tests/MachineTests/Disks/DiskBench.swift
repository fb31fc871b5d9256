import BlockImage
import GuestMemory
import HostOS
import JSON
import Machine
import Synchronization
import TestSupport
import Testing
import VirtQueue

/// A whole machine whose guest sleeps, and the driver of its virtio disk: the test does by ports and memory what the
/// guest's processor would do.
final class DiskBench {
    let running: RunningMachine
    var machine: VirtualMachine { running.machine }
    private let memory: AddressSpace
    private let queue: DriverQueue
    private let seen: Seen
    /// Where the card's window is.
    private var port: UInt16 = 0
    /// How often an error of the image stopped the machine.
    private(set) var stops = 0
    /// How often a request may stop the machine before the test gives up on it.
    var patience = 3

    private final class Seen: Sendable {
        let events = Mutex<[MachineEvent.Kind]>([])
        let memory = Mutex<AddressSpace?>(nil)
    }

    /// Where the driver keeps its rings, headers and bytes.
    private enum Place {
        static let rings: UInt64 = 0x100_0000
        static let header: UInt64 = 0x110_0000
        static let status: UInt64 = 0x110_0100
        static let data: UInt64 = 0x120_0000
        /// Where the card's window goes where nobody has given it a place.
        static let port: UInt32 = 0xC000
        static let slot: UInt32 = 4
    }

    /// A machine with these drives, the first of which is the disk with the driver. `policy`: what becomes of errors.
    init(
        _ folder: String, drives: [DriveConfiguration], policy: ErrorPolicy = .report,
        change: (inout MachineConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = Samples.configuration(.pc)
        configuration.accelerators = [AcceleratorConfiguration(kind: .translator)]
        configuration.boot.kernel = "\(folder)/kernel"
        configuration.drives = drives
        for (index, drive) in drives.enumerated() {
            var device = DeviceConfiguration(driver: "virtio-blk-pci")
            device.id = "v\(index)"
            device.properties = [
                "drive": .string(drive.id), "addr": .string("0\(Int(Place.slot) + index).0"),
                "werror": .string(policy.rawValue),
                "rerror": .string(policy == .enospc ? ErrorPolicy.report.rawValue : policy.rawValue),
            ]
            configuration.devices.append(device)
        }
        change(&configuration)
        let seen = Seen()
        self.seen = seen
        running = try RunningMachine(configuration) { request in seen.memory.withLock { $0 = request.memory } }
        _ = running.machine.subscribe { event in seen.events.withLock { $0.append(event.kind) } }
        memory = try #require(seen.memory.withLock { $0 })
        queue = try DriverQueue(
            memory: memory,
            configuration: QueueConfiguration(
                size: 256, descriptors: GuestPhysical(Place.rings), driver: GuestPhysical(Place.rings + 4096),
                device: GuestPhysical(Place.rings + 8192)))
        setUp()
    }

    /// What a machine needs besides: a kernel that sleeps for good.
    static let files: [String: [UInt8]] = ["kernel": Samples.kernel + [UInt8](repeating: 0xF4, count: 4032)]

    /// Places the card's window and starts the driver, as drivers did before version 1 of the standard.
    private func setUp() {
        func configure(_ register: UInt32, _ value: UInt32) {
            machine.writePort(0xCF8, size: 4, 0x8000_0000 | Place.slot << 11 | register)
            machine.writePort(0xCFC, size: 4, value)
        }
        machine.writePort(0xCF8, size: 4, 0x8000_0000 | Place.slot << 11 | 0x10)
        var place = machine.readPort(0xCFC, size: 4) & 0xFFFC
        if place == 0 {
            place = Place.port
            configure(0x10, place)
        }
        port = UInt16(place)
        configure(0x04, 7)
        write(18, 1, 1)
        write(18, 1, 3)
        // Flushes, discards and writes of zeroes.
        write(4, 4, machine.readPort(port, size: 4) & (1 << 9 | 1 << 13 | 1 << 14))
        write(14, 2, 0)
        write(8, 4, UInt32(Place.rings >> 12))
        write(18, 1, 7)
    }
    private func write(_ offset: UInt16, _ size: Int, _ value: UInt32) {
        machine.writePort(port + offset, size: size, value)
    }

    // MARK: Requests

    /// Makes a request and waits for its end. nil: the machine has stopped, and stops each time that it goes on.
    private func perform(
        _ kind: UInt32, sector: Int, readable: [UInt8] = [], writable: Int = 0
    ) throws -> UInt8? {
        try memory.store(GuestPhysical(Place.header), kind)
        try memory.store(GuestPhysical(Place.header + 8), UInt64(sector))
        try memory.store(GuestPhysical(Place.status), UInt8(0xEE))
        var pieces = [DriverQueue.Piece(Place.header, 16)]
        if !readable.isEmpty {
            try memory.write(GuestPhysical(Place.data), bytes: readable)
            pieces.append(.init(Place.data, UInt32(readable.count)))
        }
        let room = writable > 0 ? [DriverQueue.Piece(Place.data, UInt32(writable))] : []
        _ = try #require(queue.add(readable: pieces, writable: room + [.init(Place.status, 1)]))
        write(16, 2, 0)
        var left = patience
        let end = HostClock.monotonic + 60_000_000_000
        while HostClock.monotonic < end {
            if queue.poll() != nil { return try memory.load(GuestPhysical(Place.status), as: UInt8.self) }
            if machine.runState == .ioError {
                stops += 1
                guard left > 0 else { return nil }
                left -= 1
                try machine.resume()
            }
            Bell().wait(nanoseconds: 20_000)
        }
        Issue.record("A request is not answered; the machine is \(machine.runState)")
        return nil
    }

    func read(_ sector: Int, count: Int) throws -> (status: UInt8?, bytes: [UInt8]) {
        let status = try perform(0, sector: sector, writable: count * 512)
        return (status, try memory.bytes(GuestPhysical(Place.data), count: count * 512))
    }
    func write(_ sector: Int, _ bytes: [UInt8]) throws -> UInt8? { try perform(1, sector: sector, readable: bytes) }
    func flush() throws -> UInt8? { try perform(4, sector: 0) }
    func discard(_ sector: Int, count: Int) throws -> UInt8? { try range(11, sector, count, 0) }
    func writeZeroes(_ sector: Int, count: Int, mayUnmap: Bool) throws -> UInt8? {
        try range(13, sector, count, mayUnmap ? 1 : 0)
    }
    private func range(_ kind: UInt32, _ sector: Int, _ count: Int, _ flags: UInt32) throws -> UInt8? {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
            (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        return try perform(
            kind, sector: 0, readable: bytes(UInt64(sector)) + bytes(UInt32(count)) + bytes(flags))
    }

    // MARK: Monitors

    /// What happened to the machine so far.
    var events: [MachineEvent.Kind] { seen.events.withLock { $0 } }

    /// What was told of errors of images: what became of each.
    var told: [(action: ErrorPolicy, isWrite: Bool, isNoSpace: Bool)] {
        events.compactMap { event in
            guard case .blockIOError(_, _, let isWrite, let action, let isNoSpace, _) = event else { return nil }
            return (action, isWrite, isNoSpace)
        }
    }

    /// Starts a job and waits for its end: what went wrong, in words; nil: nothing.
    func job(_ operation: BlockOperation, _ arguments: JSONObject, completes: Bool = false) -> String? {
        let before = events.count
        do throws(MachineError) { _ = try machine.blockOperation(operation, arguments) } catch {
            return error.description
        }
        var failure: String?
        running.wait("\(operation.rawValue)") {
            for event in events.dropFirst(before) {
                guard case .blockJob(let name, let data) = event else { continue }
                switch name {
                case "BLOCK_JOB_READY" where completes:
                    _ = try? machine.blockOperation(.completeBlockJob, ["device": arguments["job-id"] ?? "j"])
                case "BLOCK_JOB_COMPLETED":
                    failure = data["error"]?.stringValue
                    return true
                case "BLOCK_JOB_CANCELLED":
                    failure = "cancelled"
                    return true
                default: break
                }
            }
            return false
        }
        return failure
    }

    func end() { #expect(running.end() == 0) }
}
