public import SPICE

/// Where a stream socket is.
public enum SocketAddressConfiguration: Equatable, Sendable {
    /// A TCP port; a range of ports up to `to`.
    case inet(host: String, port: String, to: Int?, ipv4: Bool?, ipv6: Bool?)
    /// A path, or a name of the abstract namespace.
    case unix(path: String, abstract: Bool, tight: Bool)
    /// A descriptor that was handed over, or its name.
    case descriptor(String)
}

/// What bytes of a character device come from and go to.
public enum CharacterBackendKind: Equatable, Sendable {
    /// Nowhere.
    case null
    /// The process's own terminal; `signal`: whether Ctrl-C ends the process.
    case stdio(signal: Bool?)
    /// A file, and another to read from.
    case file(path: String, append: Bool, input: String?)
    /// A new pseudo-terminal; a link to it where a path is given.
    case pty(path: String?)
    /// Two named pipes `path.in` and `path.out`, or one of the path's own name.
    case pipe(path: String)
    /// A serial port of the host.
    case serial(path: String)
    /// A parallel port of the host.
    case parallel(path: String)
    /// A stream socket.
    case socket(SocketConfiguration)
    /// Datagrams.
    case udp(host: String, port: String, localHost: String?, localPort: String?)
    /// The last bytes written, a power of two of them.
    case ringBuffer(size: UInt64)
    /// A text screen of the display: `80Cx24C`, or empty.
    case virtualConsole(size: String)
    /// The display's side of a guest's agent: whether it joins clipboards, and tells the pointer's places.
    case agent(clipboard: Bool, mouse: Bool)
    /// A channel of the SPICE server's.
    case spice(SPICEPort.Use)
}

/// The options of a stream socket.
public struct SocketConfiguration: Equatable, Sendable {
    /// Where it is.
    public var address: SocketAddressConfiguration
    /// Whether it listens.
    public var isServer = false
    /// Whether the machine waits for the first client.
    public var waits = true
    /// Whether it speaks telnet.
    public var telnet = false
    /// Whether it speaks WebSocket.
    public var webSocket = false
    /// Whether small packets are sent at once.
    public var noDelay = false
    /// Seconds between tries to connect; 0 tries once.
    public var reconnect = 0
    /// The object with TLS credentials.
    public var tlsCredentials: String?
    /// The object that says which peers may connect.
    public var tlsAuthorization: String?

    /// A client of an address.
    public init(address: SocketAddressConfiguration) { self.address = address }
}

/// A character back-end (`-chardev`, or the short form of `-serial`).
public struct CharacterDeviceConfiguration: Equatable, Sendable {
    /// Its name: given, or `serial0`, `parallel0`, `compat_monitor0`, `gdb`.
    public var id: String
    /// What it is.
    public var kind: CharacterBackendKind
    /// Whether several front-ends share it, switched by Ctrl-A C.
    public var isMultiplexed = false
    /// A file that keeps all that is written.
    public var logFile: String?
    /// Whether that file is appended to.
    public var logAppend = false

    /// A back-end of a kind.
    public init(id: String, kind: CharacterBackendKind) {
        self.id = id
        self.kind = kind
    }
}

/// A monitor on a character back-end.
public struct MonitorConfiguration: Equatable, Sendable {
    /// What it speaks.
    public enum Mode: String, CaseIterable, Sendable {
        /// HMP, for people.
        case readline
        /// QMP, for programs.
        case control
    }
    /// The character back-end's id.
    public var characterDevice: String
    /// What it speaks.
    public var mode: Mode
    /// Whether QMP is laid out for reading.
    public var pretty = false
    /// The monitor's own name, nil for none.
    public var id: String?

    /// A monitor on a back-end.
    public init(characterDevice: String, mode: Mode) {
        self.characterDevice = characterDevice
        self.mode = mode
    }
}
