internal import DeviceModel
internal import GuestMemory
internal import HostOS
internal import MachineState
internal import Synchronization

/// A machine's memory as its children get it: sealed memory files, for each block one above the other.
///
/// Only pages that the host has memory for are looked at: what a guest never touched stays a hole, for its parent and
/// for all of its children. What an earlier fork has frozen is not copied again; a block of a shared memory file is not
/// copied at all.
final class FrozenMemory: Sendable {
    /// What is copied goes here: upper parts into the second, so that two threads write at the same time (the host lets
    /// one write to a file).
    private let files: [Descriptor]
    private let offsets: [Int64]
    private let blocks: [GuestPages.Block]
    /// Blocks that stand on layers already, whose changes alone are copied.
    private let isLayered: [Bool]
    /// Blocks whose own file becomes theirs.
    private let isShared: [Bool]
    private struct State: Sendable {
        /// Pages that were copied.
        var copied: [PageSet]
        /// The first page of a block's upper part: half of what the first copy has lies there. None of blocks that have
        /// none.
        var middles: [Int]?
    }
    private let state: Mutex<State>

    private static let layerLimit = 7
    private static let runLimit = 8192
    /// Pages between two runs that are copied with them: each run costs the host a mapping.
    private static let gap = 15

    init(_ blocks: [GuestPages.Block]) throws(StateError) {
        self.blocks = blocks
        var place: Int64 = 0
        offsets = blocks.map { block in
            defer { place += (Int64(block.block.size) + (2 << 20) - 1) & ~((2 << 20) - 1) }
            return place
        }
        isLayered = blocks.map { block in
            let layers = block.block.frozen
            let runs = layers.reduce(0) { $0 + ($1.runs?.count ?? 0) }
            return (1..<Self.layerLimit).contains(layers.count) && runs < Self.runLimit
        }
        isShared = blocks.map { if case .shared = $0.block.backing { true } else { false } }
        state = Mutex(State(copied: blocks.map { PageSet(count: $0.pages, isFull: false) }))
        let end = zip(offsets, blocks).map { $0 + Int64($1.block.size) }.max() ?? 0
        do throws(HostError) {
            files = [
                try .memoryFile(name: "apus-frozen", count: Int(end), canBeSealed: true),
                try .memoryFile(name: "apus-frozen", count: Int(end), canBeSealed: true),
            ]
        } catch { throw .host("\(error)") }
    }

    /// The pages that the layers of their blocks do not have: all that were touched.
    var ownPages: [PageSet] {
        blocks.indices.map { place in
            let block = blocks[place]
            if isShared[place] { return PageSet(count: block.pages, isFull: false) }
            // Where it cannot be told, all of them.
            guard block.block.backing == .anonymous || isLayered[place],
                let words = unsafe HostPages.own(block.block.base, pages: block.pages)
            else { return PageSet(count: block.pages, isFull: true) }
            return PageSet(count: block.pages, words: words)
        }
    }

    /// Pages that two threads are worth, and two files.
    private static let many = 2048
    /// Pages that are copied at once.
    private static let most = 256

    /// Copies pages, those of shared blocks excepted. The first time zeroes may be left out.
    func copy(_ pages: [PageSet], _ check: () throws(StateError) -> Void) throws(StateError) {
        let (isFirst, middles) = state.withLock { state in
            let isFirst = state.middles == nil
            let middles =
                state.middles
                ?? pages.indices.map { place in
                    let count = blocks[place].pages
                    return isLayered[place] || pages[place].size < Self.many ? count : pages[place].middle
                }
            state.middles = middles
            return (isFirst, middles)
        }
        for (place, set) in pages.enumerated() where !isShared[place] {
            let skipsZeroes = isFirst && !isLayered[place]
            if isLayered[place] { state.withLock { $0.copied[place].formUnion(set) } }
            let (low, high) = set.split(at: middles[place])
            let failure = Mutex<StateError?>(nil)
            let work = { @Sendable [self] in
                do throws(StateError) { try copy(place, high, to: files[1], skipsZeroes) } catch {
                    let error = error
                    failure.withLock { $0 = error }
                }
            }
            let helper = high.size < Self.many / 2 ? nil : try? HostThread(name: "fork copy", body: work)
            if helper == nil { work() }
            defer { helper?.join() }
            try copy(place, low, to: files[0], skipsZeroes)
            helper?.join()
            if let error = failure.withLock({ $0 }) { throw error }
            try check()
        }
    }

