internal import HostOS
internal import Synchronization

/// Where a machine goes, for the client that looks at it (`client_migrate_info`).
public struct SPICEDestination: Equatable, Sendable {
    public var host: String
    /// TCP ports there; 0 for none.
    public var port: UInt16
    public var tlsPort: UInt16
    /// The subject of the certificate there, where it is not the host's name.
    public var subject: String?
    /// A server at a host that has one port at least.
    public init(host: String, port: UInt16, tlsPort: UInt16, subject: String? = nil) {
        self.host = host
        self.port = port
        self.tlsPort = tlsPort
        self.subject = subject
    }

    /// The message that has a client leave for there (`SpiceMsgMainMigrationSwitchHost`). What is of no fixed size
    /// follows the numbers, which say where.
    var message: [UInt8] {
        let names = [host, subject ?? ""].map { Array($0.utf8) + [0] }
        let first: UInt32 = 20
        var message = MessageBytes()
        message.append(port, tlsPort)
        message.append(UInt32(names[0].count), first)
        if subject == nil {
            message.append(0 as UInt32, 0 as UInt32)
        } else {
            message.append(UInt32(names[1].count), first + UInt32(names[0].count))
        }
        message.append(contentsOf: names[0])
        if subject != nil { message.append(contentsOf: names[1]) }
        return message.bytes
    }
}

extension SPICEServer {
    /// Says where the client goes once the machine has gone; it takes the place of what was said before. Any thread.
    ///
    /// The client connects there anew (`SWITCH_HOST`), with the password that it has.
    public func setDestination(_ destination: SPICEDestination) {
        shared.withLock { shared in
            shared.destination = destination
            shared.hasMoved = false
        }
    }

    /// The machine does not go after all: what was said of its destination does not hold for the next journey. Any thread.
    public func machineStays() { shared.withLock { $0.destination = nil } }

    /// The machine runs elsewhere: the client, if there is one, is sent there. Any thread.
    public func machineMoved() {
        loop.post { [self] in
            let destination = shared.withLock { shared -> SPICEDestination? in
                guard let destination = shared.destination else { return nil }
                (shared.destination, shared.hasMoved) = (nil, true)
                return destination
            }
            guard let destination else { return }
            main?.leave(for: destination)
            report(.migrated)
        }
    }
}
