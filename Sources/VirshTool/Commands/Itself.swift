internal import CLinux
internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Commands of the shell itself.
extension Run {
    static func help(_ c: Call) throws {
        guard let name = c["command"] else {
            c.out("Grouped commands:\n\n" + HelpText.groups(CommandGroup.all))
            return
        }
        if let command = CommandGroup.command(name) { return c.out(HelpText.command(command)) }
        if let group = CommandGroup.all.first(where: { $0.keyword == name || $0.title == name }) {
            return c.out(HelpText.groups([group]))
        }
        throw CommandFailure("command or command group '\(name)' doesn't exist")
    }

    static func quit(_ c: Call) throws { c.shell.isLeaving = true }

    static func exit(_ c: Call) throws { c.shell.isLeaving = true }

    static func pwd(_ c: Call) throws {
        guard let folder = HostFile.workingFolder else { throw CommandFailure("pwd: cannot get current directory") }
        c.out("\(folder)\n")
    }

    static func cd(_ c: Call) throws {
        guard c.shell.isInteractive else { throw CommandFailure("cd: command valid only in interactive mode") }
        let path = c["dir"] ?? HostIdentity.home
        // SAFETY: the C string lives for the call.
        if unsafe path.withCString({ unsafe chdir($0) }) != 0 {
            throw CommandFailure("cd: \(path): \(HostError.text(apus_errno()))")
        }
    }

    static func echo(_ c: Call) throws {
        var parts: [String] = []
        // `--str` and `--hi` stand for words in the middle of others.
        for word in c.all("string") {
            var text = word
            if c.has("xml") { text = XMLDocument.escaped(text) }
            if c.has("shell") { text = shellQuoted(text) }
            if c.has("split") {
                parts += commaParts(text)
                continue
            }
            parts.append(text)
        }
        let text = parts.joined(separator: c.has("split") ? "\n" : " ") + "\n"
        if c.has("err") {
            c.complain(String(text.dropLast()))
        } else {
            c.out(text)
        }
    }

    /// A word that a shell reads as it is; quoted only where it must be.
    private static func shellQuoted(_ text: String) -> String {
        if text.isEmpty { return "''" }
        let special = Set(" \t\n\r!\"#$&'()*;<>?[\\]^`{|}~".unicodeScalars)
        guard text.unicodeScalars.contains(where: { special.contains($0) }) else { return text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    static func connect(_ c: Call) throws {
        try failing("failed to connect to the hypervisor") {
            try c.shell.connect(c["name"], isReadOnly: c.has("readonly"))
        }
    }

    static func complete(_ c: Call) throws {
        for word in Completion(c.shell).words(c.all("string")) { c.out("\(word)\n") }
    }
}
