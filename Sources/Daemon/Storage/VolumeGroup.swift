internal import DomainModel
internal import HostOS
internal import RPCWire

/// A pool of kind `logical`: a volume group of LVM, by its own tools.
struct VolumeGroup: BlockPool {
    let name: String
    /// What the group is made on; empty: it is there already.
    let devices: [String]

    var key: String { "logical:\(name)" }

    init(_ tree: XMLTree, name pool: String) throws(LibvirtError) {
        name = tree.at("source", "name")?.text ?? pool
        // LVM's own rule (lvm(8), VALID NAMES).
        let isName = name.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || [43, 95, 46, 45].contains(byte)
        }
        guard isName, !name.isEmpty, !name.hasPrefix("-"), name != ".", name != "..", name.utf8.count < 128 else {
            throw StorageDriver.fail(.xml("name '\(name)' cannot be a volume group's"))
        }
        devices = tree.child("source")?.all("device").compactMap { $0["path"] } ?? []
        for device in devices where !device.hasPrefix("/") {
            throw StorageDriver.fail(.xml("device path '\(device)' is not absolute"))
        }
    }

    @discardableResult
    private static func run(_ tool: String, _ words: [String]) throws(LibvirtError) -> String {
        let path = ["/usr/sbin/", "/sbin/"].map { $0 + tool }.first { HostFile.status($0).kind == .file }
        return try StorageDriver.run(path ?? "/usr/sbin/\(tool)", words)
    }

    /// Rows of a report, each with its columns.
    static func report(_ tool: String, _ columns: String, _ names: [String] = []) throws(LibvirtError) -> [[String]] {
        try run(tool, ["--noheadings", "--units", "b", "--nosuffix", "--separator", "#", "-o", columns] + names)
            .split(separator: "\n").map { line in
                HostDescription.trim(String(line)).split(separator: "#", omittingEmptySubsequences: false).map(
                    String.init)
            }
    }

    func start() throws(LibvirtError) { try Self.run("vgchange", ["-aay", name]) }
    func stop() throws(LibvirtError) { try Self.run("vgchange", ["-aln", name]) }

    func build(overwrites: Bool) throws(LibvirtError) {
        guard !devices.isEmpty else {
            throw StorageDriver.fail(.xml("missing source devices of a volume group that is to be made"))
        }
        if (try? Self.report("vgs", "vg_name", [name])) != nil, !overwrites {
            throw Self.isBuilt("Device '\(devices[0])' already formatted using 'lvm2'")
        }
        if !overwrites { for device in devices { try Self.requireEmpty(device) } }
        for device in devices { try Self.run("pvcreate", ["-y"] + (overwrites ? ["-ff"] : []) + [device]) }
        try Self.run("vgcreate", [name] + devices)
    }

    func delete() throws(LibvirtError) {
        let own = try Self.report("pvs", "pv_name,vg_name").filter { $0.count == 2 && $0[1] == name }.map { $0[0] }
        try Self.run("vgremove", ["-f", name])
        for device in own { try Self.run("pvremove", [device]) }
    }

    func look() throws(LibvirtError) -> BlockPoolState {
        var state = BlockPoolState()
        guard let row = try Self.report("vgs", "vg_size,vg_free", [name]).first, row.count == 2 else {
            throw StorageDriver.fail(.internalError("volume group '\(name)' tells nothing of itself"))
        }
        (state.capacity, state.available) = (UInt64(row[0]) ?? 0, UInt64(row[1]) ?? 0)
        let rows = try Self.report("lvs", "lv_name,lv_uuid,lv_size,origin,lv_attr,devices", [name])
        var seen: Set<String> = []
        for row in rows where row.count >= 5 {
            // Pools of thin volumes, and what others are made of, are no volumes themselves.
            guard let kind = row[4].first, !"tTeliIdD".contains(kind), seen.insert(row[0]).inserted else { continue }
            var volume = StorageVolume(
                device: row[0], path: "/dev/\(name)/\(row[0])", capacity: UInt64(row[2]) ?? 0)
            volume.key = row[1]
            if !row[3].isEmpty { volume.backing = "/dev/\(name)/\(row[3])" }
            state.volumes.append(volume)
        }
        return state
    }

    func create(_ wanted: WantedVolume) throws(LibvirtError) -> String {
        guard !wanted.name.hasPrefix("-") else {
            throw StorageDriver.fail(.xml("name '\(wanted.name)' cannot be a logical volume's"))
        }
        let size = "\((max(1, wanted.capacity) + 1023) / 1024)K"
        var words = ["--name", wanted.name, "-y", "-Wn", "-L", size]
        if let backing = wanted.backing { words += ["-s", backing] } else { words.append(name) }
        try Self.run("lvcreate", words)
        return wanted.name
    }

    func remove(_ volume: StorageVolume) throws(LibvirtError) {
        try Self.run("lvremove", ["-f", "\(name)/\(volume.name)"])
    }

    func resize(_ volume: StorageVolume, to size: UInt64) throws(LibvirtError) {
        try Self.run(
            size < volume.capacity ? "lvreduce" : "lvextend",
            ["-y", "-f", "-L", "\((size + 1023) / 1024)K", "\(name)/\(volume.name)"])
    }

    /// Groups that are there, for a client that looks for pools.
    static func sources() throws(LibvirtError) -> [XMLTree] {
        var groups: [String: [String]] = [:]
        for row in try report("pvs", "pv_name,vg_name") where row.count == 2 && !row[1].isEmpty {
            groups[row[1], default: []].append(row[0])
        }
        return groups.sorted { $0.key < $1.key }.map { group in
            var source = XMLTree("source")
            for device in group.value { source.append(.of("device", ["path": device])) }
            source.append(.text("name", group.key))
            source.append(.of("format", ["type": "lvm2"]))
            return source
        }
    }
}
