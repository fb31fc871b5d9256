internal import CharacterBackend
internal import Devices
internal import HostOS
internal import JSON
internal import Network

/// Devices whose work another process does (`vhost-user-…`), or the kernel.
extension BoardBuilder {
    /// The kinds of `addVirtio` among these models.
    static let vhostKinds: [String: String] = [
        "vhost-user-fs-pci": "user-fs", "vhost-user-fs-device": "user-fs", "vhost-user-blk": "user-blk",
        "vhost-user-blk-pci": "user-blk", "vhost-user-blk-pci-transitional": "user-blk",
        "vhost-user-blk-pci-non-transitional": "user-blk", "vhost-user-vsock-pci": "user-vsock",
        "vhost-user-vsock-pci-non-transitional": "user-vsock", "vhost-user-vsock-device": "user-vsock",
        "vhost-vsock-pci": "kernel-vsock", "vhost-vsock-pci-non-transitional": "kernel-vsock",
        "vhost-vsock-device": "kernel-vsock",
    ]

    /// A file system of a back-end such as virtiofsd.
    func vhostFileSystem(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        guard let tag = properties.string("tag") else {
            throw MachineBuildError("\(device.origin): missing tag property")
        }
        guard !tag.isEmpty else { throw MachineBuildError("\(device.origin): tag property cannot be empty") }
        guard tag.utf8.count <= VhostModel.mostTagBytes else {
            throw MachineBuildError(
                "\(device.origin): tag property must be \(VhostModel.mostTagBytes) bytes or less")
        }
        let count = properties.number("num-request-queues") ?? 1
        guard (1...64).contains(count) else {
            throw MachineBuildError("\(device.origin): num-request-queues property must be 1 to 64, not \(count)")
        }
        let size = try queueSize(properties, usual: 128, device)
        return try vhostDevice(
            VhostModel.fileSystem(tag: tag, queueCount: count, queueSize: size), otherProcess(properties, device),
            name, device)
    }

    /// A disk of a back-end such as qemu-storage-daemon.
    func vhostDisk(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let count = properties.number("num-queues").flatMap { $0 == 0xFFFF ? nil : $0 } ?? 1
        guard (1...64).contains(count) else {
            throw MachineBuildError("\(device.origin): invalid number of IO queues: \(count), must be 1 to 64")
        }
        let size = try queueSize(properties, usual: 128, device)
        return try vhostDevice(
            VhostModel.block(
                queueCount: count, queueSize: size, writeCacheControl: properties.bool("config-wce") ?? true),
            otherProcess(properties, device), name, device)
    }

    /// Sockets between guest and host by a back-end.
    func vhostSockets(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        try vhostDevice(VhostModel.socket(), otherProcess(properties, device), name, device)
    }

