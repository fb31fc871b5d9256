internal import DeviceModel

/// The engine that moves and combines rectangles of memory. (CL-GD5446 TRM, chapter 9.)
struct CirrusBlitter: Sendable {
    private enum Mode {
        static let backwards: UInt8 = 0x01
        static let toSystem: UInt8 = 0x02
        static let fromSystem: UInt8 = 0x04
        static let transparent: UInt8 = 0x08
        static let pattern: UInt8 = 0x40
        static let expands: UInt8 = 0x80
    }
    /// What one blit does, as its registers say.
    struct Job: Equatable, Sendable {
        var width = 0
        var height = 0
        var targetPitch = 0
        var sourcePitch = 0
        var target = 0
        var source = 0
        var skip = 0
        var mode: UInt8 = 0
        var extension_: UInt8 = 0
        var operation: UInt8 = 0
        var foreground: [UInt8] = [0, 0, 0, 0]
        var background: [UInt8] = [0, 0, 0, 0]
        var key: [UInt8] = [0, 0]

        var pixelSize: Int { Int(mode >> 4 & 3) + 1 }
        var expands: Bool { mode & Mode.expands != 0 }
        var isSolid: Bool { extension_ & 4 != 0 && expands && mode & Mode.pattern != 0 }
        /// Bytes of a line that the processor sends.
        var lineBytes: Int {
            guard expands else { return (width + 3) & ~3 }
            let bytes = (width / pixelSize + 7) / 8
            return extension_ & 1 != 0 ? (bytes + 3) & ~3 : bytes
        }
    }

    /// A blit whose source is the processor, with the line that is not whole yet, and how many are done.
    private(set) var waiting: Job?
    private var line: [UInt8] = []
    private var done = 0

    var isWaiting: Bool { waiting != nil }
    mutating func stop() { (waiting, line, done) = (nil, [], 0) }

