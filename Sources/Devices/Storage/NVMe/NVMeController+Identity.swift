public import DeviceModel
internal import Synchronization

// What the controller says of itself, and its saved state. NVM Express 1.3, 5.15.
extension NVMeController {
    func padding(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    /// The namespace's EUI-64: of the serial number, so that it stays the same.
    var extendedIdentifier: [UInt8] {
        // FNV-1a.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in properties.serial.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return [0x52, 0x54, 0x00] + (0..<5).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 * 8)) }
    }

    private func text(_ words: String, _ count: Int) -> [UInt8] {
        let bytes = Array(words.utf8.prefix(count))
        return bytes + [UInt8](repeating: 0x20, count: count - bytes.count)
    }

    var controllerIdentity: [UInt8] {
        var bytes = padding(4096)
        func put(_ place: Int, _ value: [UInt8]) { bytes.replaceSubrange(place..<place + value.count, with: value) }
        put(0, [0x36, 0x1B, 0xF4, 0x1A])
        put(4, text(properties.serial, 20))
        put(24, text("QEMU NVMe Ctrl", 40))
        put(64, text("1.0", 8))
        // Arbitration burst, the maker's OUI, 2^7 pages of data, version 1.3.
        put(72, [6, 0x00, 0x54, 0x52, 0, 7])
        put(80, [0, 3, 1, 0])
        // Aborts, events, one firmware slot, log of errors.
        put(258, [3, 3, 0x03, 0, 3])
        // Temperatures that warn and that are too high.
        put(266, [0x57, 0x01, 0x66, 0x01])
        // Sizes of entries; one namespace; dataset management and write zeroes; a write cache.
        put(512, [0x66, 0x44])
        put(516, [1, 0, 0, 0])
        put(520, [0x0C, 0])
        put(525, [1])
        put(768, Array("nqn.2019-08.org.qemu:\(properties.serial)".utf8.prefix(223)))
        put(2048, [0xC4, 0x09])
        return bytes
    }

    var namespaceIdentity: [UInt8] {
        var bytes = padding(4096)
        let count = (0..<8).map { UInt8(truncatingIfNeeded: blocks >> UInt64($0 * 8)) }
        for place in [0, 8, 16] { bytes.replaceSubrange(place..<place + 8, with: count) }
        bytes.replaceSubrange(120..<128, with: extendedIdentifier)
        bytes[130] = UInt8(properties.blockSize.trailingZeroBitCount)
        return bytes
    }

    // MARK: State

    public func exportState() -> DeviceState {
        state.withLock { state in
            let model = state.model
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("configuration", model.configuration)
            saved.set("status", model.status)
            saved.set("mask", model.mask)
            saved.set("admin-sizes", model.adminSizes)
            saved.set("admin-submission", model.adminSubmission)
            saved.set("admin-completion", model.adminCompletion)
            saved.set("write-cache", state.cachesWrites)
            saved.set("waiting-events", state.waiting)
            saved.set(
                "features",
                state.features.sorted { $0.key < $1.key }.map { number, value in
                    var part = DeviceState(version: 1)
                    part.set("number", number)
                    part.set("value", value)
                    return part
                })
            saved.set(
                "submissions",
                model.submissions.sorted { $0.key < $1.key }.map { id, queue in
                    var part = DeviceState(version: 1)
                    part.set("id", id)
                    part.set("base", queue.base)
                    part.set("size", queue.size)
                    part.set("head", queue.head)
                    part.set("tail", queue.tail)
                    part.set("completion", queue.completion)
                    return part
                })
            saved.set(
                "completions",
                model.completions.sorted { $0.key < $1.key }.map { id, queue in
                    var part = DeviceState(version: 1)
                    part.set("id", id)
                    part.set("base", queue.base)
                    part.set("size", queue.size)
                    part.set("head", queue.head)
                    part.set("tail", queue.tail)
                    part.set("phase", queue.phase)
                    part.set("vector", queue.vector)
                    part.set("interrupts", queue.interrupts)
                    part.set(
                        "waiting",
                        queue.waiting.flatMap { entry in
                            [UInt64(entry.queue), UInt64(entry.command), UInt64(entry.status), UInt64(entry.result)]
                                .flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) } }
                        })
                    return part
                })
            // What is under way while the machine stands is what an error has stopped.
            let held = state.active.sorted { $0.key < $1.key }.map(\.value).filter { $0.life == state.life }
            saved.set(
                "held",
                (held + state.restored).map { command in
                    var part = DeviceState(version: 1)
                    part.set("queue", command.queue)
                    part.set("command", command.bytes)
                    return part
                })
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = NVMeModel()
        model.configuration = try saved.integer("configuration")
        model.status = try saved.integer("status")
        model.mask = try saved.integer("mask")
        model.adminSizes = try saved.integer("admin-sizes")
        model.adminSubmission = try saved.integer("admin-submission")
        model.adminCompletion = try saved.integer("admin-completion")
        for part in try saved.list("completions") {
            let (id, size, head, tail) = try Self.queue(part)
            var queue = NVMeModel.Completion(
                base: try part.integer("base"), size: size, vector: try part.integer("vector"),
                interrupts: try part.bool("interrupts"))
            (queue.head, queue.tail, queue.phase) = (head, tail, try part.bool("phase"))
            let bytes = try part.bytes("waiting")
            guard bytes.count % 16 == 0, bytes.count / 16 <= Int(NVMeModel.entryLimit),
                queue.vector <= NVMeModel.queueLimit
            else { throw .outOfRange(field: "waiting", value: UInt64(bytes.count)) }
            for place in stride(from: 0, to: bytes.count, by: 16) {
                func number(_ index: Int) -> UInt32 {
                    (0..<4).reduce(0) { $0 | UInt32(bytes[place + index * 4 + $1]) << UInt32($1 * 8) }
                }
                queue.waiting.append(
                    NVMeModel.Entry(
                        queue: UInt16(truncatingIfNeeded: number(0)), command: UInt16(truncatingIfNeeded: number(1)),
                        status: UInt16(truncatingIfNeeded: number(2)), result: number(3)))
            }
            model.completions[id] = queue
        }
        for part in try saved.list("submissions") {
            let (id, size, head, tail) = try Self.queue(part)
            let completion: UInt16 = try part.integer("completion")
            guard model.completions[completion] != nil else {
                throw .outOfRange(field: "completion", value: UInt64(completion))
            }
            model.submissions[id] = NVMeModel.Submission(
                base: try part.integer("base"), size: size, head: head, tail: tail, completion: completion)
        }
        var features: [UInt8: UInt32] = [:]
        for part in try saved.list("features") { features[try part.integer("number")] = try part.integer("value") }
        let cachesWrites = try saved.bool("write-cache")
        let waiting: UInt8 = try saved.integer("waiting-events")
        var commands: [(queue: UInt16, bytes: [UInt8])] = []
        // States of before have none.
        for part in saved.fields["held"] == nil ? [] : try saved.list("held") {
            let queue: UInt16 = try part.integer("queue")
            guard queue > 0, model.submissions[queue] != nil, commands.count < 1 << 16 else {
                throw .outOfRange(field: "queue", value: UInt64(queue))
            }
            commands.append((queue, try part.bytes("command", count: 64)))
        }
        try function.importState(try saved.list("pci", count: 1)[0])
        let (restored, values, held) = (model, features, commands)
        state.withLock { state in
            state.restored = held.map { Command(bytes: $0.bytes, queue: $0.queue, life: state.life) }
            state.model = restored
            state.features = values
            state.cachesWrites = cachesWrites
            state.waiting = Int(waiting)
            settle(state)
        }
    }

    private static func queue(
        _ part: DeviceState
    ) throws(DeviceStateError) -> (id: UInt16, size: UInt32, head: UInt32, tail: UInt32) {
        let id: UInt16 = try part.integer("id")
        let size: UInt32 = try part.integer("size")
        let head: UInt32 = try part.integer("head")
        let tail: UInt32 = try part.integer("tail")
        guard id <= NVMeModel.queueLimit, 2...4096 ~= size, head < size, tail < size else {
            throw .outOfRange(field: "size", value: UInt64(size))
        }
        return (id, size, head, tail)
    }
}
