/// The order in which libvirt keeps disks and controllers.
extension Domain {
    /// The number that the letters behind a disk's prefix stand for: `vda` is 0, `sdaa` 26; `nil` for other names.
    public static func diskIndex(_ name: String) -> Int? {
        for prefix in ["fd", "hd", "vd", "sd", "xvd", "ubd"] where name.hasPrefix(prefix) {
            let letters = name.utf8.dropFirst(prefix.utf8.count).prefix { $0 >= 0x61 && $0 <= 0x7A }
            let rest = name.utf8.dropFirst(prefix.utf8.count + letters.count)
            guard !letters.isEmpty, letters.count <= 4, rest.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
                return nil
            }
            return letters.reduce(0) { $0 * 26 + Int($1 - 0x61) + 1 } - 1
        }
        return nil
    }

    /// Disks of one bus stand together, by their names. A disk that names no bus is of none yet.
    mutating func sortDisks() {
        var sorted: [Disk] = []
        for disk in devices.disks {
            var place: Int?
            let own = Self.diskIndex(disk.target.dev) ?? -1
            for index in sorted.indices.reversed() where sorted[index].target.bus == disk.target.bus {
                if (Self.diskIndex(sorted[index].target.dev) ?? -1) > own {
                    place = index
                } else if place == nil {
                    place = index + 1
                }
            }
            sorted.insert(disk, at: place ?? sorted.count)
        }
        devices.disks = sorted
    }

    /// Controllers of one type stand together by index, a USB master before its companions; those without an index get
    /// the next free one of their type.
    mutating func sortControllers() {
        var sorted: [Controller] = []
        for controller in devices.controllers {
            var place: Int?
            for index in sorted.indices.reversed() where sorted[index].type == controller.type {
                guard let own = controller.index else {
                    place = index + 1
                    break
                }
                // One without an index counts as -1, so before all others.
                if let other = sorted[index].index, other > own {
                    place = index
                } else if sorted[index].index == own, controller.info.masterStartPort == nil,
                    sorted[index].info.masterStartPort != nil
                {
                    place = index
                } else if place == nil {
                    place = index + 1
                }
            }
            sorted.insert(controller, at: place ?? sorted.count)
        }
        devices.controllers = sorted
        assignControllerIndexes()
    }

    private mutating func assignControllerIndexes() {
        for position in devices.controllers.indices where devices.controllers[position].index == nil {
            let controller = devices.controllers[position]
            // Companions belong to the set that their predecessor began.
            if controller.type == .usb, controller.model?.hasPrefix("ich9-") == true,
                controller.info.masterStartPort != nil
                    || controller.model?.hasPrefix("ich9-uhci") == true, position > 0,
                let before = devices.controllers[..<position].last(where: {
                    $0.type == .usb && $0.model?.hasPrefix("ich9-") == true
                })
            {
                devices.controllers[position].index = before.index
                continue
            }
            let used = Set(devices.controllers.filter { $0.type == controller.type }.compactMap(\.index))
            var index: UInt32 = 0
            while used.contains(index) { index += 1 }
            devices.controllers[position].index = index
        }
    }

    /// True when such a controller is there.
    func hasController(_ type: ControllerType, _ index: UInt32 = 0) -> Bool {
        devices.controllers.contains { $0.type == type && $0.index == index }
    }

    /// Adds a controller at the end if there is none of that type and index.
    mutating func addController(_ type: ControllerType, _ index: UInt32, model: String? = nil) {
        guard !hasController(type, index) else { return }
        devices.controllers.append(Controller(type, index: index, model: model))
    }
}
