internal import DeviceModel

/// I/O ports for whoever debugs a guest. Devices have their own locks, so processors may go on meanwhile.
extension VirtualMachine {
    public func readPort(_ port: UInt16, size: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: board.buses.io.read(UInt64(port), size: size))
    }
    public func writePort(_ port: UInt16, size: Int, _ value: UInt32) {
        board.buses.io.write(UInt64(port), size: size, value: UInt64(value))
    }
}
