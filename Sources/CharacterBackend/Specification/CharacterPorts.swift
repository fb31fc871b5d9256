public import HostOS
internal import DeviceModel
internal import Log

/// Makes ports of specifications.
public enum CharacterPorts {
    /// Opens the back-end of a specification, with its record if it asks for one. `label` names it in messages and in
    /// the monitor. `overflow` is for streams whose reader may be slow: a monitor's must `wait`. `openFile` opens the
    /// files that output goes to, for who knows names that the file system does not.
    ///
    /// A multiplexed one is opened the same; the caller puts a `CharacterMux` onto it. May wait: for a server's first
    /// client, a name server, or the peer of a connection. What the user must know goes to `announce`, a line each.
    public static func open(
        _ specification: ChardevSpecification, label: String, loop: EventLoop,
        overflow: OverflowPolicy = OverflowPolicy.dropOldest,
        announce: (String) -> Void = { CharacterPorts.printLine($0) },
        openFile: FileOpener = CharacterPorts.openDirectly
    ) throws(ChardevError) -> any HostCharacterPort {
        do throws(HostError) {
            let port = try bare(specification.backend, label, loop, overflow, openFile, announce)
            guard let path = specification.logFile else { return port }
            return try LoggingPort(port, path: path, append: specification.logAppends, openFile: openFile)
        } catch {
            throw ChardevError.host("Character back-end '\(label)': \(error)")
        }
    }

    private static func bare(
        _ backend: ChardevSpecification.Backend, _ label: String, _ loop: EventLoop, _ overflow: OverflowPolicy,
        _ openFile: FileOpener, _ announce: (String) -> Void
    ) throws(HostError) -> any HostCharacterPort {
        switch backend {
        case .null: return NullPort(label: label)
        case .virtualConsole:
            Logger(label).info("There is no window for a virtual console: its output is dropped")
            return NullPort(label: label)
        case .stdio(let signals): return try StdioPort(label: label, signals: signals, loop: loop)
        case .file(let path, let append): 
            return try FilePort(label: label, path: path, append: append, openFile: openFile)
        case .pty:
            let port = try PTYPort(label: label, overflow: overflow, loop: loop)
            // Scripts read this very line.
            announce("char device redirected to \(port.path) (label \(label))")
            return port
        case .socket(let socket):
            return try SocketPort(label: label, socket, overflow: overflow, loop: loop, announce: announce)
        case .udp(let host, let port, let localHost, let localPort):
            let remotes = try SocketAddress.resolve(
                host: host.isEmpty ? "localhost" : host, port: port, family: SocketAddress.Family.ipv4, datagram: true)
            let locals = try SocketAddress.resolve(
                host: localHost, port: localPort, family: SocketAddress.Family.ipv4, listening: true, datagram: true)
            return try DatagramPort(label: label, local: locals[0], remote: remotes[0], loop: loop)
        case .pipe(let path): return try PipePort(label: label, path: path, overflow: overflow, loop: loop)
        case .ringBuffer(let size): return RingBufferPort(label: label, size: size)
        }
    }

    /// Opens a file for output, made if it is not there and emptied unless `append`.
    public typealias FileOpener = (_ path: String, _ append: Bool) throws(HostError) -> Descriptor

    /// Opens a file by its name.
    public static func openDirectly(_ path: String, append: Bool) throws(HostError) -> Descriptor {
        try HostFile.open(path, append ? HostFile.Mode.append : HostFile.Mode.replace)
    }

    /// Writes a line on standard output.
    public static func printLine(_ line: String) {
        try? Descriptor(borrowing: 1).writeAll(Array("\(line)\n".utf8))
    }
}
