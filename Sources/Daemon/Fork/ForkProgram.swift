internal import HostOS
internal import JSON
internal import RPCWire

/// `apus fork`.
public enum ForkProgram {
    private static let help = """
        usage: apus fork [options] NAME
               apus fork [options] --qmp SOCKET

        Makes copies of a running machine that go on from where it is, and lets it go on. A copy has its own name, UUID,
        MAC addresses, generation identifier, ports and consoles, and an overlay for each disk that is written to.

        -n, --count N     How many (1)
        --folder DIR      Takes the new images, and of machines started by hand all that belongs to the copies
        --qmp SOCKET      The machine of this monitor, instead of a domain
        --prefix NAME     Copies are NAME-1, NAME-2, …: the machine's own name, unless said here (with --qmp)
        --root DIR        The daemon's folder, where it has one of its own
        --json            Tells what was made as JSON
        --help, -h        This help

        A copy made with --qmp keeps its monitor at DIR/NAME-1/qmp, and its console's socket or log beside that.

        """

    private struct Options {
        var count = 1
        var folder: String?
        var monitor: String?
        var prefix: String?
        var root: String?
        var isJSON = false
        var help = false
        var name: String?
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
            case "--count", "-n":
                let text = try value()
                guard let count = Int(text), (1...DomainDriver.forkLimit).contains(count) else {
                    throw UsageError(words: "'\(name)' takes 1 to \(DomainDriver.forkLimit), not '\(text)'")
                }
                options.count = count
            case "--folder": options.folder = try absolute(value())
            case "--qmp": options.monitor = try absolute(value())
            case "--prefix": options.prefix = try value()
            case "--root": options.root = try value()
            case "--json": options.isJSON = true
            case "--help", "-h": options.help = true
            default:
                guard !word.hasPrefix("-"), options.name == nil else {
                    throw UsageError(words: "Unknown option '\(word)'")
                }
                options.name = word
            }
        }
        guard options.help || (options.name == nil) != (options.monitor == nil) else {
            throw UsageError(words: "Either a domain's name or --qmp is needed")
        }
        return options
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : (HostFile.workingFolder ?? "") + "/" + path
    }

    /// Runs the command. The status is the process's.
    public static func run(_ arguments: [String]) -> Int32 {
        Signals.ignoreBrokenPipes()
        let options: Options
        do throws(UsageError) { options = try ForkProgram.options(arguments) } catch {
            say("apus fork: \(error.words)\n", to: 2)
            return 2
        }
        if options.help {
            say(help, to: 1)
            return 0
        }
        do throws(LibvirtError) {
            if let path = options.monitor {
                say(try forkMachine(path, options), to: 1)
            } else {
                say(try forkDomain(options), to: 1)
            }
            return 0
        } catch {
            say("apus fork: \(error.message)\n", to: 2)
            return 1
        }
    }

    private static func say(_ text: String, to descriptor: Int32) {
        try? Descriptor(borrowing: descriptor).writeAll(Array(text.utf8))
    }

    private static func forkMachine(_ path: String, _ options: Options) throws(LibvirtError) -> String {
        let machine = try MachineFork(path)
        defer { machine.close() }
        let children = try machine.fork(options.count, folder: options.folder, prefix: options.prefix, beside: path)
        let all = children.map { MachineFork.describe($0) }
        if options.isJSON { return JSONValue.array(all.map { .object($0) }).description + "\n" }
        return all.map { child in
            let forwards = (child["forwards"]?.arrayValue ?? []).compactMap(\.stringValue)
            return "\(child["name"]?.stringValue ?? "") \(child["pid"]?.int64Value ?? 0) "
                + ([child["qmp"]?.stringValue ?? ""] + forwards).joined(separator: " ") + "\n"
        }.joined()
    }

    private static func forkDomain(_ options: Options) throws(LibvirtError) -> String {
        let paths =
            options.root.map { DaemonPaths.below(absolute($0)) }
            ?? (HostIdentity.userID == 0 ? DaemonPaths.system : DaemonPaths.session)
        let client = try DomainClient(paths.sockets + "/libvirt-sock")
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: options.name ?? "")).dom
        var arguments: JSONObject = ["count": .number(options.count)]
        if let folder = options.folder { arguments["folder"] = .string(folder) }
        let command: JSONObject = ["execute": "x-fork-domain", "arguments": .object(arguments)]
        let answer = try client.call(
            RemoteQEMU.DomainMonitorCommand.self,
            .init(dom: domain, cmd: JSONValue.object(command).description, flags: 0)
        ).result
        guard let value = try? JSONReader.parse(answer), let names = value["return"]?["domains"]?.arrayValue else {
            throw LibvirtError.operationFailed("the daemon does not fork machines: \(answer)")
        }
        if options.isJSON { return JSONValue.array(names).description + "\n" }
        return names.compactMap(\.stringValue).map { $0 + "\n" }.joined()
    }
}