    private func copy(
        _ place: Int, _ pages: PageSet, to file: Descriptor, _ skipsZeroes: Bool
    ) throws(StateError) {
        let block = blocks[place].block
        var failure: StateError?
        var first = 0
        var count = 0
        func flush() throws(StateError) {
            defer { count = 0 }
            guard count > 0 else { return }
            // SAFETY: the pages lie in the block.
            var rest = unsafe UnsafeRawBufferPointer(start: block.base + first << 12, count: count << 12)
            var position = offsets[place] + Int64(first) << 12
            while unsafe !rest.isEmpty {
                switch unsafe file.write(rest, at: position) {
                case .moved(let moved):
                    unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(moved))
                    position += Int64(moved)
                case .wouldBlock: continue
                case .end: throw .host("The memory file is full")
                case .failed(let number): throw .host("Cannot copy memory: \(HostError.text(number))")
                }
            }
        }
        pages.forEach { page in
            guard failure == nil else { return }
            do throws(StateError) {
                // SAFETY: one page of the block; a guest that writes it meanwhile has it copied again.
                let contents = unsafe UnsafeRawBufferPointer(start: block.base + page << 12, count: 4096)
                if unsafe skipsZeroes && PageContents.isZero(contents) { return try flush() }
                if count > 0, first + count != page || count == Self.most { try flush() }
                if count == 0 { first = page }
                count += 1
            } catch { failure = error }
        }
        if let failure { throw failure }
        try flush()
    }

    // MARK: The end

    /// Seals what was copied, and has the machine itself stand on it: all layers of all blocks. The machine stands.
    func seal() throws(StateError) -> [[FrozenLayer]] {
        do throws(HostError) {
            var added: [[FrozenLayer]] = []
            let middles = state.withLock { $0.middles } ?? blocks.map(\.pages)
            for (place, block) in blocks.enumerated() {
                guard !isShared[place] else {
                    guard try block.block.freezeInPlace() != nil else {
                        throw HostError.noDescriptor("freeze memory '\(block.name)', which other processes write")
                    }
                    added.append([])
                    continue
                }
                let (offset, middle) = (offsets[place], middles[place])
                guard !isLayered[place] else {
                    let runs = Self.merged(state.withLock { $0.copied[place] })
                    try fillGaps(place, runs)
                    added.append(runs.isEmpty ? [] : [FrozenLayer(file: files[0], offset: offset, runs: runs)])
                    continue
                }
                var layers = [FrozenLayer(file: files[0], offset: offset, runs: nil)]
                if middle < block.pages {
                    let upper = FrozenLayer.Run(first: middle, count: block.pages - middle)
                    layers.append(FrozenLayer(file: files[1], offset: offset, runs: [upper]))
                }
                added.append(layers)
            }
            for file in files { try file.seal() }
            for (block, layers) in zip(blocks, added) {
                for layer in layers { try block.block.freeze(onto: layer) }
            }
        } catch { throw .host("\(error)") }
        return blocks.map(\.block.frozen)
    }

    private static func merged(_ pages: PageSet) -> [FrozenLayer.Run] {
        var runs: [FrozenLayer.Run] = []
        pages.forEachRun { first, count in
            if let last = runs.last, first - last.first - last.count <= gap {
                runs[runs.count - 1].count = first + count - last.first
            } else {
                runs.append(FrozenLayer.Run(first: first, count: count))
            }
        }
        return runs
    }

    /// Copies the pages between those that were: as the layers below have them.
    private func fillGaps(_ place: Int, _ runs: [FrozenLayer.Run]) throws(HostError) {
        var gaps = PageSet(count: blocks[place].pages, isFull: false)
        let copied = state.withLock { $0.copied[place] }
        for run in runs {
            for page in run.first..<run.first + run.count where !copied.contains(page) { gaps.insert(page) }
        }
        do throws(StateError) { try copy(place, gaps, to: files[0], false) } catch {
            throw HostError.noDescriptor("\(error)")
        }
    }

    // MARK: To the children

    /// The layers as a section's values, and the files that they name by number. `code` is what the engine has translated.
    static func describe(_ blocks: [[FrozenLayer]], code: [Descriptor]) -> (state: DeviceState, files: [Descriptor]) {
        var files: [Descriptor] = []
        var state = DeviceState(version: 1)
        state.set(
            "blocks",
            blocks.map { layers in
                var block = DeviceState(version: 1)
                block.set(
                    "layers",
                    layers.map { layer in
                        var part = DeviceState(version: 1)
                        let number = files.firstIndex { $0 === layer.file } ?? files.count
                        if number == files.count { files.append(layer.file) }
                        part.set("file", number)
                        part.set("offset", UInt64(layer.offset))
                        if let runs = layer.runs {
                            part.set("runs", runs.flatMap { run in bytes(run.first) + bytes(run.count) })
                        }
                        return part
                    })
                return block
            })
        if !code.isEmpty, files.count + code.count <= fileLimit {
            state.set("code", files.count)
            state.set("code-files", code.count)
            files += code
        }
        return (state, files)
    }
    private static func bytes(_ number: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    /// Has blocks stand on what a parent has described.
    static func take(_ state: DeviceState, _ files: [Descriptor], _ blocks: [RAMBlock]) throws(StateError) {
        let section = FrozenMemory.section
        func part<R>(_ body: () throws(DeviceStateError) -> R) throws(StateError) -> R {
            do throws(DeviceStateError) { return try body() } catch { throw .field(section: section, error) }
        }
        let parts = try part { () throws(DeviceStateError) in
            try state.requireVersion(1...1)
            return try state.list("blocks", count: blocks.count)
        }
        for (block, described) in zip(blocks, parts) {
            for layer in try part({ () throws(DeviceStateError) in try described.list("layers") }) {
                let made = try part { () throws(DeviceStateError) -> FrozenLayer in
                    let number: UInt64 = try layer.integer("file")
                    guard number < UInt64(files.count) else { throw .outOfRange(field: "file", value: number) }
                    let offset: UInt64 = try layer.integer("offset")
                    guard offset < 1 << 52 else { throw .outOfRange(field: "offset", value: offset) }
                    var runs: [FrozenLayer.Run]?
                    if case .bytes(let bytes)? = layer.fields["runs"] {
                        guard bytes.count % 8 == 0, bytes.count / 8 <= block.size >> 12 else {
                            throw .outOfRange(field: "runs", value: UInt64(bytes.count))
                        }
                        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
                        runs = stride(from: 0, to: bytes.count, by: 8).map {
                            FrozenLayer.Run(first: number($0), count: number($0 + 4))
                        }
                    }
                    return FrozenLayer(file: files[Int(number)], offset: Int64(offset), runs: runs)
                }
                do throws(HostError) { try block.freeze(onto: made) } catch { throw .host("\(error)") }
            }
        }
    }
    /// The files of translated code, none where the parent has given none.
    static func code(_ state: DeviceState, _ files: [Descriptor]) -> [Descriptor] {
        guard let range = code(state), range.upperBound <= files.count else { return [] }
        return Array(files[range])
    }
    private static func code(_ state: DeviceState) -> Range<Int>? {
        guard let first: UInt64 = try? state.integer("code"), let count: UInt64 = try? state.integer("code-files"),
            first < fileLimit, count <= fileLimit
        else { return nil }
        return Int(first)..<Int(first + count)
    }
    /// How many files a description names: at most `fileLimit`.
    static func count(_ state: DeviceState) -> Int {
        let layers = ((try? state.list("blocks")) ?? []).flatMap { (try? $0.list("layers")) ?? [] }
        let highest = layers.compactMap { layer -> UInt64? in try? layer.integer("file") }.max()
        let end = highest.map { Int(min($0, UInt64(fileLimit - 1))) + 1 } ?? 0
        return min(max(end, code(state)?.upperBound ?? 0), fileLimit)
    }
    /// The section that describes them, the last but the end of a fork's stream.
    static let section = "frozen"
    /// Files that a fork may have.
    static let fileLimit = 64
}
