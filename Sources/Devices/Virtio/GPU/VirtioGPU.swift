public import DeviceModel
public import Display
internal import GuestMemory
import Synchronization
internal import VirtQueue

/// What `-device virtio-gpu-pci` and `virtio-vga` may set.
public struct VirtioGPUProperties: Sendable {
    /// `max_outputs`, 1 to 16.
    public var outputs = 1
    /// `xres` and `yres`: the size that the driver is told to use.
    public var width = 1280
    public var height = 800
    /// `max_hostmem`: bytes of pictures.
    public var memoryLimit: UInt64 = 256 << 20
    /// `edid`.
    public var hasEDID = true
    /// Whether it is a VGA too: what it shows until its driver takes over.
    public var isVGA = false

    /// The defaults are QEMU's.
    public init() {}
}

/// The GPU device in 2D mode. virtio 1.2, 5.7.
///
/// A worker takes commands from the two rings. One lock, under which pictures are drawn too.
public final class VirtioGPU: VirtioDevice {
    private struct State {
        var model: GPUModel
        var queues: [VirtQueue?] = []
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var memory: AddressSpace?
        var isPaused = false
        /// Outputs whose picture was last drawn by something else.
        var isStale: Set<Int> = []
    }
    private enum Feature {
        static let edid: UInt64 = 1 << 1
    }
    private let state: Mutex<State>
    private let properties: VirtioGPUProperties
    private let work = Mutex<(any WorkItem)?>(nil)
    /// What is shown while the driver shows nothing.
    private let before: (any PictureSource)?

    /// A device. `before` draws its first output until the driver does.
    public init(
        _ properties: VirtioGPUProperties = VirtioGPUProperties(), before: (any PictureSource)? = nil,
        scheduler: any WorkScheduler
    ) {
        self.properties = properties
        self.before = before
        state = Mutex(
            State(
                model: GPUModel(
                    outputs: properties.outputs, width: properties.width, height: properties.height,
                    memoryLimit: properties.memoryLimit, hasEDID: properties.hasEDID)))
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
    }

    public var kind: VirtioDeviceKind {
        VirtioDeviceKind(
            id: 16, transitionalID: nil, classCode: properties.isVGA ? 0x030000 : 0x038000, name: "virtio-gpu")
    }
    public var features: UInt64 { properties.hasEDID ? Feature.edid : 0 }
    public var queueSizes: [UInt16] { [64, 16] }
    public var configurationCount: Int { 16 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        let (events, outputs) = state.withLock { ($0.model.events, $0.model.outputs.count) }
        var bytes: [UInt8] = []
        for value in [events, 0, UInt32(outputs), 0] { VirtioConfiguration.append(&bytes, value) }
        return VirtioConfiguration.read(bytes, offset: offset, size: size)
    }
    /// The driver has seen events.
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        guard offset == 4 else { return }
        state.withLock { $0.model.events &= ~value }
    }

    // MARK: Work

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory) = (context.queues, context.interrupt, context.memory)
        state.withLock { state in
            state.queues = queues
            state.interrupt = interrupt
            state.memory = memory
            state.chain = DescriptorChain(memory: memory)
        }
    }

    public func notify(queue: Int) { work.withLock { $0 }?.schedule() }

    private func perform() {
        let hasMore = state.withLock { state in
            guard let interrupt = state.interrupt, let chain = state.chain, let memory = state.memory, !state.isPaused
            else { return false }
            var hasMore = false
            for (index, queue) in state.queues.enumerated() {
                guard let queue else { continue }
                let more = queue.process(index, interrupt, chain, limit: 32) { chain in
                    let command = chain.bytes(at: 0, count: min(chain.readableCount, GPUModel.commandLimit))
                    return chain.write(at: 0, bytes: state.model.perform(command, memory))
                }
                if more { hasMore = true }
            }
            return hasMore
        }
        if hasMore { work.withLock { $0 }?.schedule() }
    }

    // MARK: Outputs

    /// How many there are.
    public var outputCount: Int { state.withLock { $0.model.outputs.count } }

    /// What draws an output.
    public func output(_ index: Int) -> any PictureSource { Head(self, index) }

    private final class Head: PictureSource {
        private let gpu: VirtioGPU
        private let index: Int
        init(_ gpu: VirtioGPU, _ index: Int) {
            self.gpu = gpu
            self.index = index
        }
        func draw(into picture: inout Picture) { gpu.draw(index, into: &picture) }
        var pointer: PointerState {
            gpu.state.withLock { state in
                let output = state.model.outputs[index]
                return PointerState(stamp: output.cursorStamp, shape: output.cursor)
            }
        }
        var text: ScreenText? { gpu.text(index) }
        func want(width: Int, height: Int) -> Bool { gpu.want(index, width: width, height: height) }
    }

    private func draw(_ index: Int, into picture: inout Picture) {
        let isDrawn = state.withLock { state in
            let isStale = state.isStale.contains(index)
            let isDrawn = state.model.draw(index, all: isStale, into: &picture)
            if isDrawn { state.isStale.remove(index) } else { state.isStale.insert(index) }
            return isDrawn
        }
        guard !isDrawn else { return }
        if index == 0, let before {
            before.draw(into: &picture)
        } else {
            picture.fill(0)
        }
    }

    /// What an output shows as characters: those of the VGA that the adapter is before its driver takes over.
    private func text(_ index: Int) -> ScreenText? {
        let size = state.withLock { $0.model.size(ofOutput: index) }
        if let size { return .graphics(width: size.width, height: size.height) }
        if index == 0, let before { return before.text }
        return .blank
    }

    /// Tells the driver of the size that whoever looks wants.
    private func want(_ index: Int, width: Int, height: Int) -> Bool {
        state.withLock { state in
            guard state.model.outputs.indices.contains(index) else { return false }
            if state.model.want(index, width: width, height: height) { state.interrupt?.signalConfigurationChange() }
            return true
        }
    }

    // MARK: Life

    public func reset() {
        state.withLock { state in
            state.model.reset()
            state.queues = []
            state.interrupt = nil
            state.chain = nil
            state.memory = nil
        }
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        work.withLock { $0 }?.schedule()
    }
    public func exportState() -> DeviceState { state.withLock { $0.model.exportState() } }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let made = GPUModel(
            outputs: properties.outputs, width: properties.width, height: properties.height,
            memoryLimit: properties.memoryLimit, hasEDID: properties.hasEDID)
        var model = made
        try model.importState(saved)
        let taken = model
        state.withLock { state in
            state.model = taken
            state.isStale = Set(0..<taken.outputs.count)
        }
    }
}
