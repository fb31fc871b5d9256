internal import CEngine
import Synchronization

/// A guest's physical memory as devices, loaders and monitors use it: bounds checked, dirty pages marked, engines told
/// about written code. Thread-safe.
///
/// Ranges added later cover earlier ones where they overlap (a ROM over RAM, shadow memory), and uncover them when
/// they are removed.
public final class AddressSpace: Sendable {
    /// Called after a device has written to pages that carry `RAMBlock.PageFlag.code`.
    public typealias CodeObserver = @Sendable (_ block: RAMBlock, _ offset: UInt64, _ count: UInt64) -> Void
    /// Called after the map has changed, with the new view.
    public typealias LayoutObserver = @Sendable (FlatView) -> Void

    private struct Layer: Sendable {
        let id: Int
        let range: FlatView.Range
    }
    private struct State: Sendable {
        var layers: [Layer] = []
        var nextID = 0
        var view = FlatView(ranges: [], generation: 0)
        var codeObservers: [CodeObserver] = []
        var layoutObservers: [LayoutObserver] = []
    }
    private let state = Mutex(State())

    /// An empty space.
    public init() {}

    /// The current picture.
    public var view: FlatView { state.withLock { $0.view } }

    /// All blocks, those that are covered too, in the order in which they came.
    public var blocks: [RAMBlock] {
        state.withLock { state in
            var found: [RAMBlock] = []
            for layer in state.layers where !found.contains(where: { $0 === layer.range.block }) {
                found.append(layer.range.block)
            }
            return found
        }
    }

    /// Names a range for `remove`.
    public struct RangeID: Sendable, Hashable { let value: Int }

    /// Adds RAM or ROM over what was there before. Start, offset and count are multiples of 4096.
    @discardableResult
    public func add(_ range: FlatView.Range) -> RangeID {
        precondition((range.start.rawValue | range.offset | range.count) & 4095 == 0, "Guest memory is made of pages")
        precondition(range.offset + range.count <= UInt64(range.block.size), "A range must lie within its block")
        return change { state in
            state.nextID += 1
            state.layers.append(Layer(id: state.nextID, range: range))
            return RangeID(value: state.nextID)
        }
    }

    /// Removes a range; what it covered appears again.
    public func remove(_ id: RangeID) {
        change { state in state.layers.removeAll { $0.id == id.value } }
    }

    /// Removes and adds in one step: engines never see the time between.
    public func replace(_ ids: [RangeID], with ranges: [FlatView.Range]) -> [RangeID] {
        change { state in
            state.layers.removeAll { layer in ids.contains { $0.value == layer.id } }
            return ranges.map { range in
                state.nextID += 1
                state.layers.append(Layer(id: state.nextID, range: range))
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
            state.view = FlatView(
                ranges: Self.flatten(state.layers.map(\.range)), generation: state.view.generation + 1)
            return (result, state.view, state.layoutObservers)
        }
        for observer in observers { observer(view) }
        return result
    }

    /// Cuts overlapping layers, later ones on top, into disjoint sorted ranges. O(n²) for n layers, which are few.
    static func flatten(_ layers: [FlatView.Range]) -> [FlatView.Range] {
        var visible: [FlatView.Range] = []
        for layer in layers {
            visible = visible.flatMap { old -> [FlatView.Range] in
                if old.end <= layer.start || layer.end <= old.start { return [old] }
                var rest: [FlatView.Range] = []
                if old.start < layer.start {
                    rest.append(old.part(from: old.start, to: layer.start))
                }
                if layer.end < old.end {
                    rest.append(old.part(from: layer.end, to: old.end))
                }
                return rest
            }
            visible.append(layer)
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

extension FlatView.Range {
    fileprivate func part(from: GuestPhysical, to: GuestPhysical) -> FlatView.Range {
        FlatView.Range(start: from, count: to - from, block: block, offset: offset + (from - start), writable: writable)
    }
}
