internal import DomainModel
internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Volumes of storage pools.
extension Run {
    private static let kinds = ["file", "block", "dir", "network", "net-dir", "ploop"]

    private static func volumeXML(_ c: Call, _ volume: RemoteStorageVol) throws -> String {
        try c.ask(Remote.StorageVolGetXMLDesc.self, .init(vol: volume, flags: 0)).xml
    }

    static func volCreate(_ c: Call) throws {
        let flags = c.bits(
            ("prealloc-metadata", VirStorageVolCreateFlags.preallocMetadata),
            ("validate", VirStorageVolCreateFlags.validate))
        let pool = try c.pool()
        let path = try c.text("file")
        let xml = try c.file(path)
        let volume = try failing("Failed to create vol from \(path)") {
            try c.ask(Remote.StorageVolCreateXML.self, .init(pool: pool, xml: xml, flags: flags)).vol
        }
        c.say("Vol \(volume.name) created from \(path)\n")
    }

    static func volCreateAs(_ c: Call) throws {
        let flags: UInt32 = c.has("prealloc-metadata") ? VirStorageVolCreateFlags.preallocMetadata : 0
        let pool = try c.pool()
        let name = try c.text("name")
        guard let capacity = NumberText.scaled(try c.text("capacity"), 1) else {
            throw CommandFailure("Malformed size \(c["capacity"] ?? "")")
        }
        var allocation: UInt64?
        if let text = c["allocation"] {
            guard let value = NumberText.scaled(text, 1) else { throw CommandFailure("Malformed size \(text)") }
            allocation = value
        }
        var xml = XMLText("volume")
        xml.add("name", text: name)
        xml.add("capacity", text: "\(capacity)")
        if let allocation { xml.add("allocation", text: "\(allocation)") }
        if let format = c["format"] {
            var target = XMLText("target")
            target.add("format", [("type", format)])
            xml.children.append(target)
        }
        if let backing = c["backing-vol"] {
            // By its name in the pool, its key or its path.
            let found =
                (try? c.ask(Remote.StorageVolLookupByName.self, .init(pool: pool, name: backing)).vol)
                ?? (try? c.ask(Remote.StorageVolLookupByKey.self, .init(key: backing)).vol)
                ?? (try? c.ask(Remote.StorageVolLookupByPath.self, .init(path: backing)).vol)
            guard let found else { throw CommandFailure("failed to get vol '\(backing)'") }
            var store = XMLText("backingStore")
            store.add("path", text: try c.ask(Remote.StorageVolGetPath.self, .init(vol: found)).name)
            if let format = c["backing-vol-format"] { store.add("format", [("type", format)]) }
            xml.children.append(store)
        }
        let text = xml.written()
        if c.has("print-xml") { return c.out(text) }
        try failing("Failed to create vol \(name)") {
            try c.ask(Remote.StorageVolCreateXML.self, .init(pool: pool, xml: text, flags: flags))
        }
        c.say("Vol \(name) created\n")
    }

    static func volCreateFrom(_ c: Call) throws {
        let pool = try c.pool()
        typealias Flags = VirStorageVolCreateFlags
        let flags = c.bits(
            ("prealloc-metadata", Flags.preallocMetadata), ("reflink", Flags.reflink), ("validate", Flags.validate))
        let path = try c.text("file")
        let source = try c.volume("vol", pool: "inputpool")
        let xml = try c.file(path)
        let volume = try failing("Failed to create vol from \(source.name)") {
            try c.ask(
                Remote.StorageVolCreateXMLFrom.self, .init(pool: pool, xml: xml, clonevol: source, flags: flags)
            ).vol
        }
        c.say("Vol \(volume.name) created from input vol \(source.name)\n")
    }

