internal import DeviceModel
internal import Display
internal import GuestMemory

/// The 2D part of a GPU: resources with pages of the guest behind them, and outputs that show them. virtio 1.2, 5.7.
///
/// A pure model: commands as bytes in, responses as bytes out; guest memory is what it is given.
struct GPUModel {
    /// A picture of the driver's, and the memory that it is filled from.
    struct Resource {
        var format: PixelOrder
        var width: Int
        var height: Int
        var backing: [GuestSegment] = []
        /// `0x??RRGGBB`, row after row.
        var pixels: [UInt32]
    }
    /// What an output shows.
    struct Output {
        var resource: UInt32 = 0
        var area = PictureRectangle(x: 0, y: 0, width: 0, height: 0)
        /// Rows of the area that changed since they were drawn.
        var changed = 0..<0
        /// The size that whoever looks at it wants.
        var wantedWidth: Int
        var wantedHeight: Int
        var cursor: PointerShape?
        var cursorStamp: UInt64 = 0
    }
    /// How the four bytes of a pixel lie in memory (5.7.6.8).
    enum PixelOrder: UInt32 {
        case bgra = 1
        case bgrx = 2
        case argb = 3
        case xrgb = 4
        case rgba = 67
        case xbgr = 68
        case abgr = 121
        case rgbx = 134

        /// A pixel as pictures have it, of one as it lies in memory.
        func pixel(_ word: UInt32) -> UInt32 {
            switch self {
            case .bgra, .bgrx: word
            case .argb, .xrgb: word.byteSwapped
            case .rgba, .rgbx: word.byteSwapped >> 8 | word & 0xFF00_0000
            case .xbgr, .abgr: word >> 8 | word << 24
            }
        }
    }
    enum Response {
        static let ok: UInt32 = 0x1100
        static let displayInformation: UInt32 = 0x1101
        static let edid: UInt32 = 0x1104
        static let unspecified: UInt32 = 0x1200
        static let outOfMemory: UInt32 = 0x1201
        static let invalidOutput: UInt32 = 0x1202
        static let invalidResource: UInt32 = 0x1203
        static let invalidParameter: UInt32 = 0x1205
    }
    private enum Command {
        static let displayInformation: UInt32 = 0x0100
        static let create: UInt32 = 0x0101
        static let release: UInt32 = 0x0102
        static let setOutput: UInt32 = 0x0103
        static let flush: UInt32 = 0x0104
        static let transfer: UInt32 = 0x0105
        static let attach: UInt32 = 0x0106
        static let detach: UInt32 = 0x0107
        static let edid: UInt32 = 0x010A
        static let updateCursor: UInt32 = 0x0300
        static let moveCursor: UInt32 = 0x0301
    }
    static let headerSize = 24
    /// Outputs that a driver can be told of.
    static let outputLimit = 16
    /// Pieces of memory behind a resource, and bytes of a command that names so many.
    private static let segmentLimit = 16384
    static let commandLimit = headerSize + 8 + segmentLimit * 16
    private static let resourceLimit = 4096
    static let cursorSide = 64
    /// The largest side of a resource.
    private static let sideLimit = 16384

    /// Most bytes of all resources' pixels.
    let memoryLimit: UInt64
    let hasEDID: Bool
    var resources: [UInt32: Resource] = [:]
    var outputs: [Output]
    private(set) var used: UInt64 = 0
    /// What happened that the driver has not looked at: bit 0, a display has changed.
    var events: UInt32 = 0

    init(outputs count: Int, width: Int, height: Int, memoryLimit: UInt64, hasEDID: Bool) {
        self.memoryLimit = memoryLimit
        self.hasEDID = hasEDID
        outputs = [Output](
            repeating: Output(wantedWidth: width, wantedHeight: height), count: min(max(count, 1), Self.outputLimit))
    }

    /// To the state after power-on; the sizes that are wanted stay.
    mutating func reset() {
        resources = [:]
        used = 0
        events = 0
        for index in outputs.indices {
            let stamp = outputs[index].cursorStamp
            outputs[index] = Output(
                wantedWidth: outputs[index].wantedWidth, wantedHeight: outputs[index].wantedHeight)
            outputs[index].cursorStamp = stamp == 0 ? 0 : stamp + 1
        }
    }

