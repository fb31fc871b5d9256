/// `<input>`.
public struct Input: XMLMappable {
    public var type = "mouse"
    public var bus: String?
    public var model: String?
    public var driver: VirtioDriver?
    public var source: Source?
    public var info = DeviceInfo()
    public init() {}
    public init(_ type: String, bus: String) {
        self.type = type
        self.bus = bus
    }
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, let text = m.peek("type"),
            !XMLMapper.isOne(text, of: "mouse tablet keyboard passthrough evdev")
        {
            throw m.invalid("type", text, "")
        }
        try m.attribute("type", &type)
        try m.word("bus", &bus, "ps2 usb xen parallels virtio none")
        try m.word("model", &model, virtioModels)
        try m.child("driver", &driver)
        try m.child("source", &source)
        try m.info(&info)
    }

    public struct Source: XMLMappable {
        public var dev: String?
        public var evdev: String?
        public var grab: String?
        public var grabToggle: String?
        public var repeats: OnOff?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("evdev", &evdev)
            try m.attribute("dev", &dev)
            try m.word("grab", &grab, "all")
            try m.attribute("grabToggle", &grabToggle)
            try m.attribute("repeat", &repeats)
        }
    }
}