    static func volClone(_ c: Call) throws {
        let source = try c.volume()
        typealias Flags = VirStorageVolCreateFlags
        let flags = c.bits(("prealloc-metadata", Flags.preallocMetadata), ("reflink", Flags.reflink))
        let pool = try failing("failed to get parent pool") {
            try c.ask(Remote.StoragePoolLookupByVolume.self, .init(vol: source)).pool
        }
        let name = try c.text("newname")
        guard let root = XMLDocument.parse(try volumeXML(c, source)) else {
            throw CommandFailure("Failed to allocate XML buffer")
        }
        let copy = root.replacing("name") { _ in XMLTree("name", nodes: [.text(name)]) }
        if c.has("print-xml") { return c.out(NodeText.dump(copy)) }
        let xml = XMLWriter.write(copy)
        let volume = try failing("Failed to clone vol from \(source.name)") {
            try c.ask(
                Remote.StorageVolCreateXMLFrom.self, .init(pool: pool, xml: xml, clonevol: source, flags: flags)
            ).vol
        }
        c.say("Vol \(volume.name) cloned from \(source.name)\n")
    }

    static func volDelete(_ c: Call) throws {
        let volume = try c.volume()
        let flags: UInt32 = c.has("delete-snapshots") ? VirStorageVolDeleteFlags.withSnapshots : 0
        let name = c["vol"] ?? ""
        try failing("Failed to delete vol \(name)") {
            try c.ask(Remote.StorageVolDelete.self, .init(vol: volume, flags: flags))
        }
        c.say("Vol \(name) deleted\n")
    }

