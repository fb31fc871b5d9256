internal import Machine

/// The texts of `info mtree`, `info pci`, `info qtree` and `info block`.
enum DeviceText {
    static func addressSpace(_ space: AddressSpaceStatus) -> String {
        var text = "address-space: \(space.name)\n"
        text += "  " + hex(0, 16) + "-" + hex(space.last, 16) + " (prio 0, i/o): \(space.root)\n"
        for range in space.ranges {
            text += "    " + hex(range.start, 16) + "-" + hex(range.last, 16)
            text += " (prio \(range.priority), \(range.kind)): \(range.name)\n"
        }
        return text
    }

    static func flatView(_ space: AddressSpaceStatus, _ number: Int) -> String {
        var text = "FlatView #\(number)\n AS \"\(space.name)\", root: \(space.root)\n"
        text += " Root memory region: \(space.root)\n"
        for range in space.ranges {
            text += "  " + hex(range.start, 16) + "-" + hex(range.last, 16)
            text += " (prio \(range.priority), \(range.kind)): \(range.name)\n"
        }
        return text
    }

    static func pciFunction(_ function: PCIFunctionStatus) -> String {
        var text =
            "  Bus \(right("\(function.bus)", 2)), device \(right("\(function.slot)", 3)), function \(function.function):\n"
        text += "    \(PCIClass.name(function.classCode)): PCI device "
        text += hex(UInt64(function.vendor), 4) + ":" + hex(UInt64(function.device), 4) + "\n"
        if function.subsystemVendor != 0 || function.subsystem != 0 {
            text += "      PCI subsystem " + hex(UInt64(function.subsystemVendor), 4) + ":"
            text += hex(UInt64(function.subsystem), 4) + "\n"
        }
        if (1...4).contains(function.interruptPin) {
            text += "      IRQ \(function.interruptLine), pin \(["A", "B", "C", "D"][function.interruptPin - 1])\n"
        }
        for region in function.regions {
            let start = region.address ?? .max
            let last = region.address.map { $0 &+ region.size &- 1 } ?? region.size &- 2
            text += "      BAR\(region.bar): "
            if region.isIO {
                text += "I/O at 0x" + hex(start, 4) + " [0x" + hex(last, 4) + "].\n"
            } else {
                text += "\(region.is64Bit ? 64 : 32) bit\(region.isPrefetchable ? " prefetchable" : "") memory at 0x"
                text += hex(start, 8) + " [0x" + hex(last, 8) + "].\n"
            }
        }
        return text + "      id \"\(function.id)\"\n"
    }

    static func bus(_ bus: DeviceNode.Bus, indent: Int) -> String {
        guard indent < 64 else { return "" }
        let space = String(repeating: " ", count: indent)
        var text = "\(space)bus: \(bus.name)\n\(space)  type \(bus.type)\n"
        for device in bus.devices {
            text += "\(space)  dev: \(device.model), id \"\(device.id)\"\n"
            let description = DeviceCatalogue.listed(device.model)
            for property in device.properties {
                let value = self.value(property.value, description?.property(property.name)?.kind)
                if let value { text += "\(space)    \(property.name) = \(value)\n" }
            }
            for line in device.details { text += "\(space)    \(line)\n" }
            for inner in device.buses { text += self.bus(inner, indent: indent + 4) }
        }
        return text
    }

    /// A property's value as the tree shows it, which leaves out links: numbers in hexadecimal too, sizes with units.
    private static func value(_ text: String, _ kind: DeviceProperty.Kind?) -> String? {
        switch kind {
        case .object: return nil
        case .pciAddress: return Int(text).map(place) ?? text
        case .unsigned, .int32:
            guard let number = Int64(text) else { return text }
            return "\(number) (0x\(String(UInt64(bitPattern: number), radix: 16)))"
        case .size: return UInt64(text).map { "\($0) (\(SizeText.binary($0)))" } ?? text
        default: return text
        }
    }

    /// Slot and function: `05.0`.
    static func place(_ number: Int) -> String { hex(UInt64(number >> 3), 2) + ".\(number & 7)" }

    /// The devices of all USB buses.
    static func usb(_ root: DeviceNode.Bus) -> String {
        let buses = usbBuses(root, depth: 0)
        guard !buses.isEmpty else { return "USB support not enabled\n" }
        return buses.flatMap(\.devices).map { device in
            // Address, port and speed are one line of the tree's details.
            let parts = (device.details.first ?? "").split(separator: ",").map { part in
                part.split(separator: " ").last.map(String.init) ?? ""
            }
            guard parts.count >= 4 else { return "" }
            return "  Device \(parts[0]), Port \(parts[1]), Speed \(parts[2]) Mb/s, Product \(parts[3])"
                + (device.id.isEmpty ? "\n" : ", ID: \(device.id)\n")
        }.joined()
    }
    private static func usbBuses(_ bus: DeviceNode.Bus, depth: Int) -> [DeviceNode.Bus] {
        guard depth < 32 else { return [] }
        return (bus.type == "usb-bus" ? [bus] : [])
            + bus.devices.flatMap { $0.buses.flatMap { usbBuses($0, depth: depth + 1) } }
    }

