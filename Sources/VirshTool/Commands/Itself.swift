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
        try c.exclusive("shell", "xml")
        try c.exclusive("shell", "split")
        try c.exclusive("xml", "split")
        let words = c.all("string")
        let text = words.map { word in
            if c.has("xml") { return XMLDocument.escaped(word) }
            if c.has("shell") { return shellQuoted(word) }
            guard c.has("split"), !word.isEmpty else { return word }
            return commaParts(word).map { $0 + "\n" }.joined()
        }.joined(separator: " ")
        if words.isEmpty { return }
        if c.has("err") { c.complain(text) } else { c.out(text) }
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
            // Without a name it is the same daemon again, with no more than before.
            let settings = c.shell.settings
            try c.shell.connect(
                c["name"] ?? settings.uri,
                isReadOnly: c.has("readonly") || c["name"] == nil && settings.isReadOnly)
        }
    }

    static func complete(_ c: Call) throws {
        for word in Completion(c.shell).words(c.all("string")) { c.out("\(word)\n") }
    }
}
