internal import DomainModel
internal import HostOS
internal import RPCWire

/// A pool of kind `zfs`: the volumes of a ZFS pool, by its own tools.
struct ZFSPool: BlockPool {
    let name: String
    private let devices: [String]

    var key: String { "zfs:\(name)" }

    init(_ tree: XMLTree) throws(LibvirtError) {
        name = try Self.word(tree.at("source", "name")?.text, "missing mandatory 'name' field for pool type 'zfs'")
        // zpool(8), and filesystems within: letters, numbers and these.
        let isName = name.utf8.allSatisfy { byte in
            (97...122).contains(byte | 0x20) || (47...58).contains(byte) || [45, 46, 95].contains(byte)
        }
        guard isName else { throw StorageDriver.fail(.xml("name '\(name)' cannot be a ZFS pool's")) }
        devices = tree.child("source")?.all("device").compactMap { $0["path"] } ?? []
        for device in devices where !device.hasPrefix("/") {
            throw StorageDriver.fail(.xml("device path '\(device)' is not absolute"))
        }
    }

    func start() throws(LibvirtError) { _ = try look() }
    func stop() throws(LibvirtError) {}

    func build(overwrites: Bool) throws(LibvirtError) {
        guard !devices.isEmpty else { throw StorageDriver.fail(.xml("missing source devices")) }
        try Self.run(tool: "zpool", ["create"] + (overwrites ? ["-f"] : []) + [name] + devices)
    }

    func delete() throws(LibvirtError) { try Self.run(tool: "zpool", ["destroy", name]) }

    /// Rows of `zpool get -Hp`: name, property, value and where it is from, with tabs between them.
    static func properties(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: "\t", omittingEmptySubsequences: false)
            if words.count == 4 { found[String(words[1])] = String(words[2]) }
        }
        return found
    }

    /// Rows of `zfs list -Hp -o name,volsize,refreservation`.
    static func volumes(_ text: String, in pool: String) -> [StorageVolume] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard words.count == 3, words[0].hasPrefix(pool + "/"), let size = UInt64(words[1]) else { return nil }
            let name = String(words[0].dropFirst(pool.utf8.count + 1))
            guard !name.isEmpty else { return nil }
            return StorageVolume(
                device: name, path: "/dev/zvol/\(words[0])", capacity: size, allocation: UInt64(words[2]) ?? 0,
                key: words[0])
        }
    }

    func look() throws(LibvirtError) -> BlockPoolState {
        let pool = String(name.prefix { $0 != "/" })
        let found = Self.properties(try Self.run(tool: "zpool", ["get", "-Hp", "health,size,free,allocated", pool]))
        var state = BlockPoolState()
        state.capacity = found["size"].flatMap { UInt64($0) } ?? 0
        state.available = found["free"].flatMap { UInt64($0) } ?? 0
        let list = try Self.run(
            tool: "zfs", ["list", "-Hp", "-t", "volume", "-r", "-o", "name,volsize,refreservation", name])
        state.volumes = Self.volumes(list, in: name)
        return state
    }

    func create(_ wanted: WantedVolume) throws(LibvirtError) -> String {
        guard wanted.backing == nil else {
            throw StorageDriver.fail(.configUnsupported("volumes of ZFS pools stand on no others here"))
        }
        let volume = try Self.word(wanted.name, "missing volume name element")
        let size = "\((max(1, wanted.capacity) + 1023) / 1024)K"
        let isSparse = wanted.allocation < wanted.capacity
        try Self.run(tool: "zfs", ["create"] + (isSparse ? ["-s"] : []) + ["-V", size, "\(name)/\(volume)"])
        return volume
    }

    func remove(_ volume: StorageVolume) throws(LibvirtError) {
        try Self.run(tool: "zfs", ["destroy", "\(name)/\(volume.name)"])
    }

    func resize(_ volume: StorageVolume, to size: UInt64) throws(LibvirtError) {
        try Self.run(tool: "zfs", ["set", "volsize=\((size + 1023) / 1024)K", "\(name)/\(volume.name)"])
    }
}
