/// `<video>`.
public struct Video: XMLMappable {
    public var driver: Driver?
    public var model = Model()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.child("driver", &driver)
        try m.child("model", &model)
        try m.info(&info)
    }

    public struct Driver: XMLMappable {
        public var name: String?
        public var vgaConf: String?
        public var virtio = VirtioOptions()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("name", &name, "default qemu vhostuser")
            try m.word("vgaconf", &vgaConf, "io on off")
            try virtio.map(&m)
        }
    }

    /// `<model>`; sizes in KiB.
    public struct Model: XMLMappable {
        public var type: String?
        public var ram: UInt32?
        public var vram: UInt32?
        public var vram64: UInt32?
        public var vgamem: UInt32?
        public var heads: UInt32?
        public var blob: OnOff?
        public var primary: YesNo?
        public var acceleration: Acceleration?
        public var resolution: Resolution?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "default vga cirrus vmvga xen vbox qxl parallels virtio gop none bochs ramfb")
            try m.attribute("ram", &ram)
            try m.attribute("vram", &vram)
            try m.attribute("vram64", &vram64)
            try m.attribute("vgamem", &vgamem)
            try m.attribute("heads", &heads)
            if m.isReading || primary == .yes { try m.attribute("primary", &primary) }
            try m.attribute("blob", &blob)
            try m.child("acceleration", &acceleration)
            try m.child("resolution", &resolution)
        }
    }

    public struct Acceleration: XMLMappable {
        public var accel3D: YesNo?
        public var accel2D: YesNo?
        public var renderNode: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("accel3d", &accel3D)
            try m.attribute("accel2d", &accel2D)
            try m.attribute("rendernode", &renderNode)
        }
    }

    public struct Resolution: XMLMappable {
        public var x: UInt32 = 0
        public var y: UInt32 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("x", &x)
            try m.attribute("y", &y)
        }
    }
}
