public import DeviceModel
internal import Synchronization

/// The PC's real-time clock and CMOS memory at ports 70 and 71 (and 72, 73 for the upper 128 bytes), with IRQ 8.
public final class RealTimeClock: BusDevice, Device {
    private struct State: Sendable {
        var rtc: RTC146818
        var level = false
        var drivesLine = true
    }
    public let stateName: String
    private let clock: any VirtualClock
    private let line: InterruptLine
    private let state: Mutex<State>
    private let timer = LateTimer()
    private let onAlarm = Mutex<(@Sendable () -> Void)?>(nil)
    private let onSetting = Mutex<(@Sendable (Int64) -> Void)?>(nil)
    /// What the clock was ahead of the wall clock when it was made, in seconds.
    private let baseOffset: Int64

    /// A clock that shows `base`; for `.localtime`, `localOffset` is how many seconds the host's local time is ahead
    /// of UTC.
    public init(
        name: String = "mc146818rtc", clock: any VirtualClock, line: InterruptLine, base: RTCBase = .utc,
        localOffset: Int64 = 0
    ) {
        stateName = name
        self.clock = clock
        self.line = line
        let moment = RTC146818.Moment(now: clock.now, wall: clock.wallClock)
        let offset = base.offset(wallClock: moment.wall, localOffset: localOffset)
        baseOffset = offset
        state = Mutex(State(rtc: RTC146818(offset: offset, at: moment)))
        timer.make(clock) { [weak self] in self?.timerFired() }
    }

    /// Puts the registers on a bus of I/O ports.
    public func attach(to bus: Bus) {
        bus.add(PortWindow(self, base: 0x70), start: 0x70, count: 4, name: "rtc")
    }

    private var moment: RTC146818.Moment { RTC146818.Moment(now: clock.now, wall: clock.wallClock) }

    private func finish(_ state: inout State) {
        let level = state.rtc.interrupt && state.drivesLine
        if level != state.level {
            state.level = level
            line.set(level)
        }
        timer.set(state.rtc.deadline(moment))
    }

    private func timerFired() {
        let rings = state.withLock { state in
            timer.fired()
            let before = state.rtc.c
            state.rtc.tick(moment)
            finish(&state)
            return state.rtc.c & ~before & state.rtc.b & RTC146818.Flag.alarm != 0
        }
        if rings { onAlarm.withLock { $0 }?() }
    }

    /// Has somebody told of an alarm that the guest enabled, on the device thread and with no lock held.
    public func observeAlarm(_ observer: @escaping @Sendable () -> Void) { onAlarm.withLock { $0 = observer } }

    /// Has somebody told that the guest has set the clock, and how many seconds it is then ahead of what `-rtc base=` says:
    /// on the thread of the guest's processor, with no lock held.
    public func observeSetting(_ observer: @escaping @Sendable (_ offset: Int64) -> Void) {
        onSetting.withLock { $0 = observer }
    }

    /// False takes the clock off IRQ 8: the HPET's legacy replacement has it. Any thread.
    public func setDrivesLine(_ drives: Bool) {
        state.withLock { state in
            state.drivesLine = drives
            finish(&state)
        }
    }

    /// The guest masked its non-maskable interrupts with bit 7 of port 70.
    public var nmiMasked: Bool { state.withLock { $0.rtc.nmiMasked } }

    /// Seconds since 1970 that the guest's clock shows.
    public var guestTime: Int64 { state.withLock { $0.rtc.time(moment).seconds } }

    // MARK: What the board stores

    /// Stores a byte of CMOS memory, 0x0E to 0xFF; 0x32 is the century and belongs to the clock.
    public func setByte(_ index: UInt8, _ value: UInt8) {
        guard index > 0x0D, Int(index) != RTC146818.centuryIndex else { return }
        state.withLock { $0.rtc.memory[Int(index)] = value }
    }

    /// A byte of CMOS memory, without effects.
    public func byte(_ index: UInt8) -> UInt8 { state.withLock { $0.rtc.memory[Int(index)] } }

