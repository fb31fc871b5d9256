/// Why a command ends early: lines for the standard error, and the exit status.
struct ToolFailure: Error {
    /// Lines, each to be preceded by the program's name; none when all has been said.
    var lines: [String]
    /// Shown as it is after the lines.
    var hint: String?
    /// The process's exit status.
    var status: Int32 = 1

    init(_ line: String, status: Int32 = 1) {
        lines = [line]
        self.status = status
    }

    init(lines: [String], hint: String? = nil, status: Int32 = 1) {
        self.lines = lines
        self.hint = hint
        self.status = status
    }

    /// An error in the use of the command line, with the way to the help.
    static func usage(_ line: String) -> ToolFailure {
        ToolFailure(lines: [line], hint: "Try 'qemu-img --help' for more information")
    }

    /// Nothing to say.
    static func silent(_ status: Int32) -> ToolFailure { ToolFailure(lines: [], status: status) }
}