    static func job(_ graphics: [UInt8]) -> Job {
        func number(_ index: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(graphics[index + $1]) << ($1 * 8) }
        }
        var job = Job()
        job.width = (number(0x20, 2) & 0x1FFF) + 1
        job.height = (number(0x22, 2) & 0x7FF) + 1
        job.targetPitch = number(0x24, 2) & 0x1FFF
        job.sourcePitch = number(0x26, 2) & 0x1FFF
        job.target = number(0x28, 3) & 0x3F_FFFF
        job.source = number(0x2C, 3) & 0x3F_FFFF
        job.skip = Int(graphics[0x2F] & 0x1F)
        job.mode = graphics[0x30]
        job.extension_ = graphics[0x33]
        job.operation = graphics[0x32]
        job.background = [graphics[0x00], graphics[0x10], graphics[0x12], graphics[0x14]]
        job.foreground = [graphics[0x01], graphics[0x11], graphics[0x13], graphics[0x15]]
        job.key = [graphics[0x34], graphics[0x35]]
        return job
    }

    /// Starts a blit; one from the processor waits for its bytes.
    mutating func start(_ graphics: [UInt8], _ memory: VideoMemory) {
        stop()
        let job = Self.job(graphics)
        // To the processor nothing is moved: no driver asks for it.
        guard job.mode & Mode.toSystem == 0 else { return }
        if job.mode & Mode.fromSystem != 0 {
            waiting = job
            return
        }
        if job.mode & Mode.pattern != 0 { Self.fill(job, memory) } else { Self.copy(job, memory) }
    }

    /// A byte of the processor's for the blit that waits.
    mutating func take(_ byte: UInt8, _ memory: VideoMemory) {
        guard let job = waiting else { return }
        line.append(byte)
        guard line.count >= job.lineBytes else { return }
        let place = job.target + done * job.targetPitch
        if job.expands {
            let bits = line
            Self.expand(job, memory, target: place) { bits[min($0 / 8, bits.count - 1)] >> UInt8(7 - $0 & 7) & 1 != 0 }
        } else {
            Self.combine(job, memory, target: place, bytes: line)
        }
        line = []
        done += 1
        if done >= job.height { stop() }
    }

    // MARK: Lines

    /// The raster operations that there are; others leave what is there.
    private static func apply(_ operation: UInt8, _ source: UInt8, _ target: UInt8) -> UInt8 {
        switch operation {
        case 0x00: 0
        case 0x05: source & target
        case 0x09: source & ~target
        case 0x0B: ~target
        case 0x0D: source
        case 0x0E: 0xFF
        case 0x50: ~source & target
        case 0x59: source ^ target
        case 0x6D: source | target
        case 0x90: ~(source & target)
        case 0x95: ~(source ^ target)
        case 0xAD: source | ~target
        case 0xD0: ~source
        case 0xD6: ~source | target
        case 0xDA: ~(source | target)
        default: target
        }
    }

    private static func combine(_ job: Job, _ memory: VideoMemory, target: Int, bytes: [UInt8]) {
        let size = job.pixelSize
        let isKeyed = job.mode & Mode.transparent != 0
        for x in 0..<min(job.width, bytes.count) {
            let result = apply(job.operation, bytes[x], memory[target + x])
            if isKeyed {
                // What would come out as the key's colour is left out, by pixels of one or two bytes.
                if size == 1, result == job.key[0] { continue }
                if size == 2 {
                    let first = x & ~1
                    let pair = (0..<2).map { part in
                        first + part < bytes.count
                            ? apply(job.operation, bytes[first + part], memory[target + first + part]) : 0
                    }
                    if pair == job.key { continue }
                }
            }
            memory[target + x] = result
        }
    }

    private static func expand(_ job: Job, _ memory: VideoMemory, target: Int, _ bit: (Int) -> Bool) {
        let size = job.pixelSize
        let inverts = job.extension_ & 2 != 0
        let isTransparent = job.mode & Mode.transparent != 0
        let skipped = size == 3 ? job.skip : (job.skip & 7) * size
        var x = skipped
        while x < job.width {
            let isSet = bit(x / size)
            // A transparent one draws one colour where bits are set, or are not.
            if !isTransparent || isSet != inverts {
                let isInk = isTransparent ? !inverts : isSet
                let colour = isInk ? job.foreground : job.background
                for part in 0..<size where x + part < job.width {
                    memory[target + x + part] = apply(job.operation, colour[part], memory[target + x + part])
                }
            }
            x += size
        }
    }

    private static func copy(_ job: Job, _ memory: VideoMemory) {
        let backwards = job.mode & Mode.backwards != 0
        for y in 0..<job.height {
            let step = backwards ? -y : y
            if job.expands {
                // The bits lie one line after the other.
                let start = job.source + y * ((job.width / job.pixelSize + 7) / 8)
                expand(job, memory, target: job.target + y * job.targetPitch) {
                    memory[start + $0 / 8] >> UInt8(7 - $0 & 7) & 1 != 0
                }
                continue
            }
            let (source, target) = (job.source + step * job.sourcePitch, job.target + step * job.targetPitch)
            if backwards {
                for x in 0..<job.width {
                    memory[target - x] = apply(job.operation, memory[source - x], memory[target - x])
                }
            } else if job.mode & Mode.transparent != 0 {
                combine(job, memory, target: target, bytes: (0..<job.width).map { memory[source + $0] })
            } else {
                for x in 0..<job.width {
                    memory[target + x] = apply(job.operation, memory[source + x], memory[target + x])
                }
            }
        }
    }

    /// A pattern of eight by eight pixels, or one colour.
    private static func fill(_ job: Job, _ memory: VideoMemory) {
        let size = job.pixelSize
        let base = job.source & ~7
        let first = job.source & 7
        for y in 0..<job.height {
            let target = job.target + y * job.targetPitch
            let line = (first + y) & 7
            if job.isSolid {
                expand(job, memory, target: target) { _ in true }
            } else if job.expands {
                let bits = memory[base + line]
                expand(job, memory, target: target) { bits >> UInt8(7 - $0 & 7) & 1 != 0 }
            } else {
                // Lines of 24-bit patterns take 32 bytes.
                let pitch = size == 3 ? 32 : 8 * size
                let period = 8 * size
                combine(
                    job, memory, target: target,
                    bytes: (0..<job.width).map { memory[base + line * pitch + $0 % period] })
            }
        }
    }

    // MARK: State

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        guard let job = waiting else { return state }
        state.set("sizes", [job.width, job.height, job.targetPitch, job.sourcePitch].flatMap { Self.bytes($0) })
        state.set("places", [job.target, job.source, job.skip, done].flatMap { Self.bytes($0) })
        state.set("modes", [job.mode, job.extension_, job.operation] + job.foreground + job.background + job.key)
        state.set("line", line)
        return state
    }
    private static func bytes(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        stop()
        guard state.fields["sizes"] != nil else { return }
        func numbers(_ name: String) throws(DeviceStateError) -> [Int] {
            let bytes = try state.bytes(name, count: 16)
            return (0..<4).map { number in (0..<4).reduce(0) { $0 | Int(bytes[number * 4 + $1]) << ($1 * 8) } }
        }
        let (sizes, places) = (try numbers("sizes"), try numbers("places"))
        let modes = try state.bytes("modes", count: 13)
        var job = Job()
        (job.width, job.height) = (sizes[0], sizes[1])
        (job.targetPitch, job.sourcePitch) = (sizes[2] & 0x1FFF, sizes[3] & 0x1FFF)
        (job.target, job.source, job.skip) = (places[0] & 0x3F_FFFF, places[1] & 0x3F_FFFF, places[2] & 0x1F)
        (job.mode, job.extension_, job.operation) = (modes[0], modes[1], modes[2])
        (job.foreground, job.background, job.key) = (Array(modes[3..<7]), Array(modes[7..<11]), Array(modes[11...]))
        let line = try state.bytes("line")
        guard 1...8192 ~= job.width, 1...2048 ~= job.height, places[3] < job.height, line.count < max(job.lineBytes, 1)
        else { throw .outOfRange(field: "sizes", value: UInt64(sizes[0])) }
        (waiting, self.line, done) = (job, line, places[3])
    }
}
