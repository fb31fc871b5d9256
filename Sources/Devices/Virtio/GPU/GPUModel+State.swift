internal import DeviceModel
internal import Display

extension GPUModel {
    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("events", events)
        saved.set(
            "resources",
            resources.sorted { $0.key < $1.key }.map { id, resource in
                var part = DeviceState(version: 1)
                part.set("id", id)
                part.set("format", resource.format.rawValue)
                part.set("width", resource.width)
                part.set("height", resource.height)
                var list: [UInt8] = []
                for segment in resource.backing {
                    VirtioConfiguration.append(&list, segment.address)
                    VirtioConfiguration.append(&list, UInt32(truncatingIfNeeded: segment.count))
                }
                part.set("backing", list)
                part.set("pixels", Self.bytes(resource.pixels))
                return part
            })
        saved.set(
            "outputs",
            outputs.map { output in
                var part = DeviceState(version: 1)
                part.set("resource", output.resource)
                for (name, value) in [
                    ("x", output.area.x), ("y", output.area.y), ("width", output.area.width),
                    ("height", output.area.height), ("wanted-width", output.wantedWidth),
                    ("wanted-height", output.wantedHeight), ("hot-x", output.cursor?.hotX ?? 0),
                    ("hot-y", output.cursor?.hotY ?? 0),
                ] { part.set(name, value) }
                part.set("cursor", Self.bytes(output.cursor?.pixels ?? []))
                return part
            })
        return saved
    }

    private static func bytes(_ pixels: [UInt32]) -> [UInt8] {
        // SAFETY: the bytes of the array, lowest first as this processor has them.
        unsafe pixels.withUnsafeBytes { unsafe Array($0) }
    }
    private static func pixels(_ bytes: [UInt8]) -> [UInt32] {
        var pixels = [UInt32](repeating: 0, count: bytes.count / 4)
        // SAFETY: no more bytes than the pixels have.
        unsafe pixels.withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes.prefix($0.count)) }
        return pixels
    }

    /// Takes a state. What the driver did is done again, so that nothing comes in that it could not have done.
    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = self
        new.reset()
        new.events = try saved.integer("events")
        for part in try saved.list("resources") {
            let id: UInt32 = try part.integer("id")
            let format: UInt32 = try part.integer("format")
            let (width, height): (UInt32, UInt32) = (try part.integer("width"), try part.integer("height"))
            guard new.create(id, format, width, height) else { throw .outOfRange(field: "id", value: UInt64(id)) }
            let pixels = Self.pixels(try part.bytes("pixels", count: Int(width) * Int(height) * 4))
            new.resources[id]?.pixels = pixels
            let list = try part.bytes("backing")
            var backing: [GuestSegment] = []
            for place in stride(from: 0, to: list.count - 11, by: 12) {
                let low = UInt64(VirtioConfiguration.read(list, offset: place, size: 4))
                let high = UInt64(VirtioConfiguration.read(list, offset: place + 4, size: 4))
                backing.append(
                    GuestSegment(
                        address: high << 32 | low,
                        count: Int(VirtioConfiguration.read(list, offset: place + 8, size: 4))))
            }
            new.resources[id]?.backing = backing
        }
        for (index, part) in try saved.list("outputs", count: outputs.count).enumerated() {
            func number(_ name: String, _ limit: Int) throws(DeviceStateError) -> Int {
                let value: Int = try part.integer(name)
                guard 0...limit ~= value else {
                    throw .outOfRange(field: name, value: UInt64(truncatingIfNeeded: value))
                }
                return value
            }
            let resource: UInt32 = try part.integer("resource")
            let area = PictureRectangle(
                x: try number("x", 1 << 14), y: try number("y", 1 << 14), width: try number("width", 1 << 14),
                height: try number("height", 1 << 14))
            if resource != 0 {
                guard let shown = new.resources[resource], area.width >= 16, area.height >= 16,
                    area.x + area.width <= shown.width, area.y + area.height <= shown.height
                else { throw .outOfRange(field: "resource", value: UInt64(resource)) }
                new.outputs[index].resource = resource
                new.outputs[index].area = area
                new.outputs[index].changed = 0..<area.height
            }
            new.outputs[index].wantedWidth = try number("wanted-width", 8192)
            new.outputs[index].wantedHeight = try number("wanted-height", 8192)
            let cursor = Self.pixels(try part.bytes("cursor"))
            if cursor.count == Self.cursorSide * Self.cursorSide {
                new.outputs[index].cursor = PointerShape(
                    width: Self.cursorSide, height: Self.cursorSide, hotX: try number("hot-x", Self.cursorSide - 1),
                    hotY: try number("hot-y", Self.cursorSide - 1), pixels: cursor)
            }
        }
        self = new
    }
}
