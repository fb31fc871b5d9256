/// The structures by type, in DSP0134's order (section 7); comments there say what each field means.
extension SMBIOSTables {
    static func structures(_ machine: SMBIOSConfiguration, _ version: Version) -> [[UInt8]] {
        var list = [
            firmware(machine.firmware), system(machine), baseboard(machine.baseboard), chassis(machine.chassis),
        ]
        for socket in 0..<max(machine.sockets, 1) { list.append(processor(machine, socket, version)) }
        list += machine.connectors.enumerated().map { connector($0.element, $0.offset) }
        if !machine.oemStrings.isEmpty { list.append(oemStrings(machine.oemStrings)) }
        return list + memory(machine) + [bootInformation()]
            + machine.onboardDevices.enumerated().map { onboardDevice($0.element, $0.offset) }
    }

    private static let chassisHandle: UInt16 = 0x0300
    private static let arrayHandle: UInt16 = 0x1000

    private static func firmware(_ firmware: SMBIOSConfiguration.Firmware) -> [UInt8] {
        var entry = SMBIOSStructure(type: 0, handle: 0)
        entry.append(firmware.vendor)
        entry.append(firmware.version)
        entry.append(UInt16(0xE800))
        entry.append(firmware.date)
        entry.append(UInt8(0))
        // No characteristics; targeted content distribution, UEFI, virtual machine.
        entry.append(UInt64(1 << 3))
        entry.append([0, 0x14 | (firmware.isUEFI ? 8 : 0), firmware.release.major, firmware.release.minor, 0xFF, 0xFF])
        return entry.bytes
    }

    private static func system(_ machine: SMBIOSConfiguration) -> [UInt8] {
        var entry = SMBIOSStructure(type: 1, handle: 0x0100)
        entry.append(machine.system.manufacturer)
        entry.append(machine.system.product)
        entry.append(machine.system.version)
        entry.append(machine.system.serial)
        // The first three fields of a UUID are little-endian since 2.6.
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        entry.append(order.map { $0 < machine.uuid.count ? machine.uuid[$0] : 0 })
        let wokenByPowerSwitch: UInt8 = 6
        entry.append(wokenByPowerSwitch)
        entry.append(machine.system.sku)
        entry.append(machine.system.family)
        return entry.bytes
    }

    private static func baseboard(_ part: SMBIOSConfiguration.Part) -> [UInt8] {
        var entry = SMBIOSStructure(type: 2, handle: 0x0200)
        entry.append(part.manufacturer)
        entry.append(part.product)
        entry.append(part.version)
        entry.append(part.serial)
        entry.append(part.asset)
        let hostingBoard: UInt8 = 1
        entry.append(hostingBoard)
        entry.append(part.location)
        entry.append(chassisHandle)
        let motherboard: UInt8 = 10
        entry.append([motherboard, 0])
        return entry.bytes
    }

    private static func chassis(_ part: SMBIOSConfiguration.Part) -> [UInt8] {
        var entry = SMBIOSStructure(type: 3, handle: chassisHandle)
        entry.append(part.manufacturer)
        let other: UInt8 = 1
        entry.append(other)
        entry.append(part.version)
        entry.append(part.serial)
        entry.append(part.asset)
        // Boot-up, power supply and thermal state are safe, security unknown; no OEM data, height, cords or contents.
        entry.append([3, 3, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0])
        entry.append(part.sku)
        return entry.bytes
    }

    private static func processor(_ machine: SMBIOSConfiguration, _ socket: Int, _ version: Version) -> [UInt8] {
        var entry = SMBIOSStructure(type: 4, handle: 0x0400 &+ UInt16(truncatingIfNeeded: socket))
        let part = machine.processor
        let other: UInt8 = 1
        let centralProcessor: UInt8 = 3
        entry.append(machine.socketPrefix + String(socket))
        entry.append([centralProcessor, other])
        entry.append(part.manufacturer)
        entry.append(machine.processorID)
        entry.append(part.version)
        entry.append([0, 0, 0])
        entry.append(machine.maximumSpeed)
        entry.append(machine.currentSpeed)
        let populatedAndEnabled: UInt8 = 0x41
        entry.append([populatedAndEnabled, other])
        // No cache structures.
        entry.append([UInt8](repeating: 0xFF, count: 6))
        entry.append(part.serial)
        entry.append(part.asset)
        entry.append(part.part)
        entry.append(UInt8(clamping: machine.coresPerSocket))
        entry.append(UInt8(clamping: machine.coresPerSocket))
        entry.append(UInt8(clamping: machine.threadsPerSocket))
        let characteristicsUnknown: UInt16 = 2
        entry.append(characteristicsUnknown)
        entry.append(UInt16(other))
        if version == .v30 {
            entry.append(UInt16(clamping: machine.coresPerSocket))
            entry.append(UInt16(clamping: machine.coresPerSocket))
            entry.append(UInt16(clamping: machine.threadsPerSocket))
        }
        return entry.bytes
    }

