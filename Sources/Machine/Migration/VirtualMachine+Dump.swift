internal import CEngine
internal import GuestMemory
internal import HostOS
internal import Synchronization

// Guest memory in a file, for gdb and crash.
extension VirtualMachine {
    public var dumpProgress: DumpProgress { desk.state.withLock { $0.dump } }

    public func dumpMemory(_ request: DumpRequest) throws(MachineError) {
        do throws(MachineError) { try writeMemory(request) } catch {
            // What was refused before it began changes nothing.
            desk.state.withLock { if $0.dump.status == .active { $0.dump.status = .failed } }
            throw error
        }
        desk.state.withLock { state in
            state.dump.status = .completed
            state.dump.done = state.dump.total
        }
    }

    private func writeMemory(_ request: DumpRequest) throws(MachineError) {
        guard (request.begin == nil) == (request.length == nil) else {
            throw .failed("Parameter '\(request.begin == nil ? "begin" : "length")' is missing")
        }
        if request.paging, request.begin != nil {
            throw .failed("Parameter 'paging' does not go with 'begin' and 'length'")
        }
        if request.format == .kdumpZlib, request.paging || request.begin != nil {
            // As QEMU has it: such a file is of all memory by physical addresses.
            throw .failed("kdump-compressed format doesn't support paging or filter")
        }
        guard runState != .inMigrate else { throw .failed("Dump not allowed during incoming migration.") }
        let file: Descriptor
        do throws(HostError) {
            if request.address.hasPrefix("file:") {
                file = try HostFile.open(String(request.address.dropFirst(5)), .replace, permissions: 0o600)
            } else if request.address.hasPrefix("fd:"), let descriptor = request.descriptor {
                file = descriptor
            } else {
                throw HostError.noDescriptor("dump to '\(request.address)': it is no 'file:PATH' or 'fd:NAME'")
            }
        } catch { throw .failed("\(error)") }
        // The guest stands meanwhile, so that the file is of one moment.
        let before = runState
        let ran = halt(as: .paused)
        defer {
            if ran { _ = run() } else { state.withLock { $0.runState = before } }
        }
        let states = control.withLock { _ in group.whileParked { threads in threads.map(\.state) } }
        let segments = try segments(request, states)
        guard !segments.isEmpty else { throw .failed("There is no guest memory in the range") }
        desk.state.withLock { state in
            state.dump = DumpProgress()
            state.dump.status = .active
            state.dump.total = segments.reduce(0) { $0 + $1.count }
        }
        let guestNote = board.guestNoteBytes().flatMap { told in
            GuestNote(told: told) { address, count in
                try? board.memory.bytes(GuestPhysical(address), count: count)
            }
        }
        var core = CoreFile(segments: segments, processors: states)
        core.guestNote = guestNote?.bytes ?? []
        if request.format == .kdumpZlib {
            let dump = CompressedDump(
                ranges: segments, notes: core.notes, guestNote: guestNote, processors: states.count)
            let memory = board.memory
            return try dump.write(to: file) { (address, count) throws(MachineError) in
                do throws(GuestMemoryError) {
                    return try memory.bytes(GuestPhysical(address), count: count)
                } catch { throw .memory(address) }
            }
        }
        do throws(HostError) { try file.writeAll(core.head) } catch { throw .failed("\(error)") }
        for segment in segments {
            var done: UInt64 = 0
            while done < segment.count {
                let part = Int(min(1 << 20, segment.count - done))
                let bytes: [UInt8]
                do throws(GuestMemoryError) {
                    bytes = try board.memory.bytes(GuestPhysical(segment.physical + done), count: part)
                } catch { throw .memory(segment.physical + done) }
                do throws(HostError) { try file.writeAll(bytes) } catch { throw .failed("\(error)") }
                done += UInt64(part)
                desk.state.withLock { $0.dump.done += UInt64(part) }
            }
        }
    }

    private func segments(
        _ request: DumpRequest, _ states: [apus_x86_state]
    ) throws(MachineError) -> [CoreFile.Segment] {
        let begin = request.begin ?? 0
        let (sum, overflow) = begin.addingReportingOverflow(request.length ?? UInt64.max)
        let end = overflow ? UInt64.max : sum
        var ranges: [CoreFile.Segment] = []
        for range in board.memory.view.ranges where range.writable {
            let first = max(range.start.rawValue, begin)
            let last = min(range.end.rawValue, end)
            guard first < last else { continue }
            // The halves of RAM around a hole, and RAM whose parts are of one block, stay one segment.
            if let before = ranges.last, before.physical + before.count == first {
                ranges[ranges.count - 1].count += last - first
            } else {
                ranges.append(CoreFile.Segment(physical: first, linear: 0, count: last - first))
            }
        }
        guard request.paging else { return ranges }
        var mapped: [CoreFile.Segment] = []
        for state in states {
            for page in PageTables(state, memory: board.memory).mappings(limit: 1 << 18) ?? [] {
                let isMemory = ranges.contains {
                    $0.physical <= page.physical && page.physical + page.size <= $0.physical + $0.count
                }
                guard isMemory else { continue }
                if let last = mapped.last, last.linear &+ last.count == page.linear,
                    last.physical + last.count == page.physical
                {
                    mapped[mapped.count - 1].count += page.size
                } else {
                    mapped.append(CoreFile.Segment(physical: page.physical, linear: page.linear, count: page.size))
                }
            }
        }
        // What several processors map in the same way is there once.
        var seen: Set<UInt64> = []
        let own = mapped.filter { seen.insert($0.linear).inserted }
        return own.isEmpty ? ranges : own
    }
}
