internal import CEngine
internal import Devices
internal import HostOS
internal import JSON
internal import Synchronization

/// Devices and processors that come and go while the machine is there.
extension VirtualMachine {
    /// Has those who hear of events hear of removals. Once, before the start.
    func connectHotplug() {
        board.plugger.observeRemovals { [weak self] id, path in self?.emit(.deviceDeleted(id: id, path: path)) }
        board.processorEjectObserver.set { [weak self] index in
            guard let self, index >= board.topology.processors, let control = board.processorHotplug else { return }
            // At once: the guest looks whether it is gone, and firmware no longer knows it when it next interrupts all.
            control.remove(index)
            group.holdBack(index)
            loop.post { self.processorEjected(index, control) }
        }
        board.moduleReportObserver.set { [weak self] report in
            guard let self else { return }
            loop.post { self.moduleReported(report) }
        }
    }

    // MARK: Memory

    public var memoryModules: [MemoryModuleStatus] { board.modules.modules }
    public var pluggedMemory: UInt64 { board.modules.total }
    public var memoryReports: [MemoryReport] {
        board.modules.reports.map { MemoryReport(slot: $0.slot, event: $0.event, status: $0.status) }
    }

    /// The guest has told of its work on a module.
    private func moduleReported(_ report: MemoryHotplugControl.Report) {
        let device = board.plugger.module(in: report.slot)
        emit(
            .hotplugReport(
                id: device?.id, MemoryReport(slot: report.slot, event: report.event, status: report.status)))
        // Requests to eject, by Notify and by the system, that failed; 84H is one that goes on (ACPI 6.5, 6.3.5).
        if let device, ![0, 0x84].contains(report.status), [3, 0x103].contains(report.event) {
            emit(.unplugFailed(id: device.id, path: device.path))
        }
    }

    public func addDevice(_ device: DeviceConfiguration) throws(MachineError) {
        // What is sent to another host is what there was when that began.
        if device.driver == "pc-dimm", desk.state.withLock({ $0.information.status.isUnderWay }) {
            throw .failed("Memory cannot be plugged while the machine is on its way")
        }
        if device.driver.hasSuffix(DeviceCatalogue.processorSuffix) { return try plugProcessor(device) }
        do throws(MachineBuildError) { try board.plugger.add(device, isRunning: runState.isRunning) } catch {
            let text = error.description
            throw .failed(text.hasPrefix(": ") ? String(text.dropFirst(2)) : text)
        }
    }

    public func removeDevice(_ id: String) throws(MachineError) {
        if let index = state.withLock({ $0.processorNames.first { $0.value == id }?.key }) {
            guard let control = board.processorHotplug else { throw .deviceNotFound(id) }
            guard board.lpc?.keepsProcessors != true else { throw .failed("cpu hot-unplug with SMI wasn't enabled by firmware") }
            control.requestEject(index)
            board.power?.raiseEvent(ProcessorHotplugControl.event)
            return
        }
        try board.plugger.requestRemoval(id)
    }

    // MARK: Processors

    private func plugProcessor(_ device: DeviceConfiguration) throws(MachineError) {
        let topology = board.topology
        guard let control = board.processorHotplug else {
            throw .notSupported("machine does not support hot-plugging CPUs")
        }
        guard board.lpc?.refusesProcessors != true else { throw .failed("cpu hotplug with SMI wasn't enabled by firmware") }
        if let id = device.id, state.withLock({ $0.processorNames.values.contains(id) }) {
            throw .failed("Duplicate device ID '\(id)'")
        }
        func number(_ name: String) -> Int? { device.properties.number(name) }
        guard let socket = number("socket-id"), let core = number("core-id"), let thread = number("thread-id") else {
            throw .failed("CPU needs socket-id, core-id and thread-id")
        }
        let die = number("die-id") ?? 0
        let index = (0..<topology.maximum).first { index in
            let place = topology.place(of: index)
            return place.socket == socket && place.die == die && place.core == core && place.thread == thread
        }
        guard let index else {
            throw .failed("Invalid CPU [socket: \(socket), die: \(die), core: \(core), thread: \(thread)]")
        }
        guard state.withLock({ $0.processorNames[index] == nil }), control.insert(index) else {
            throw .failed("CPU[\(index)] with socket \(socket), core \(core), thread \(thread) exists")
        }
        state.withLock { $0.processorNames[index] = device.id ?? "" }
        changePresence(control) { thread in
            guard thread.index == index else { return }
            thread.reset()
            var registers = thread.state
            registers.waiting_for_sipi = 1
            thread.state = registers
        }
        board.power?.raiseEvent(ProcessorHotplugControl.event)
    }

    /// The guest has let a processor go. The loop's thread.
    private func processorEjected(_ index: Int, _ control: ProcessorHotplugControl) {
        changePresence(control) { _ in }
        let name = state.withLock { $0.processorNames.removeValue(forKey: index) } ?? ""
        emit(
            .deviceDeleted(
                id: name.isEmpty ? nil : name,
                path: name.isEmpty ? "/machine/peripheral-anon" : "/machine/peripheral/\(name)"))
    }

    /// Holds back those processors that are not there, and lets go those that are.
    private func changePresence(
        _ control: ProcessorHotplugControl, _ prepare: (any ProcessorThread) -> Void
    ) {
        self.control.withLock { _ in
            group.whileParked { threads in
                for thread in threads { prepare(thread) }
                group.setAbsent(Set(0..<threads.count).subtracting(control.present))
            }
        }
    }
}