    private static func oemStrings(_ texts: [String]) -> [UInt8] {
        var entry = SMBIOSStructure(type: 11, handle: 0x0E00)
        entry.append(UInt8(clamping: texts.count))
        entry.append(unnumbered: texts)
        return entry.bytes
    }

    /// The array (type 16), a module for each 16 GiB (17) and where they are mapped (19).
    private static func memory(_ machine: SMBIOSConfiguration) -> [[UInt8]] {
        let total = machine.memory.low + machine.memory.high
        let moduleSize: UInt64 = 16 << 30
        let modules = max(1, (total + moduleSize - 1) / moduleSize)
        var array = SMBIOSStructure(type: 16, handle: arrayHandle)
        let other: UInt8 = 1
        let systemMemory: UInt8 = 3
        let multipleBitECC: UInt8 = 6
        array.append([other, systemMemory, multipleBitECC])
        array.append(total >> 10 < 0x8000_0000 ? UInt32(total >> 10) : 0x8000_0000)
        array.append(UInt16(0xFFFE))
        array.append(UInt16(clamping: modules))
        array.append(total >> 10 < 0x8000_0000 ? 0 : total)
        var list = [array.bytes]
        var left = total
        for index in 0..<min(modules, 0x100) {
            let size = min(left, moduleSize)
            list.append(module(machine, Int(index), size: size))
            left -= size
        }
        let ranges: [(start: UInt64, count: UInt64)] = [
            (start: 0, count: machine.memory.low), (start: PCMemory.highStart, count: machine.memory.high),
        ]
        for (index, range) in ranges.enumerated() where range.count > 0 {
            var entry = SMBIOSStructure(type: 19, handle: 0x1300 + UInt16(index))
            let end = range.start + range.count - 1
            let fits = end >> 10 < 0xFFFF_FFFF
            entry.append(fits ? UInt32(range.start >> 10) : 0xFFFF_FFFF)
            entry.append(fits ? UInt32(end >> 10) : 0xFFFF_FFFF)
            entry.append(arrayHandle)
            entry.append(UInt8(1))
            entry.append(fits ? 0 : range.start)
            entry.append(fits ? 0 : end)
            list.append(entry.bytes)
        }
        return list
    }

    private static func module(_ machine: SMBIOSConfiguration, _ index: Int, size: UInt64) -> [UInt8] {
        var entry = SMBIOSStructure(type: 17, handle: 0x1100 + UInt16(index))
        let mebibytes = size >> 20
        entry.append(arrayHandle)
        entry.append(UInt16(0xFFFE))
        entry.append([0xFF, 0xFF, 0xFF, 0xFF])
        entry.append(mebibytes < 0x7FFF ? UInt16(mebibytes) : 0x7FFF)
        let dimm: UInt8 = 9
        entry.append([dimm, 0])
        entry.append(machine.modulePrefix + String(index))
        entry.append(machine.bank)
        let ram: UInt8 = 7
        entry.append(ram)
        let otherDetail: UInt16 = 2
        entry.append(otherDetail)
        entry.append(machine.memorySpeed)
        let part = machine.memoryModule
        entry.append(part.manufacturer)
        entry.append(part.serial)
        entry.append(part.asset)
        entry.append(part.part)
        entry.append(UInt8(0))
        entry.append(mebibytes < 0x7FFF ? 0 : UInt32(mebibytes))
        entry.append(machine.memorySpeed)
        entry.append([0, 0, 0, 0, 0, 0])
        return entry.bytes
    }

    private static func bootInformation() -> [UInt8] {
        var entry = SMBIOSStructure(type: 32, handle: 0x2000)
        entry.append([0, 0, 0, 0, 0, 0, 0])
        return entry.bytes
    }
}
