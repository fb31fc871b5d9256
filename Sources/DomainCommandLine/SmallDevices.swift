internal import DomainModel
internal import JSON

/// File systems, TPM, and what has no file of its own.
extension QEMUArguments {
    mutating func fileSystems() throws(DefinitionError) {
        for (index, system) in domain.devices.filesystems.enumerated() {
            let alias = system.info.alias ?? "fs\(index)"
            var object = JSONObject()
            if system.driver?.type == "virtiofs" {
                let path = system.source?.socket ?? "\(plan.folder)/\(alias)-fs.sock"
                add("-chardev", "socket,id=chr-vu-\(alias),path=\(Self.escaped(path))")
                object = ["driver": "vhost-user-fs-pci", "id": .string(alias), "chardev": .string("chr-vu-\(alias)")]
                object["tag"] = .string(system.target)
                object.set("queue-size", system.driver?.queue)
            } else {
                let models = ["passthrough": "passthrough", "mapped": "mapped", "squash": "none"]
                var text = "local,security_model=\(models[system.accessMode ?? "passthrough"] ?? "passthrough")"
                if let mode = system.multidevs, mode != "default" { text += ",multidevs=\(mode)" }
                if system.driver?.wrpolicy == "immediate" { text += ",writeout=immediate" }
                if let mode = system.fmode { text += ",fmode=\(Self.escaped(mode))" }
                if let mode = system.dmode { text += ",dmode=\(Self.escaped(mode))" }
                text += ",id=fsdev-\(alias),path=\(Self.escaped(system.source?.dir ?? ""))"
                if system.readonly { text += ",readonly=on" }
                add("-fsdev", text)
                let model = system.model == "virtio" ? nil : system.model
                object["driver"] = .string(domain.virtio("9p", model: model, system.info))
                object["id"] = .string(alias)
                object["fsdev"] = .string("fsdev-\(alias)")
                object["mount_tag"] = .string(system.target)
            }
            object.place(system.info, in: domain)
            device(object)
        }
    }

    mutating func tpms() throws(DefinitionError) {
        for (index, tpm) in domain.devices.tpms.enumerated() {
            let alias = tpm.info.alias ?? "tpm\(index)"
            switch tpm.backend.type {
            case "emulator", "external":
                let path = tpm.backend.source?.path ?? "\(plan.folder)/swtpm.sock"
                add("-chardev", "socket,id=chrtpm,path=\(Self.escaped(path))")
                add("-tpmdev", "emulator,id=tpm-\(alias),chardev=chrtpm")
            default:
                let path = tpm.backend.devicePath ?? "/dev/tpm0"
                add("-tpmdev", "passthrough,id=tpm-\(alias),path=\(Self.escaped(path))")
            }
            device(["driver": .string(tpm.model ?? "tpm-tis"), "tpmdev": .string("tpm-\(alias)"), "id": .string(alias)])
        }
    }

    mutating func smallDevices() throws(DefinitionError) {
        watchdogs()
        try redirected()
        try hostDevices()
        balloon()
        try randomNumbers()
        if domain.features.vmcoreinfo != nil, domain.features.vmcoreinfo?.state != .off {
            device(["driver": "vmcoreinfo"])
        }
        panics()
        sharedMemories()
        socketDevice()
        iommu()
    }

    private mutating func watchdogs() {
        for (index, watchdog) in domain.devices.watchdogs.enumerated() {
            var object: JSONObject = [
                "driver": .string(watchdog.model), "id": .string(watchdog.info.alias ?? "watchdog\(index)"),
            ]
            object.place(watchdog.info, in: domain)
            if watchdog.model != "itco" { device(object) }
        }
        guard let watchdog = domain.devices.watchdogs.first else { return }
        // A dump is taken by who manages the machine, which is told of a pause.
        let action = watchdog.action == "dump" ? "pause" : watchdog.action ?? "reset"
        add("-watchdog-action", action)
    }

