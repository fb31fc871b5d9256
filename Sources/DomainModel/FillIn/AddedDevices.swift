/// Devices that join a machine that runs.
extension Domain {
    /// Gives an alias to every device that has none, and a number to every image that has none. What runs keeps its
    /// own: `prepareToStart` would number anew.
    public mutating func prepareAdded() {
        let before = self
        // What a start would call each device; taken only where nothing is, and with the first number that is free.
        var fresh = self
        fresh.prepareToStart()
        var used = Set<String>()
        devices.forEachInfo { (info: inout DeviceInfo) in if let alias = info.alias { used.insert(alias) } }
        var proposed: [String?] = []
        fresh.devices.forEachInfo { (info: inout DeviceInfo) in proposed.append(info.alias) }
        var position = 0
        devices.forEachInfo { (info: inout DeviceInfo) in
            defer { position += 1 }
            guard info.alias == nil, position < proposed.count, let name = proposed[position] else { return }
            info.alias = Self.free(name, used)
            used.insert(info.alias ?? name)
        }
        var number = before.devices.disks.map { Self.highest($0.source, $0.backingStore) }.max() ?? 0
        for index in devices.disks.indices {
            var disk = devices.disks[index]
            Self.complete(&disk.source, &disk.backingStore, &number)
            devices.disks[index] = disk
        }
    }

    /// `net0` is `net1` where that is taken; names of disks say their place and are free if the place is.
    private static func free(_ name: String, _ used: Set<String>) -> String {
        guard used.contains(name) else { return name }
        let stem = String(name.reversed().drop { $0.isNumber }.reversed())
        for number in 0...used.count where !used.contains("\(stem)\(number)") { return "\(stem)\(number)" }
        return name
    }

    private static func highest(_ source: DiskSource?, _ chain: [Disk.BackingStore]) -> UInt32 {
        chain.map { highest($0.source, $0.backingStore) }.reduce(source?.index ?? 0) { max($0, $1) }
    }

    private static func complete(
        _ source: inout DiskSource?, _ chain: inout [Disk.BackingStore], _ number: inout UInt32
    ) {
        if source != nil, source?.index == nil {
            number += 1
            source?.index = number
        }
        for index in chain.indices {
            var image = chain[index]
            complete(&image.source, &image.backingStore, &number)
            image.index = image.source?.index
            chain[index] = image
        }
    }
}

extension Devices {
    /// Every device that has an alias, in a fixed order.
    mutating func forEachInfo(_ body: (inout DeviceInfo) -> Void) {
        for index in disks.indices { body(&disks[index].info) }
        for index in controllers.indices { body(&controllers[index].info) }
        for index in filesystems.indices { body(&filesystems[index].info) }
        for index in interfaces.indices { body(&interfaces[index].info) }
        for index in smartcards.indices { body(&smartcards[index].info) }
        for index in serials.indices { body(&serials[index].info) }
        for index in parallels.indices { body(&parallels[index].info) }
        for index in channels.indices { body(&channels[index].info) }
        for index in consoles.indices { body(&consoles[index].info) }
        for index in inputs.indices { body(&inputs[index].info) }
        for index in sounds.indices { body(&sounds[index].info) }
        for index in videos.indices { body(&videos[index].info) }
        for index in hostdevs.indices { body(&hostdevs[index].info) }
        for index in redirdevs.indices { body(&redirdevs[index].info) }
        for index in watchdogs.indices { body(&watchdogs[index].info) }
        for index in rngs.indices { body(&rngs[index].info) }
        for index in memories.indices { body(&memories[index].info) }
        for index in sharedMemories.indices { body(&sharedMemories[index].info) }
    }
}
