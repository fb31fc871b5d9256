/// `<sound>`.
public struct Sound: XMLMappable {
    public var model = ""
    public var multichannel: YesNo?
    public var streams: UInt32?
    public var codecs: [Codec] = []
    public var audioID: UInt32?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, let text = m.peek("model"),
            !XMLMapper.isOne(text, of: "sb16 es1370 pcspk ac97 ich6 ich7 ich9 usb virtio")
        {
            throw m.invalid("model", text, "")
        }
        try m.attribute("model", &model)
        try m.attribute("multichannel", &multichannel)
        try m.attribute("streams", &streams)
        try m.children("codec", &codecs)
        try m.group("audio") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("id", &audioID) }
        try m.info(&info)
    }

    public struct Codec: XMLMappable {
        public var type: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "duplex micro output")
        }
    }
}

/// `<audio>`: what the sound devices play to.
public struct Audio: XMLMappable {
    public var id: UInt32 = 1
    public var type = "none"
    public var timerPeriod: UInt32?
    public var tryMMap: YesNo?
    public var exclusive: YesNo?
    public var dspPolicy: Int32?
    public var serverName: String?
    public var path: String?
    public var runtimeDir: String?
    public var driver: String?
    public var input = Side()
    public var output = Side()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("id", &id)
        if m.isReading, let text = m.peek("type"),
            !XMLMapper.isOne(text, of: "none alsa coreaudio jack oss pulseaudio sdl spice file dbus pipewire")
        {
            throw m.invalid("type", text, "")
        }
        try m.attribute("type", &type)
        try m.attribute("timerPeriod", &timerPeriod)
        try m.attribute("serverName", &serverName)
        try m.word("driver", &driver, "esd alsa arts pulseaudio")
        try m.attribute("path", &path)
        try m.attribute("runtimeDir", &runtimeDir)
        try m.attribute("tryMMap", &tryMMap)
        try m.attribute("exclusive", &exclusive)
        try m.attribute("dspPolicy", &dspPolicy)
        try m.child("input", &input)
        try m.child("output", &output)
    }

    /// One direction.
    public struct Side: XMLMappable {
        public var mixingEngine: YesNo?
        public var fixedSettings: YesNo?
        public var voices: UInt32?
        public var bufferLength: UInt32?
        public var dev: String?
        public var bufferCount: UInt32?
        public var serverName: String?
        public var clientName: String?
        public var connectPorts: String?
        public var exactName: YesNo?
        public var tryPoll: YesNo?
        public var name: String?
        public var streamName: String?
        public var latency: UInt32?
        public var settings: Settings?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("mixingEngine", &mixingEngine)
            try m.attribute("fixedSettings", &fixedSettings)
            try m.attribute("voices", &voices)
            try m.attribute("bufferLength", &bufferLength)
            try m.attribute("dev", &dev)
            try m.attribute("bufferCount", &bufferCount)
            try m.attribute("serverName", &serverName)
            try m.attribute("clientName", &clientName)
            try m.attribute("connectPorts", &connectPorts)
            try m.attribute("exactName", &exactName)
            try m.attribute("tryPoll", &tryPoll)
            try m.attribute("name", &name)
            try m.attribute("streamName", &streamName)
            try m.attribute("latency", &latency)
            try m.child("settings", &settings)
        }
    }

    public struct Settings: XMLMappable {
        public var frequency: UInt32?
        public var channels: UInt32?
        public var format: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("frequency", &frequency)
            try m.attribute("channels", &channels)
            try m.word("format", &format, "s8 u8 s16 u16 s32 u32 f32")
        }
    }
}
