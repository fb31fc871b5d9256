internal import DomainModel
internal import JSON

extension MachineCommandLine {
    /// Disks and CD-ROM drives.
    mutating func addDisk(_ disk: inout XMLTree, index: Int, order: [String]) throws(LibvirtError) {
        let kind = disk["device"] ?? "disk"
        let target = disk.child("target")?["dev"] ?? ""
        let bus =
            disk.child("target")?["bus"]
            ?? (target.hasPrefix("vd") ? "virtio" : target.hasPrefix("sd") ? "scsi" : "ide")
        guard kind == "disk" || kind == "cdrom" else {
            messages.append("disk \(target): a \(kind) is not supported")
            return
        }
        let number = index + 1
        let storage = "libvirt-\(number)-storage"
        let format = "libvirt-\(number)-format"
        let readOnly = kind == "cdrom" || disk.child("readonly") != nil
        let hasImage = try addImage(disk, storage: storage, format: format, readOnly: readOnly)
        let bootIndex = bootIndex(disk, kind, order)
        let place = place(disk)
        let (driver, alias): (String, String)
        switch bus {
        case "virtio":
            guard hasImage else { throw LibvirtError.configUnsupported("disk '\(target)' has no source") }
            (driver, alias) = ("virtio-blk-pci", "virtio-disk\(MachineCommandLine.diskNumber(target))")
        case "ide", "sata":
            let address = disk.child("address")
            let place = MachineCommandLine.diskNumber(target)
            let unit = MachineCommandLine.number(address?["unit"]) ?? place % 2
            let channel = MachineCommandLine.number(address?["bus"]) ?? place / 2
            let alias = name(&disk, "\(bus)0-\(channel)-\(unit)")
            addDevice([
                "driver": kind == "cdrom" ? "ide-cd" : "ide-hd", "bus": bus == "ide" ? "ide.\(channel)" : nil,
                "unit": bus == "ide" ? "\(unit)" : nil, "drive": hasImage ? format : nil, "id": alias,
                "bootindex": bootIndex,
            ])
            return
        case "scsi":
            (driver, alias) = (
                kind == "cdrom" ? "scsi-cd" : "scsi-hd", "scsi0-0-0-\(MachineCommandLine.diskNumber(target))"
            )
        default: throw LibvirtError.configUnsupported("disk bus '\(bus)' is not supported")
        }
        guard emulator.has(device: driver) else {
            throw LibvirtError.configUnsupported("This QEMU doesn't support '\(driver)'")
        }
        let id = name(&disk, alias)
        addDevice([
            "driver": driver, "bus": bus == "virtio" ? place.bus : nil, "addr": bus == "virtio" ? place.address : nil,
            "drive": hasImage ? format : nil, "id": id, "bootindex": bootIndex,
            "serial": disk.child("serial")?.text,
        ])
    }

    /// The place of `vdb` among its like: 1.
    static func diskNumber(_ target: String) -> Int {
        let letters = target.dropFirst(2).utf8.prefix { $0 >= 97 && $0 <= 122 }
        let number = letters.prefix(4).reduce(0) { $0 * 26 + Int($1) - 96 }
        return max(0, number - 1)
    }

    /// The nodes of an image; false: the drive is empty.
    private mutating func addImage(
        _ disk: XMLTree, storage: String, format: String, readOnly: Bool
    ) throws(LibvirtError) -> Bool {
        let source = disk.child("source")
        var file = JSONObject()
        switch disk["type"] ?? "file" {
        case "file":
            guard let path = source?["file"], !path.isEmpty else { return false }
            file["driver"] = "file"
            file["filename"] = .string(path)
        case "block":
            guard let path = source?["dev"], !path.isEmpty else { return false }
            file["driver"] = "host_device"
            file["filename"] = .string(path)
        case let type: throw LibvirtError.configUnsupported("disk type '\(type)' is not supported")
        }
        file["node-name"] = .string(storage)
        file["auto-read-only"] = true
        file["discard"] = "unmap"
        add("-blockdev", JSONValue.object(file).description)
        var node = JSONObject()
        node["node-name"] = .string(format)
        node["read-only"] = .bool(readOnly)
        node["driver"] = .string(disk.child("driver")?["type"] ?? "raw")
        node["file"] = .string(storage)
        if let cache = disk.child("driver")?["cache"], cache == "none" || cache == "directsync" {
            node["cache"] = ["direct": true, "no-flush": false]
        }
        if let discard = disk.child("driver")?["discard"] { node["discard"] = .string(discard) }
        add("-blockdev", JSONValue.object(node).description)
        return true
    }

    /// From `<boot order>` of the device, or from the classes of `<os>`.
    func bootIndex(_ device: XMLTree, _ kind: String, _ order: [String]) -> String? {
        if let own = device.child("boot")?["order"] { return own }
        let letter = device.name == "interface" ? "network" : kind == "cdrom" ? "cdrom" : "hd"
        guard let class_ = order.firstIndex(of: letter) else { return nil }
        // Only the first of a class, as the firmware would take it.
        let same = live.child("devices")?.all(device.name).filter {
            ($0["device"] ?? "disk") == (device["device"] ?? "disk")
        }
        let first = same?.first
        guard device.name == "interface" || first?.child("target")?["dev"] == device.child("target")?["dev"] else {
            return nil
        }
        return "\(class_ + 1)"
    }
}
