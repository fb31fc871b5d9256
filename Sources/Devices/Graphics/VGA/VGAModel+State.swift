internal import DeviceModel

extension VGAModel {
    /// The registers as a saved state.
    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("miscellaneous", miscellaneous)
        saved.set("feature", featureControl)
        saved.set("sequencer", [sequencerIndex] + sequencer)
        saved.set("graphics", [graphicsIndex] + graphics)
        saved.set("crtc", [crtcIndex] + crtc)
        saved.set("attribute", [attributeIndex, attributeIsData ? 1 : 0] + attribute)
        saved.set("dac", [dacMask, dacState, dacReadIndex, dacWriteIndex, dacPart] + dacPending)
        saved.set("palette", palette)
        saved.set("latch", latch)
        saved.set("vbe-index", vbeIndex)
        saved.set("vbe", vbe.registers.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
        return saved
    }

    /// Takes a saved state of an adapter with so many bytes of memory.
    init(_ saved: DeviceState, memory: Int) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        self.init(memory: memory)
        miscellaneous = try saved.integer("miscellaneous")
        featureControl = try saved.integer("feature")
        let sequencer = try saved.bytes("sequencer", count: 9)
        (sequencerIndex, self.sequencer) = (sequencer[0] & 7, Array(sequencer[1...]))
        let graphics = try saved.bytes("graphics", count: 17)
        (graphicsIndex, self.graphics) = (graphics[0] & 15, Array(graphics[1...]))
        self.graphics[Graphics.readMap] &= 3
        let crtc = try saved.bytes("crtc", count: 65)
        (crtcIndex, self.crtc) = (crtc[0], Array(crtc[1...]))
        let attribute = try saved.bytes("attribute", count: 34)
        (attributeIndex, attributeIsData) = (attribute[0] & 0x3F, attribute[1] != 0)
        self.attribute = Array(attribute[2...])
        let dac = try saved.bytes("dac", count: 8)
        (dacMask, dacState, dacReadIndex, dacWriteIndex, dacPart) = (dac[0], dac[1], dac[2], dac[3], dac[4] % 3)
        dacPending = Array(dac[5...])
        palette = try saved.bytes("palette", count: 768)
        latch = try saved.integer("latch")
        vbeIndex = try saved.integer("vbe-index")
        let registers = try saved.bytes("vbe", count: BochsDisplay.Register.count * 2)
        let values = (0..<BochsDisplay.Register.count).map {
            UInt16(registers[$0 * 2]) | UInt16(registers[$0 * 2 + 1]) << 8
        }
        guard vbe.restore(values) else { throw .outOfRange(field: "vbe", value: UInt64(values[4])) }
    }
}
