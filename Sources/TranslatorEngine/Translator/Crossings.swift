internal import CEngine
internal import X86

// Hot code whose windows lie in two pages now and then, as those of a copy do: behind the block its instructions stand
// once more, each access with a check of its own.

/// What the host's registers have of the guest at some place of a block.
struct EmissionState {
    let heldByAddress: HeldRegister?
    let heldByAddend: HeldRegister?
    let loadedVectors: UInt16
    let dirtyVectors: UInt16
    let flagsInHost: Bool
}

/// A window of hot code, and the way around it.
@safe struct Crossing {
    let path: WindowPath
    /// Its instructions, by their numbers.
    let instructions: ClosedRange<Int>
    let begin: EmissionState
    /// Behind its last instruction.
    var end: (place: UnsafeMutablePointer<UInt8>, state: EmissionState)?
    /// The way around.
    var start: UnsafeMutablePointer<UInt8>?
}

extension BlockTranslator {
    var emissionState: EmissionState {
        EmissionState(
            heldByAddress: heldByAddress, heldByAddend: heldByAddend, loadedVectors: loadedVectors,
            dirtyVectors: dirtyVectors, flagsInHost: flagsInHost)
    }

    /// The window that begins with the current instruction has a way around it.
    mutating func beginCrossing(_ path: WindowPath, _ window: Window) {
        unsafe crossings.append(Crossing(path: path, instructions: current...window.last, begin: emissionState))
    }

    /// Notes where the way around a window comes back, if the instruction at hand is its last.
    mutating func endCrossing() {
        guard let last = crossings.indices.last, crossings[last].instructions.upperBound == current, !isRepeating,
            unsafe crossings[last].end == nil
        else { return }
        // Not known on the other way.
        isX87Ready = false
        unsafe crossings[last].end = (a.cursor, emissionState)
    }

    /// Emits the ways around windows, behind the block.
    mutating func emitCrossings(_ block: DecodedBlock, _ liveness: [FlagSet]) {
        isRepeating = true
        for index in crossings.indices {
            let crossing = crossings[index]
            guard let end = unsafe crossing.end else { fatalError("A window has no end") }
            unsafe crossings[index].start = a.cursor
            if unsafe crossing.path.cache == nil {
                unsafe a.land(crossing.path.crosses)
                if let miss = unsafe crossing.path.miss { unsafe a.land(miss) }
            }
            window = nil
            (heldByAddress, heldByAddend) = (crossing.begin.heldByAddress, crossing.begin.heldByAddend)
            (loadedVectors, dirtyVectors) = (crossing.begin.loadedVectors, crossing.begin.dirtyVectors)
            flagsInHost = crossing.begin.flagsInHost
            for segment in block.segments where segment.instructions.overlaps(Range(crossing.instructions)) {
                begin(segment)
                let range = segment.instructions.clamped(to: Range(crossing.instructions))
                let last = range.upperBound - 1
                let joins = block.join(last) != nil
                emitBody(block, joins ? range.lowerBound..<last : range, liveness, [:])
                if joins { emitBranch(segment, block.instructions[last]) }
            }
            unsafe become(end.state)
            unsafe a.jump(to: end.place)
        }
    }

    /// Brings the host's registers into a state that code which is there already goes on from.
    mutating func become(_ state: EmissionState) {
        if state.flagsInHost && !flagsInHost { reloadFlags() }
        if !state.flagsInHost && flagsInHost { spillFlags() }
        let wanted = [(Host.address, state.heldByAddress), (Host.addend, state.heldByAddend)]
        for (host, register) in wanted {
            guard let now = host == Host.address ? heldByAddress : heldByAddend else { continue }
            if now.guest != register?.guest {
                release(host)
            } else if now.isDirty && register?.isDirty == false {
                a.store(host, .state(Int(now.guest) * 8))
            }
        }
        for (host, register) in wanted {
            let now = host == Host.address ? heldByAddress : heldByAddend
            if let register, register.guest != now?.guest { loadGuest(register.guest, into: host) }
        }
        moveVectors(dirtyVectors & ~state.dirtyVectors, store: true)
        moveVectors(state.loadedVectors & ~loadedVectors, store: false)
    }

    /// Emits, out of line, where hot code finds that a window is not the one that it met last.
    mutating func emitCrossingPaths() {
        for crossing in crossings {
            guard let cache = unsafe crossing.path.cache, let start = unsafe crossing.start else { continue }
            unsafe emitWindowMiss(crossing.path, cache)
            if let held = crossing.path.held { loadGuest(held, into: Host.address) }
            unsafe a.jump(to: start)
        }
    }
}
