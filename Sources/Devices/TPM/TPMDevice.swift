public import DeviceModel
internal import Synchronization

/// A TPM at its place in memory: `tpm-tis` or `tpm-crb`. Commands go to the back-end on a worker.
public final class TPMDevice: Device, BusDevice {
    /// Which registers drivers see.
    public enum Interface: Sendable {
        /// The FIFO of five localities.
        case tis
        /// Command response buffer.
        case crb
    }
    private struct State: Sendable {
        var model: any TPMModel
        var isBusy = false
        var isPaused = false
        var drivenLevel = false
    }
    /// Where its registers are.
    public static let address: UInt64 = 0xFED4_0000

    public let stateName: String
    /// Bytes of registers.
    public let count: UInt64
    private let backend: any TPMBackend
    private let bufferSize: UInt32
    private let line: InterruptLine?
    private let state: Mutex<State>
    private let work = Mutex<(run: any WorkItem, control: any WorkItem)?>(nil)
    /// Held while a command is carried out.
    private let executing = Mutex(())

    /// A TPM after power-on. `line` is the interrupt of the FIFO interface.
    public init(
        _ interface: Interface, backend: any TPMBackend, line: InterruptLine?, scheduler: any WorkScheduler,
        controlScheduler: any WorkScheduler, stateName: String
    ) {
        self.stateName = stateName
        self.backend = backend
        self.line = line
        count = interface == .tis ? 0x5000 : 0x1000
        bufferSize = UInt32(interface == .tis ? TPMTISModel.bufferSize : TPMCRBModel.bufferSize)
        state = Mutex(State(model: interface == .tis ? TPMTISModel() : TPMCRBModel()))
        let run = scheduler.makeItem { [weak self] in self?.perform() }
        // A cancellation must not wait for what it cancels.
        let control = controlScheduler.makeItem { [weak self] in self?.control() }
        work.withLock { $0 = (run, control) }
    }

    /// Puts the registers on a bus of device memory.
    public func attach(to bus: Bus) { bus.add(self, start: Self.address, count: count, name: stateName) }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            let value = ByteLanes.read(offset, size) { state.model.readByte($0) }
            settle(&state)
            return value
        }
    }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        let (runs, controls) = state.withLock { state in
            state.model.write(offset, size, value)
            settle(&state)
            let runs = state.model.command != nil && !state.isBusy && !state.isPaused
            return (runs, state.isBusy && state.model.isCancelled)
        }
        guard let items = work.withLock({ $0 }) else { return }
        if runs { items.run.schedule() }
        if controls { items.control.schedule() }
        if let locality = state.withLock({ $0.model.takeEstablishedReset() }) {
            backend.resetEstablished(locality: locality)
            let isEstablished = backend.isEstablished
            state.withLock { $0.model.isEstablished = isEstablished }
        }
    }

    private func settle(_ state: inout State) {
        guard state.model.level != state.drivenLevel else { return }
        state.drivenLevel = state.model.level
        line?.set(state.drivenLevel)
    }

    private func control() { if state.withLock({ $0.isBusy && $0.model.isCancelled }) { backend.cancel() } }

    /// Carries out the command that waits.
    private func perform() {
        executing.withLock { _ in
            let next = state.withLock { state -> (bytes: [UInt8], locality: UInt8)? in
                guard !state.isPaused, let command = state.model.command else { return nil }
                state.isBusy = true
                return command
            }
            guard let (bytes, locality) = next else { return }
            // One whose length is not what it says would leave the TPM waiting for the rest, or for less.
            let isWhole = bytes.count >= 10 && TPMResponse.length(bytes) == bytes.count
            let response = isWhole ? (try? backend.execute(bytes, locality: locality)) ?? [] : TPMResponse.badSize
            state.withLock { state in
                state.isBusy = false
                state.model.complete(response)
                settle(&state)
            }
        }
    }

    // MARK: Life

    public func reset() {
        executing.withLock { _ in
            try? backend.start(bufferSize: bufferSize)
            let isEstablished = backend.isEstablished
            state.withLock { state in
                state.model.reset()
                state.model.isEstablished = isEstablished
                settle(&state)
            }
        }
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        // What is at work comes to its end.
        executing.withLock { _ in }
    }
    public func resume() {
        let runs = state.withLock { state in
            state.isPaused = false
            return state.model.command != nil
        }
        if runs { work.withLock { $0?.run }?.schedule() }
    }
    public func halt() { backend.close() }

    public func exportState() -> DeviceState {
        // Where the emulator has gone there is nothing to be had of it, and nobody takes a state without it.
        (try? fetchState()) ?? state.withLock { $0.model.exportState() }
    }
    public func fetchState() throws(DeviceStateError) -> DeviceState {
        var saved = state.withLock { $0.model.exportState() }
        let parts: [TPMStatePart]
        do throws(TPMError) { parts = try backend.exportState() } catch {
            throw .refused(field: "tpm", error.description)
        }
        saved.set(
            "tpm",
            parts.map { part in
                var state = DeviceState(version: 1)
                state.set("blob", part.bytes)
                state.set("encrypted", part.isEncrypted)
                return state
            })
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        var model = state.withLock { $0.model }
        try model.importState(saved)
        var parts: [TPMStatePart] = []
        for state in try saved.list("tpm", count: 3) {
            var part = TPMStatePart(try state.bytes("blob"))
            // Streams of before did not say.
            if state.fields["encrypted"] != nil { part.isEncrypted = try state.bool("encrypted") }
            guard part.bytes.count <= TPMStatePart.limit else {
                throw .outOfRange(field: "blob", value: UInt64(part.bytes.count))
            }
            parts.append(part)
        }
        do throws(TPMError) { try backend.importState(parts, bufferSize: bufferSize) } catch {
            throw .refused(field: "tpm", error.description)
        }
        let isEstablished = backend.isEstablished
        model.isEstablished = isEstablished
        let restored = model
        state.withLock { state in
            state.model = restored
            settle(&state)
        }
    }
}
