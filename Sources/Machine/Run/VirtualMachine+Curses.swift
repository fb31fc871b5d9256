internal import Curses
internal import Display
internal import HostOS

extension VirtualMachine {
    /// How long keys that are typed in a terminal stay down, and how long after it the next waits, in milliseconds.
    private static let keyTime = 8

    /// The display of `-display curses`, which leaves the terminal alone until it is started; nil without one.
    static func makeCurses(
        _ configuration: MachineConfiguration, _ board: Board
    ) throws(MachineBuildError) -> CursesDisplay? {
        guard configuration.display == .curses else { return nil }
        let keys = board.keys
        return try MachineBuildError.wrapping("-display curses: ") { () throws(CursesError) in
            try CursesDisplay(
                consoles: board.consoles, input: Descriptor(borrowing: 0), output: Descriptor(borrowing: 1),
                isUnicode: isUnicode
            ) { keys.press($0, milliseconds: keyTime) }
        }
    }

    /// Whether the user's terminal shows UTF-8, by the first of the variables that say so (POSIX, 8.2).
    private static var isUnicode: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let locale = HostIdentity.environment(name) else { continue }
            let set = locale.lowercased()
            return set.hasSuffix("utf-8") || set.hasSuffix("utf8") || set.contains("utf-8@") || set.contains("utf8@")
        }
        return false
    }
}