    static func block(_ device: BlockDeviceStatus, isVerbose: Bool) -> String {
        var text = device.device.isEmpty ? device.image?.nodeName ?? "" : device.device
        guard let image = device.image else {
            return text + ": [not inserted]\n" + place(device)
        }
        if !device.device.isEmpty { text += " (\(image.nodeName))" }
        text += ": \(printable(image.file)) (\(image.format)\(image.isReadOnly ? ", read-only" : ""))\n" + place(device)
        var words: [String] = [image.cache.isWriteBack ? "writeback" : "writethrough"]
        if image.cache.isDirect { words.append("direct") }
        if image.cache.ignoresFlush { words.append("ignore flushes") }
        text += "    Cache mode:       \(words.joined(separator: ", "))\n"
        if let health = device.health, health != .ok {
            text += "    I/O status:       \(health.rawValue)\n"
        }
        if let backing = image.backingFile {
            text += "    Backing file:     \(printable(backing)) (chain depth: \(image.backingDepth))\n"
        }
        if image.detectZeroes != .off { text += "    Detect zeroes:    \(image.detectZeroes.rawValue)\n" }
        guard isVerbose else { return text }
        text += "\nImages:\nimage: \(printable(image.file))\nfile format: \(image.format)\n"
        text += "virtual size: \(image.virtualSize) bytes\n"
        if let size = image.actualSize { text += "disk size: \(size) bytes\n" }
        return text
    }

    private static func place(_ device: BlockDeviceStatus) -> String {
        var text = ""
        if let path = device.devicePath { text += "    Attached to:      \(path)\n" }
        if device.isRemovable {
            let tray = device.isTrayOpen.map { ", tray \($0 ? "open" : "closed")" } ?? ", tray closed"
            text += "    Removable device: \(device.isLocked ? "" : "not ")locked\(tray)\n"
        }
        return text
    }
}

/// Sizes for people.
enum SizeText {
    /// With three digits and a unit of powers of 1024: `512 B`, `2 GiB`, `1.5 MiB`.
    static func binary(_ size: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var place = 0
        var scaled = Double(size)
        // As QEMU does, 1000 of a unit are written in the next.
        while scaled >= 1000, place < units.count - 1 {
            scaled /= 1024
            place += 1
        }
        let digits = scaled >= 100 ? 1.0 : scaled >= 10 ? 10.0 : 100.0
        let rounded = (scaled * digits).rounded() / digits
        let text = rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
        return "\(text) \(units[place])"
    }
}

/// The texts of `info mem` and `info tlb`.
enum PageText {
    private static let user: UInt64 = 1 << 2
    private static let writable: UInt64 = 1 << 1

    /// Runs of pages of the same rights: first address, end, size.
    static func ranges(_ pages: [PageMapping]?) throws(MonitorError) -> String {
        guard let pages else { return "PG disabled\n" }
        var text = ""
        var start: UInt64 = 0
        var end: UInt64?
        var rights: UInt64 = 0
        func line() -> String {
            guard let end else { return "" }
            return hex(start, 16) + "-" + hex(end, 16) + " " + hex(end &- start, 16) + " "
                + (rights & user != 0 ? "u" : "-") + "r" + (rights & writable != 0 ? "w" : "-") + "\n"
        }
        for page in pages {
            let these = page.flags & (user | writable)
            if end != page.linear || rights != these {
                text += line()
                start = page.linear
                rights = these
            }
            end = page.linear &+ page.size
        }
        return text + line()
    }

    /// Every page: linear address, physical address, flags.
    static func pages(_ pages: [PageMapping]?) throws(MonitorError) -> String {
        guard let pages else { return "PG disabled\n" }
        let letters: [(UInt64, String)] = [
            (63, "X"), (8, "G"), (7, "P"), (6, "D"), (5, "A"), (4, "C"), (3, "T"), (2, "U"), (1, "W"),
        ]
        return pages.map { page in
            let flags = letters.map { page.flags >> $0.0 & 1 != 0 ? $0.1 : "-" }.joined()
            return hex(page.linear, 16) + ": " + hex(page.physical, 16) + " " + flags + "\n"
        }.joined()
    }
}
