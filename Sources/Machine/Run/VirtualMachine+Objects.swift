internal import BlockImage
internal import CEngine
internal import CharacterBackend
internal import DeviceModel
internal import Devices
internal import Execution
internal import GuestMemory
internal import HostOS
public import JSON
internal import Log
internal import MachineState
internal import Synchronization
internal import X86

// Objects and back-ends that come and go while the machine is there.

extension VirtualMachine {
    public var objects: [ObjectConfiguration] {
        state.withLock { state in
            configuration.objects.filter { !state.removedObjects.contains($0.id) } + state.objects
        }
    }
    public func addObject(_ object: ObjectConfiguration) throws(MachineError) {
        guard !objects.contains(where: { $0.id == object.id }) else {
            throw .failed("attempt to add duplicate property '\(object.id)' to object (type 'container')")
        }
        if MemoryModules.isBackend(object) {
            do throws(MachineBuildError) { try board.modules.addBackend(object) } catch {
                throw .failed(error.description)
            }
        }
        if object.type == "iothread" {
            do throws(MachineBuildError) { try board.plugger.addThread(object.id) } catch {
                throw .failed(error.description)
            }
        }
        if object.type == "filter-dump" {
            do throws(MachineBuildError) { try board.networks.addCapture(object) } catch {
                throw .failed(error.description)
            }
        }
        do throws(BlockError) { try board.storage.addObject(object) } catch { throw .failed("\(error)") }
        state.withLock { $0.objects.append(object) }
    }
    public func removeObject(_ id: String) throws(MachineError) {
        guard let object = objects.first(where: { $0.id == id }) else { throw .failed("object '\(id)' not found") }
        let isUsed =
            configuration.board.memoryBackend == id || configuration.numa.nodes.contains { $0.backend == id }
            || configuration.devices.contains { $0.properties.string("rng") == id }
            || object.type == "iothread" && !board.plugger.removeThread(id)
        guard !isUsed, board.storage.graph.throttles.remove(id), board.modules.removeBackend(id) else {
            throw .failed("object '\(id)' is in use, can not be deleted")
        }
        board.networks.removeCapture(id)
        board.storage.graph.secrets.remove(id)
        state.withLock { state in
            if let place = state.objects.firstIndex(where: { $0.id == id }) {
                state.objects.remove(at: place)
            } else {
                state.removedObjects.insert(id)
            }
        }
    }
    public func throttleLimits(_ id: String) -> [String: UInt64]? {
        guard let limits = board.storage.graph.throttles.object(named: id)?.limits else { return nil }
        let pairs = ThrottleLimits.names.map { ($0, limits[$0] ?? 0) }
        return Dictionary(uniqueKeysWithValues: pairs)
    }
    public func setThrottleLimits(_ id: String, _ limits: JSONObject) throws(MachineError) {
        guard let group = board.storage.graph.throttles.object(named: id) else {
            throw .failed("object '\(id)' not found")
        }
        do throws(BlockError) {
            var changed = group.limits
            try changed.apply(try ImageName.flat(["limits": .object(limits)]))
            group.limits = changed
        } catch { throw .failed("\(error)") }
    }
    public var ioThreads: [IOThreadStatus] {
        board.ioThreads.map { IOThreadStatus(id: $0.id, threadID: Int($0.thread.threadID)) }
    }
    public func addCharacterDevice(_ device: CharacterDeviceConfiguration) throws(MachineError) -> String? {
        do throws(MachineBuildError) { try characters.add(device, configuration, loop: loop) } catch {
            throw .failed(error.description)
        }
        guard case .pty = device.kind, let name = characters.filename(of: device.id) else { return nil }
        return name.hasPrefix("pty:") ? String(name.dropFirst(4)) : name
    }
    public func removeCharacterDevice(_ id: String) throws(MachineError) { try characters.remove(id) }
    public func readRingBuffer(_ id: String, limit: Int) throws(MachineError) -> [UInt8] {
        guard let buffer = characters.ringBuffer(id) else {
            throw characters.filename(of: id) == nil ? .deviceNotFound(id) : .failed("\(id) is not a ringbuf device")
        }
        return buffer.read(limit)
    }
    public func writeRingBuffer(_ id: String, _ bytes: [UInt8]) throws(MachineError) {
        guard let buffer = characters.ringBuffer(id) else {
            throw characters.filename(of: id) == nil ? .deviceNotFound(id) : .failed("\(id) is not a ringbuf device")
        }
        buffer.write(bytes)
    }
    public func addNetwork(_ network: NetworkConfiguration) throws(MachineError) {
        do throws(MachineBuildError) { try board.networks.add(network) } catch { throw .failed(error.description) }
    }
    public func removeNetwork(_ id: String) throws(MachineError) { try board.networks.remove(id) }
    public func addHostForward(network: String?, _ rule: String) throws(MachineError) {
        try board.networks.addForward(network, rule)
    }
    public func removeHostForward(network: String?, _ rule: String) throws(MachineError) {
        try board.networks.removeForward(network, rule)
    }
    public var userNetworkConnections: String { board.networks.connections }
    public func receiveFilters(_ name: String?) throws(MachineError) -> [ReceiveFilterStatus] {
        if let name {
            guard let card = board.cards.first(where: { $0.name == name }) else {
                guard !board.networks.text(of: name).isEmpty else { throw .failed("invalid net client name: \(name)") }
                throw .failed("net client(\(name)) isn't a NIC")
            }
            card.card.expectFilterChange()
            guard let filter = card.card.receiveFilter else {
                throw .failed("net client(\(name)) doesn't support rx-filter querying")
            }
            return [ReceiveFilterStatus(name: name, filter)]
        }
        return board.cards.compactMap { card in
            card.card.expectFilterChange()
            return card.card.receiveFilter.map { ReceiveFilterStatus(name: card.name, $0) }
        }
    }
    public var balloonActual: UInt64? {
        guard let balloon = board.balloon else { return nil }
        let taken = UInt64(balloon.actualPages) << 12
        return taken < configuration.memory.size ? configuration.memory.size - taken : 0
    }
    public func setBalloon(_ bytes: UInt64) throws(MachineError) {
        guard let balloon = board.balloon else { throw .failed("No balloon device has been activated") }
        guard bytes > 0 else { throw .failed("Parameter 'target' expects a size") }
        let size = configuration.memory.size
        balloon.setTarget(pages: UInt32(clamping: (size - min(bytes, size)) >> 12))
    }
    public var balloonStatistics: BalloonStatistics? {
        guard let balloon = board.balloon else { return nil }
        let told = balloon.statistics
        let age = board.clock.now &- told.time
        return BalloonStatistics(
            values: told.values, lastUpdate: told.time == 0 ? 0 : (HostClock.realtime &- age) / 1_000_000_000)
    }
    public func setBalloonStatisticsInterval(_ seconds: UInt64) throws(MachineError) {
        guard let balloon = board.balloon else { throw .failed("No balloon device has been activated") }
        balloon.setStatisticsInterval(seconds)
    }
}
