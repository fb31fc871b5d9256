internal import JSON

/// What `info qtree` and the object tree show of the board's devices.
extension BoardBuilder {
    /// Notes a device. A PCI device's place is given as slot and function.
    func note(
        _ model: String, id: String? = nil, bus: String, properties: JSONObject = JSONObject(), details: [String] = [],
        place: (slot: Int, function: Int)? = nil, buses: [DeviceNode.Bus] = []
    ) {
        let count = tree.count
        let path = id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/device[\(count)]"
        let shown = shownProperties(model, properties, place: place)
        var details = details
        if let place { details.append("addr \(String(place.slot, radix: 16)).\(place.function)") }
        var node = DeviceNode(
            model: model, id: id ?? "", path: path, properties: shown, details: details, buses: buses)
        node.isHotplugged = isThere
        tree.append((bus, node))
    }

    /// All properties of a model's table with the values that a device has: those that it was given, then those of
    /// `-global`, then the defaults. JSON writes them as the tree does: text in quotes, numbers and words.
    func shownProperties(
        _ model: String, _ given: JSONObject, place: (slot: Int, function: Int)? = nil
    ) -> [DeviceNode.Property] {
        var device = DeviceConfiguration(driver: model)
        device.properties = given
        var values = withGlobals(device)
        if let place { values["addr"] = .integer(Int64(place.slot << 3 | place.function)) }
        let description = DeviceCatalogue.find(model) ?? DeviceCatalogue.onBoard(model)
        if let description {
            for property in description.properties {
                values[property.name] = effective(property, values[property.name], of: model, values)
            }
        }
        return values.members.map { member in
            DeviceNode.Property(
                name: member.name, value: String(decoding: JSONWriter.write(member.value), as: UTF8.self))
        }
    }

    /// The value of a property in force: what stands for a choice of the device's own is that choice.
    private func effective(
        _ property: DeviceProperty, _ given: JSONValue?, of model: String, _ values: JSONObject
    ) -> JSONValue {
        let value = given ?? property.defaultValue ?? property.kind.empty
        switch (property.name, value) {
        case ("mac", ""): return .string(lastMAC ?? "")
        case ("disable-legacy", "auto"): return model.hasSuffix("-non-transitional") ? "on" : "off"
        case ("num-queues", 0xFFFF): return 1
        case ("logical_block_size", 0): return 512
        case ("physical_block_size", 0):
            return .number(max(512, values["logical_block_size"]?.uint64Value ?? 0))
        default: break
        }
        if case .object = property.kind, let id = value.stringValue, !id.isEmpty { return .string("/objects/\(id)") }
        return value
    }
}

extension DeviceProperty.Kind {
    /// The value of a property that nothing is known of.
    fileprivate var empty: JSONValue {
        switch self {
        case .bool: false
        case .unsigned, .size: 0
        case .int32, .pciAddress: -1
        case .onOffAuto: "auto"
        case .string, .macAddress, .drive, .network, .characterDevice, .object: ""
        case .choice(_, let words): .string(words.first ?? "")
        }
    }
}