    private mutating func redirected() throws(DefinitionError) {
        for (index, redirected) in domain.devices.redirdevs.enumerated() {
            let alias = redirected.info.alias ?? "redir\(index)"
            try chardev(redirected.source, "char" + alias, in: "redirdev", name: nil)
            var object: JSONObject = [
                "driver": "usb-redir", "chardev": .string("char" + alias), "id": .string(alias),
            ]
            if let filter = domain.devices.redirectionFilter, !filter.rules.isEmpty {
                object["filter"] = .string(text(filter))
            }
            object.set("bootindex", redirected.info.bootOrder)
            object.place(redirected.info, in: domain)
            device(object)
        }
    }

    private func text(_ filter: RedirectionFilter) -> String {
        filter.rules.map { rule in
            let version = rule.version.map { "0x" + $0.filter { $0 != "." } } ?? "-1"
            return "\(rule.usbClass ?? "-1"):\(rule.vendor ?? "-1"):\(rule.product ?? "-1"):\(version):"
                + (rule.allow.isYes ? "1" : "0")
        }.joined(separator: "|")
    }

    private mutating func hostDevices() throws(DefinitionError) {
        for (index, hostdev) in domain.devices.hostdevs.enumerated() {
            let alias = hostdev.info.alias ?? "hostdev\(index)"
            var object = JSONObject()
            switch hostdev.type {
            case "pci":
                object = ["driver": "vfio-pci", "host": .string(hostdev.source?.address?.pci?.text ?? "")]
            case "mdev":
                let uuid = hostdev.source?.address?.uuid?.xml ?? ""
                object = ["driver": .string(hostdev.model ?? "vfio-pci")]
                object["sysfsdev"] = .string("/sys/bus/mdev/devices/\(uuid)")
                if let display = hostdev.display { object["display"] = .string(display.rawValue) }
            case "usb":
                object = ["driver": "usb-host"]
                if let vendor = hostdev.source?.vendor, let product = hostdev.source?.product {
                    object["vendorid"] = .number(vendor.id)
                    object["productid"] = .number(product.id)
                } else if let address = hostdev.source?.address {
                    object.set("hostbus", address.bus.flatMap { UInt32($0) })
                    object.set("hostaddr", address.device.flatMap { UInt32($0) })
                    object.set("hostport", address.port)
                }
            default:
                throw DefinitionError(
                    .configUnsupported,
                    "unsupported configuration: hostdev type '\(hostdev.type ?? "")' is not supported here")
            }
            object["id"] = .string(alias)
            object.set("bootindex", hostdev.info.bootOrder)
            object.place(hostdev.info, in: domain)
            object.set(rom: hostdev.info.rom)
            device(object)
        }
    }

    private mutating func balloon() {
        guard let balloon = domain.devices.memballoon, balloon.model.hasPrefix("virtio") else { return }
        let model = balloon.model == "virtio" ? nil : balloon.model
        var object: JSONObject = [
            "driver": .string(domain.virtio("balloon", model: model, balloon.info)),
            "id": .string(balloon.info.alias ?? "balloon0"),
        ]
        object.set("deflate-on-oom", balloon.autodeflate)
        object.set("free-page-reporting", balloon.freePageReporting)
        object.set(balloon.driver?.options)
        object.place(balloon.info, in: domain)
        device(object)
    }