    static func volWipe(_ c: Call) throws {
        let volume = try c.volume()
        let names = ["zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "random", "trim"]
        let name = c["vol"] ?? ""
        if let algorithm = c["algorithm"] {
            guard let place = names.firstIndex(of: algorithm) else {
                throw CommandFailure("Unsupported algorithm '\(algorithm)'")
            }
            try failing("Failed to wipe vol \(name)") {
                try c.ask(
                    Remote.StorageVolWipePattern.self, .init(vol: volume, algorithm: UInt32(place), flags: 0))
            }
        } else {
            try failing("Failed to wipe vol \(name)") {
                try c.ask(Remote.StorageVolWipe.self, .init(vol: volume, flags: 0))
            }
        }
        c.say("Vol \(name) wiped\n")
    }

    static func volInfo(_ c: Call) throws {
        let volume = try c.volume()
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", volume.name)
        let physical = c.has("physical")
        let info =
            physical
            ? try c.ask(
                Remote.StorageVolGetInfoFlags.self, .init(vol: volume, flags: VirStorageVolInfoFlags.getPhysical))
            : try c.ask(Remote.StorageVolGetInfo.self, .init(vol: volume))
        line("Type:", DomainText.name(kinds, info.type))
        for (label, value) in [("Capacity:", info.capacity), (physical ? "Physical:" : "Allocation:", info.allocation)]
        {
            line(label, c.has("bytes") ? "\(value) bytes" : size(value))
        }
    }

    static func volResize(_ c: Call) throws {
        let volume = try c.volume()
        let text = try c.text("capacity")
        let isShrink = c.has("shrink")
        var flags = c.bits(
            ("allocate", VirStorageVolResizeFlags.allocate), ("delta", VirStorageVolResizeFlags.delta),
            ("shrink", VirStorageVolResizeFlags.shrink))
        let digits: Substring
        if text.hasPrefix("-") {
            // A size with a sign is how much less it shall be.
            guard isShrink else { throw CommandFailure("negative size requires --shrink") }
            digits = text.dropFirst()
            flags |= VirStorageVolResizeFlags.delta
        } else {
            digits = text[...]
        }
        guard let capacity = NumberText.scaled(String(digits), 1) else {
            throw CommandFailure("Malformed size \(text)")
        }
        let isDelta = c.has("delta")
        try failing(
            isDelta
                ? "Failed to change size of volume '\(volume.name)' by \(text)"
                : "Failed to change size of volume '\(volume.name)' to \(text)"
        ) {
            try c.ask(Remote.StorageVolResize.self, .init(vol: volume, capacity: capacity, flags: flags))
        }
        c.say(
            isDelta
                ? "Size of volume '\(volume.name)' successfully changed by \(text)\n"
                : "Size of volume '\(volume.name)' successfully changed to \(text)\n")
    }

    static func volDumpxml(_ c: Call) throws { try printXML(c, try volumeXML(c, try c.volume())) }

    static func volList(_ c: Call) throws {
        let pool = try c.pool()
        let volumes = try failing("Failed to list volumes") {
            try c.ask(Remote.StoragePoolListAllVolumes.self, .init(pool: pool, needResults: 1, flags: 0)).vols
        }.sorted { isBefore($0.name, $1.name) }
        let details = c.has("details")
        var table = details ? TextTable("Name", "Path", "Type", "Capacity", "Allocation") : TextTable("Name", "Path")
        for volume in volumes {
            let path = (try? c.ask(Remote.StorageVolGetPath.self, .init(vol: volume)).name) ?? "-"
            guard details else {
                table.add(volume.name, path)
                continue
            }
            let info = try? c.ask(Remote.StorageVolGetInfo.self, .init(vol: volume))
            table.add(
                volume.name, path, info.map { DomainText.name(kinds, $0.type) } ?? "unknown",
                info.map { size($0.capacity) } ?? "unknown", info.map { size($0.allocation) } ?? "unknown")
        }
        c.table(table)
    }

    static func volName(_ c: Call) throws { c.out("\(try c.volume(pool: nil).name)\n") }

    static func volPath(_ c: Call) throws {
        c.out("\(try c.ask(Remote.StorageVolGetPath.self, .init(vol: try c.volume())).name)\n")
    }

    static func volKey(_ c: Call) throws { c.out("\(try c.volume().key)\n") }

    static func volPool(_ c: Call) throws {
        let volume = try c.volume(pool: nil)
        let pool = try failing("failed to get parent pool") {
            try c.ask(Remote.StoragePoolLookupByVolume.self, .init(vol: volume)).pool
        }
        c.out(c.has("uuid") ? "\(pool.uuid)\n" : "\(pool.name)\n")
    }

    // MARK: - Contents

    static func volUpload(_ c: Call) throws {
        let offset = try c.scaled("offset", scale: 1) ?? 0
        let length = try c.scaled("length", scale: 1) ?? 0
        let volume = try c.volume()
        let path = try c.text("file")
        let sparse = c.has("sparse")
        let file: Descriptor
        do throws(HostError) { file = try HostFile.open(path, .read) } catch {
            throw CommandFailure("cannot read \(path)")
        }
        let stream = try failing("cannot upload to volume \(volume.name)") {
            try c.client.openStream(
                Remote.StorageVolUpload.self,
                .init(
                    vol: volume, offset: offset, length: length,
                    flags: sparse ? VirStorageVolUploadFlags.sparseStream : 0)
            ).stream
        }
        do { try Transfer.upload(stream, file, sparse: sparse) } catch {
            stream.abort()
            throw CommandFailure(lines: ["cannot send data to volume \(volume.name)"] + CommandFailure.lines(of: error))
        }
        try failing("cannot close volume \(volume.name)") { try stream.finish() }
    }

    static func volDownload(_ c: Call) throws {
        let offset = try c.scaled("offset", scale: 1) ?? 0
        let length = try c.scaled("length", scale: 1) ?? 0
        let volume = try c.volume()
        let path = try c.text("file")
        let sparse = c.has("sparse")
        let isNew = HostFile.status(path).kind == .nothing
        let stream = try failing("cannot download from volume \(volume.name)") {
            try c.client.openStream(
                Remote.StorageVolDownload.self,
                .init(
                    vol: volume, offset: offset, length: length,
                    flags: sparse ? VirStorageVolDownloadFlags.sparseStream : 0)
            ).stream
        }
        do { try Transfer.download(stream, path) } catch {
            if isNew { try? HostFile.remove(path) }
            throw CommandFailure(
                lines: ["cannot receive data from volume \(volume.name)"] + CommandFailure.lines(of: error))
        }
    }
}
