internal import HostOS

/// What ports have to say, which comes on threads of the machine's.
extension SPICEServer {
    /// The guest has written to a port.
    func wrote(_ port: SPICEPort, _ bytes: [UInt8]) {
        loop.post { [weak self] in
            guard let self else { return }
            if port.use == .agent {
                relay.fromGuest(bytes)
            } else if let channel = channel(of: port) {
                channel.wrote(bytes)
            } else {
                port.taken(bytes.count)
            }
        }
    }

    /// A program of the guest has opened a port, or closed it.
    func opened(_ port: SPICEPort, _ isOpen: Bool) {
        loop.post { [weak self] in
            guard let self else { return }
            if port.use == .agent { relay.setOpen(isOpen) } else { channel(of: port)?.opened(isOpen) }
        }
    }

    /// The guest has taken some of what waits for it.
    func hasRoom(_ port: SPICEPort) {
        loop.post { [weak self] in
            guard let self else { return }
            if port.use == .agent { relay.hasRoom() } else { channel(of: port)?.hasRoom() }
        }
    }

    private func channel(of port: SPICEPort) -> PortChannel? {
        channels.lazy.compactMap { $0 as? PortChannel }.first { $0.port === port }
    }
}
