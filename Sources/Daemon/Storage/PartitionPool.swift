internal import DomainModel
internal import HostOS
internal import RPCWire

/// A pool of kind `disk`: the partitions of one device, by `parted`.
struct PartitionPool: BlockPool {
    private static let parted = "/usr/sbin/parted"
    /// Where partitions begin, as far as there is room: what disks of today like.
    private static let alignment: UInt64 = 1 << 20
    private static let formats: Set<String> = ["dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun"]

    let device: String
    /// libvirt's name of the kind of table; nil: any.
    let format: String?
    /// Where volumes are looked up: `/dev`, or a folder of links that last.
    let folder: String
    private let separator: String

    var key: String { "disk:" + (HostFile.realPath(device) ?? device) }

    init(_ tree: XMLTree) throws(LibvirtError) {
        guard let element = tree.at("source", "device"), let path = element["path"], path.hasPrefix("/") else {
            throw StorageDriver.fail(.xml("missing storage pool source device name"))
        }
        device = path
        let format = tree.at("source", "format")?["type"]
        if let format, format != "unknown", !Self.formats.contains(format) {
            throw StorageDriver.fail(.xml("unknown pool format type \(format)"))
        }
        self.format = format == "unknown" ? nil : format
        folder = tree.at("target", "path")?.text ?? "/dev"
        let real = HostFile.realPath(path) ?? path
        separator = element["part_separator"] == "yes" || real.last?.isNumber == true ? "p" : ""
    }

    // MARK: - The table

    /// One line of `parted -m unit B print free`: a partition, or room between them.
    private struct Part {
        var number: Int
        var start: UInt64
        /// The byte behind it.
        var end: UInt64
        var isFree: Bool
    }

    private struct Table {
        var format: String
        var size: UInt64
        var sector: UInt64
        var parts: [Part]
    }

    /// Reads the table; nil: there is none.
    private func table() throws(LibvirtError) -> Table? {
        guard HostFile.status(Self.parted).kind == .file else {
            throw StorageDriver.fail(.internalError("Cannot find '\(Self.parted)' in path"))
        }
        let outcome: ChildProgram.Outcome
        do throws(HostError) {
            outcome = try ChildProgram(Self.parted, ["-m", "-s", device, "unit", "B", "print", "free"]).finish()
        } catch { throw StorageDriver.fail(.system("\(error)")) }
        guard let table = Self.parse(outcome.output) else {
            guard HostFile.status(device).kind == .blockDevice else {
                throw StorageDriver.fail(.system("cannot open '\(device)': \(outcome.complaints)"))
            }
            return nil
        }
        return table.format == "unknown" || table.format == "loop" ? nil : table
    }

    private static func parse(_ text: String) -> Table? {
        func bytes(_ word: Substring) -> UInt64? { word.hasSuffix("B") ? UInt64(word.dropLast()) : nil }
        let lines = text.split(separator: "\n").map { line in
            line.prefix { $0 != ";" }.split(separator: ":", omittingEmptySubsequences: false)
        }
        guard let head = lines.first(where: { $0.count >= 6 && $0[0].hasPrefix("/") }), let size = bytes(head[1]) else {
            return nil
        }
        var table = Table(
            format: head[5] == "msdos" ? "dos" : String(head[5]), size: size, sector: UInt64(head[3]) ?? 512, parts: [])
        for line in lines where line.count >= 4 {
            guard let number = Int(line[0]), let start = bytes(line[1]), let last = bytes(line[2]), start <= last,
                last < UInt64.max
            else { continue }
            table.parts.append(
                Part(number: number, start: start, end: last + 1, isFree: line.count > 4 && line[4] == "free"))
        }
        return table
    }

    private func partition(_ number: Int) -> String { (HostFile.realPath(device) ?? device) + "\(separator)\(number)" }

    /// A partition's name in the pool's folder, which may be one of links.
    private func path(_ partition: String) -> String {
        guard folder != "/dev", !partition.hasPrefix(folder + "/") else { return partition }
        for name in (try? HostFolder.names(in: folder)) ?? [] where HostFile.realPath("\(folder)/\(name)") == partition
        {
            return "\(folder)/\(name)"
        }
        return partition
    }

