internal import DomainModel
internal import JSON

/// Screens, video cards, sound and input.
extension QEMUArguments {
    mutating func inputs() throws(DefinitionError) {
        for (index, input) in domain.devices.inputs.enumerated() {
            let alias = input.info.alias ?? "input\(index)"
            var object: JSONObject
            switch (input.bus, input.type) {
            case ("usb", "mouse"): object = ["driver": "usb-mouse"]
            case ("usb", "tablet"): object = ["driver": "usb-tablet"]
            case ("usb", "keyboard"): object = ["driver": "usb-kbd"]
            case ("virtio", "passthrough"):
                object = ["driver": .string(domain.virtio("input-host", model: input.model, input.info))]
                object.set("evdev", input.source?.evdev)
            case ("virtio", let type):
                let suffix = domain.virtio(type, model: input.model == "virtio" ? nil : input.model, input.info)
                object = ["driver": .string(suffix)]
                object.set(input.driver?.options)
            case (_, "evdev"):
                var linux: JSONObject = [
                    "qom-type": "input-linux", "id": .string(alias), "evdev": .string(input.source?.dev ?? ""),
                ]
                if input.source?.grab == "all" { linux["grab_all"] = true }
                if let repeats = input.source?.repeats { linux["repeat"] = .bool(repeats.isOn) }
                linux.set("grab-toggle", input.source?.grabToggle)
                add("-object", linux)
                continue
            // The board has its own PS/2 devices.
            default: continue
            }
            object["id"] = .string(alias)
            object.place(input.info, in: domain)
            device(object)
        }
    }

    /// Sound back-ends, screens and video cards.
    mutating func screens() throws(DefinitionError) {
        // Without a sound device a back-end has nobody to serve but the screens, which take none of our machine.
        for audio in domain.devices.audios where plan.usesQEMUExtras || !domain.devices.sounds.isEmpty {
            var object: JSONObject = ["id": .string("audio\(audio.id)")]
            let drivers = ["pulseaudio": "pa", "file": "wav"]
            object["driver"] = .string(drivers[audio.type] ?? audio.type)
            if audio.type == "file" { object.set("path", audio.path) }
            if audio.type == "pulseaudio" { object.set("server", audio.serverName) }
            object.set("timer-period", audio.timerPeriod)
            add("-audiodev", object)
        }
        for graphics in domain.devices.graphics { try self.graphics(graphics) }
        for (index, video) in domain.devices.videos.enumerated() { self.video(video, index) }
    }

    private mutating func graphics(_ graphics: Graphics) throws(DefinitionError) {
        switch graphics.type {
        case .vnc: try vnc(graphics)
        case .spice: spice(graphics)
        case .sdl: add("-display", "sdl")
        case .eglHeadless:
            add("-display", "egl-headless" + (graphics.gl?.renderNode.map { ",rendernode=\(Self.escaped($0))" } ?? ""))
        case .dbus: add("-display", "dbus" + (graphics.address.map { ",addr=\(Self.escaped($0))" } ?? ",p2p=yes"))
        case .rdp, .desktop:
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: unsupported graphics type '\(graphics.type.rawValue)'")
        }
    }

    private mutating func vnc(_ graphics: Graphics) throws(DefinitionError) {
        var text: String
        switch graphics.listeners.first?.type {
        case "socket":
            let path = graphics.listeners.first?.socket ?? graphics.socket ?? plan.folder + "/vnc.sock"
            text = "unix:" + Self.escaped(path)
        case "none": text = "none"
        default:
            let port = graphics.port ?? -1
            guard port == -1 || port >= 5900, port <= 65535 else {
                throw DefinitionError(
                    .configUnsupported, "unsupported configuration: vnc port must be in range [5900,65535]")
            }
            let address = graphics.listeners.first?.address ?? "127.0.0.1"
            text = address.contains(":") ? "[\(address)]" : Self.escaped(address)
            text += ":\(port == -1 ? 0 : port - 5900)"
        }
        if let socket = graphics.websocket { text += ",websocket=\(socket == -1 ? "on" : String(socket))" }
        if let share = graphics.sharePolicy { text += ",share=\(share)" }
        if graphics.passwd != nil { text += ",password=on" }
        if let power = graphics.powerControl { text += ",power-control=\(power.isYes ? "on" : "off")" }
        if plan.usesQEMUExtras, let audio = audio(graphics.audioID) { text += ",audiodev=\(audio)" }
        add("-vnc", text)
        if let keymap = graphics.keymap { add("-k", keymap) }
    }

    /// Where libvirt looks for SPICE's certificates.
    public static let spiceCertificates = "/etc/pki/libvirt-spice"

