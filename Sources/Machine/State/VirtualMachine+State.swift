internal import CEngine
internal import DeviceModel
internal import Devices
internal import GuestMemory
internal import HostOS
internal import MachineState
internal import Synchronization

/// How a machine's memory goes to another: told in the head of its stream.
struct JourneyPlan: Sendable {
    /// Connections beside the first.
    var lanes = 0
    /// Memory may follow a machine that runs already.
    var isLate = false
    /// What other connections of the same machine show.
    var token: [UInt8] = [UInt8](repeating: 0, count: 16)
    /// All is in the one stream.
    var isPlain: Bool { lanes == 0 && !isLate }
}

// The whole machine as a stream: what it is, its memory, then each device and processor. A machine that stands writes
// and reads it; the caller holds `control`, or is the only one who may change the run state.
extension VirtualMachine {
    /// Names of sections that are no device's.
    private enum Section {
        static let machine = "machine"
        static let clock = "clock"
        static func processor(_ index: Int) -> String { "cpu\(index)" }
    }

    /// The most bytes of all that is not memory.
    private static var mostBytesOfValues: UInt64 { 256 << 20 }

    /// Memory as it is saved.
    var guestPages: GuestPages { GuestPages(board.blocks) }

    // MARK: Saving

    /// What a receiver compares itself with before it takes anything. Always the first section.
    func writeHead(
        to writer: inout StateWriter, _ pages: GuestPages, answers: Bool, isFork: Bool = false,
        journey: JourneyPlan = JourneyPlan()
    ) throws(StateError) {
        // A reader of version 1 would take memory that comes in another way for memory that is zero.
        var state = DeviceState(version: journey.isPlain ? 1 : 2)
        if !journey.isPlain {
            state.set("lanes", journey.lanes)
            state.set("late", journey.isLate)
            state.set("token", journey.token)
        }
        state.fields["board"] = .string(configuration.board.kind.rawValue)
        state.fields["engine"] = .string(board.engine.name)
        state.fields["cpu"] = .string(configuration.processorModel ?? "")
        state.fields["features"] = .string(self.board.engine.features.joined(separator: " "))
        state.set("processors", group.threads.count)
        state.set("answers", answers)
        if isFork { state.set("fork", true) }
        state.set(
            "memory",
            pages.blocks.map { block in
                var part = DeviceState(version: 1)
                part.fields["name"] = .string(block.name)
                part.set("pages", block.pages)
                return part
            })
        state.set(
            "devices",
            board.devices.map { device in
                var part = DeviceState(version: 1)
                part.fields["name"] = .string(device.stateName)
                return part
            })
        try writer.write(state, section: Section.machine)
    }

    /// All but memory, and the end. The machine stands and is paused, its processors at the gate.
    func writeDevices(to writer: inout StateWriter, ends: Bool = true) throws(StateError) {
        // What a ring has handed out cannot be handed out again by another machine.
        let parts = board.contents.parts
        let waiting =
            parts.disks.first { $0.device.hasStoppedRequests }?.name
            ?? parts.scsiHosts.first { $0.host.hasStoppedRequests }?.name
        if let waiting {
            throw .host("A request of '\(waiting)' has failed and waits for the machine to go on")
        }
        // Ends of interrupts change the IOAPIC, which may send new ones: before anything is written.
        for thread in group.threads { (thread as? any SavableThread)?.tellEndedInterrupts() }
        var clock = DeviceState(version: 1)
        clock.set("time", board.clock.now)
        // Since it stands, not since its memory has been written.
        let since = state.withLock { $0.stoodSince }
        clock.set("wall-clock", since ?? board.clock.wallClock)
        clock.set("host-tsc", board.engine.movable?.standingCounter ?? apus_rdtsc())
        clock.set("kvm-clock", board.engine.movable?.guestClock ?? board.clock.now)
        let stoodFrom = state.withLock { $0.runState.isForState ? $0.stoodFrom : $0.runState }
        clock.fields["run-state"] = .string(stoodFrom.rawValue)
        try writer.write(clock, section: Section.clock)
        // Looked at when it was begun; the guest may have mounted one since.
        do throws(MachineError) { try checkBlockers() } catch { throw .host(error.description) }
        for device in board.devices {
            let name = device.stateName
            let state: DeviceState
            do throws(DeviceStateError) { state = try device.fetchState() } catch {
                throw .field(section: name, error)
            }
            try writer.write(state, section: name)
        }
        for thread in group.threads {
            guard let savable = (thread as? any SavableThread)?.savable else {
                throw .host("The processors of engine '\(board.engine.name)' cannot be saved")
            }
            guard !thread.hasOutstandingAccess else {
                throw .host("Processor \(thread.index) is in the middle of an instruction")
            }
            let saved: SavedProcessor
            do throws(MachineError) { saved = try savable.save(now: board.clock.now) } catch {
                throw .host(error.description)
            }
            try writer.write(saved.exported, section: Section.processor(thread.index))
        }
        if ends { try writer.finish() }
    }

