internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import RPCWire

/// The command line of a domain for one emulator, and the form that the domain then runs in: with aliases and ports.
struct MachineCommandLine {
    let arguments: [String]
    let environment: [String]
    /// Values that have to lie in its folder before it starts.
    let secrets: [QEMUArguments.Secret]
    let live: XMLTree
    /// What was left out, and why.
    let messages: [String]

    /// `folder`: a place of the machine's own, for its sockets. The monitor is descriptor 3, where the emulator takes
    /// that.
    ///
    /// - Parameter attach: plugs the domain's cards into their networks.
    init(
        _ tree: XMLTree, emulator: Emulator, folder: String, incoming: String? = nil, isConfined: Bool = false,
        attach: (inout DomainModel.Domain) throws(LibvirtError) -> [Int: LaunchPlan.Attachment] = {
            (_: inout DomainModel.Domain) throws(LibvirtError) in [:]
        }
    ) throws(LibvirtError) {
        var domain: DomainModel.Domain
        do throws(DefinitionError) {
            domain = try DomainModel.Domain(tree: tree, options: [.lenient])
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.qemu, message: error.message)
        }
        domain.findImagesBelow()
        domain.prepareToStart()
        domain.nameChannels(in: folder)
        let attachments = try attach(&domain)
        do throws(DefinitionError) {
            if emulator.has(device: "VGA") { MachineCommandLine.choosePorts(&domain) }
            let monitor: LaunchPlan.Monitor = emulator.takesListener ? .descriptor(3) : .path(folder + "/monitor.sock")
            var plan = LaunchPlan(
                folder: folder, monitor: monitor, incoming: incoming, attachments: attachments,
                isSandboxed: !emulator.isApus || isConfined, usesQEMUExtras: !emulator.isApus,
                knownDrivers: emulator.devices)
            plan.logsConsoles = true
            live = domain.tree(options: [.secure])
            var messages: [String] = []
            // A screen needs an adapter.
            if !emulator.has(device: "VGA"), !domain.devices.graphics.isEmpty {
                messages.append("The emulator has no screens: graphics are left out")
                domain.devices.graphics = []
            }
            let built = try QEMUArguments(domain, plan: plan)
            messages += built.omitted.map { "The emulator does not have \($0): it is left out" }
            messages += built.replaced.map { "The emulator does not have \($0): a VGA is in its place" }
            var words = [emulator.path] + built.words
            if domain.devices.graphics.isEmpty { words += ["-display", "none"] }
            arguments = words
            secrets = built.secrets
            environment = domain.qemu.environment.map { "\($0.name)=\($0.value)" }
            self.messages = messages
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.qemu, message: error.message)
        }
    }

    /// Gives each screen that left its port to us one on which nobody listens.
    private static func choosePorts(_ domain: inout DomainModel.Domain) {
        var next = 5900
        for index in domain.devices.graphics.indices {
            let graphics = domain.devices.graphics[index]
            guard ["address", "network"].contains(graphics.listeners.first?.type ?? "address") else { continue }
            let host = graphics.listeners.first?.address ?? "127.0.0.1"
            func free() -> Int32 {
                while next < 65_535, !isFree(host, next) { next += 1 }
                defer { next += 1 }
                return Int32(next)
            }
            switch graphics.type {
            case .vnc where graphics.autoport == .yes || (graphics.port ?? -1) == -1:
                domain.devices.graphics[index].port = free()
            case .spice where graphics.autoport == .yes:
                // TLS is for those who ask for it: it needs certificates.
                if graphics.defaultMode != "secure" { domain.devices.graphics[index].port = free() }
                if graphics.asksForTLS { domain.devices.graphics[index].tlsPort = free() }
            default: break
            }
        }
    }

    private static func isFree(_ host: String, _ port: Int) -> Bool {
        guard let address = try? SocketAddress.resolve(host: host, port: "\(port)", listening: true).first else {
            return true
        }
        return (try? Socket.listen(address)) != nil
    }
}

extension DomainModel.Domain {
    /// Says where the sockets of channels are that name none: so that clients, and the daemon itself, find them.
    fileprivate mutating func nameChannels(in folder: String) {
        for index in devices.channels.indices {
            let channel = devices.channels[index]
            guard channel.source.type == .unix, channel.source.path == nil else { continue }
            var end = CharacterSource.End()
            end.mode = "bind"
            end.path = QEMUArguments.channelPath(
                folder: folder, name: channel.target.name ?? "char\(channel.info.alias ?? "channel\(index)")")
            devices.channels[index].source.ends = [end]
        }
    }

    /// Names the images below those of the disks, as far as the images say themselves what format they have: what a
    /// guest wrote into one of format raw is never taken for more.
    fileprivate mutating func findImagesBelow() {
        for index in devices.disks.indices {
            let disk = devices.disks[index]
            guard disk.backingStore.isEmpty, disk.type == .file || disk.type == .block,
                disk.driver?.type == "qcow2", let path = disk.source?.localPath
            else { continue }
            devices.disks[index].backingStore = Self.chain(below: path, depth: 0)
        }
    }

    private static func chain(below path: String, depth: Int) -> [Disk.BackingStore] {
        guard depth < 200, let head = ImageHead(path), head.format == "qcow2" else { return [] }
        guard let below = head.backing else { return [Disk.BackingStore()] }
        guard let format = head.backingFormat, HostFile.status(below).kind == .file else { return [] }
        var image = Disk.BackingStore()
        image.type = .file
        image.format = Disk.Format()
        image.format?.type = format
        image.source = DiskSource()
        image.source?.file = below
        if format == "qcow2" {
            let rest = chain(below: below, depth: depth + 1)
            // An image whose base is not known: the machine is to look itself.
            if rest.isEmpty { return [] }
            image.backingStore = rest
        } else {
            image.backingStore = [Disk.BackingStore()]
        }
        return [image]
    }
}
