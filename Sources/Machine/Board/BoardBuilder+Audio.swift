internal import DeviceModel
internal import Devices
internal import HostOS
internal import JSON
internal import SPICE

/// Sound cards, and the back-ends of `-audiodev`.
extension BoardBuilder {
    static func isCodec(_ driver: String) -> Bool {
        ["hda-output", "hda-duplex", "hda-micro"].contains(driver)
    }
    private static func isHDA(_ driver: String) -> Bool { driver == "intel-hda" || driver == "ich9-intel-hda" }

    /// Opens the back-ends, before the devices that use them.
    func addAudio() throws(MachineBuildError) {
        for wanted in configuration.audioBackends {
            switch wanted.driver {
            case .none: audio.append((wanted.id, NoAudio()))
            case .wav:
                var format = WAVFile.Format()
                format.frequency = wanted.frequency
                format.channels = wanted.channels
                format.bits = wanted.bits
                let file = try MachineBuildError.wrapping("-audiodev wav,id=\(wanted.id): ") {
                    () throws(HostError) in try WAVFile(path: wanted.path, format: format)
                }
                audio.append((wanted.id, MixedAudio(file)))
            case .spice:
                // All play to the one client.
                let sink = spiceAudio ?? SPICEAudio()
                spiceAudio = sink
                audio.append((wanted.id, MixedAudio(SPICESink(sink))))
            }
        }
        for device in configuration.devices where Self.isCodec(device.driver) {
            guard hdaOwner(of: device) != nil else {
                throw MachineBuildError(
                    device.bus.map { "\(device.origin): Bus '\($0)' not found" }
                        ?? "\(device.origin): No 'HDA' bus found for device '\(device.driver)'")
            }
        }
    }

    /// The back-end that a device names, the only one there is, or silence.
    private func audioBackend(
        _ properties: JSONObject, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any AudioBackend {
        guard let id = properties.string("audiodev") else { return audio.first?.backend ?? NoAudio() }
        guard let found = audio.first(where: { $0.id == id }) else {
            throw MachineBuildError(
                "\(device.origin): Property '\(device.driver).audiodev' can't find value '\(id)'")
        }
        return found.backend
    }

    func addAC97(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let card = AC97(
            backend: try audioBackend(properties, device), memory: memory, clock: clock,
            stateName: stateName(device.id ?? "ac97"))
        try attach(card.function, device, properties)
        devices.append(card)
    }

    /// The controller whose link a codec is on: the one that it names, or the last before it.
    private func hdaOwner(of codec: DeviceConfiguration) -> Int? {
        if let bus = codec.bus {
            let controllers = configuration.devices.indices.filter { Self.isHDA(configuration.devices[$0].driver) }
            return controllers.enumerated().first { number, index in
                let id = configuration.devices[index].id
                return id.map { bus == "\($0).0" || bus == $0 } ?? (bus == "hda.\(number)")
            }?.element
        }
        let place = configuration.devices.firstIndex(of: codec) ?? 0
        return configuration.devices[..<place].lastIndex { Self.isHDA($0.driver) }
    }

    func addHDA(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let owner = configuration.devices.firstIndex(of: device)
        var parts: [(address: Int, part: HDACodecPart, device: DeviceConfiguration)] = []
        for codec in configuration.devices where Self.isCodec(codec.driver) && hdaOwner(of: codec) == owner {
            let set = withGlobals(codec)
            let wanted = set.number("cad").flatMap { $0 == 0xFFFF_FFFF ? nil : $0 }
            let address = wanted ?? (0..<15).first { free in !parts.contains { $0.address == free } } ?? 15
            guard !parts.contains(where: { $0.address == address }),
                let part = HDACodecPart(
                    model: codec.driver, address: address, hasMixer: set.bool("mixer") ?? true,
                    backend: try audioBackend(set, codec))
            else { throw MachineBuildError("\(codec.origin): HDA address \(address) is taken or not one of 0 to 14") }
            parts.append((address, part, codec))
        }
        let name = stateName(device.id ?? "hda")
        let controller = HDAController(
            codecs: parts.map(\.part), isICH9: device.driver.hasPrefix("ich9"),
            hasMSI: properties.string("msi") != "off", memory: memory, clock: clock, stateName: name)
        try attach(controller.function, device, properties)
        devices.append(controller)
        let bus = device.id.map { "\($0).0" } ?? "hda.\(devices.count { $0 is HDAController } - 1)"
        for (address, _, codec) in parts {
            note(
                codec.driver, id: codec.id, bus: bus, properties: codec.properties, details: ["cad \(address)"])
        }
    }
}

/// The mixer's way to the SPICE server.
private final class SPICESink: AudioSink {
    let frequency = SPICEAudio.frequency
    private let audio: SPICEAudio
    init(_ audio: SPICEAudio) { self.audio = audio }
    func take(_ mix: ArraySlice<Int32>) { audio.play(mix.map { Int16(clamping: $0) }) }
    func pause() { audio.stop() }
}