    private mutating func spice(_ graphics: Graphics) {
        var text: [String] = []
        if graphics.listeners.first?.type == "socket" {
            text.append("unix=on")
            text.append(
                "addr="
                    + Self.escaped(graphics.listeners.first?.socket ?? graphics.socket ?? plan.folder + "/spice.sock"))
        } else {
            text.append("port=\(max(graphics.port ?? 0, 0))")
            if let port = graphics.tlsPort, port > 0 {
                text.append("tls-port=\(port)")
                text.append("x509-dir=\(Self.spiceCertificates)")
            }
            if graphics.listeners.first?.type != "none" {
                text.append("addr=" + Self.escaped(graphics.listeners.first?.address ?? "127.0.0.1"))
            }
        }
        if graphics.defaultMode == "secure" { text.append("tls-channel=default") }
        if graphics.defaultMode == "insecure" { text.append("plaintext-channel=default") }
        for channel in graphics.channels {
            guard let name = channel.name else { continue }
            if channel.mode == "secure" { text.append("tls-channel=\(name)") }
            if channel.mode == "insecure" { text.append("plaintext-channel=\(name)") }
        }
        if let mode = graphics.mouseMode { text.append("agent-mouse=\(mode == "client" ? "on" : "off")") }
        if graphics.passwd == nil { text.append("disable-ticketing=on") }
        if let mode = graphics.imageCompression { text.append("image-compression=\(mode)") }
        if let mode = graphics.jpegCompression { text.append("jpeg-wan-compression=\(mode)") }
        if let mode = graphics.zlibCompression { text.append("zlib-glz-wan-compression=\(mode)") }
        if let mode = graphics.playbackCompression { text.append("playback-compression=\(mode.rawValue)") }
        if let mode = graphics.streamingMode { text.append("streaming-video=\(mode)") }
        if graphics.copyPaste == .no { text.append("disable-copy-paste=on") }
        if graphics.fileTransfer == .no { text.append("disable-agent-file-xfer=on") }
        if graphics.gl?.enable == .yes { text.append("gl=on") }
        text.append("seamless-migration=on")
        add("-spice", text.joined(separator: ","))
    }

    func audio(_ id: UInt32?) -> String? {
        if let id { return "audio\(id)" }
        return domain.devices.audios.first.map { "audio\($0.id)" }
    }

    private mutating func video(_ video: Video, _ index: Int) {
        let model = video.model
        let isPrimary = model.primary == .yes || index == 0
        var object = JSONObject()
        switch model.type {
        case "none": return
        case "vga": object["driver"] = "VGA"
        case "cirrus": object["driver"] = "cirrus-vga"
        case "vmvga": object["driver"] = "vmware-svga"
        case "bochs": object["driver"] = "bochs-display"
        case "ramfb": object["driver"] = "ramfb"
        case "qxl": object["driver"] = isPrimary ? "qxl-vga" : "qxl"
        default:
            let gl = model.acceleration?.accel3D == .yes ? "-gl" : ""
            object["driver"] = .string(isPrimary ? "virtio-vga\(gl)" : "virtio-gpu\(gl)-pci")
        }
        object["id"] = .string(video.info.alias ?? "video\(index)")
        if model.type == "qxl", let known = plan.knownDrivers, !known.contains("qxl-vga"), known.contains("VGA") {
            // To firmware and to systems without its driver a qxl adapter is a VGA.
            object["driver"] = isPrimary ? "VGA" : "secondary-vga"
            if let vgamem = model.vgamem { object["vgamem_mb"] = .number(vgamem >> 10) }
            replaced.append("qxl \(object["id"]?.stringValue ?? "")")
            object.place(video.info, in: domain)
            return device(object)
        }
        switch model.type {
        case "qxl":
            object.set("max_outputs", model.heads)
            if let ram = model.ram { object["ram_size"] = .number(UInt64(ram) << 10) }
            if let vram = model.vram { object["vram_size"] = .number(UInt64(vram) << 10) }
            object["vram64_size_mb"] = .number((model.vram64 ?? 0) >> 10)
            if let vgamem = model.vgamem { object["vgamem_mb"] = .number(vgamem >> 10) }
        case "vga", "vmvga":
            if let vram = model.vram { object["vgamem_mb"] = .number(vram >> 10) }
        case "bochs":
            if let vram = model.vram { object["vgamem"] = .string("\(vram)k") }
        case "virtio":
            object.set(video.driver?.virtio)
            object.set("max_outputs", model.heads)
            if let resolution = model.resolution {
                object["xres"] = .number(resolution.x)
                object["yres"] = .number(resolution.y)
            }
        default: break
        }
        object.place(video.info, in: domain)
        device(object)
    }

    mutating func sounds() throws(DefinitionError) {
        for (index, sound) in domain.devices.sounds.enumerated() {
            let alias = sound.info.alias ?? "sound\(index)"
            let backend = audio(sound.audioID)
            var object = JSONObject()
            switch sound.model {
            case "ich6": object["driver"] = "intel-hda"
            case "ich9", "ich7": object["driver"] = "ich9-intel-hda"
            case "ac97": object["driver"] = "AC97"
            case "es1370": object["driver"] = "ES1370"
            case "sb16": object["driver"] = "sb16"
            case "usb": object["driver"] = "usb-audio"
            case "virtio": object["driver"] = "virtio-sound-pci"
            case "pcspk": continue
            default:
                throw DefinitionError(
                    .configUnsupported, "unsupported configuration: sound card model '\(sound.model)' not supported")
            }
            let isHDA = sound.model.hasPrefix("ich")
            object["id"] = .string(alias)
            if !isHDA { object.set("audiodev", backend) }
            object.place(sound.info, in: domain)
            device(object)
            guard isHDA else { continue }
            let kinds = sound.codecs.isEmpty ? ["duplex"] : sound.codecs.map { $0.type ?? "duplex" }
            for (number, kind) in kinds.enumerated() {
                var codec: JSONObject = [
                    "driver": .string("hda-\(kind)"), "id": .string("\(alias)-codec\(number)"),
                    "bus": .string("\(alias).0"), "cad": .number(UInt32(number)),
                ]
                codec.set("audiodev", backend)
                device(codec)
            }
        }
    }
}
