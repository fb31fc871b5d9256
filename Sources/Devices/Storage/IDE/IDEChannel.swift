internal import GuestMemory

/// What a channel asks of a drive's image.
package struct IDERequest: Equatable, Sendable {
    package enum Operation: UInt8, Sendable { case read, write, flush, discard }
    /// Which drive's image.
    package var drive: Int
    package var operation: Operation
    /// First byte.
    package var offset: UInt64 = 0
    /// Bytes.
    package var count = 0
    /// The request ends when what it wrote is durable.
    package var forceUnitAccess = false
    /// Which request it is: an answer to one that a reset has made void is not listened to.
    package var number: UInt32 = 0
}

/// An IDE channel with its one or two drives and its bus master, as a pure model: register accesses in; an interrupt
/// level and requests for images out. ATA/ATAPI-6.
///
/// One command runs at a time. While one does, registers do not listen, but for the device control register and
/// DEVICE RESET.
package struct IDEChannel {
    /// What a command in progress does with data.
    enum Activity: UInt8 {
        case none
        /// The buffer goes to the host word by word.
        case data
        case readSectors
        case writeSectors
        case readDMA
        case writeDMA
        /// Ranges come by DMA, then each is discarded.
        case trim
        case flush
        /// Twelve bytes of a PACKET command come.
        case packet
        /// The buffer, and then blocks of the medium, go to the host.
        case packetData
    }
    struct Transfer: Equatable {
        var activity = Activity.none
        var drive = 0
        /// The next sector (of `unit` bytes) to be asked for.
        var lba: UInt64 = 0
        /// Sectors that were not asked for.
        var remaining = 0
        var unit = 512
        /// Sectors between two interrupts.
        var block = 1
        var isExtended = false
        var isDMA = false
        var forceUnitAccess = false
        /// The most bytes that a PACKET command's host takes at once.
        var byteLimit = 0
        // The buffer: how far the host has got, where it gets its next interrupt, and how much there is.
        var position = 0
        var end = 0
        var filled = 0
    }

    let memory: AddressSpace
    /// Whether the function may use memory.
    package var isMaster = true
    var drives: [IDEDrive?]
    var selected = 0
    var control: UInt8 = 0
    var interrupt = false
    var busMaster = IDEBusMaster()
    var transfer = Transfer()
    var buffer: [UInt8] = []
    var request: IDERequest?
    var isAwaiting = false
    var number: UInt32 = 0

    /// The most bytes of one request.
    package static let mostBytes = 256 << 10

    init(_ drives: [IDEDrive?], memory: AddressSpace) {
        self.memory = memory
        self.drives = drives
        reset()
    }

    /// After power-on.
    package mutating func reset() {
        cancel()
        busMaster = IDEBusMaster()
        control = 0
        interrupt = false
        selected = 0
        for index in drives.indices { drives[index]?.reset(powerOn: true) }
    }

    /// The interrupt line.
    package var level: Bool { interrupt && control & ATAControl.noInterrupts == 0 }

    /// What the adapter is to do; once.
    package mutating func takeRequest() -> IDERequest? {
        guard let request else { return nil }
        self.request = nil
        isAwaiting = true
        return request
    }
    /// Whether there is something for the adapter to take.
    package var hasRequest: Bool { request != nil }
    /// Bytes to be written by the request just taken.
    package func copyData(to bytes: UnsafeMutableRawBufferPointer) {
        unsafe buffer.withUnsafeBytes { source in
            // SAFETY: no more bytes than either has.
            unsafe bytes.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[..<min(source.count, bytes.count)]))
        }
    }

    mutating func ask(
        _ operation: IDERequest.Operation, offset: UInt64 = 0, count: Int = 0, forceUnitAccess: Bool = false
    ) {
        number &+= 1
        request = IDERequest(
            drive: transfer.drive, operation: operation, offset: offset, count: count,
            forceUnitAccess: forceUnitAccess, number: number)
    }

    /// Ends a command without an answer.
    mutating func cancel() {
        transfer = Transfer()
        request = nil
        isAwaiting = false
        number &+= 1
        buffer.removeAll(keepingCapacity: true)
        busMaster.stop()
    }

    mutating func raise() {
        interrupt = true
        busMaster.status |= IDEBusMaster.Status.interrupt
    }

    // MARK: Registers

    /// A driver's read of the command block's register 1 to 7.
    package mutating func read(_ register: UInt64) -> UInt8 {
        guard let drive = drives[selected] else {
            // Of a drive that is not there nothing is heard.
            return 0
        }
        let task = drive.task
        let isHigh = control & ATAControl.highOrderByte != 0
        func byte(_ register: IDETaskFile.Register) -> UInt8 { isHigh ? register.previous : register.current }
        switch register {
        case 1: return isHigh ? task.feature.previous : task.error
        case 2: return byte(task.count)
        case 3: return byte(task.low)
        case 4: return byte(task.middle)
        case 5: return byte(task.high)
        case 6: return task.device | 0xA0
        case 7:
            interrupt = false
            return task.status
        default: return 0xFF
        }
    }

    /// The status without the acknowledgement that reading it is.
    package var alternateStatus: UInt8 { drives[selected]?.task.status ?? 0 }

    /// A driver's write of the command block's register 1 to 7. Both drives hear of it.
    package mutating func write(_ register: UInt64, _ value: UInt8) {
        let isOccupied = alternateStatus & (ATAStatus.busy | ATAStatus.dataRequest) != 0
        control &= ~ATAControl.highOrderByte
        if register == 7 {
            interrupt = false
            if !isOccupied || value == ATACommand.deviceReset { execute(value) }
            return
        }
        guard !isOccupied else { return }
        for index in drives.indices {
            switch register {
            case 1: drives[index]?.task.feature.write(value)
            case 2: drives[index]?.task.count.write(value)
            case 3: drives[index]?.task.low.write(value)
            case 4: drives[index]?.task.middle.write(value)
            case 5: drives[index]?.task.high.write(value)
            case 6: drives[index]?.task.device = value & 0x5F
            default: break
            }
        }
        if register == 6 { selected = Int(value >> 4 & 1) }
    }

    /// A driver's write of the device control register.
    package mutating func writeControl(_ value: UInt8) {
        let before = control
        control = value & (ATAControl.noInterrupts | ATAControl.softwareReset | ATAControl.highOrderByte)
        if value & ATAControl.softwareReset != 0 {
            guard before & ATAControl.softwareReset == 0 else { return }
            cancel()
            interrupt = false
            for index in drives.indices { drives[index]?.task.status = ATAStatus.busy | ATAStatus.seekComplete }
        } else if before & ATAControl.softwareReset != 0 {
            selected = 0
            for index in drives.indices { drives[index]?.reset(powerOn: false) }
        }
    }

    /// A driver's read of a bus master register, 0 to 7.
    package func readBusMaster(_ offset: UInt64) -> UInt8 { busMaster.read(offset) }
    /// A driver's write of a bus master register, 0 to 7.
    package mutating func writeBusMaster(_ offset: UInt64, _ value: UInt8) {
        if busMaster.write(offset, value) { continueDMA() }
    }
}
