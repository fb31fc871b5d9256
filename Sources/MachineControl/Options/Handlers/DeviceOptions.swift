internal import JSON
internal import Machine

/// -device, -global, -set.
enum DeviceOptions {
    static func device(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let object = try jsonArgument(argument.text) {
            var device = try self.device(object, isTyped: true)
            device.origin = builder.origin
            return builder.configuration.devices.append(device)
        }
        let pairs = try OptionPairs(argument.text, implied: "driver")
        if pairs.startsWithHelp {
            throw .information(DeviceCatalogue.help)
        }
        if pairs.asksForHelp, let part = pairs["driver"].flatMap(DeviceCatalogue.onBoard) {
            throw .information(DeviceCatalogue.help(of: part))
        }
        let description = try find(pairs["driver"])
        if pairs.asksForHelp { throw .information(DeviceCatalogue.help(of: description)) }
        var object = JSONObject()
        for pair in pairs.pairs {
            let property = description.property(pair.key)
            if pair.value == nil, property == nil, pair.key.hasPrefix("no"),
                description.property(String(pair.key.dropFirst(2)))?.kind == .bool
            {
                object[String(pair.key.dropFirst(2))] = .bool(false)
            } else if let value = pair.value {
                object[pair.key] = .string(value)
            } else if property == nil || property?.kind == .bool || property?.kind == .onOffAuto {
                object[pair.key] = "on"
            } else {
                throw .invalid("Parameter '\(pair.key)' needs a value")
            }
        }
        var device = try self.device(object)
        device.origin = builder.origin
        builder.configuration.devices.append(device)
    }

    /// The device of an object of QMP's `device_add`, which takes texts for numbers too, or of -device's JSON form,
    /// whose members have their types.
    static func device(_ object: JSONObject, isTyped: Bool = false) throws(OptionError) -> DeviceConfiguration {
        let description = try find(object.string("driver"))
        var device = DeviceConfiguration(driver: description.name)
        for member in object.members {
            switch member.name {
            case "driver": break
            case "id":
                guard let id = member.value.stringValue, isIdentifier(id) else {
                    throw .value("id", member.value.description, expects: identifierWords)
                }
                device.id = id
            case "bus":
                guard let bus = member.value.stringValue else {
                    throw .value("bus", "\(member.value)", expects: "a name")
                }
                device.bus = bus
            default:
                if isTyped, let mismatch = description.property(member.name)?.mismatch(member.value) { throw mismatch }
                device.properties[member.name] = try value(of: member, description)
            }
        }
        return device
    }

    private static func find(_ name: String?) throws(OptionError) -> DeviceDescription {
        guard let name, !name.isEmpty else { throw .missing("driver") }
        if let description = DeviceCatalogue.find(name) { return description }
        if DeviceCatalogue.onBoard(name) != nil {
            throw .invalid("Parameter 'driver' expects a pluggable device type: '\(name)' is part of the board")
        }
        throw unknownModel(name)
    }
    private static func unknownModel(_ name: String) -> OptionError {
        let nearest = Suggestion.nearest(
            to: name, among: DeviceCatalogue.all.flatMap { [$0.name, $0.alias ?? $0.name] })
        return .invalid(
            "'\(printable(name))' is not a valid device model name; "
                + (nearest.map { "did you mean '\($0)'?" } ?? "'-device help' lists them"))
    }

    private static func value(
        of member: JSONObject.Member, _ description: DeviceDescription
    ) throws(OptionError) -> JSONValue {
        guard let property = description.property(member.name) else {
            let nearest = Suggestion.nearest(to: member.name, among: description.properties.map(\.name))
            throw .invalid(
                "Property '\(description.name).\(printable(member.name))' not found; "
                    + (nearest.map { "did you mean '\($0)'?" } ?? "'-device \(description.name),help' lists them"))
        }
        guard let value = property.checked(member.value) else {
            let given = member.value.stringValue ?? member.value.description
            throw .invalid(
                "Property '\(description.name).\(property.name)' doesn't take value '\(printable(given))',"
                    + " it expects \(property.expectation)")
        }
        return value
    }

    static func global(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        var property: GlobalProperty
        // driver.property=value, unless it is the long form: a dot before the first '='.
        let head = argument.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if head.count == 2, let dot = head[0].firstIndex(of: ".") {
            property = GlobalProperty(
                driver: String(head[0][..<dot]), property: String(head[0][head[0].index(after: dot)...]),
                value: String(head[1]))
        } else {
            let table = ParameterTable([
                Parameter("driver", Parameter.Kind.string), Parameter("property", Parameter.Kind.string),
                Parameter("value", Parameter.Kind.string),
            ])
            let values = try table.values(argument.text)
            guard let driver = values.string("driver"), let name = values.string("property"),
                let value = values.string("value")
            else { throw .invalid("expects driver.property=value") }
            property = GlobalProperty(driver: driver, property: name, value: value)
        }
        let onBoard = DeviceCatalogue.onBoard(property.driver)
        guard let description = onBoard ?? DeviceCatalogue.find(property.driver) else {
            // QEMU's users set defaults of devices that a machine may not have, and so does libvirt.
            builder.warn("there is no device model '\(property.driver)'")
            return
        }
        property.driver = description.name
        let given: JSONObject = [property.property: .string(property.value)]
        for member in given.members { _ = try value(of: member, description) }
        builder.configuration.globals.append(property)
    }

