internal import DeviceModel
internal import Devices
internal import Firmware
internal import JSON

/// The unit of `-device intel-iommu`, which translates nothing.
extension BoardBuilder {
    func addRemappingUnit(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        guard configuration.board.kind == .q35 else {
            throw MachineBuildError("\(device.origin): 'intel-iommu' needs the board 'q35'")
        }
        guard properties.bool("dma-translation") == false else {
            throw MachineBuildError(
                "\(device.origin): translation of DMA is not supported; dma-translation=off adds a unit without it")
        }
        for name in ["intremap", "eim"] where properties.string(name) == "on" {
            throw MachineBuildError("\(device.origin): '\(name)=on' is not supported: the unit remaps no interrupts")
        }
        for name in ["device-iotlb", "x-scalable-mode", "x-pasid-mode"] where properties.bool(name) == true {
            throw MachineBuildError("\(device.origin): '\(name)=on' is not supported: the unit translates nothing")
        }
        let bits = properties.number("aw-bits") ?? 39
        guard bits == 39 || bits == 48 else {
            throw MachineBuildError("\(device.origin): Supported values for aw-bits are: 39, 48, not \(bits)")
        }
        let unit = RemappingUnit(addressBits: bits, stateName: stateName(device.id ?? "intel-iommu"))
        mmio.add(unit, start: RemappingUnit.base, count: RemappingUnit.count, name: "intel_iommu")
        devices.append(unit)
        acpi.remapping = (RemappingUnit.base, bits)
        note("intel-iommu", id: device.id, bus: "main-system-bus", properties: device.properties)
    }
}
