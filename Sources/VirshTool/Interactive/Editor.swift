internal import HostOS
internal import LibvirtClient

/// Texts in the user's editor: `$VISUAL`, `$EDITOR`, else `vi`.
enum Editor {
    /// Writes a text to a file of the user's alone, lets it be edited, and reads it again.
    static func edit(_ text: String, _ shell: Shell) throws -> String {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/virsh-")
        defer { HostFile.removeTree(folder) }
        let path = "\(folder)/edit.xml"
        try HostFile.replace(path, with: Array(text.utf8), permissions: 0o600)
        shell.flush()
        let editor = HostIdentity.environment("VISUAL") ?? HostIdentity.environment("EDITOR") ?? "vi"
        // An editor with options of its own is a line for a shell.
        let process = try HostProcess.spawnInSession(
            "/bin/sh", arguments: ["sh", "-c", "\(editor) \"$1\"", "sh", path], environment: HostEnvironment.all,
            descriptors: [Descriptor(borrowing: 0), Descriptor(borrowing: 1), Descriptor(borrowing: 2)])
        _ = process.waitForEnd(milliseconds: -1)
        guard process.reap() == 0 else {
            throw CommandFailure("\(editor): command exited with non-zero status")
        }
        return String(decoding: try HostFile.contents(path, limit: 10 << 20), as: UTF8.self)
    }

    /// Edits a definition until the daemon takes it or the user gives up. False: nothing was changed.
    static func editDefinition(
        _ c: Call, _ unchanged: String, read: () throws -> String, define: (String) throws -> Void
    ) throws -> Bool {
        let old = try read()
        var text = old
        while true {
            text = try edit(text, c.shell)
            if text == old {
                c.say(unchanged)
                return false
            }
            // Somebody else may have changed it meanwhile.
            guard try read() == old else {
                throw CommandFailure("ERROR: the XML configuration was changed by another user")
            }
            do {
                try define(text)
                return true
            } catch {
                for line in CommandFailure.lines(of: error) { c.complain(line) }
                guard asks("Failed. Try again? [y,n,f,?]: ", c.shell) else { throw CommandFailure() }
            }
        }
    }

    /// Asks a person; false where there is none.
    private static func asks(_ question: String, _ shell: Shell) -> Bool {
        guard Descriptor(borrowing: 0).kind == .terminal else { return false }
        while true {
            shell.out(question)
            shell.flush()
            guard let line = shell.lines.plainLine() else { return false }
            switch line.first {
            case "y": return true
            case "n": return false
            default: shell.out("y - edit again, n - give up\n")
            }
        }
    }
}