    static func set(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let parts = argument.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.first.map { $0.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false) } ?? []
        guard parts.count == 2, path.count == 3 else { throw .invalid("expects group.id.arg=value") }
        let (group, id, name, value) = (String(path[0]), String(path[1]), String(path[2]), String(parts[1]))
        switch group {
        case "device":
            guard let place = builder.configuration.devices.firstIndex(where: { $0.id == id }) else {
                throw .invalid("there is no device '\(printable(id))' before it")
            }
            let driver = builder.configuration.devices[place].driver
            let changed = try device(["driver": .string(driver), name: .string(value)])
            if let bus = changed.bus { builder.configuration.devices[place].bus = bus }
            for member in changed.properties.members {
                builder.configuration.devices[place].properties[member.name] = member.value
            }
        case "drive":
            guard let place = builder.driveRequests.firstIndex(where: { $0.values.string("id") == id }) else {
                throw .invalid("there is no drive '\(printable(id))' before it")
            }
            guard let parameter = DriveOptions.table.parameter(name) else {
                throw .unknown("Invalid parameter", name, among: DriveOptions.table.parameters.map(\.name))
            }
            builder.driveRequests[place].values[name] = try parameter.value(value)
        default: throw .unknown("there is no group", group, among: ["device", "drive"])
        }
    }

    static let identifierWords = "an identifier: a letter, then letters, digits, '-', '.', '_'"

    /// Whether a word may name a device, drive or back-end.
    static func isIdentifier(_ word: String) -> Bool {
        let bytes = Array(word.utf8)
        guard let first = bytes.first, bytes.count <= 127, isLetter(first) else { return false }
        return bytes.dropFirst().allSatisfy { byte in
            isLetter(byte) || (48...57).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "_")
        }
    }
    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }
}

extension DeviceProperty {
    /// What is wrong with the type of a value that is not a text of an option; nil where it fits.
    func mismatch(_ value: JSONValue) -> OptionError? {
        switch (kind, value) {
        case (.bool, .bool), (.pciAddress, .integer), (.pciAddress, .string): return nil
        case (.unsigned, .integer), (.unsigned, .unsigned), (.size, .integer), (.size, .unsigned), (.int32, .integer):
            return nil
        case (.bool, _): return Parameter.mismatch(name, "boolean")
        case (.int32, _): return Parameter.mismatch(name, "integer")
        case (.unsigned, _), (.size, _): return .invalid("Parameter '\(name)' expects uint64")
        case (_, .string): return nil
        default: return Parameter.mismatch(name, "string")
        }
    }

    /// The value in the property's type, of a text or a JSON value; nil where it does not fit.
    func checked(_ value: JSONValue) -> JSONValue? {
        let text = value.stringValue
        switch kind {
        case .bool: return (value.boolValue ?? text.flatMap(OptionValue.boolean)).map(JSONValue.bool)
        case .unsigned(let bits):
            guard let number = value.uint64Value ?? text.flatMap(unsignedText) else { return nil }
            return bits == 64 || number < 1 << UInt64(bits) ? .number(number) : nil
        case .int32:
            guard let number = value.int64Value ?? text.flatMap(OptionValue.integer) else { return nil }
            return Int32(exactly: number).map { .integer(Int64($0)) }
        case .size: return (value.uint64Value ?? text.flatMap { OptionValue.size($0) }).map(JSONValue.number)
        case .string, .drive, .network, .characterDevice, .object:
            // QMP's device_add takes a number where a text is wanted, as options do.
            return (text ?? value.int64Value.map { "\($0)" }).map(JSONValue.string)
        case .onOffAuto:
            if let flag = value.boolValue { return .string(flag ? "on" : "off") }
            return text.flatMap { OnOffAuto(rawValue: $0) == nil ? nil : .string($0) }
        case .pciAddress:
            if let number = value.int64Value, (0..<256).contains(number) {
                return OptionValue.pciAddress(String(number >> 3, radix: 16) + ".\(number & 7)").map(JSONValue.string)
            }
            return text.flatMap(OptionValue.pciAddress).map(JSONValue.string)
        case .macAddress: return text.flatMap { OptionValue.mac($0) == nil ? nil : .string($0) }
        case .choice(_, let words): return text.flatMap { words.contains($0) ? .string($0) : nil }
        }
    }

    /// QEMU takes -1 for the largest number, which its help shows as 4294967295.
    private func unsignedText(_ text: String) -> UInt64? {
        if text == "-1", case .unsigned(let bits) = kind { return UInt64.max >> UInt64(64 - bits) }
        return OptionValue.unsigned(text)
    }
}
