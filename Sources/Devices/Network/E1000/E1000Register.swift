/// Offsets of the registers in the memory window. Intel 8254x Software Developer's Manual (SDM), chapter 13.
enum E1000Register {
    static let control: UInt32 = 0x0000
    static let status: UInt32 = 0x0008
    static let eepromControl: UInt32 = 0x0010
    static let eepromRead: UInt32 = 0x0014
    static let extendedControl: UInt32 = 0x0018
    static let mdiControl: UInt32 = 0x0020
    static let vlanEtherType: UInt32 = 0x0038
    static let interruptCause: UInt32 = 0x00C0
    static let interruptThrottling: UInt32 = 0x00C4
    static let interruptCauseSet: UInt32 = 0x00C8
    static let interruptMaskSet: UInt32 = 0x00D0
    static let interruptMaskClear: UInt32 = 0x00D8
    static let receiveControl: UInt32 = 0x0100
    static let transmitControl: UInt32 = 0x0400
    static let ledControl: UInt32 = 0x0E00
    static let packetBuffer: UInt32 = 0x1000
    static let receiveBaseLow: UInt32 = 0x2800
    static let receiveBaseHigh: UInt32 = 0x2804
    static let receiveLength: UInt32 = 0x2808
    static let receiveHead: UInt32 = 0x2810
    static let receiveTail: UInt32 = 0x2818
    static let receiveDelay: UInt32 = 0x2820
    static let receiveAbsoluteDelay: UInt32 = 0x282C
    static let transmitBaseLow: UInt32 = 0x3800
    static let transmitBaseHigh: UInt32 = 0x3804
    static let transmitLength: UInt32 = 0x3808
    static let transmitHead: UInt32 = 0x3810
    static let transmitTail: UInt32 = 0x3818
    static let transmitDelay: UInt32 = 0x3820
    static let transmitAbsoluteDelay: UInt32 = 0x382C
    static let multicastTable: UInt32 = 0x5200
    static let receiveAddress: UInt32 = 0x5400
    static let vlanTable: UInt32 = 0x5600
    static let managementControl: UInt32 = 0x5820

    /// The bits of a register that keep what a driver writes; 0 for those that have a meaning of their own or none.
    static func writable(_ offset: UInt32) -> UInt32 {
        switch offset {
        case 0x0018: 0x00FF_FFFF
        // Flow control, VLAN type, transmit configuration words, gaps between frames, LEDs, packet buffer.
        case 0x0028, 0x002C, 0x0030, 0x0038, 0x0170, 0x0178, 0x0410, 0x0458, 0x0E00, 0x1000, 0x2160, 0x2168:
            UInt32.max
        case interruptThrottling: 0xFFFF
        case receiveControl: 0x07FF_FFFF
        case transmitControl: 0x07FF_FFFF
        case receiveBaseLow, transmitBaseLow: 0xFFFF_FFF0
        case receiveBaseHigh, transmitBaseHigh: UInt32.max
        case receiveLength, transmitLength: 0x000F_FF80
        case receiveHead, receiveTail, transmitHead, transmitTail: 0xFFFF
        case receiveDelay, receiveAbsoluteDelay, transmitDelay, transmitAbsoluteDelay: 0xFFFF
        // Descriptor control, small packets, segmentation thresholds.
        case 0x2828, 0x2C00, 0x3828, 0x3830: UInt32.max
        // The FIFOs' pointers, which diagnostics write and read back.
        case 0x2410, 0x2418, 0x2420, 0x2428, 0x2430, 0x3410, 0x3418, 0x3420, 0x3428, 0x3430: 0x1FFF
        case 0x5000: 0x07FF
        case 0x5200..<0x5400, 0x5600..<0x5800: UInt32.max
        case 0x5400..<0x5480: offset & 4 == 0 ? UInt32.max : 0x8003_FFFF
        // Wake-up and management, which nothing here acts on.
        case 0x5800, 0x5808, 0x5810, 0x5820, 0x5838, 0x5840...0x585C, 0x5880...0x588C: UInt32.max
        default: 0
        }
    }
}

/// Bits of the device control register. SDM 13.4.1.
enum E1000Control {
    static let fullDuplex: UInt32 = 1 << 0
    static let setLinkUp: UInt32 = 1 << 6
    static let speed1000: UInt32 = 1 << 9
    static let reset: UInt32 = 1 << 26
    static let vlanMode: UInt32 = 1 << 30
    static let phyReset: UInt32 = 1 << 31
}

/// Bits of the device status register. SDM 13.4.2.
enum E1000Status {
    static let fullDuplex: UInt32 = 1 << 0
    static let linkUp: UInt32 = 1 << 1
    static let speed1000: UInt32 = 1 << 7
    static let detectedSpeed1000: UInt32 = 1 << 9
    static let clockOK: UInt32 = 1 << 10
}

/// Causes of interrupts: bits of ICR, ICS, IMS and IMC. SDM 13.4.17.
enum E1000Cause {
    static let transmitWritten: UInt32 = 1 << 0
    static let transmitQueueEmpty: UInt32 = 1 << 1
    static let linkChange: UInt32 = 1 << 2
    static let receiveThreshold: UInt32 = 1 << 4
    static let receiveOverrun: UInt32 = 1 << 6
    static let receiveTimer: UInt32 = 1 << 7
    static let mdioDone: UInt32 = 1 << 9
    static let all: UInt32 = 0x0001_FFDF
}

/// Bits of the receive control register. SDM 13.4.22.
enum E1000ReceiveControl {
    static let enable: UInt32 = 1 << 1
    static let unicastPromiscuous: UInt32 = 1 << 3
    static let multicastPromiscuous: UInt32 = 1 << 4
    static let longPackets: UInt32 = 1 << 5
    static let loopback: UInt32 = 3 << 6
    static let acceptBroadcast: UInt32 = 1 << 15
    static let vlanFilter: UInt32 = 1 << 18
    static let sizeExtension: UInt32 = 1 << 25
    static let stripCRC: UInt32 = 1 << 26
}

/// Bits of the transmit control register. SDM 13.4.33.
enum E1000TransmitControl {
    static let enable: UInt32 = 1 << 1
    static let padShort: UInt32 = 1 << 3
}
