internal import Devices
internal import Firmware
internal import HostOS
internal import JSON

/// `-device vmgenid`.
extension BoardBuilder {
    func addGenerationID() throws(MachineBuildError) {
        for device in configuration.devices where device.driver == "vmgenid" {
            guard let power, configuration.board.kind.isPC else {
                throw MachineBuildError("\(device.origin): device 'vmgenid' is not supported on this board")
            }
            guard generation == nil else {
                throw MachineBuildError("\(device.origin): at most one vmgenid device is permitted")
            }
            var identifier: [UInt8]?
            if let text = device.properties.string("guid"), text != "auto" {
                guard let bytes = Self.identifier(text) else {
                    throw MachineBuildError("\(device.origin): Property 'vmgenid.guid' doesn't take value '\(text)'")
                }
                identifier = bytes
            }
            let chosen = identifier
            let made = try MachineBuildError.wrapping { () throws(HostError) in
                try GenerationID(name: stateName(device.id ?? "vmgenid"), identifier: chosen, memory: memory) {
                    power.raiseEvent(GenerationID.event)
                }
            }
            devices.append(made)
            generation = made
            acpi.generation = MachineGeneration(
                address: GenerationID.address + GenerationID.offset, event: UInt8(GenerationID.event))
            note("vmgenid", id: device.id, bus: "main-system-bus", properties: device.properties)
        }
    }

    /// The 16 bytes of a UUID in text.
    private static func identifier(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
        let digits = Array(parts.joined().utf8)
        let bytes = stride(from: 0, to: 32, by: 2).compactMap { at in
            UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16)
        }
        return bytes.count == 16 && !digits.contains(UInt8(ascii: "+")) ? bytes : nil
    }
}