    /// Sockets between guest and host by this process and Unix sockets.
    func sockets(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let guest = try guestAddress(properties, device)
        guard let path = properties.string("path"), !path.isEmpty else {
            throw MachineBuildError(
                "\(device.origin): '\(device.driver)' needs path=, the Unix socket for the host's programs")
        }
        let thread = try worker(name)
        return try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
            try VirtioSocket(guest: guest, path: path, thread: thread)
        }
    }

    /// Sockets by the host's kernel, of which `vhostfd=` is a device that somebody else has opened.
    func kernelSockets(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let guest = try guestAddress(properties, device)
        let given = properties.string("vhostfd")
        let isThere = given != nil || HostFile.status(KernelVhost.socketPath).kind != .nothing
        guard isThere else {
            throw MachineBuildError(
                "\(device.origin): vhost-vsock: failed to open vhost device: No such file or directory; "
                    + "virtio-vsock-pci,guest-cid=,path= does the same by a Unix socket")
        }
        let kernel: KernelVhost
        do {
            kernel =
                try given.map { try KernelVhost(adopting: try NetworkMaker.descriptor($0)) }
                ?? KernelVhost(path: KernelVhost.socketPath)
        } catch { throw MachineBuildError("\(device.origin): \(error)") }
        return try vhostDevice(
            VhostModel.socket(guest: guest), .sockets(kernel, guest: guest), name, device)
    }

    /// `guest-cid=`: 0 to 2 have their meanings, and all ones is everybody (virtio 1.2, 5.10.4).
    private func guestAddress(_ properties: JSONObject, _ device: DeviceConfiguration) throws(MachineBuildError)
        -> UInt64
    {
        let given = properties["guest-cid"]?.uint64Value ?? 0
        guard given > 2 else { throw MachineBuildError("\(device.origin): guest-cid property must be greater than 2") }
        guard given < UInt64(UInt32.max) else {
            throw MachineBuildError("\(device.origin): guest-cid property must be a 32-bit number")
        }
        return given
    }

    /// A card whose frames a back-end moves (`-netdev vhost-user`, `-netdev tap,vhost=on`), which has so many pairs of
    /// queues.
    func vhostCard(
        _ peer: VhostPeer, pairs: Int, _ properties: JSONObject, _ name: String, _ address: [UInt8],
        _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        var card = VhostModel.Card(address: address)
        card.mtu = properties.number("host_mtu").flatMap { $0 > 0 ? UInt16(exactly: $0) : nil }
        card.hasControlQueue = properties.bool("ctrl_vq") ?? true
        card.receiveSize = UInt16(truncatingIfNeeded: properties.number("rx_queue_size") ?? 256)
        card.transmitSize = UInt16(truncatingIfNeeded: properties.number("tx_queue_size") ?? 256)
        if properties.bool("mq") == true { card.pairs = pairs }
        let bits: [(String, [UInt64])] = [
            ("csum", [0]), ("guest_csum", [1]), ("guest_tso4", [7]), ("guest_tso6", [8]), ("guest_ecn", [9]),
            ("guest_ufo", [10]), ("host_tso4", [11]), ("host_tso6", [12]), ("host_ecn", [13]), ("host_ufo", [14]),
            ("mrg_rxbuf", [15]),
        ]
        for (name, numbers) in bits where properties.bool(name) == false {
            for number in numbers { card.without |= 1 << number }
        }
        let made = try vhostDevice(VhostModel.card(card), peer, name, device)
        cards.append((name, properties.string("netdev"), made))
        return made
    }

    private func queueSize(
        _ properties: JSONObject, usual: Int, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> UInt16 {
        let size = properties.number("queue-size") ?? usual
        guard size > 0, size & (size - 1) == 0 else {
            throw MachineBuildError("\(device.origin): queue-size property must be a power of 2, not \(size)")
        }
        guard size <= 1024 else {
            throw MachineBuildError("\(device.origin): queue-size property must be 1024 or smaller, not \(size)")
        }
        return UInt16(size)
    }

    /// The process at the other end of a character back-end.
    private func otherProcess(
        _ properties: JSONObject, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> VhostPeer {
        guard let id = properties.string("chardev"), !id.isEmpty else { throw MachineBuildError("\(device.origin): missing chardev") }
        return try process(id, device)
    }
    /// The process that a back-end of cards (`-netdev vhost-user`) speaks with.
    func process(_ characterDevice: String, _ device: DeviceConfiguration) throws(MachineBuildError) -> VhostPeer {
        // Said before anything is asked of the back-end.
        try MachineBuildError.wrapping("\(device.origin): ") { () throws(VhostError) in
            try VhostDevice.checkMemory(memory)
        }
        return .process(try characters.vhostUserPeer(characterDevice, device.origin))
    }

    private func vhostDevice(
        _ model: VhostModel, _ peer: VhostPeer, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> VhostDevice {
        var words = "\(device.origin): "
        if case .process = peer { words += "the back-end: " }
        let thread = try worker(name)
        let made = try MachineBuildError.wrapping(words) { () throws(VhostError) in
            try VhostDevice(model, peer: peer, memory: memory, thread: thread, name: name)
        }
        if case .process = peer { shares.add(name, made) }
        return made
    }
}

extension CharacterHub {
    /// Takes a socket over from the back-end that holds it: the descriptors that go with messages are the device's.
    func vhostUserPeer(_ id: String, _ origin: String) throws(MachineBuildError) -> VhostUserPeer {
        guard let port = port(id) else {
            throw MachineBuildError("\(origin): Property 'chardev' can't find value '\(id)'")
        }
        guard let socket = port as? SocketPort, let parts = socket.surrender() else {
            throw MachineBuildError("\(origin): chardev '\(id)' is not a unix socket that nobody else uses")
        }
        var peer = VhostUserPeer(first: parts.connection)
        if let listener = parts.listener {
            peer.next = .accept(listener)
        } else if parts.reconnectMilliseconds > 0, let address = parts.address {
            peer.next = .connect(address, milliseconds: parts.reconnectMilliseconds)
        }
        return peer
    }
}
