internal import CEngine
import Synchronization

/// A guest's physical memory as devices, loaders and monitors use it: bounds checked, dirty pages marked, engines told
/// about written code. Thread-safe.
///
/// Ranges added later cover earlier ones where they overlap (a ROM over RAM, shadow memory), and uncover them when
/// they are removed. A processor in system management mode has a view of its own, with memory that nobody else sees.
public final class AddressSpace: Sendable {
    /// Called after a device has written to pages that carry `RAMBlock.PageFlag.code`.
    public typealias CodeObserver = @Sendable (_ block: RAMBlock, _ offset: UInt64, _ count: UInt64) -> Void
    /// Called after the map has changed, with the new view.
    public typealias LayoutObserver = @Sendable (FlatView) -> Void

    /// Who finds a layer.
    public enum Audience: Sendable {
        /// All processors and devices.
        case everyone
        /// Processors in system management mode, to whom it lies over all others.
        case systemManagement
        /// All but these.
        case others
    }
    /// A part of the map that lies over those before it.
    public enum Layer: Sendable {
        /// RAM or ROM. Start, offset and count are multiples of 4096.
        case memory(FlatView.Range, for: Audience = .everyone)
        /// No memory: what lay there is hidden. Whole pages.
        case hole(start: GuestPhysical, count: UInt64, for: Audience)

        fileprivate var audience: Audience {
            switch self {
            case .memory(_, let audience), .hole(_, _, let audience): audience
            }
        }
    }
    private struct Placed: Sendable {
        let id: Int
        let layer: Layer
    }
    private struct State: Sendable {
        var layers: [Placed] = []
        var nextID = 0
        var view = FlatView(ranges: [], generation: 0)
        var managementView = FlatView(ranges: [], generation: 0)
        var codeObservers: [CodeObserver] = []
        var layoutObservers: [LayoutObserver] = []
    }
    private let state = Mutex(State())

    /// An empty space.
    public init() {}

    /// The current picture.
    public var view: FlatView { state.withLock { $0.view } }

    /// What a processor in system management mode finds: the same view where nothing is for it alone.
    public var managementView: FlatView { state.withLock { $0.managementView } }

    /// All blocks, those that are covered too, in the order in which they came.
    public var blocks: [RAMBlock] {
        state.withLock { state in
            var found: [RAMBlock] = []
            for case .memory(let range, _) in state.layers.map(\.layer)
            where !found.contains(where: { $0 === range.block }) {
                found.append(range.block)
            }
            return found
        }
    }

    /// Names a range for `remove`.
    public struct RangeID: Sendable, Hashable { let value: Int }

    /// Adds RAM or ROM over what was there before. Start, offset and count are multiples of 4096.
    @discardableResult
    public func add(_ range: FlatView.Range) -> RangeID { replace([], with: [.memory(range)])[0] }

    /// Removes a range; what it covered appears again.
    public func remove(_ id: RangeID) {
        change { state in state.layers.removeAll { $0.id == id.value } }
    }

    /// Removes and adds in one step: engines never see the time between.
    public func replace(_ ids: [RangeID], with layers: [Layer]) -> [RangeID] {
        for layer in layers { layer.check() }
        return change { state in
            state.layers.removeAll { layer in ids.contains { $0.value == layer.id } }
            return layers.map { layer in
                state.nextID += 1
                state.layers.append(Placed(id: state.nextID, layer: layer))
                return RangeID(value: state.nextID)
            }
        }
    }

    /// Registers an engine's interest in written code.
    public func observeCode(_ observer: @escaping CodeObserver) { state.withLock { $0.codeObservers.append(observer) } }
    /// Registers an engine's interest in the map.
    public func observeLayout(_ observer: @escaping LayoutObserver) {
        state.withLock { $0.layoutObservers.append(observer) }
    }

    private func change<R: Sendable>(_ body: (inout State) -> R) -> R {
        let (result, view, observers) = state.withLock { state in
            let result = body(&state)
            let layers = state.layers.map(\.layer)
            let generation = state.view.generation + 1
            state.view = FlatView(
                ranges: Self.flatten(layers.filter { $0.audience != .systemManagement }), generation: generation)
            state.managementView =
                layers.allSatisfy { $0.audience == .everyone }
                ? state.view
                : FlatView(
                    ranges: Self.flatten(
                        layers.filter { $0.audience == .everyone } + layers.filter { $0.audience == .systemManagement }),
                    generation: generation)
            return (result, state.view, state.layoutObservers)
        }
        for observer in observers { observer(view) }
        return result
    }

    /// Cuts overlapping layers, later ones on top, into disjoint sorted ranges. O(n²) for n layers, which are few.
    static func flatten(_ layers: [Layer]) -> [FlatView.Range] {
        var visible: [FlatView.Range] = []
        for layer in layers {
            let (start, end) = layer.bounds
            visible = visible.flatMap { old -> [FlatView.Range] in
                if old.end <= start || end <= old.start { return [old] }
                var rest: [FlatView.Range] = []
                if old.start < start { rest.append(old.part(from: old.start, to: start)) }
                if end < old.end { rest.append(old.part(from: end, to: old.end)) }
                return rest
            }
            if case .memory(let range, _) = layer { visible.append(range) }
        }
        return visible.sorted { $0.start < $1.start }
    }

    /// Marks a written range dirty and tells the engines where it held code.
    public func noteWrite(block: RAMBlock, offset: UInt64, count: UInt64) {
        guard count > 0 else { return }
        var touchedCode = false
        for page in Int(offset >> 12)...Int((offset + count - 1) >> 12) {
            // SAFETY: callers pass ranges of views, which lie within the block.
            let old = unsafe apus_atomic_or8(
                block.pageFlags + page, RAMBlock.PageFlag.dirtyMigration | RAMBlock.PageFlag.dirtyDisplay)
            if old & RAMBlock.PageFlag.code != 0 { touchedCode = true }
        }
        if touchedCode {
            for observer in state.withLock({ $0.codeObservers }) { observer(block, offset, count) }
        }
    }
}

extension AddressSpace.Layer {
    fileprivate var bounds: (start: GuestPhysical, end: GuestPhysical) {
        switch self {
        case .memory(let range, _): (range.start, range.end)
        case .hole(let start, let count, _): (start, start + count)
        }
    }

    fileprivate func check() {
        let (start, end) = bounds
        precondition((start.rawValue | end.rawValue) & 4095 == 0, "Guest memory is made of pages")
        guard case .memory(let range, _) = self else { return }
        precondition(range.offset & 4095 == 0, "Guest memory is made of pages")
        precondition(range.offset + range.count <= UInt64(range.block.size), "A range must lie within its block")
    }
}

extension FlatView.Range {
    fileprivate func part(from: GuestPhysical, to: GuestPhysical) -> FlatView.Range {
        FlatView.Range(start: from, count: to - from, block: block, offset: offset + (from - start), writable: writable)
    }
}
