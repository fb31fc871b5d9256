public import BlockImage
public import DeviceModel
internal import Synchronization

/// A diskette as the board puts it into a drive.
public struct FloppyUnit: Sendable {
    /// Its image; nil for an empty drive.
    public var backend: (any BlockBackend)?
    /// A drive.
    public init(backend: (any BlockBackend)?) { self.backend = backend }
}

/// The PC's floppy controller at ports 3F0 to 3F7 with two drives, on interrupt 6 and DMA channel 2.
///
/// Sectors go to images on a worker, one at a time and with no lock held.
public final class FloppyController: Device, BusDevice, RemovableMediaHost {
    private struct State: Sendable {
        var model = FloppyModel()
        var backends: [(any BlockBackend)?] = [nil, nil]
        var isOpen = [false, false]
        var isPaused = false
        var isBusy = false
        var drivenLevel = false
    }
    /// The number by which the machine's list of removable drives knows those of this controller.
    public static let channel = 0xF0
    private static let base: UInt64 = 0x3F0
    private static let dmaChannel = 2

    public let stateName: String
    private let line: InterruptLine
    private let dma: ISADMA
    private let state = Mutex(State())
    private let work = Mutex<(any WorkItem)?>(nil)
    // Held while a sector is on its way, so that a medium is not taken out from under it.
    private let moving = Mutex(())

    /// A controller with the drives that are there; nil is no drive.
    public init(
        units: [FloppyUnit?], line: InterruptLine, dma: ISADMA, scheduler: any WorkScheduler,
        stateName: String = "fdc"
    ) {
        self.stateName = stateName
        self.line = line
        self.dma = dma
        state.withLock { state in
            for (index, unit) in units.prefix(2).enumerated() {
                guard let unit else { continue }
                state.backends[index] = unit.backend
                state.model.setMedium(
                    index, geometry: unit.backend.map { FloppyGeometry.of(size: $0.sizeInBytes) },
                    isReadOnly: unit.backend?.isReadOnly ?? false)
            }
        }
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
    }

    /// Puts the ports on the bus but 3F6, which is IDE's.
    public func attach(to io: Bus) {
        for (start, count) in [(0x3F0, 6), (0x3F7, 1)] as [(UInt64, UInt64)] {
            io.add(PortWindow(self, base: start - Self.base), start: start, count: count, name: "fdc")
        }
    }

    /// What CMOS memory says of the two drives: 0 for none.
    public var driveTypes: [UInt8] {
        state.withLock { state in state.model.drives.map { $0.isPresent ? $0.geometry.driveType : 0 } }
    }

    // MARK: Registers