    /// Somebody wants an output of another size. True where that is news to the driver.
    mutating func want(_ index: Int, width: Int, height: Int) -> Bool {
        let (wide, high) = (min(max(width, 64), 8192), min(max(height, 64), 8192))
        guard outputs.indices.contains(index), outputs[index].wantedWidth != wide || outputs[index].wantedHeight != high
        else { return false }
        (outputs[index].wantedWidth, outputs[index].wantedHeight) = (wide, high)
        events |= 1
        return true
    }

    // MARK: Commands

    private struct Reader {
        let bytes: [UInt8]
        func word(_ place: Int) -> UInt32 { VirtioConfiguration.read(bytes, offset: place, size: 4) }
        func wide(_ place: Int) -> UInt64 { UInt64(word(place)) | UInt64(word(place + 4)) << 32 }
        func rectangle(_ place: Int) -> (x: UInt32, y: UInt32, width: UInt32, height: UInt32) {
            (word(place), word(place + 4), word(place + 8), word(place + 12))
        }
    }

    /// Does a command of either queue, and gives its response.
    mutating func perform(_ command: [UInt8], _ memory: AddressSpace) -> [UInt8] {
        let reader = Reader(bytes: command)
        guard command.count >= Self.headerSize else { return response(Response.unspecified, reader) }
        switch reader.word(0) {
        case Command.displayInformation: return displayInformation(reader)
        case Command.edid where hasEDID: return edid(reader)
        case Command.create: return response(create(reader), reader)
        case Command.release: return response(release(reader.word(24)), reader)
        case Command.setOutput: return response(setOutput(reader), reader)
        case Command.flush: return response(flush(reader), reader)
        case Command.transfer: return response(transfer(reader, memory), reader)
        case Command.attach: return response(attach(reader), reader)
        case Command.detach:
            guard resources[reader.word(24)] != nil else { return response(Response.invalidResource, reader) }
            resources[reader.word(24)]?.backing = []
            return response(Response.ok, reader)
        case Command.updateCursor: return response(updateCursor(reader), reader)
        case Command.moveCursor: return response(Response.ok, reader)
        default: return response(Response.unspecified, reader)
        }
    }

