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
        --auth-tcp KIND   'sasl' lets in those alone whom SASL knows, and encrypts; 'none' is usual
        --tls PLACE       Lets in whoever has a certificate, at HOST:PORT (16514), by qemu+tls
        --pki DIR         cacert.pem, servercert.pem and serverkey.pem for --tls; without it, libvirt's in /etc/pki
        --migrate-pki DIR ca-cert.pem, server-cert.pem, client-cert.pem and their keys for 'migrate --tls'; without it
                          /etc/pki/libvirt-migrate or /etc/pki/qemu
        --auth-tls KIND   'sasl' wants that besides the certificate
        --sasl-user NAME  Whom SASL knows and we serve, with * for anything; may be given several times
        --access KIND     'polkit' lets in whom polkit's action org.libvirt.unix.manage lets in; 'own' the daemon's user
                          and root alone; 'sasl' those whom SASL knows. The system's daemon takes polkit where that
                          knows libvirt's actions
        --timeout SECONDS Ends when nobody was connected and no machine ran for so long
        --install-user    Lets systemd start a daemon of yours when a client comes; --uninstall-user takes that back
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
        var rules = AccessRules()
        var listeners = ListenerOptions()
        var migrationCertificates: String?
        var certificates = ListenerOptions.standardCertificates
        var timeout: Int?
        var installs: Bool?
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
                case "sasl": options.access = .sasl
                case let kind: throw UsageError(words: "--access takes 'own', 'polkit' or 'sasl', not '\(kind)'")
                }
            case "--auth-tcp", "--auth-tls":
                let kind = try value()
                guard kind == "sasl" || kind == "none" else {
                    throw UsageError(words: "\(name) takes 'none' or 'sasl', not '\(kind)'")
                }
                if name == "--auth-tcp" {
                    options.rules.asksTCP = kind == "sasl"
                } else {
                    options.rules.asksTLS = kind == "sasl"
                }
            case "--sasl-user": options.rules.users.append(try value())
            case "--migrate-pki": options.migrationCertificates = try value()
            case "--pki": options.certificates = ListenerOptions.certificates(in: try value())
            case "--timeout", "-t":
                let text = try value()
                guard let seconds = Int(text), (1...86_400 * 365).contains(seconds) else {
                    throw UsageError(words: "--timeout takes seconds, not '\(text)'")
                }
                options.timeout = seconds
            case "--install-user": options.installs = true
            case "--uninstall-user": options.installs = false
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
        if let installs = options.installs {
            do throws(HostError) {
                print(try installs ? UserService.install() : UserService.remove())
                return 0
            } catch {
                complain("\(error)")
                return 1
            }
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
        var paths =
            options.root.map { DaemonPaths.below($0) }
            ?? (HostIdentity.userID == 0 ? DaemonPaths.system : DaemonPaths.session)
        paths.migrationCertificates = options.migrationCertificates
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
        var rules = options.rules
        rules.local = options.access ?? (paths.isSame(as: .system) ? .ofSystem : .own)
        // One daemon a folder: two would each think that the machines were theirs.
        let manager = try ServiceManager()
        let lock = try PIDFile(options.pidFile ?? "\(paths.run)/apus.pid")
        let daemon = try DaemonInstance(
            paths: paths, emulators: options.emulators + standardEmulators(), usesBridges: options.usesBridges,
            listeners: options.listeners, access: rules,
            given: manager.listeners)
        if let background { try background.ready() }
        ServiceManager.tell("READY=1\nMAINPID=\(HostIdentity.processID)")
        Logger("daemon").info("Serving at '\(daemon.sockets)'")
        var idleSince = HostClock.monotonic
        while true {
            let pause: Int32 = options.timeout.map { Int32(clamping: min(5, $0) * 500) } ?? -1
            guard signals.descriptor.wait(for: [.read], milliseconds: pause).contains(.read) else {
                guard let timeout = options.timeout else { continue }
                if !daemon.isIdle { idleSince = HostClock.monotonic }
                if HostClock.monotonic - idleSince >= UInt64(timeout) * 1_000_000_000 { break }
                continue
            }
            if let received = signals.next(), received.signal != Signals.hangUp { break }
        }
        ServiceManager.tell("STOPPING=1")
        daemon.stop()
        lock.remove()
    }

    /// Our own machine beside this program and in the usual places, then QEMU.
    private static func standardEmulators() -> [String] {
        // Where the program itself is, and not a link by which a client found it.
        let own = (try? HostFile.target(ofLink: "/proc/self/exe")) ?? CommandLine.arguments.first ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) }
        let candidates =
            (folder.map { ["\($0)/apus-vmm"] } ?? []) + [
                "/usr/bin/apus-vmm", "/usr/local/bin/apus-vmm", "/usr/bin/qemu-system-x86_64",
            ]
        return candidates.filter { HostFile.status($0).kind == .file }
    }
}
