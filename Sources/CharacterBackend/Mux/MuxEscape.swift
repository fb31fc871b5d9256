/// Finds the commands that a user types between bytes for the machine: the escape character, then a letter.
package struct MuxEscape: Sendable {
    /// What to do with a byte.
    package enum Action: Sendable, Equatable {
        /// Nothing yet.
        case nothing
        /// Give it to the device in focus.
        case pass(UInt8)
        /// Print the commands.
        case help
        /// End the program.
        case exit
        /// Write the disks' caches out; they always are.
        case sync
        /// Send a break to the device in focus.
        case sendBreak
        /// Give the focus to the next device.
        case switchFocus
        /// Begin lines with the time, or stop it.
        case timestamps
    }

    /// The escape character: Ctrl-A unless `-echr` says otherwise.
    package let character: UInt8
    private var escaped = false

    package init(character: UInt8 = 0x01) { self.character = character }

    /// Takes the next byte.
    package mutating func process(_ byte: UInt8) -> Action {
        guard escaped else {
            escaped = byte == character
            return escaped ? Action.nothing : Action.pass(byte)
        }
        escaped = false
        if byte == character { return Action.pass(byte) }
        switch byte {
        case UInt8(ascii: "h"), UInt8(ascii: "?"): return Action.help
        case UInt8(ascii: "x"): return Action.exit
        case UInt8(ascii: "s"): return Action.sync
        case UInt8(ascii: "b"): return Action.sendBreak
        case UInt8(ascii: "c"): return Action.switchFocus
        case UInt8(ascii: "t"): return Action.timestamps
        default: return Action.nothing
        }
    }

    /// The commands, a line each.
    package var help: String {
        let name =
            character >= 1 && character <= 26
            ? "C-\(Character(UnicodeScalar(character + 0x60)))" : "0x\(String(character, radix: 16))"
        let lines = [
            "h    show these commands", "x    end the machine", "s    write cached data to the disks",
            "b    send a break", "t    show or hide the time of each line", "c    switch between console and monitor",
            "\(name)  send \(name)",
        ]
        return "\r\n" + lines.map { "\(name) \($0)\r\n" }.joined()
    }
}
