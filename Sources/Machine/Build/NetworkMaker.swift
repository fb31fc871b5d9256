internal import Devices
internal import HostOS
internal import Log
internal import Network
internal import Synchronization

/// Makes the back-ends of configurations.
struct NetworkMaker {
    let id: String
    /// What is told of peers that come and go.
    let changed: @Sendable (StreamNetwork.Change) -> Void

    /// A back-end, its words in `info network`, and what a card may have instead of it.
    struct Made {
        let backend: any NetworkBackend
        let text: String
        var vhost: VhostTaps?

        init(_ backend: any NetworkBackend, _ text: String, _ vhost: VhostTaps? = nil) {
            self.backend = backend
            self.text = text
            self.vhost = vhost
        }
    }

    func stream(
        _ address: NetworkAddress, _ isServer: Bool, _ reconnect: UInt64, _ hasHeaders: Bool
    ) throws -> Made {
        let role: StreamNetwork.Role
        let text: String
        switch address {
        case .descriptor(let name):
            role = .connected(try Self.descriptor(name))
            text = "type=stream,fd=\(name)"
        case .unix(let path):
            let place = try SocketAddress.unix(path)
            role = isServer ? .listen(place) : .connect([place])
            text = "type=stream,unix:\(path)"
        case .internet(let host, let port):
            let places = try SocketAddress.resolve(host: host, port: port, listening: isServer)
            guard let first = places.first else { throw UserNetworkError.host("Cannot resolve '\(host):\(port)'") }
            role = isServer ? .listen(first) : .connect(places)
            text = "type=stream,\(isServer ? "listen" : "connect"):\(first)"
        }
        let backend = try StreamNetwork(
            role, name: id, reconnect: reconnect > 0 ? reconnect * 1_000_000 : nil, hasHeaders: hasHeaders,
            changed: changed)
        return Made(backend, text)
    }

    func datagram(_ local: NetworkAddress?, _ remote: NetworkAddress?) throws -> Made {
        let peer: DatagramNetwork.Peer
        let text: String
        switch (local, remote) {
        case (.descriptor(let name)?, _):
            peer = .socket(try Self.descriptor(name))
            text = "type=dgram,fd=\(name)"
        case (.unix(let own)?, .unix(let other)?):
            try Self.removeOld(own)
            let socket = try Socket.datagram(local: try SocketAddress.unix(own), remote: nil)
            peer = .address(socket, try SocketAddress.unix(other), only: nil)
            text = "type=dgram,local=unix:\(own),remote=unix:\(other)"
        case (_, .internet(let host, let port)?):
            guard let other = try Self.resolve(host, port).first else {
                throw UserNetworkError.host("Cannot resolve '\(host):\(port)'")
            }
            var own: SocketAddress?
            if case .internet(let host, let port)? = local {
                own = try Self.resolve(host, port, listening: true).first
            }
            if let group = other.ipv4, group >> 28 == 14 {
                let (socket, address) = try PacketSocket.multicast(group: group, port: other.port, local: own?.ipv4)
                peer = .address(socket, address, only: nil)
                text = "type=dgram,mcast=\(other)"
            } else {
                guard let own else { throw UserNetworkError.host("Cannot use '\(other)' without a local address") }
                let socket = try Socket.datagram(local: own, remote: nil)
                peer = .address(socket, other, only: other.ipv4)
                text = "type=dgram,local=\(own),remote=\(other)"
            }
        default: throw UserNetworkError.host("Cannot make a datagram network of these addresses")
        }
        return Made(try DatagramNetwork(peer, name: id), text)
    }

    func packet(_ interface: String) throws -> Made {
        let socket = try PacketSocket.open(interface: interface, promiscuous: true)
        return Made(try DatagramNetwork(.socket(socket), name: id), "type=af-packet,ifname=\(interface)")
    }

    // MARK: - Taps

    func tap(_ options: TapConfiguration) throws -> Made {
        if !options.descriptors.isEmpty {
            var taps: [TapDevice] = []
            for name in options.descriptors { taps.append(try TapDevice(adopting: try Self.descriptor(name))) }
            if options.hasHeaders == true, !taps.allSatisfy(\.hasHeaders) {
                throw UserNetworkError.host("Cannot use vnet_hdr=on with a tap that has none")
            }
            return try made(taps, options, "type=tap,fds=\(options.descriptors.count)")
        }
        if options.helper != nil || options.bridge != nil {
            return try bridge(options.bridge ?? "br0", options.helper ?? "/usr/lib/qemu/qemu-bridge-helper", options)
        }
        var taps: [TapDevice] = []
        for _ in 0..<options.queues {
            taps.append(
                try TapDevice(
                    name: taps.first?.name ?? options.interface ?? "tap%d", hasHeaders: options.hasHeaders ?? true,
                    hasManyQueues: options.queues > 1))
        }
        let name = taps.first?.name ?? ""
        if options.hasHeaders == true, !taps.allSatisfy(\.hasHeaders) {
            throw UserNetworkError.host("Cannot use vnet_hdr=on on this host")
        }
        for tap in taps {
            if let size = options.sendBuffer, size > 0 { tap.setSendBuffer(Int32(clamping: size)) }
        }
        if let script = options.script { try Self.run(script, [name]) }
        let down = options.downScript
        let made = try made(
            taps, options, "type=tap,ifname=\(name),script=\(options.script ?? "no"),downscript=\(down ?? "no")")
        guard let down else { return made }
        return Made(EndedNetwork(made.backend) { try? Self.run(down, [name]) }, made.text, made.vhost)
    }