    // MARK: - The pool

    func start() throws(LibvirtError) {
        guard let table = try table() else { throw Self.needsBuild(device) }
        guard format == nil || table.format == format else {
            throw Self.fail(
                VirErrorNumber.storageProbeFailed, "Storage pool probe failed",
                "Format of device '\(device)' does not match the expected format '\(format ?? "")'")
        }
    }

    func stop() throws(LibvirtError) {}

    func build(overwrites: Bool) throws(LibvirtError) {
        if !overwrites {
            if let table = try table() {
                throw Self.isBuilt("Device '\(device)' already formatted using '\(table.format)'")
            }
            try Self.requireEmpty(device)
        }
        let kind = format ?? "dos"
        try StorageDriver.run(Self.parted, ["-s", device, "mklabel", kind == "dos" ? "msdos" : kind])
    }

    func delete() throws(LibvirtError) {
        throw StorageDriver.fail(.noSupport("pool does not support pool deletion"))
    }

    func look() throws(LibvirtError) -> BlockPoolState {
        guard let table = try table() else { throw Self.needsBuild(device) }
        var state = BlockPoolState()
        state.capacity = table.size
        state.free = table.parts.filter(\.isFree).map { $0.start..<$0.end }
        state.available = state.free.map { UInt64($0.count) }.max() ?? 0
        for part in table.parts where !part.isFree {
            let partition = partition(part.number)
            let name = String(partition.split(separator: "/").last ?? "")
            var volume = StorageVolume(device: name, path: path(partition), capacity: part.end - part.start)
            volume.extents = [StorageVolume.Extent(device: device, range: part.start..<part.end)]
            state.volumes.append(volume)
        }
        return state
    }

    func create(_ wanted: WantedVolume) throws(LibvirtError) -> String {
        guard wanted.backing == nil else {
            throw StorageDriver.fail(.configUnsupported("volumes of disks stand on no others"))
        }
        guard let table = try table() else { throw Self.needsBuild(device) }
        let used = Set(table.parts.filter { !$0.isFree }.map(\.number))
        let number = (1...).first { !used.contains($0) } ?? 1
        if table.format == "dos", number > 4 {
            throw StorageDriver.fail(.internalError("no primary partition is left"))
        }
        let name = String(partition(number).split(separator: "/").last ?? "")
        guard wanted.name == name else {
            throw StorageDriver.fail(
                .invalidArgument("invalid partition name '\(wanted.name)', expected '\(name)'"))
        }
        let sector = max(512, table.sector)
        let size = max(sector, (wanted.capacity + sector - 1) / sector * sector)
        var place: UInt64?
        for step in [Self.alignment, sector] where place == nil {
            for part in table.parts where part.isFree && place == nil {
                let start = (part.start + step - 1) / step * step
                if start < part.end, part.end - start >= size { place = start }
            }
        }
        guard let place else { throw StorageDriver.fail(.internalError("no large enough free extent")) }
        try StorageDriver.run(
            Self.parted, ["-s", device, "mkpart", "primary", "\(place)B", "\(place + size - 1)B"])
        // The kernel tells of it, and who makes its name, in their own time.
        let pause = Bell()
        for _ in 0..<500 where HostFile.status(partition(number)).kind != .blockDevice {
            pause.wait(nanoseconds: 10_000_000)
        }
        return name
    }

    func remove(_ volume: StorageVolume) throws(LibvirtError) {
        let real = HostFile.realPath(volume.path) ?? volume.path
        let stem = (HostFile.realPath(device) ?? device) + separator
        guard real.hasPrefix(stem), let number = Int(real.dropFirst(stem.count)) else {
            throw StorageDriver.fail(.internalError("'\(volume.path)' is no partition of '\(device)'"))
        }
        try StorageDriver.run(Self.parted, ["-s", device, "rm", "\(number)"])
    }
}
