internal import BlockImage
internal import CLinux
internal import HostOS
internal import SystemPackage
internal import TLS

/// The program `qemu-nbd`: serves an image to NBD clients, or lists what a server has.
enum NBDProgram {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        let options = try NBDProgramOptions(words)
        switch options.task {
        case .help:
            session.put(help)
            return 0
        case .version:
            session.put("qemu-nbd 7.2.0 (Apus)\n")
            return 0
        case .list: return try list(options, session)
        case .connect: throw ToolFailure("Connecting to a device of the kernel is not supported here")
        case .disconnect: throw ToolFailure("Disconnecting a device of the kernel is not supported here")
        case .serve: return try serve(options, session)
        }
    }

    // MARK: Listing

    private static func list(_ options: NBDProgramOptions, _ session: Session) throws(ToolFailure) -> Int32 {
        let address: NBDAddress =
            options.socket.map { .unix(path: $0) }
            ?? .tcp(host: options.bind ?? "localhost", port: options.port ?? "10809")
        let exports: [NBDExportInfo]
        do throws(BlockError) {
            var plan = NBDClientPlan(location: NBDLocation(address: address))
            plan.credentials = try options.credentials.map { id throws(BlockError) in
                try session.secrets.credentials(id)
            }
            plan.hostName = options.hostName
            if let credentials = plan.credentials, credentials.isForServers {
                throw BlockError.message("Expecting TLS credentials with a client endpoint")
            }
            exports = try plan.list()
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
        session.put("exports available: \(exports.count)\n")
        for export in exports { session.put(text(export)) }
        return 0
    }

    private static func text(_ export: NBDExportInfo) -> String {
        var text = " export: '\(export.name)'\n"
        if let description = export.description, !description.isEmpty { text += "  description: \(description)\n" }
        guard export.flags & 1 != 0 else { return text }
        text += "  size:  \(export.size)\n"
        let names: [(String, UInt16)] = [
            ("readonly", 1), ("flush", 2), ("fua", 3), ("rotational", 4), ("trim", 5), ("zeroes", 6), ("df", 7),
            ("multi", 8), ("resize", 9), ("cache", 10), ("fast-zero", 11),
        ]
        text += "  flags: 0x\(String(export.flags, radix: 16)) ("
        for (name, bit) in names where export.flags >> bit & 1 == 1 { text += " \(name)" }
        text += " )\n"
        if let sizes = export.blockSizes {
            text += "  min block: \(sizes.minimum)\n  opt block: \(sizes.preferred)\n  max block: \(sizes.maximum)\n"
        }
        if !export.contexts.isEmpty {
            text += "  available meta contexts: \(export.contexts.count)\n"
            for context in export.contexts { text += "   \(context)\n" }
        }
        return text
    }

    // MARK: Serving

    private static func serve(_ options: NBDProgramOptions, _ session: Session) throws(ToolFailure) -> Int32 {
        guard let path = options.image else { throw .usage("Invalid number of arguments") }
        if options.forks {
            let daemon: Daemonization
            do throws(HostError) { daemon = try Daemonization() } catch { throw ToolFailure("\(error)") }
            return try serve(path, options, session, consume daemon)
        }
        return try serve(path, options, session, nil)
    }

    private static func serve(
        _ path: String, _ options: NBDProgramOptions, _ session: Session, _ daemon: consuming Daemonization?
    ) throws(ToolFailure) -> Int32 {
        // Before there is any other thread.
        let signals = try host { () throws(HostError) in
            try SignalDescriptor([Signals.terminate, Signals.interrupt, Signals.hangUp])
        }
        let image = try open(path, options, session)
        defer { image.close() }
        var node = image.node
        if options.offset > 0 { node = try window(image, options) }
        var export = NBDExport(name: options.export, node: node, isReadOnly: options.isReadOnly)
        export.description = options.description
        export.showsDepth = options.showsDepth
        export.isShared = options.shared != 1
        do throws(BlockError) {
            for bitmap in options.bitmaps { try export.add(bitmap: bitmap) }
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
        let listener = try listen(options)
        var pid: PIDFile?
        let exported = export
        let credentials = try credentials(options, session)
        let authorization = try authorization(options, credentials, session)
        let server = try host { () throws(HostError) in
            try NBDServer([exported], credentials: credentials, authorization: authorization)
        }
        if let file = options.pidFile { pid = try host { () throws(HostError) in try PIDFile(file) } }
        defer { pid?.remove() }
        session.console.flush()
        if let daemon = daemon.take() {
            do throws(HostError) { try daemon.ready() } catch { throw ToolFailure("\(error)") }
        }
        try loop(server, listener, signals, options)
        server.close()
        if let socket = options.socket, !isActivated { try? HostFile.remove(socket) }
        return 0
    }

    private static func credentials(
        _ options: NBDProgramOptions, _ session: Session
    ) throws(ToolFailure) -> TLSCredentials? {
        guard let id = options.credentials else { return nil }
        do throws(BlockError) {
            let found = try session.secrets.credentials(id)
            guard found.isForServers else {
                throw BlockError.message("Expecting TLS credentials with a server endpoint")
            }
            return found
        } catch { throw ToolFailure(Wording.reason(error)) }
    }

    /// Who may come. Without certificates nobody has a name: rules that would not be asked are refused.
    private static func authorization(
        _ options: NBDProgramOptions, _ credentials: TLSCredentials?, _ session: Session
    ) throws(ToolFailure) -> BlockAuthorization? {
        guard let id = options.authorization else { return nil }
        guard let credentials else { throw ToolFailure("--tls-authz is not permitted without --tls-creds") }
        do throws(BlockError) { return try session.secrets.authorization(id, for: credentials) } catch {
            throw ToolFailure(Wording.reason(error))
        }
    }

    private static func open(
        _ path: String, _ options: NBDProgramOptions, _ session: Session
    ) throws(ToolFailure) -> OpenImage {
        do throws(ToolFailure) {
            if options.isSnapshot {
                return try TemporaryOverlay.open(
                    path, format: options.format, isOptionList: options.isOptionList, options.mode, session)
            }
            return try OpenImage(
                path, format: options.format, isOptionList: options.isOptionList, options.mode, session)
        } catch {
            let prefix = "Could not open '\(path)': "
            guard let first = error.lines.first, first.hasPrefix(prefix) else { throw error }
            throw ToolFailure("Failed to blk_new_open '\(path)': \(first.dropFirst(prefix.count))")
        }
    }

    private static func window(
        _ image: OpenImage, _ options: NBDProgramOptions
    ) throws(ToolFailure) -> any BlockNode {
        do throws(BlockError) {
            return try image.graph.open([
                "driver": "raw", "file": image.node.nodeName, "offset": "\(options.offset)",
                "read-only": image.node.isReadOnly ? "on" : "off", "discard": options.mode.discard,
            ])
        } catch {
            throw ToolFailure("Failed to add format node: \(Wording.reason(error))")
        }
    }

    private static func host<Value>(_ body: () throws(HostError) -> Value) throws(ToolFailure) -> Value {
        do throws(HostError) { return try body() } catch { throw ToolFailure("\(error)") }
    }

    /// Whether a service manager passed the socket to listen on.
    private static var isActivated: Bool {
        // SAFETY: the environment is not changed by anybody.
        guard let count = unsafe getenv("LISTEN_FDS"), let process = unsafe getenv("LISTEN_PID") else { return false }
        return unsafe String(cString: count) == "1" && String(cString: process) == "\(getpid())"
    }

    private static func listen(_ options: NBDProgramOptions) throws(ToolFailure) -> Descriptor {
        try host { () throws(HostError) in
            if isActivated {
                let passed = Descriptor(owning: 3)
                try passed.setNonBlocking()
                return passed
            }
            let backlog = Int32(options.shared == 0 ? 128 : min(options.shared, 128))
            if let socket = options.socket {
                return try Socket.listen(try SocketAddress.unix(socket), backlog: backlog)
            }
            let addresses = try SocketAddress.resolve(
                host: options.bind ?? "0.0.0.0", port: options.port ?? "10809", listening: true)
            guard let address = addresses.first else { throw HostError("listen", .addressNotAvailable) }
            return try Socket.listen(address, backlog: backlog)
        }
    }

    /// Takes clients until a signal comes, or the last one has gone.
    private static func loop(
        _ server: NBDServer, _ listener: Descriptor, _ signals: SignalDescriptor, _ options: NBDProgramOptions
    ) throws(ToolFailure) {
        var hasServed = false
        while true {
            let takesMore = options.shared == 0 || server.clientCount < options.shared
            var requests = [
                pollfd(fd: signals.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server.clientEnded.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: takesMore ? listener.rawValue : -1, events: Int16(POLLIN), revents: 0),
            ]
            // SAFETY: the array outlives the call.
            _ = unsafe apus_poll(&requests, 3, -1)
            if signals.next() != nil { return }
            server.clientEnded.take()
            if takesMore, requests[2].revents != 0 {
                // A client that goes before it is served is none; nor is one for whom there is no thread.
                if let socket = try? Socket.accept(listener), (try? server.serve(socket)) != nil { hasServed = true }
            }
            if hasServed && !options.isPersistent && server.clientCount == 0 { return }
        }
    }

    private static let help = """
        Usage: qemu-nbd [OPTIONS] FILE
          or:  qemu-nbd -L [OPTIONS]
        Serves a disk image as a network block device.

          -h, --help, -V, --version
          -p, --port=PORT           TCP port (10809)
          -b, --bind=IFACE          address to listen on (0.0.0.0)
          -k, --socket=PATH         Unix socket instead
          -e, --shared=NUM          so many clients at once (1; 0: any number)
          -t, --persistent          go on when the last client has gone
          -x, --export-name=NAME    the export's name (empty)
          -D, --description=TEXT    what the export says of itself
          -o, --offset=OFFSET       begin this far into the image
          -A, --allocation-depth    show how deep in the chain of images data lies
          -B, --bitmap=NAME         show a persistent bitmap
          -L, --list                list the exports of a server
          -f, --format=FORMAT       the image's format
          -r, --read-only           no writes
          -s, --snapshot            writes go to a temporary image
          -l, --load-snapshot=PARAM show an internal snapshot, read-only
          -n, --nocache, --cache=MODE, --aio=MODE, --discard=MODE, --detect-zeroes=MODE
          --image-opts              FILE is a list of options
          --fork                    go into the background when ready
          --pid-file=PATH           write the process's number there
          --object=tls-creds-psk,id=ID,dir=FOLDER,endpoint=server, --tls-creds=ID
                                    serve by TLS alone (or tls-creds-x509)
          --object=authz-simple,id=ID,identity=NAME, --tls-authz=ID
                                    only for whose certificate has that name (or authz-list, authz-list-file)
          --tls-hostname=NAME       with -L: whose certificate the server must have

        """
}
