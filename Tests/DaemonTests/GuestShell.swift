import HostOS

/// The shell of the project's guest, by the socket of a machine's serial port.
final class GuestShell {
    private let socket: Descriptor
    private var text = ""

    struct Silent: Error, CustomStringConvertible {
        let description: String
    }

    /// The device that makes it.
    static func device(_ folder: String) -> String {
        "<serial type='unix'><source mode='bind' path='\(folder)/serial.sock'/></serial>"
    }

    /// Waits until the guest has a shell.
    init(_ folder: String) throws {
        socket = try Socket.connect(SocketAddress.unix(folder + "/serial.sock"))
        try wait("Type poweroff to end.")
        try type("exec env PS1= sh +m")
        _ = try run("dmesg -n 1")
    }

    func type(_ line: String) throws { try socket.writeAll(Array((line + "\n").utf8)) }

    /// Waits for words on the console.
    func wait(_ wanted: String) throws {
        let deadline = HostClock.monotonic + 240_000_000_000
        while !text.contains(wanted) {
            guard HostClock.monotonic < deadline, socket.wait(for: .read, milliseconds: 240_000) != [] else {
                throw Silent(description: "'\(wanted)' did not come: \(text.suffix(2000))")
            }
            let part = try socket.readAvailable(limit: 65_536)
            guard !part.isEmpty else { throw Silent(description: "The console has ended: \(text.suffix(2000))") }
            text += String(decoding: part.filter { $0 != 13 }, as: UTF8.self)
        }
    }

    /// Types a command, and returns what it writes.
    func run(_ command: String) throws -> String {
        let number = UInt32.random(in: 0..<1_000_000)
        let mark = "mark\(number)"
        // The echo of the line shows the marks cut in two.
        try type("echo mark''\(number); \(command); echo; echo mark''\(number)end")
        try wait(mark + "end")
        let parts = text.split(separator: mark)
        text = ""
        return parts.count > 1 ? String(parts[1].drop { $0 == "\n" }.reversed().drop { $0 == "\n" }.reversed()) : ""
    }
}