    public func read(offset: UInt64, size: Int) -> UInt64 {
        change { model in ByteLanes.read(offset, size) { $0 < 8 ? model.read(Int($0)) : 0xFF } }
    }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        change { model in ByteLanes.write(offset, size, value) { if $0 < 8 { model.write(Int($0), $1) } } }
    }

    private func change<R: Sendable>(_ body: (inout FloppyModel) -> R) -> R {
        let (result, hasWork) = state.withLock { state -> (R, Bool) in
            let result = body(&state.model)
            settle(&state)
            return (result, state.model.request != nil && !state.isPaused && !state.isBusy)
        }
        if hasWork { work.withLock { $0 }?.schedule() }
        return result
    }

    private func settle(_ state: inout State) {
        guard state.model.level != state.drivenLevel else { return }
        state.drivenLevel = state.model.level
        line.set(state.drivenLevel)
    }

    // MARK: Sectors

    /// Does what the model asks for until it asks no more.
    private func perform() {
        moving.withLock { _ in
            while true {
                let next = state.withLock { state -> (FloppyModel.Request, (any BlockBackend)?, Bool)? in
                    guard !state.isPaused, let request = state.model.request else {
                        state.isBusy = false
                        return nil
                    }
                    state.isBusy = true
                    let drive =
                        switch request {
                        case .read(let drive, _), .write(let drive, _, _): drive
                        }
                    return (request, state.backends[drive & 1], state.model.transfersByDMA)
                }
                guard let (request, backend, usesDMA) = next else { return }
                let outcome = carryOut(request, backend, usesDMA: usesDMA)
                state.withLock { state in
                    // A reset meanwhile has taken the request back.
                    if state.model.request == request { state.model.complete(outcome) }
                    settle(&state)
                }
            }
        }
    }

    private func carryOut(
        _ request: FloppyModel.Request, _ backend: (any BlockBackend)?, usesDMA: Bool
    ) -> FloppyModel.Outcome {
        guard let backend else { return .failed }
        switch request {
        case .read(_, let offset):
            guard let bytes = Self.read(backend, offset) else { return .failed }
            guard usesDMA else { return .data(bytes) }
            guard dma.isReady(channel: Self.dmaChannel) else { return .stalled }
            return .moved(isLast: dma.write(channel: Self.dmaChannel, bytes).isDone)
        case .write(_, let offset, let data?):
            return Self.write(backend, offset, data) ? .moved(isLast: false) : .failed
        case .write(_, let offset, nil):
            guard dma.isReady(channel: Self.dmaChannel) else { return .stalled }
            var (bytes, isLast) = dma.read(channel: Self.dmaChannel, most: FloppyModel.sectorSize)
            // A count that ends within a sector leaves its rest zero.
            bytes += [UInt8](repeating: 0, count: FloppyModel.sectorSize - bytes.count)
            return Self.write(backend, offset, bytes) ? .moved(isLast: isLast) : .failed
        }
    }

    private static func read(_ backend: any BlockBackend, _ offset: UInt64) -> [UInt8]? {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: FloppyModel.sectorSize, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        guard offset + UInt64(FloppyModel.sectorSize) <= backend.sizeInBytes else {
            // Behind the image's end a diskette of its layout is empty.
            return [UInt8](repeating: 0, count: FloppyModel.sectorSize)
        }
        let segment = unsafe BlockSegment(pointer: buffer, count: FloppyModel.sectorSize)
        let request = BlockRequest(
            operation: .read, offset: offset, length: UInt64(FloppyModel.sectorSize), segments: [segment]
        ) { _ in }
        guard backend.carryOut(request) == 0 else { return nil }
        // SAFETY: the buffer holds a sector, which is there now.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: buffer, count: FloppyModel.sectorSize))
    }

    private static func write(_ backend: any BlockBackend, _ offset: UInt64, _ bytes: [UInt8]) -> Bool {
        guard !backend.isReadOnly, offset + UInt64(bytes.count) <= backend.sizeInBytes else { return false }
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        // SAFETY: the buffer is as long as the bytes.
        unsafe bytes.withUnsafeBytes { unsafe buffer.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count) }
        let segment = unsafe BlockSegment(pointer: buffer, count: bytes.count)
        let request = BlockRequest(
            operation: .write, offset: offset, length: UInt64(bytes.count), segments: [segment]
        ) { _ in }
        return backend.carryOut(request) == 0
    }

    // MARK: Media

    public func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        state.withLock { state in
            guard channel == Self.channel, 0..<2 ~= unit, state.model.drives[unit].isPresent else { return nil }
            return (state.isOpen[unit], false)
        }
    }
    public func setTray(channel: Int, unit: Int, isOpen: Bool) {
        state.withLock { state in
            guard channel == Self.channel, 0..<2 ~= unit else { return }
            state.isOpen[unit] = isOpen
            putMedium(unit, &state)
        }
    }
    /// Nothing keeps anybody from taking a diskette.
    public func requestEject(channel: Int, unit: Int) {}
    public func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?) {
        moving.withLock { _ in
            state.withLock { state in
                guard channel == Self.channel, 0..<2 ~= unit else { return }
                state.backends[unit] = backend
                putMedium(unit, &state)
            }
        }
    }
    private func putMedium(_ unit: Int, _ state: inout State) {
        let backend = state.isOpen[unit] ? nil : state.backends[unit]
        state.model.setMedium(
            unit, geometry: backend.map { FloppyGeometry.of(size: $0.sizeInBytes) },
            isReadOnly: backend?.isReadOnly ?? false)
    }

    // MARK: Life

    public func reset() { change { $0.reset() } }
    public func pause() {
        state.withLock { $0.isPaused = true }
        // What is on its way comes to its end.
        moving.withLock { _ in }
    }
    public func resume() {
        state.withLock { $0.isPaused = false }
        change { _ in }
    }

    public func exportState() -> DeviceState { state.withLock { $0.model.exportState() } }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        var model = state.withLock { $0.model }
        try model.importState(saved)
        let restored = model
        state.withLock { state in
            state.model = restored
            settle(&state)
        }
    }
}