    // MARK: Loading

    /// What a stream said, up to its end: memory is in place, the rest waits.
    struct LoadedState {
        var sections: [String: DeviceState] = [:]
        /// Whether the sender waits for word that all has come.
        var answers = false
        /// Pages that came.
        var pages: UInt64 = 0
        /// The memory is a frozen one that comes apart from the stream.
        var isFork = false
        /// Memory that is still in the file.
        var late: LateMemory.Plan?
        /// How it comes.
        var journey = JourneyPlan()
        /// Pages that are still at the sender, and the reader behind which they come.
        var missing: [PageSet]?
        var rest: StateReader?
    }

    /// Reads a stream to its end. Memory changes from the second section on; devices and processors do not.
    ///
    /// With `staysInFile` memory is not touched where its contents are in a file: they are in the plan.
    func readState(
        _ source: any StateSource, staysInFile: Bool = false,
        lanes: ((JourneyPlan) throws(StateError) -> ReceivingLanes)? = nil,
        progress: (UInt64) throws(StateError) -> Void = { _ in }
    ) throws(StateError) -> LoadedState {
        desk.awaitLateMemory()
        var reader = try StateReader(source)
        let pages = guestPages
        if staysInFile { pages.late = LateMemory.Plan(pages.blocks) }
        var loaded = LoadedState()
        guard case .values(Section.machine, let head) = try reader.next(pages) else {
            throw .missing(section: Section.machine)
        }
        do throws(DeviceStateError) { try check(head, pages, &loaded) } catch {
            throw .field(section: Section.machine, error)
        }
        if let mismatch = mismatch(head, pages) { throw .mismatch(mismatch) }
        var companions: ReceivingLanes?
        if loaded.journey.lanes > 0 {
            guard let lanes else { throw .host("Several connections cannot come here") }
            companions = try lanes(loaded.journey)
        }
        if loaded.journey.isLate {
            guard lanes != nil else { throw .host("Memory cannot come late here") }
            // Said while the sender can still go on.
            do throws(HostError) { _ = try PageFaults() } catch {
                throw .host("Memory cannot come late here: \(error)")
            }
        }
        // Devices begin at their reset, before memory comes: it clears what is theirs.
        try control.withLock { (_) throws(StateError) in
            do throws(MachineBuildError) { try board.reset(group.threads, loadsKernel: false) } catch {
                throw .host("\(error)")
            }
        }
        // A fork's memory takes the place of what is here.
        if !loaded.isFork { pages.clear() }
        do throws(StateError) {
            try companions?.start { guestPages }
            try read(&reader, pages, &loaded, companions, progress)
            try companions?.finish()
            return loaded
        } catch {
            companions?.cancel()
            // What broke first.
            throw companions?.failure ?? error
        }
    }

