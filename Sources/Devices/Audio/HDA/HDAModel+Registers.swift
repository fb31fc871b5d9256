// The registers, byte by byte where they are narrower than a dword. 3.3.
extension HDAModel {
    private static let allStreams: UInt32 = 0xFF

    /// A register of 32 bits at a multiple of 4.
    package func read(_ offset: UInt32, _ now: UInt64) -> UInt32 {
        switch offset {
        // Four streams each way, 64-bit addresses; version 1.0.
        case 0x00: return 0x4401 | 0x0100_0000
        // Words a frame, out and in.
        case 0x04: return 0x003C | 0x001D << 16
        case 0x08: return control
        case 0x0C: return UInt32(wakeEnable) | UInt32(wakeStatus) << 16
        case 0x10: return UInt32(flushStatus)
        case 0x20: return interruptControl
        case 0x24:
            let bits = sources
            return bits | (bits & interruptControl & 0x7FFF_FFFF != 0 ? 1 << 31 : 0)
        case 0x30, 0x2030: return UInt32(truncatingIfNeeded: Ticks.at(now, hertz: 24_000_000))
        case 0x34, 0x38: return synchronization
        case 0x40: return UInt32(truncatingIfNeeded: commandBase)
        case 0x44: return UInt32(truncatingIfNeeded: commandBase >> 32)
        case 0x48: return UInt32(commandWrite) | UInt32(commandRead) << 16
        // Rings have 256 entries.
        case 0x4C: return UInt32(commandControl) | 0x42 << 16
        case 0x50: return UInt32(truncatingIfNeeded: responseBase)
        case 0x54: return UInt32(truncatingIfNeeded: responseBase >> 32)
        case 0x58: return UInt32(responseWrite) | UInt32(responseCount) << 16
        case 0x5C: return UInt32(responseControl) | UInt32(responseStatus) << 8 | 0x42 << 16
        case 0x60: return immediate
        case 0x64: return immediateResponse
        case 0x68: return UInt32(immediateStatus)
        case 0x70: return UInt32(truncatingIfNeeded: positionBase)
        case 0x74: return UInt32(truncatingIfNeeded: positionBase >> 32)
        default: return readStream(offset)
        }
    }

    private func readStream(_ offset: UInt32) -> UInt32 {
        let isAlias = offset >= Register.aliases
        let place = isAlias ? offset - Register.aliases : offset
        guard place >= Register.streams else { return 0 }
        let index = Int((place - Register.streams) / 32)
        guard index < Self.streamCount else { return 0 }
        let stream = streams[index]
        switch place & 31 {
        case 0x00: return isAlias ? 0 : stream.control | UInt32(stream.status) << 24
        case 0x04: return stream.position
        case 0x08: return stream.length
        case 0x0C: return UInt32(stream.lastIndex)
        // 192 bytes of buffer.
        case 0x10: return 0xBF | UInt32(stream.format) << 16
        case 0x18: return UInt32(truncatingIfNeeded: stream.list)
        case 0x1C: return UInt32(truncatingIfNeeded: stream.list >> 32)
        default: return 0
        }
    }

    /// Writes the bytes of a dword that `mask` has.
    package mutating func write(_ offset: UInt32, _ value: UInt32, mask: UInt32, _ now: UInt64) {
        /// The register with the written bytes in it.
        func merged(_ old: UInt32) -> UInt32 { old & ~mask | value & mask }
        func low(_ old: UInt64) -> UInt64 { old & ~0xFFFF_FFFF | UInt64(merged(UInt32(truncatingIfNeeded: old))) }
        func high(_ old: UInt64) -> UInt64 {
            old & 0xFFFF_FFFF | UInt64(merged(UInt32(truncatingIfNeeded: old >> 32))) << 32
        }
        switch offset {
        case 0x08: setControl(merged(control))
        case 0x0C:
            wakeEnable = UInt16(truncatingIfNeeded: merged(UInt32(wakeEnable))) & 0x7FFF
            wakeStatus &= ~UInt16(truncatingIfNeeded: (value & mask) >> 16)
        case 0x10: flushStatus &= ~UInt16(truncatingIfNeeded: value & mask)
        case 0x20: interruptControl = merged(interruptControl) & (0xC000_0000 | Self.allStreams)
        case 0x34, 0x38: synchronization = merged(synchronization) & Self.allStreams
        case 0x40: commandBase = low(commandBase) & ~0x7F
        case 0x44: commandBase = high(commandBase)
        case 0x48: writePointers(merged(UInt32(commandWrite)), mask)
        case 0x4C:
            commandControl = UInt8(truncatingIfNeeded: merged(UInt32(commandControl))) & 3
            runCommands()
        case 0x50: responseBase = low(responseBase) & ~0x7F
        case 0x54: responseBase = high(responseBase)
        case 0x58:
            if mask & 0x8000 != 0, value & 0x8000 != 0 { responseWrite = 0 }
            responseCount = UInt16(truncatingIfNeeded: merged(UInt32(responseCount) << 16) >> 16) & 0xFF
        case 0x5C:
            responseControl = UInt8(truncatingIfNeeded: merged(UInt32(responseControl))) & 7
            responseStatus &= ~UInt8(truncatingIfNeeded: (value & mask) >> 8)
            runCommands()
        case 0x60: immediate = merged(immediate)
        case 0x68: writeImmediate(UInt16(truncatingIfNeeded: value & mask))
        case 0x70: positionBase = low(positionBase) & ~0x7E
        case 0x74: positionBase = high(positionBase)
        default: writeStream(offset, value, mask, now)
        }
    }

