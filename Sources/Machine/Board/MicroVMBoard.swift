internal import DeviceModel
internal import Devices
internal import Firmware

/// The `microvm` board: virtio-mmio slots, a serial port, and what of the old PC its properties keep.
enum MicroVMBoard {
    /// The first slot's registers; each has 512 bytes.
    static let firstSlot: UInt64 = 0xFEB0_0000
    /// Slots, whose interrupts are 16 to 23.
    static let slots = 8

    static func build(_ builder: BoardBuilder) throws(MachineBuildError) {
        let board = builder.configuration.board
        if board.pit.resolved(default: true) { _ = builder.addPIT() }
        if board.rtc.resolved(default: false) { _ = builder.addRTC() }
        if board.acpi.resolved(default: true) { builder.addPowerManagement() }
        builder.addResetControl()
        // The keyboard controller's reset is what kernels use where ACPI is off.
        if board.i8042 { builder.addKeyboardController() }
        if board.isaSerial { try builder.addSerialPorts() }
        try builder.addDebugPorts()
    }
}