    private func read(
        _ reader: inout StateReader, _ pages: GuestPages, _ loaded: inout LoadedState, _ companions: ReceivingLanes?,
        _ progress: (UInt64) throws(StateError) -> Void
    ) throws(StateError) {
        // Others are refused as they come: kept until all is there they would be as much memory as a sender likes.
        var expected = Set(board.devices.map(\.stateName) + group.threads.map { Section.processor($0.index) })
        expected.insert(Section.clock)
        expected.insert(BitmapCargo.section)
        if loaded.isFork { expected.insert(FrozenMemory.section) }
        var left = Self.mostBytesOfValues
        while true {
            let before = reader.count
            switch try reader.next(pages) {
            case .values(LaneRound.section, _) where companions != nil: try companions?.meet()
            case .values(LateWord.missing, let state) where loaded.journey.isLate && loaded.missing == nil:
                do throws(DeviceStateError) { loaded.missing = try LateWord.sets(state, like: pages.blocks) } catch {
                    throw .field(section: LateWord.missing, error)
                }
            case .values(LateWord.switchover, _) where loaded.missing != nil:
                loaded.rest = reader
                return
            case .values(let section, let state):
                guard expected.contains(section) else { throw .unexpected(section: section) }
                let count = reader.count - before
                guard count <= left else {
                    throw .malformed(section: section, field: "length", problem: "All sections together are too long")
                }
                left -= count
                guard loaded.sections.updateValue(state, forKey: section) == nil else {
                    throw .malformed(section: section, field: "name", problem: "It comes twice")
                }
            case .memory(_, let count): loaded.pages += count
            case .end:
                try progress(reader.count)
                guard loaded.missing == nil else { throw .missing(section: LateWord.switchover) }
                loaded.late = pages.late
                return
            }
            try progress(reader.count)
        }
    }

    private func check(
        _ head: DeviceState, _ pages: GuestPages, _ loaded: inout LoadedState
    ) throws(DeviceStateError) {
        try head.requireVersion(1...2)
        if head.version > 1 {
            let lanes: UInt64 = try head.integer("lanes")
            guard lanes <= 16 else { throw .outOfRange(field: "lanes", value: lanes) }
            loaded.journey = JourneyPlan(
                lanes: Int(lanes), isLate: try head.bool("late"), token: try head.bytes("token", count: 16))
        }
        loaded.answers = try head.bool("answers")
        if head.fields["fork"] != nil { loaded.isFork = try head.bool("fork") }
        _ = try head.list("memory")
        _ = try head.integer("processors", as: UInt32.self)
    }

    /// Why a saved machine does not fit this one; nil where it does.
    private func mismatch(_ head: DeviceState, _ pages: GuestPages) -> String? {
        func text(_ state: DeviceState, _ name: String) -> String {
            if case .string(let text)? = state.fields[name] { text } else { "" }
        }
        let board = text(head, "board")
        if board != configuration.board.kind.rawValue {
            return "The saved machine is a '\(board)', this one a '\(configuration.board.kind.rawValue)'"
        }
        let count = (try? head.integer("processors", as: UInt32.self)) ?? 0
        if count != group.threads.count {
            return "The saved machine has \(count) processors, this one \(group.threads.count)"
        }
        // What a processor is called may differ, what it can do may not be less: the guest uses it.
        let offered = Set(self.board.engine.features)
        let used = text(head, "features").split(separator: " ").map(String.init)
        let missing = used.filter { !offered.contains($0) }
        if !missing.isEmpty, !offered.isEmpty {
            return "The saved machine's processor has \(missing.joined(separator: ", ")), which this one"
                + " (\(self.board.engine.name), \(configuration.processorModel ?? "the default model")) has not"
        }
        let model = text(head, "cpu")
        if used.isEmpty, model != configuration.processorModel ?? "" {
            let names = [model, configuration.processorModel ?? ""].map { $0.isEmpty ? "the default" : "'\($0)'" }
            return "The saved machine's CPU model is \(names[0]), this one's \(names[1])"
        }
        let memory = (try? head.list("memory")) ?? []
        for part in memory {
            let (name, size) = (text(part, "name"), (try? part.integer("pages", as: UInt64.self)) ?? 0)
            guard let block = pages.blocks.first(where: { $0.name == name }) else {
                return "The saved machine has memory '\(name)', which this one has not"
            }
            if UInt64(block.pages) != size {
                return "Memory '\(name)' of the saved machine has \(size << 12) bytes, this one's \(block.block.size)"
            }
        }
        for block in pages.blocks where !memory.contains(where: { text($0, "name") == block.name }) {
            return "This machine has memory '\(block.name)', which the saved one has not"
        }
        let devices = Set(((try? head.list("devices")) ?? []).map { text($0, "name") })
        let own = Set(self.board.devices.map(\.stateName))
        if let name = devices.subtracting(own).sorted().first {
            return "The saved machine has device '\(name)', which this one has not"
        }
        if let name = own.subtracting(devices).sorted().first {
            return "This machine has device '\(name)', which the saved one has not"
        }
        return nil
    }