    private mutating func setControl(_ value: UInt32) {
        if value & 1 == 0 {
            restart()
        } else if control & 1 == 0 {
            // Codecs tell that they are there.
            wakeStatus |= codecs.keys.reduce(0) { $0 | 1 << UInt16($1) }
        }
        if value & 2 != 0 { flushStatus |= 2 }
        control = value & 0x101
    }

    private mutating func writePointers(_ value: UInt32, _ mask: UInt32) {
        commandWrite = UInt16(truncatingIfNeeded: value) & 0xFF
        if mask & 0x8000_0000 != 0 {
            // The reset bit is seen set until it is written as clear. 3.3.21.
            commandRead = value & 0x8000_0000 != 0 ? 0x8000 : 0
        }
        if commandRead & 0x8000 == 0 { runCommands() }
    }

    /// A command without the rings. 3.4.
    private mutating func writeImmediate(_ value: UInt16) {
        immediateStatus &= ~(value & 2)
        guard value & 1 != 0, control & 1 != 0 else { return }
        immediateResponse = codecs[Int(immediate >> 28)]?.command(immediate & 0x0FFF_FFFF) ?? UInt32.max
        immediateStatus = 2 | UInt16(truncatingIfNeeded: immediate >> 28) << 4
    }

    private mutating func writeStream(_ offset: UInt32, _ value: UInt32, _ mask: UInt32, _ now: UInt64) {
        guard offset >= Register.streams, offset < Register.aliases else { return }
        let index = Int((offset - Register.streams) / 32)
        guard index < Self.streamCount, control & 1 != 0 else { return }
        var stream = streams[index]
        func merged(_ old: UInt32) -> UInt32 { old & ~mask | value & mask }
        switch offset & 31 {
        case 0x00:
            stream.status &= ~(UInt8(truncatingIfNeeded: (value & mask) >> 24) & HDAStream.Status.clearable)
            let new = merged(stream.control) & HDAStream.Control.writable
            if new & HDAStream.Control.reset != 0 {
                stream = HDAStream()
                stream.control = HDAStream.Control.reset
            } else {
                let wasRunning = stream.isRunning
                stream.control = new
                if stream.isRunning {
                    stream.status |= HDAStream.Status.ready
                    if !wasRunning { stream.pace = AudioPace(start: now) }
                } else {
                    stream.status &= ~HDAStream.Status.ready
                    stream.pace = nil
                }
            }
        case 0x08: if !stream.isRunning { stream.length = merged(stream.length) }
        case 0x0C: stream.lastIndex = UInt8(truncatingIfNeeded: merged(UInt32(stream.lastIndex)))
        case 0x10:
            if !stream.isRunning {
                stream.format = UInt16(truncatingIfNeeded: merged(UInt32(stream.format) << 16) >> 16) & 0x7F7F
            }
        case 0x18:
            stream.list = stream.list & ~0xFFFF_FFFF | UInt64(merged(UInt32(truncatingIfNeeded: stream.list)) & ~0x7F)
        case 0x1C:
            stream.list =
                stream.list & 0xFFFF_FFFF | UInt64(merged(UInt32(truncatingIfNeeded: stream.list >> 32))) << 32
        default: return
        }
        streams[index] = stream
    }
}
