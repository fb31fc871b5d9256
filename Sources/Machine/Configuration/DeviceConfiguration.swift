public import JSON

/// A device of `-device`.
public struct DeviceConfiguration: Equatable, Sendable {
    /// The device's model, with aliases resolved: `virtio-blk-pci`.
    public var driver: String
    /// Its name, nil for none.
    public var id: String?
    /// The bus it hangs on: `pci.0`, `virtio-serial0.0`. Nil is the first that fits.
    public var bus: String?
    /// Its properties, each of the type that the catalogue declares: flags as `.bool`, numbers and sizes as integers,
    /// all else as `.string`. Those that were not given are not here.
    public var properties = JSONObject()
    /// The option that made it, for messages.
    public var origin = ""

    /// A device of a model.
    public init(driver: String) { self.driver = driver }
}

/// A default of a property for all devices of a model (`-global`).
public struct GlobalProperty: Equatable, Sendable {
    /// The model.
    public var driver: String
    /// The property.
    public var property: String
    /// Its value as given.
    public var value: String

    /// A default of a property.
    public init(driver: String, property: String, value: String) {
        self.driver = driver
        self.property = property
        self.value = value
    }
}

/// An object of `-object` or `object-add`.
public struct ObjectConfiguration: Equatable, Sendable {
    /// Its type: `memory-backend-memfd`, `rng-random`, `iothread`, `secret`.
    public var type: String
    /// Its name.
    public var id: String
    /// Its properties, typed as the type's table declares.
    public var properties = JSONObject()

    /// An object of a type and a name.
    public init(type: String, id: String) {
        self.type = type
        self.id = id
    }
}

/// Devices that a board adds by itself, unless an option took their place or `-nodefaults` forbids them. Serial,
/// parallel, monitor and network defaults are already in the configuration's lists.
public struct DefaultDevices: Equatable, Sendable {
    /// An empty CD-ROM drive.
    public var cdrom = false
    /// An empty floppy drive.
    public var floppy = false

    /// None.
    public init() {}
}
