import GuestMemory
import Testing

/// Layers of the map, and who finds them.
@Suite struct AddressSpaceTests {
    private let space = AddressSpace()
    private let ram: RAMBlock
    private let hidden: RAMBlock

    init() throws {
        ram = try RAMBlock(name: "ram", size: 0x10000)
        hidden = try RAMBlock(name: "hidden", size: 0x4000)
        space.add(FlatView.Range(start: GuestPhysical(0), count: 0x10000, block: ram))
    }

    private func range(_ start: UInt64, _ count: UInt64, _ block: RAMBlock) -> FlatView.Range {
        FlatView.Range(start: GuestPhysical(start), count: count, block: block)
    }
    private func block(_ address: UInt64, _ view: FlatView) -> String? { view.range(at: GuestPhysical(address))?.block.name }

    @Test func laterLayersCoverEarlierOnesUntilTheyGo() throws {
        let layer = space.add(range(0x4000, 0x2000, hidden))
        #expect(block(0x3FFF, space.view) == "ram" && block(0x4000, space.view) == "hidden")
        #expect(block(0x5FFF, space.view) == "hidden" && block(0x6000, space.view) == "ram")
        #expect(space.view.range(at: GuestPhysical(0x6000))?.offset == 0x6000)
        space.remove(layer)
        #expect(block(0x4000, space.view) == "ram" && space.view.ranges.count == 1)
    }

    @Test func oneViewServesAllWhereNothingIsForSystemManagementAlone() {
        #expect(space.view === space.managementView)
        let ids = space.replace([], with: [.hole(start: GuestPhysical(0x8000), count: 0x1000, for: .others)])
        #expect(space.view !== space.managementView && space.view.generation == space.managementView.generation)
        _ = space.replace(ids, with: [])
        #expect(space.view === space.managementView)
    }

    @Test func systemManagementFindsWhatOthersDoNot() throws {
        try space.write(GuestPhysical(0x8000), bytes: [0x77])
        _ = space.replace(
            [],
            with: [
                .hole(start: GuestPhysical(0x8000), count: 0x2000, for: .others),
                .memory(range(0x2_0000, 0x4000, hidden), for: .systemManagement),
            ])
        #expect(block(0x8000, space.view) == nil && block(0xA000, space.view) == "ram")
        #expect(block(0x8000, space.managementView) == "ram" && block(0x2_0000, space.managementView) == "hidden")
        #expect(block(0x2_0000, space.view) == nil)
        // Devices are among the others.
        #expect(throws: GuestMemoryError.self) { try space.bytes(GuestPhysical(0x8000), count: 1) }
        #expect(throws: GuestMemoryError.self) { try space.write(GuestPhysical(0x7FFF), bytes: [1, 2]) }
        #expect(Set(space.blocks.map(\.name)) == ["ram", "hidden"])
    }

    /// What is mapped later, as a guest maps windows of devices, lies under it.
    @Test func systemManagementsOwnMemoryLiesOverAllOther() {
        _ = space.replace([], with: [.memory(range(0x4000, 0x1000, hidden), for: .systemManagement)])
        space.add(range(0x4000, 0x4000, ram))
        #expect(block(0x4000, space.managementView) == "hidden" && block(0x5000, space.managementView) == "ram")
        #expect(block(0x4000, space.view) == "ram")
    }
}