    /// Stores the sizes of RAM as firmware looks for them: bytes below 4 GiB (with the first megabyte), and above.
    public func setMemorySize(below4G: UInt64, above4G: UInt64) {
        func store(_ first: UInt8, _ value: UInt64, bytes: UInt8) {
            for byte in 0..<bytes { setByte(first + byte, UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte)))) }
        }
        let megabyte: UInt64 = 1 << 20
        let extended = below4G > megabyte ? (below4G - megabyte) / 1024 : 0
        store(0x15, min(below4G / 1024, 640), bytes: 2)
        store(0x17, min(extended, 65_535), bytes: 2)
        store(0x30, min(extended, 65_535), bytes: 2)
        let above16M = below4G > 16 * megabyte ? (below4G - 16 * megabyte) / 65_536 : 0
        store(0x34, min(above16M, 65_535), bytes: 2)
        store(0x5B, min(above4G / 65_536, 0xFF_FFFF), bytes: 3)
    }

    /// Stores up to three boot devices (1 floppy, 2 disk, 3 CD-ROM, 4 network) as SeaBIOS reads them.
    public func setBootOrder(_ devices: [UInt8], checksFloppySignature: Bool = true) {
        let order = (0..<3).map { $0 < devices.count ? devices[$0] & 15 : 0 }
        setByte(0x3D, order[1] << 4 | order[0])
        setByte(0x38, order[2] << 4 | (checksFloppySignature ? 0 : 1))
    }

    /// Tells firmware of the diskette drives, by the types that a PC's CMOS memory has for them; 0 for none.
    public func setDisketteDrives(_ types: [UInt8]) {
        let (first, second) = (types.first ?? 0, types.count > 1 ? types[1] : 0)
        setByte(0x10, first << 4 | second & 15)
        let count = UInt8((first != 0 ? 1 : 0) + (second != 0 ? 1 : 0))
        setByte(0x14, byte(0x14) & 0x3E | (count > 0 ? 1 | (count - 1) << 6 : 0))
    }

    /// Tells firmware how many processors there are.
    public func setProcessorCount(_ count: Int) { setByte(0x5F, UInt8(clamping: count - 1)) }

    // MARK: BusDevice

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            let moment = moment
            let value = ByteLanes.read(offset, size) { port in
                switch port {
                case 0x71: state.rtc.readRegister(Int(state.rtc.index), moment)
                case 0x73: state.rtc.memory[Int(state.rtc.upperIndex) | 0x80]
                // The index ports cannot be read back.
                default: 0xFF
                }
            }
            finish(&state)
            return value
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let ahead: Int64? = state.withLock { state in
            let moment = moment
            let before = state.rtc.timesSet
            ByteLanes.write(offset, size, value) { port, byte in
                switch port {
                case 0x70:
                    state.rtc.index = byte & 0x7F
                    state.rtc.nmiMasked = byte & 0x80 != 0
                case 0x71: state.rtc.writeRegister(Int(state.rtc.index), byte, moment)
                case 0x72: state.rtc.upperIndex = byte & 0x7F
                case 0x73: state.rtc.memory[Int(state.rtc.upperIndex) | 0x80] = byte
                default: break
                }
            }
            finish(&state)
            guard state.rtc.timesSet != before else { return nil }
            return state.rtc.time(moment).seconds - Int64(clamping: moment.wall / 1_000_000_000) - baseOffset
        }
        if let ahead { onSetting.withLock { $0 }?(ahead) }
    }

    // MARK: Device

    public func reset() {
        state.withLock { state in
            state.rtc.reset()
            finish(&state)
        }
    }

    /// The wall clock went on while virtual time stood: the next second may be nearer than it was.
    public func resume() {
        state.withLock { finish(&$0) }
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            let rtc = state.rtc
            var saved = DeviceState(version: 1)
            saved.set("memory", rtc.memory)
            saved.set("index", rtc.index)
            saved.set("upper-index", rtc.upperIndex)
            saved.set("nmi-masked", rtc.nmiMasked)
            saved.set("a", rtc.a)
            saved.set("b", rtc.b)
            saved.set("c", rtc.c)
            saved.set("offset-seconds", rtc.offsetSeconds)
            saved.set("offset-nanoseconds", rtc.offsetNanoseconds)
            saved.set("last-second", rtc.lastSecond)
            saved.set("last-period", rtc.lastPeriod)
            saved.set("drives-line", state.drivesLine)
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var rtc = RTC146818(offset: 0, at: moment)
        rtc.memory = try saved.bytes("memory", count: 256)
        rtc.index = try saved.integer("index", as: UInt8.self) & 0x7F
        rtc.upperIndex = try saved.integer("upper-index", as: UInt8.self) & 0x7F
        rtc.nmiMasked = try saved.bool("nmi-masked")
        rtc.a = try saved.integer("a", as: UInt8.self) & 0x7F
        rtc.b = try saved.integer("b")
        rtc.c = try saved.integer("c", as: UInt8.self) & RTC146818.Flag.all
        // Years 0 to 16000: sums with the wall clock cannot overflow.
        let seconds: Int64 = try saved.integer("offset-seconds")
        guard seconds.magnitude < 1 << 40 else {
            throw .outOfRange(field: "offset-seconds", value: UInt64(bitPattern: seconds))
        }
        rtc.offsetSeconds = seconds
        rtc.offsetNanoseconds = try saved.integer("offset-nanoseconds")
        guard 0..<1_000_000_000 ~= rtc.offsetNanoseconds else {
            throw .outOfRange(field: "offset-nanoseconds", value: UInt64(bitPattern: rtc.offsetNanoseconds))
        }
        rtc.lastSecond = try saved.integer("last-second")
        guard rtc.lastSecond.magnitude < 1 << 41 else {
            throw .outOfRange(field: "last-second", value: UInt64(bitPattern: rtc.lastSecond))
        }
        rtc.lastPeriod = try saved.integer("last-period")
        let drives = try saved.bool("drives-line")
        let restored = rtc
        state.withLock { state in
            state.rtc = restored
            state.drivesLine = drives
            state.level = restored.interrupt && drives
            line.set(state.level)
            finish(&state)
        }
    }
}