    /// A response's header: with the fence of the command, where it has one.
    private func response(_ type: UInt32, _ reader: Reader) -> [UInt8] {
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, type)
        let hasFence = reader.word(4) & 1 != 0
        VirtioConfiguration.append(&bytes, UInt32(hasFence ? 1 : 0))
        VirtioConfiguration.append(&bytes, hasFence ? reader.wide(8) : UInt64(0))
        VirtioConfiguration.append(&bytes, hasFence ? reader.word(16) : UInt32(0))
        VirtioConfiguration.append(&bytes, UInt32(0))
        return bytes
    }

    private mutating func displayInformation(_ reader: Reader) -> [UInt8] {
        var bytes = response(Response.displayInformation, reader)
        for index in 0..<Self.outputLimit {
            let isThere = outputs.indices.contains(index)
            // Of several outputs the first is switched on, the others when somebody looks at them.
            let isOn = index == 0 || (isThere && outputs[index].wantedWidth > 0)
            let (width, height) = isThere ? (outputs[index].wantedWidth, outputs[index].wantedHeight) : (0, 0)
            for value in [0, 0, width, height, isThere && isOn ? 1 : 0, 0] {
                VirtioConfiguration.append(&bytes, UInt32(truncatingIfNeeded: value))
            }
        }
        return bytes
    }

    private func edid(_ reader: Reader) -> [UInt8] {
        let index = Int(reader.word(24))
        guard outputs.indices.contains(index) else { return response(Response.invalidParameter, reader) }
        let block = DisplayIdentification.block(
            width: outputs[index].wantedWidth, height: outputs[index].wantedHeight, name: "Apus Display")
        var bytes = response(Response.edid, reader)
        VirtioConfiguration.append(&bytes, UInt32(block.count))
        VirtioConfiguration.append(&bytes, UInt32(0))
        return bytes + block + [UInt8](repeating: 0, count: 1024 - block.count)
    }

    private mutating func create(_ reader: Reader) -> UInt32 {
        let (id, format, width, height) = (reader.word(24), reader.word(28), reader.word(32), reader.word(36))
        guard id != 0, resources[id] == nil else { return Response.invalidResource }
        guard PixelOrder(rawValue: format) != nil, width > 0, height > 0, width <= Self.sideLimit,
            height <= Self.sideLimit
        else { return Response.invalidParameter }
        return create(id, format, width, height) ? Response.ok : Response.outOfMemory
    }

    /// Makes a resource. False where it cannot be.
    mutating func create(_ id: UInt32, _ format: UInt32, _ width: UInt32, _ height: UInt32) -> Bool {
        guard id != 0, resources[id] == nil, let order = PixelOrder(rawValue: format), width > 0, height > 0,
            width <= Self.sideLimit, height <= Self.sideLimit
        else { return false }
        let bytes = UInt64(width) * UInt64(height) * 4
        guard resources.count < Self.resourceLimit, bytes <= memoryLimit, used <= memoryLimit - bytes else {
            return false
        }
        used += bytes
        resources[id] = Resource(
            format: order, width: Int(width), height: Int(height),
            pixels: [UInt32](repeating: 0, count: Int(width) * Int(height)))
        return true
    }

    private mutating func release(_ id: UInt32) -> UInt32 {
        guard let resource = resources.removeValue(forKey: id) else { return Response.invalidResource }
        used -= UInt64(resource.pixels.count) * 4
        for index in outputs.indices where outputs[index].resource == id { show(nothing: index) }
        return Response.ok
    }

    private mutating func show(nothing index: Int) {
        outputs[index].resource = 0
        outputs[index].area = PictureRectangle(x: 0, y: 0, width: 0, height: 0)
        outputs[index].changed = 0..<0
    }

    private mutating func setOutput(_ reader: Reader) -> UInt32 {
        let (area, index, id) = (reader.rectangle(24), Int(reader.word(40)), reader.word(44))
        guard outputs.indices.contains(index) else { return Response.invalidOutput }
        guard id != 0 else {
            show(nothing: index)
            return Response.ok
        }
        guard let resource = resources[id] else { return Response.invalidResource }
        guard area.width >= 16, area.height >= 16, let inside = Self.inside(area, resource) else {
            return Response.invalidParameter
        }
        outputs[index].resource = id
        outputs[index].area = inside
        outputs[index].changed = 0..<inside.height
        return Response.ok
    }

    /// A rectangle of a resource; nil where it is not inside.
    private static func inside(
        _ area: (x: UInt32, y: UInt32, width: UInt32, height: UInt32), _ resource: Resource
    ) -> PictureRectangle? {
        let (right, bottom) = (UInt64(area.x) + UInt64(area.width), UInt64(area.y) + UInt64(area.height))
        guard right <= UInt64(resource.width), bottom <= UInt64(resource.height) else { return nil }
        return PictureRectangle(x: Int(area.x), y: Int(area.y), width: Int(area.width), height: Int(area.height))
    }

    private mutating func flush(_ reader: Reader) -> UInt32 {
        let id = reader.word(40)
        guard let resource = resources[id] else { return Response.invalidResource }
        guard let area = Self.inside(reader.rectangle(24), resource) else { return Response.invalidParameter }
        for index in outputs.indices where outputs[index].resource == id {
            let shown = outputs[index].area
            let common = area.cut(to: shown)
            guard common.width > 0, common.height > 0 else { continue }
            let rows = (common.y - shown.y)..<(common.y - shown.y + common.height)
            let old = outputs[index].changed
            outputs[index].changed =
                old.isEmpty ? rows : min(old.lowerBound, rows.lowerBound)..<max(old.upperBound, rows.upperBound)
        }
        return Response.ok
    }

    private mutating func attach(_ reader: Reader) -> UInt32 {
        let (id, count) = (reader.word(24), Int(reader.word(28)))
        guard let resource = resources[id] else { return Response.invalidResource }
        guard resource.backing.isEmpty else { return Response.unspecified }
        guard count <= Self.segmentLimit, reader.bytes.count >= Self.headerSize + 8 + count * 16 else {
            return Response.invalidParameter
        }
        resources[id]?.backing = (0..<count).map { index in
            let place = Self.headerSize + 8 + index * 16
            return GuestSegment(address: reader.wide(place), count: Int(reader.word(place + 8)))
        }
        return Response.ok
    }

    /// Takes pixels from the memory behind a resource.
    private mutating func transfer(_ reader: Reader, _ memory: AddressSpace) -> UInt32 {
        let (offset, id) = (reader.wide(40), reader.word(48))
        guard var resource = resources.removeValue(forKey: id) else { return Response.invalidResource }
        // It is taken out while it is changed, so that its pixels are not copied.
        defer { resources[id] = resource }
        guard !resource.backing.isEmpty else { return Response.unspecified }
        guard let area = Self.inside(reader.rectangle(24), resource), offset <= 1 << 40 else {
            return Response.invalidParameter
        }
        let scatter = GuestScatter(resource.backing)
        let stride = resource.width * 4
        // Whole rows that follow one another are one piece.
        let isWhole = area.width == resource.width
        let (rows, bytes) = isWhole ? (1, area.height * stride) : (area.height, area.width * 4)
        var row = [UInt32](repeating: 0, count: bytes / 4)
        for index in 0..<rows where bytes > 0 {
            let start = Int(offset) + index * stride
            let isThere = unsafe row.withUnsafeMutableBytes { unsafe scatter.read($0, at: start, from: memory) }
            guard isThere else { return Response.invalidParameter }
            let place = (area.y + index) * resource.width + area.x
            if resource.format == .bgra || resource.format == .bgrx {
                resource.pixels.replaceSubrange(place..<place + row.count, with: row)
            } else {
                for (x, word) in row.enumerated() { resource.pixels[place + x] = resource.format.pixel(word) }
            }
        }
        return Response.ok
    }

    private mutating func updateCursor(_ reader: Reader) -> UInt32 {
        let (index, id) = (Int(reader.word(24)), reader.word(40))
        guard outputs.indices.contains(index) else { return Response.invalidOutput }
        outputs[index].cursorStamp += 1
        guard id != 0 else {
            outputs[index].cursor = nil
            return Response.ok
        }
        guard let resource = resources[id] else { return Response.invalidResource }
        guard resource.width == Self.cursorSide, resource.height == Self.cursorSide else {
            return Response.invalidParameter
        }
        outputs[index].cursor = PointerShape(
            width: Self.cursorSide, height: Self.cursorSide, hotX: min(Int(reader.word(44)), Self.cursorSide - 1),
            hotY: min(Int(reader.word(48)), Self.cursorSide - 1), pixels: resource.pixels)
        return Response.ok
    }

    // MARK: Pictures

    /// The size of what an output shows; nil where that is nothing.
    func size(ofOutput index: Int) -> (width: Int, height: Int)? {
        guard outputs.indices.contains(index), resources[outputs[index].resource] != nil else { return nil }
        return (outputs[index].area.width, outputs[index].area.height)
    }

    /// Draws what of an output changed, or all of it. False where it shows nothing.
    mutating func draw(_ index: Int, all: Bool, into picture: inout Picture) -> Bool {
        guard outputs.indices.contains(index), let resource = resources[outputs[index].resource] else { return false }
        let area = outputs[index].area
        let isOther = picture.width != area.width || picture.height != area.height
        picture.resize(width: area.width, height: area.height)
        let rows = all || isOther ? 0..<area.height : outputs[index].changed
        unsafe resource.pixels.withUnsafeBufferPointer { pixels in
            for y in rows {
                // SAFETY: the area lies within the resource.
                unsafe picture.setRow(
                    y, from: pixels.baseAddress.unsafelyUnwrapped + (area.y + y) * resource.width + area.x)
            }
        }
        outputs[index].changed = 0..<0
        return true
    }
}