    /// Puts devices and processors into what was read. The machine stands; on an error it is in pieces and must not
    /// run before a reset. How the machine stands on that does not go on by itself; nil for one that ran.
    @discardableResult
    func apply(_ loaded: LoadedState, isCopy: Bool = false) throws(StateError) -> RunState? {
        var left = loaded.sections
        // Whoever receives a machine takes these when it has the images.
        left[BitmapCargo.section] = nil
        func take(_ name: String) throws(StateError) -> DeviceState {
            guard let state = left.removeValue(forKey: name) else { throw .missing(section: name) }
            return state
        }
        func step(_ name: String, _ body: () throws(DeviceStateError) -> Void) throws(StateError) {
            do throws(DeviceStateError) { try body() } catch { throw .field(section: name, error) }
        }
        let clock = try take(Section.clock)
        var savedCounter: UInt64 = 0
        var guestClock: UInt64 = 0
        var wallClock: UInt64 = 0
        var stands: RunState?
        try step(Section.clock) { () throws(DeviceStateError) in
            try clock.requireVersion(1...1)
            let time: UInt64 = try clock.integer("time")
            guard time < 1 << 62 else { throw .outOfRange(field: "time", value: time) }
            board.clock.set(time)
            savedCounter = try clock.integer("host-tsc")
            guestClock = try clock.integer("kvm-clock")
            wallClock = try clock.integer("wall-clock")
            stands = try Self.standing(clock)
        }
        for device in board.devices {
            device.pause()
            let state = try take(device.stateName)
            try step(device.stateName) { () throws(DeviceStateError) in try device.importState(state) }
        }
        // Lines moved while the devices came: the controllers' own memory of them is what counts.
        for device in board.devices where device is any InterruptSink {
            guard let state = loaded.sections[device.stateName] else { continue }
            try step(device.stateName) { () throws(DeviceStateError) in try device.importState(state) }
        }
        if let control = board.processorHotplug {
            group.setAbsent(Set(0..<group.threads.count).subtracting(control.present))
        }
        let counter = apus_rdtsc()
        for thread in group.threads {
            let name = Section.processor(thread.index)
            let state = try take(name)
            var saved = SavedProcessor()
            try step(name) { () throws(DeviceStateError) in saved = try SavedProcessor(state) }
            saved.registers.tsc_offset = saved.registers.tsc_offset &+ savedCounter &- counter
            guard let savable = (thread as? any SavableThread)?.savable else {
                throw .host("The processors of engine '\(board.engine.name)' cannot be restored")
            }
            do throws(MachineError) { try savable.restore(saved, now: board.clock.now) } catch {
                throw .host(error.description)
            }
        }
        if let section = left.keys.sorted().first { throw .unexpected(section: section) }
        board.generation?.announce(isCopy: isCopy || loaded.isFork)
        if let engine = board.engine.movable {
            engine.restoredCounters(at: counter)
            engine.setGuestClock(guestClock)
            clockStands(since: wallClock)
            for message in board.ioapic.awaitedMessages {
                engine.expectEnd(address: message.address, data: message.data)
            }
        }
        return stands
    }

    /// How a machine stood that was saved; nil where it ran, or where nothing is said.
    private static func standing(_ clock: DeviceState) throws(DeviceStateError) -> RunState? {
        let field = "run-state"
        guard let value = clock.fields[field] else { return nil }
        guard case .string(let word) = value else { throw .wrongType(field: field) }
        guard let state = RunState(rawValue: word) else {
            throw .refused(field: field, "A machine does not know how to be '\(word.prefix(40))'")
        }
        switch state {
        case .running, .suspended, .inMigrate: return nil
        case .ioError, .shutdown, .watchdog, .guestPanicked: return state
        default: return .paused
        }
    }
}