    private mutating func randomNumbers() throws(DefinitionError) {
        for (index, rng) in domain.devices.rngs.enumerated() {
            let alias = rng.info.alias ?? "rng\(index)"
            var source: JSONObject = ["qom-type": "rng-random", "id": .string("obj" + alias)]
            switch rng.backend.model {
            case "egd":
                try chardev(rng.backend.source, "char" + alias, in: "rng", name: nil)
                source = ["qom-type": "rng-egd", "id": .string("obj" + alias), "chardev": .string("char" + alias)]
            case "builtin": source["qom-type"] = "rng-builtin"
            default: source["filename"] = .string(rng.backend.path ?? "/dev/random")
            }
            add("-object", source)
            let model = rng.model == "virtio" ? nil : rng.model
            var object: JSONObject = [
                "driver": .string(domain.virtio("rng", model: model, rng.info)), "rng": .string("obj" + alias),
                "id": .string(alias),
            ]
            if let rate = rng.rate {
                object["max-bytes"] = .number(rate.bytes)
                object["period"] = .number(rate.period ?? 1000)
            }
            object.set(rng.driver?.options)
            object.place(rng.info, in: domain)
            device(object)
        }
    }

    private mutating func panics() {
        for panic in domain.devices.panics where panic.model == "isa" || panic.model == nil {
            var object: JSONObject = ["driver": "pvpanic"]
            if case .isa(let iobase?, _)? = panic.info.address { object["ioport"] = .number(iobase) }
            device(object)
        }
    }

    private mutating func sharedMemories() {
        for (index, memory) in domain.devices.sharedMemories.enumerated() {
            let alias = memory.info.alias ?? "shmem\(index)"
            var object = JSONObject()
            if memory.model == "ivshmem-doorbell" {
                let path = memory.serverPath ?? "/var/lib/libvirt/shmem-\(memory.name)-sock"
                add("-chardev", "socket,id=char\(alias),path=\(Self.escaped(path))")
                object = ["driver": "ivshmem-doorbell", "id": .string(alias), "chardev": .string("char" + alias)]
                object.set("vectors", memory.vectors)
                object.set("ioeventfd", memory.ioeventfd)
            } else {
                add(
                    "-object",
                    [
                        "qom-type": "memory-backend-file", "id": .string("shmmem-" + alias),
                        "mem-path": .string("/dev/shm/" + memory.name),
                        "size": .number(memory.size?.bytes ?? 4 << 20), "share": true,
                    ])
                object = ["driver": "ivshmem-plain", "id": .string(alias), "memdev": .string("shmmem-" + alias)]
            }
            if let role = memory.role { object["master"] = .string(role == "master" ? "on" : "off") }
            object.place(memory.info, in: domain)
            device(object)
        }
    }

    private mutating func socketDevice() {
        guard let vsock = domain.devices.vsock else { return }
        let alias = vsock.info.alias ?? "vsock0"
        var object: JSONObject = ["driver": "vhost-vsock-pci", "id": .string(alias)]
        // Ours needs no kernel for it: the host's programs find the guest at a socket of the machine's folder.
        if !plan.usesQEMUExtras {
            object["driver"] = "virtio-vsock-pci"
            object["path"] = .string("\(plan.folder)/\(alias).sock")
        }
        object["guest-cid"] = .number(max(vsock.cid ?? 3, 3))
        object.place(vsock.info, in: domain)
        device(object)
    }

    private mutating func iommu() {
        guard let iommu = domain.devices.iommu else { return }
        var object: JSONObject
        switch iommu.model {
        case "virtio": object = ["driver": "virtio-iommu-pci", "id": .string(iommu.info.alias ?? "iommu0")]
        default:
            object = ["driver": "intel-iommu", "id": .string(iommu.info.alias ?? "iommu0")]
            if let value = iommu.interruptRemapping { object["intremap"] = .string(value.rawValue) }
            object.set("caching-mode", iommu.cachingMode)
            if let value = iommu.extendedInterrupts { object["eim"] = .string(value.rawValue) }
            object.set("device-iotlb", iommu.iotlb)
            object.set("aw-bits", iommu.addressBits)
        }
        object.place(iommu.info, in: domain)
        // An IOMMU must stand before the devices behind it.
        if let place = words.firstIndex(of: "-device") {
            let text = String(decoding: JSONWriter.write(.object(object)), as: UTF8.self)
            words.insert(contentsOf: ["-device", text], at: place)
        } else {
            device(object)
        }
    }
}
