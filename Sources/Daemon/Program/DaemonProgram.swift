internal import HostOS
internal import Log
internal import TLS

/// `apus daemon`.
public enum DaemonProgram {
    private static let help = """
        usage: apus daemon [options]

        Serves libvirt's clients: virsh, virt-install, virt-manager and others.

        --root DIR        Keeps everything below DIR, sockets too
        --emulator PATH   A machine's program, for domains that name none; may be given several times
        --networks KIND   'bridge' makes networks of the host's kernel, as root; 'switch' needs no privilege.
                          The system's daemon takes bridges where it may, any other takes switches
        --tcp PLACE       Lets in anybody who connects to HOST:PORT (16509), by qemu+tcp: for networks that are trusted
        --tls PLACE       Lets in whoever has a certificate, at HOST:PORT (16514), by qemu+tls
        --pki DIR         cacert.pem, servercert.pem and serverkey.pem for --tls; without it, libvirt's in /etc/pki
        --access KIND     'polkit' lets in whom polkit's action org.libvirt.unix.manage lets in; 'own' the daemon's user
                          and root alone. The system's daemon takes polkit where that knows libvirt's actions
        --pid-file FILE   Writes the process's number there
        --daemon, -d      Goes into the background once it can be reached
        --verbose, -v     Tells more
        --help, -h        This help

        Clients reach a daemon of its own folder by qemu+unix:///session?socket=DIR/libvirt-sock
        """

    private struct Options {
        var root: String?
        var emulators: [String] = []
        var pidFile: String?
        var usesBridges: Bool?
        var access: SocketAccess?
        var listeners = ListenerOptions()
        var certificates = ListenerOptions.standardCertificates
        var inBackground = false
        var verbose = false
        var help = false
    }

    private struct UsageError: Error { let words: String }

    private static func options(_ arguments: [String]) throws(UsageError) -> Options {
        var options = Options()
        var rest = arguments[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            let name = word.hasPrefix("--") ? parts[0] : word
            func value() throws(UsageError) -> String {
                if word.hasPrefix("--"), parts.count == 2 { return parts[1] }
                guard let next = rest.popFirst() else { throw UsageError(words: "'\(name)' needs a value") }
                return next
            }
            switch name {
            case "--root": options.root = try value()
            case "--emulator": options.emulators.append(try value())
            case "--networks":
                let kind = try value()
                guard kind == "bridge" || kind == "switch" else {
                    throw UsageError(words: "--networks takes 'bridge' or 'switch', not '\(kind)'")
                }
                options.usesBridges = kind == "bridge"
            case "--tcp", "--tls":
                let text = try value()
                let usual = name == "--tcp" ? ListenerOptions.tcpPort : ListenerOptions.tlsPort
                guard let place = ListenerOptions.Place(text, usualPort: usual) else {
                    throw UsageError(words: "\(name) takes HOST:PORT, not '\(text)'")
                }
                if name == "--tcp" { options.listeners.tcp = place } else { options.listeners.tls = place }
            case "--access":
                switch try value() {
                case "own": options.access = .own
                case "polkit": options.access = .polkit
                case let kind: throw UsageError(words: "--access takes 'own' or 'polkit', not '\(kind)'")
                }
            case "--pki": options.certificates = ListenerOptions.certificates(in: try value())
            case "--pid-file", "-p": options.pidFile = try value()
            case "--daemon", "-d": options.inBackground = true
            case "--verbose", "-v": options.verbose = true
            case "--help", "-h": options.help = true
            default: throw UsageError(words: "Unknown option '\(word)'")
            }
        }
        return options
    }

    /// Runs until it is asked to end. The status is the process's.
    public static func run(_ arguments: [String]) -> Int32 {
        var options: Options
        do throws(UsageError) { options = try DaemonProgram.options(arguments) } catch {
            complain(error.words)
            return 2
        }
        if options.help {
            print(help)
            return 0
        }
        LogSink.standard.setProgram("apus")
        if options.listeners.tls != nil {
            do throws(TLSError) {
                options.listeners.credentials = try TLSCredentials(options.certificates, isServer: true)
            } catch {
                complain(error.description)
                return 1
            }
        }
        if options.verbose { LogSink.standard.level = LogLevel.info }
        do throws(HostError) {
            try serve(options)
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }

    private static func complain(_ words: String) {
        try? Descriptor(borrowing: 2).writeAll(Array("apus daemon: \(words)\n".utf8))
    }

    private static func serve(_ options: Options) throws(HostError) {
        Signals.ignoreBrokenPipes()
        let signals = try SignalDescriptor([Signals.terminate, Signals.interrupt, Signals.hangUp])
        let paths =
            options.root.map { DaemonPaths.below($0) }
            ?? (HostIdentity.userID == 0 ? DaemonPaths.system : DaemonPaths.session)
        try paths.prepare()
        if options.inBackground {
            try run(options, paths, signals, background: try Daemonization())
        } else {
            try run(options, paths, signals, background: nil)
        }
    }

    private static func run(
        _ options: Options, _ paths: DaemonPaths, _ signals: SignalDescriptor,
        background: consuming Daemonization?
    ) throws(HostError) {
        // One daemon a folder: two would each think that the machines were theirs.
        let manager = try ServiceManager()
        let lock = try PIDFile(options.pidFile ?? "\(paths.run)/apus.pid")
        let daemon = try DaemonInstance(
            paths: paths, emulators: options.emulators + standardEmulators(), usesBridges: options.usesBridges,
            listeners: options.listeners, access: options.access ?? (paths == .system ? .ofSystem : .own),
            given: manager.listeners)
        if let background { try background.ready() }
        ServiceManager.tell("READY=1\nMAINPID=\(HostIdentity.processID)")
        Logger("daemon").info("Serving at '\(daemon.sockets)'")
        while true {
            guard signals.descriptor.wait(for: [.read], milliseconds: -1).contains(.read) else { continue }
            if let received = signals.next(), received.signal != Signals.hangUp { break }
        }
        ServiceManager.tell("STOPPING=1")
        daemon.stop()
        lock.remove()
    }

    /// Our own machine beside this program and in the usual places, then QEMU.
    private static func standardEmulators() -> [String] {
        let own = CommandLine.arguments.first ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) }
        let candidates =
            (folder.map { ["\($0)/apus-vmm"] } ?? []) + [
                "/usr/bin/apus-vmm", "/usr/local/bin/apus-vmm", "/usr/bin/qemu-system-x86_64",
            ]
        return candidates.filter { HostFile.status($0).kind == .file }
    }
}
