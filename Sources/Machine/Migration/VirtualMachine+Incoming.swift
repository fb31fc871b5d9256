public import HostOS
public import JSON
internal import Log
internal import MachineState
internal import Synchronization

// A machine that comes: it waits, takes memory, then devices, and runs when the sender will not any more.
extension VirtualMachine {
    public func receiveMigration(from address: String, descriptor: Descriptor?) throws(MachineError) {
        let isDeferred = desk.state.withLock { state in
            defer { state.isDeferred = false }
            return state.isDeferred
        }
        guard runState == .inMigrate, isDeferred else {
            throw configuration.incoming == nil
                ? .failed("'-incoming' was not specified on the command line")
                : .failed("The incoming migration has already been started")
        }
        do throws(MachineError) { try startReceiving(address, descriptor) } catch {
            desk.state.withLock { $0.isDeferred = true }
            throw error
        }
    }

    /// Begins to wait at an address. Errors of the address come at once.
    func startReceiving(_ address: String, _ descriptor: Descriptor?) throws(MachineError) {
        let place = try MigrationAddress(address)
        let source = try place.openForReading(descriptor)
        _ = desk.begin(isIncoming: true)
        report(.setup)
        do throws(HostError) {
            desk.keep(try HostThread(name: "incoming") { [self] in receive(source) })
        } catch { throw .failed("\(error)") }
    }

    private func receive(_ source: MigrationAddress.Source) {
        do throws(StateError) {
            let channel = try connect(source)
            desk.use(channel)
            if let status = desk.update({ $0.status = .active }) { report(status) }
            let loaded = try readState(channel) { (count) throws(StateError) in
                if self.desk.isCancelled { throw .cancelled }
                _ = self.desk.update { $0.transferred = count }
            }
            try control.withLock { (_) throws(StateError) in try apply(loaded) }
            if loaded.answers {
                guard channel.isSocket else { throw .host("The sender waits for an answer that cannot be given") }
                try channel.send(MigrationWord.ready)
                guard try channel.receiveByte() == MigrationWord.go else {
                    throw .host("The sender has kept the machine")
                }
            }
            state.withLock { $0.runState = .paused }
            if let status = desk.update({ $0.status = .completed }) { report(status) }
            if desk.state.withLock({ $0.startsWhenThere }) { _ = run() }
        } catch {
            if let status = desk.update({
                $0.status = .failed
                $0.error = error.description
            }) { report(status) }
            guard !desk.isCancelled else { return }
            log.error("load of migration failed: \(error)")
            end(status: 1, cause: nil)
        }
    }

    private func connect(_ source: MigrationAddress.Source) throws(StateError) -> MigrationChannel {
        switch source {
        case .open(let descriptor, let process): return MigrationChannel(descriptor, process: process)
        case .listening(let listener):
            while true {
                if desk.isCancelled || state.withLock({ $0.hasEnded }) { throw .cancelled }
                guard listener.wait(for: [.read], milliseconds: 100).contains(.read) else { continue }
                do throws(HostError) {
                    if let socket = try Socket.accept(listener) { return MigrationChannel(socket) }
                } catch { throw .host("\(error)") }
            }
        }
    }

    // MARK: Settings

    public var migrationParameters: JSONObject { desk.settings.parameters }
    public func setMigrationParameters(_ parameters: JSONObject) throws(MachineError) {
        var settings = desk.settings
        try settings.set(parameters)
        let changed = settings
        desk.state.withLock { $0.settings = changed }
    }
    public var migrationCapabilities: [(name: String, isOn: Bool)] { desk.settings.capabilities }
    public func setMigrationCapabilities(_ capabilities: [(name: String, isOn: Bool)]) throws(MachineError) {
        guard !desk.information.status.isUnderWay else { throw .failed("There's a migration process in progress") }
        var settings = desk.settings
        try settings.set(capabilities)
        let changed = settings
        desk.state.withLock { $0.settings = changed }
    }
}