    /// The back-end of a tap's queues; with the kernel's devices beside it where they are wanted and there.
    private func made(_ taps: [TapDevice], _ options: TapConfiguration, _ text: String) throws -> Made {
        var devices: [KernelVhost] = []
        if options.usesVhost {
            do {
                for place in taps.indices {
                    devices.append(
                        options.vhostDescriptors.isEmpty
                            ? try KernelVhost(path: KernelVhost.networkPath)
                            : try KernelVhost(adopting: try Self.descriptor(options.vhostDescriptors[place])))
                }
            } catch {
                guard !options.forcesVhost else { throw error }
                if HostFile.status(KernelVhost.networkPath).kind != .nothing || !options.vhostDescriptors.isEmpty {
                    Logger("network").warning("Network '\(id)': \(error); this program moves the frames itself")
                }
                devices = []
            }
        }
        let backend = try DatagramNetwork(.tap(taps), name: id)
        let pairs = zip(taps, devices).map { VhostTap($0, $1) }
        return Made(backend, text, pairs.isEmpty ? nil : VhostTaps(network: backend, pairs: pairs))
    }

    /// A tap on a bridge, made by the helper; as root without one, by this process.
    func bridge(_ bridge: String, _ helper: String, _ options: TapConfiguration = TapConfiguration()) throws -> Made {
        let tap: TapDevice
        if HostFile.status(helper).kind == .file {
            tap = try TapDevice(adopting: try Self.ask(helper, bridge))
        } else if HostIdentity.userID == 0 {
            tap = try TapDevice(name: "tap%d", hasHeaders: true)
            try HostLink.setMember(tap.name, of: bridge, true)
            try HostLink.setUp(tap.name, true)
        } else {
            throw UserNetworkError.host("Cannot run the bridge helper '\(helper)'")
        }
        return try made([tap], options, "type=bridge,helper=\(helper),br=\(bridge)")
    }

    /// Has a helper open a tap: it passes the descriptor through the socket that it is given.
    private static func ask(_ helper: String, _ bridge: String) throws -> Descriptor {
        let (own, other) = try DescriptorPair.sockets()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            helper, arguments: [helper, "--use-vnet", "--fd=3", "--br=\(bridge)"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [null, null, Descriptor(borrowing: 2), other])
        let failure = UserNetworkError.host("Cannot get a tap on bridge '\(bridge)' by the helper '\(helper)'")
        guard process.waitForEnd(milliseconds: 10_000) else {
            process.kill()
            throw failure
        }
        process.reap()
        var byte: UInt8 = 0
        // SAFETY: one byte on this stack.
        let passed = unsafe withUnsafeMutableBytes(of: &byte) { unsafe Socket.receive(own, into: $0).1 }
        guard let tap = passed.first else { throw failure }
        return tap
    }

    /// Runs a script and waits for it; a status other than 0 is an error.
    private static func run(_ script: String, _ arguments: [String]) throws {
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            script, arguments: [script] + arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [null, Descriptor(borrowing: 2), Descriptor(borrowing: 2)])
        guard process.waitForEnd(milliseconds: 60_000) else {
            process.kill()
            throw UserNetworkError.host("Cannot wait for the script '\(script)'")
        }
        guard process.reap() == 0 else { throw UserNetworkError.host("Cannot run the script '\(script)'") }
    }

    // MARK: - Names

    static func descriptor(_ name: String) throws -> Descriptor {
        guard let number = Int32(name), number > 2, Descriptor.isOpen(number) else {
            throw UserNetworkError.host("Cannot use descriptor '\(name)'")
        }
        return Descriptor(owning: number)
    }

    private static func resolve(
        _ host: String, _ port: String, listening: Bool = false
    ) throws -> [SocketAddress] {
        try SocketAddress.resolve(
            host: host, port: port.isEmpty ? "0" : port, family: .ipv4, listening: listening, datagram: true)
    }

    /// Frees the path of a datagram socket that an earlier run left.
    private static func removeOld(_ path: String) throws {
        if HostFile.status(path).kind == .socket { try HostFile.remove(path) }
    }
}

/// What the kernel moves a card's frames by, and who moves them while it does not.
struct VhostTaps: Sendable {
    let network: DatagramNetwork
    let pairs: [VhostTap]
}

/// A back-end after whose end something is done, once.
private final class EndedNetwork: NetworkBackend {
    private let inner: any NetworkBackend
    private let end: Mutex<(@Sendable () -> Void)?>

    init(_ inner: any NetworkBackend, _ end: @escaping @Sendable () -> Void) {
        self.inner = inner
        self.end = Mutex(end)
    }

    func transmit(_ frame: UnsafeRawBufferPointer) -> Bool { unsafe inner.transmit(frame) }
    func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        unsafe inner.transmit(frame, offload)
    }
    func flush() { inner.flush() }
    var offloads: FrameOffloads { inner.offloads }
    var queuePairs: Int { inner.queuePairs }
    func setReceiverOffloads(_ offloads: FrameOffloads) { inner.setReceiverOffloads(offloads) }
    func setReceiver(_ receiver: (any FrameReceiver)?) { inner.setReceiver(receiver) }
    func receiverReady() { inner.receiverReady() }
    func stop() {
        let last = end.withLock { end -> (@Sendable () -> Void)? in
            defer { end = nil }
            return end
        }
        last?()
        inner.stop()
    }
}
