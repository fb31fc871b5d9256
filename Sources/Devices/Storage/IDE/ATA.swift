/// Bits of the status register. ATA/ATAPI-6, 7.15.
enum ATAStatus {
    static let error: UInt8 = 1 << 0
    static let dataRequest: UInt8 = 1 << 3
    static let seekComplete: UInt8 = 1 << 4
    static let ready: UInt8 = 1 << 6
    static let busy: UInt8 = 1 << 7
    static let idle = ready | seekComplete
}

/// Bits of the error register. ATA/ATAPI-6, 7.9.
enum ATAError {
    static let aborted: UInt8 = 1 << 2
    static let noSector: UInt8 = 1 << 4
    static let uncorrectable: UInt8 = 1 << 6
    /// What a drive that passed its diagnostic says after a reset: no error bit at all, but a code (9.12).
    static let diagnosticPassed: UInt8 = 1
}

/// Bits of the device control register. ATA/ATAPI-6, 7.8.
enum ATAControl {
    static let noInterrupts: UInt8 = 1 << 1
    static let softwareReset: UInt8 = 1 << 2
    static let highOrderByte: UInt8 = 1 << 7
}

/// The interrupt reason, which PACKET commands have in place of the sector count. ATA/ATAPI-6, 8.24.
enum ATAReason {
    static let command: UInt8 = 1 << 0
    static let toHost: UInt8 = 1 << 1
    static let done = command | toHost
}

/// Command codes. ATA/ATAPI-6, chapter 8; those of older standards from ATA-1 to ATA-3.
enum ATACommand {
    static let nop: UInt8 = 0x00
    static let dataSetManagement: UInt8 = 0x06
    static let deviceReset: UInt8 = 0x08
    static let readSectors: UInt8 = 0x20
    static let readSectorsOnce: UInt8 = 0x21
    static let readSectorsExt: UInt8 = 0x24
    static let readDMAExt: UInt8 = 0x25
    static let readNativeMaxExt: UInt8 = 0x27
    static let readMultipleExt: UInt8 = 0x29
    static let writeSectors: UInt8 = 0x30
    static let writeSectorsOnce: UInt8 = 0x31
    static let writeSectorsExt: UInt8 = 0x34
    static let writeDMAExt: UInt8 = 0x35
    static let writeMultipleExt: UInt8 = 0x39
    static let writeVerify: UInt8 = 0x3C
    static let writeDMAForceExt: UInt8 = 0x3D
    static let verify: UInt8 = 0x40
    static let verifyOnce: UInt8 = 0x41
    static let verifyExt: UInt8 = 0x42
    static let executeDiagnostic: UInt8 = 0x90
    static let initializeParameters: UInt8 = 0x91
    static let packet: UInt8 = 0xA0
    static let identifyPacketDevice: UInt8 = 0xA1
    static let smart: UInt8 = 0xB0
    static let readMultiple: UInt8 = 0xC4
    static let writeMultiple: UInt8 = 0xC5
    static let setMultiple: UInt8 = 0xC6
    static let readDMA: UInt8 = 0xC8
    static let readDMAOnce: UInt8 = 0xC9
    static let writeDMA: UInt8 = 0xCA
    static let writeDMAOnce: UInt8 = 0xCB
    static let writeMultipleForceExt: UInt8 = 0xCE
    static let standbyNow: UInt8 = 0xE0
    static let idleNow: UInt8 = 0xE1
    static let standby: UInt8 = 0xE2
    static let idle: UInt8 = 0xE3
    static let checkPower: UInt8 = 0xE5
    static let sleep: UInt8 = 0xE6
    static let flush: UInt8 = 0xE7
    static let flushExt: UInt8 = 0xEA
    static let identify: UInt8 = 0xEC
    static let setFeatures: UInt8 = 0xEF
    static let readNativeMax: UInt8 = 0xF8
}

/// The registers of one drive, each with its content before the last write, which is the high half of 48-bit
/// commands. ATA/ATAPI-6, 6.20.
struct IDETaskFile: Equatable {
    /// A register and what was in it before.
    struct Register: Equatable {
        var current: UInt8 = 0
        var previous: UInt8 = 0
        mutating func write(_ value: UInt8) {
            previous = current
            current = value
        }
    }
    var feature = Register()
    var count = Register()
    var low = Register()
    var middle = Register()
    var high = Register()
    var device: UInt8 = 0
    var status: UInt8 = 0
    var error: UInt8 = 0
}
