package import DeviceModel

// The bus masters' registers, byte by byte. Intel 290658, 13.2.
extension AC97Model {
    private enum Global {
        static let control = 0x2C
        static let status = 0x30
        static let semaphore = 0x34
    }

    /// A byte of the bus masters' ports.
    package mutating func readMaster(_ offset: Int) -> UInt8 {
        let index = offset >> 4
        if index < Self.engineCount, offset & 15 < 12 {
            let engine = engines[index]
            switch offset & 15 {
            case 0...3: return UInt8(truncatingIfNeeded: engine.list >> UInt32((offset & 3) * 8))
            case 4: return engine.current
            case 5: return engine.last
            case 6: return engine.status
            case 8: return UInt8(truncatingIfNeeded: engine.left)
            case 9: return UInt8(truncatingIfNeeded: engine.left >> 8)
            case 10: return engine.prefetched
            case 11: return engine.control
            default: return 0
            }
        }
        let shift = UInt32(offset & 3) * 8
        switch offset & ~3 {
        case Global.control: return UInt8(truncatingIfNeeded: globalControl >> shift)
        // The codec is there.
        case Global.status: return UInt8(truncatingIfNeeded: (interruptBits | 1 << 8) >> shift)
        case Global.semaphore where offset == Global.semaphore:
            let was = semaphore
            semaphore = true
            return was ? 1 : 0
        default: return 0
        }
    }

    package mutating func writeMaster(_ offset: Int, _ value: UInt8, _ now: UInt64) {
        let index = offset >> 4
        if index < Self.engineCount, offset & 15 < 12 { return writeEngine(index, offset & 15, value, now) }
        switch offset & ~3 {
        case Global.control:
            let shift = UInt32(offset & 3) * 8
            globalControl = globalControl & ~(0xFF << shift) | UInt32(value) << shift
            // The warm reset is over at once; enables of secondary codecs mean nothing.
            globalControl &= 0x3B
        default: break
        }
    }

    private mutating func writeEngine(_ index: Int, _ register: Int, _ value: UInt8, _ now: UInt64) {
        switch register {
        case 0...3:
            let shift = UInt32(register) * 8
            engines[index].list = (engines[index].list & ~(0xFF << shift) | UInt32(value) << shift) & ~7
        case 5:
            engines[index].last = value & 31
            let isHalted = engines[index].status & Engine.Status.halted != 0
            if engines[index].control & Engine.Control.run != 0, isHalted {
                start(index, now, isNew: true)
            } else if engines[index].current != engines[index].last {
                engines[index].status &= ~Engine.Status.currentIsLast
            }
        case 6: engines[index].status &= ~(value & Engine.Status.clearable)
        case 11:
            if value & Engine.Control.reset != 0 {
                // It keeps the enables of interrupts.
                let kept = engines[index].control & 0x1C
                engines[index] = Engine()
                engines[index].control = kept
                return
            }
            let wasRunning = engines[index].control & Engine.Control.run != 0
            engines[index].control = value & Engine.Control.writable
            if value & Engine.Control.run == 0 {
                engines[index].status |= Engine.Status.halted
                engines[index].pace = nil
            } else if !wasRunning {
                start(index, now, isNew: false)
            }
        default: break
        }
    }

    // MARK: State

    /// The whole state but guest memory.
    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("mixer", mixer.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
        state.set("control", globalControl)
        state.set("semaphore", semaphore)
        state.set(
            "engines",
            engines.map { engine in
                var part = DeviceState(version: 1)
                part.set("list", engine.list)
                part.set("bytes", [engine.current, engine.last, engine.status, engine.prefetched, engine.control])
                part.set("left", engine.left)
                part.set("address", engine.address)
                part.set("flags", engine.flags)
                if let pace = engine.pace {
                    part.set("start", pace.start)
                    part.set("moved", pace.moved)
                }
                return part
            })
        return state
    }

    /// Takes a saved state.
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let words = try state.bytes("mixer", count: Self.mixerRegisters * 2)
        mixer = (0..<Self.mixerRegisters).map { UInt16(words[$0 * 2]) | UInt16(words[$0 * 2 + 1]) << 8 }
        for register in [Mixer.frontRate, 0x2E, 0x30, Mixer.inputRate, Mixer.microphoneRate] {
            mixer[register / 2] = min(max(mixer[register / 2], 4000), 48000)
        }
        globalControl = try state.integer("control")
        semaphore = try state.bool("semaphore")
        let parts = try state.list("engines", count: Self.engineCount)
        for (index, part) in parts.enumerated() {
            var engine = Engine()
            engine.list = try part.integer("list", as: UInt32.self) & ~7
            let bytes = try part.bytes("bytes", count: 5)
            (engine.current, engine.last, engine.status) = (bytes[0] & 31, bytes[1] & 31, bytes[2] & 31)
            (engine.prefetched, engine.control) = (bytes[3] & 31, bytes[4] & Engine.Control.writable)
            engine.left = try part.integer("left")
            engine.address = try part.integer("address")
            engine.flags = try part.integer("flags")
            if part.fields["start"] != nil {
                engine.pace = AudioPace(start: try part.integer("start"))
                engine.pace?.moved = try part.integer("moved")
            }
            engines[index] = engine
        }
    }
}
