/// A PCI host bridge as ACPI describes it: what it passes on and how its devices' interrupt pins are wired.
public struct PCIHost: Equatable, Sendable {
    /// One pin of one device of bus 0.
    public struct Route: Equatable, Sendable {
        /// The device's number, 0 to 31.
        public var device: UInt8
        /// 0 for INTA# to 3 for INTD#.
        public var pin: UInt8
        /// The index of a link, or a global system interrupt.
        public var target: UInt32

        /// A pin's wire.
        public init(device: UInt8, pin: UInt8, target: UInt32) {
            self.device = device
            self.pin = pin
            self.target = target
        }
    }

    /// What interrupt pins are wired to.
    public enum Routing: Equatable, Sendable {
        /// Links A to D that the guest can program: PIIX3's registers PIRQRC[A:D] at offset 0x60 of the ISA bridge.
        case links(irqs: [UInt32])
        /// Fixed interrupts, level-triggered and of PCI's polarity.
        case fixed
    }

    /// PCI Express: `PNP0A08` with `_OSC`.
    public var isExpress: Bool
    /// Its buses.
    public var buses: ClosedRange<UInt8> = 0...255
    /// The memory-mapped configuration space, 1 MiB a bus.
    public var ecam: UInt64?
    /// The I/O ports that devices may use.
    public var ioWindows: [ClosedRange<UInt16>] = [0...0x0CF7, 0x0D00...0xFFFF]
    /// Memory below 4 GiB that devices may use.
    public var memoryWindows: [ClosedRange<UInt32>]
    /// Memory above 4 GiB that devices may use.
    public var highWindow: ClosedRange<UInt64>?
    /// The kind of wires.
    public var routing: Routing
    /// The wires.
    public var routes: [Route]
    /// The ISA bridge's `_ADR` (device number in the upper half); the ISA devices lie behind it.
    public var isaBridge: UInt32?
    /// Slots whose devices come and go by ACPI.
    public var hotplug: PCIHotplug?

    /// A host bridge.
    public init(
        isExpress: Bool, memoryWindows: [ClosedRange<UInt32>], routing: Routing, routes: [Route], isaBridge: UInt32?
    ) {
        self.isExpress = isExpress
        self.memoryWindows = memoryWindows
        self.routing = routing
        self.routes = routes
        self.isaBridge = isaBridge
    }

    /// i440FX's wires: pin p of device d goes to link (d - 1 + p) mod 4.
    public static func i440FXRoutes(devices: ClosedRange<UInt8> = 1...31) -> [Route] {
        swizzled(devices) { device, pin in (device + 3 + pin) & 3 }
    }

    /// Fixed wires to four interrupts from `base`: pin p of device d goes to base + (d + p) mod 4.
    public static func fixedRoutes(base: UInt32, devices: ClosedRange<UInt8> = 0...31) -> [Route] {
        swizzled(devices) { device, pin in base + (device + pin) & 3 }
    }

    private static func swizzled(_ devices: ClosedRange<UInt8>, _ target: (UInt32, UInt32) -> UInt32) -> [Route] {
        devices.flatMap { device in
            (0..<4).map { pin in
                Route(device: device, pin: UInt8(pin), target: target(UInt32(device), UInt32(pin)))
            }
        }
    }
}
