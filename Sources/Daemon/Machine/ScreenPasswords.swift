internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire

/// Passwords of screens, which a machine hears by its monitor: a command line is for all to read.
enum ScreenPasswords {
    /// Sets the password of every screen of a machine that has one.
    static func setAll(_ live: XMLTree, _ machine: RunningMachine) throws(LibvirtError) {
        for screen in DomainFigures.devices(live, "graphics") where screen["passwd"] != nil { try set(screen, machine) }
    }

    /// Sets the password of a screen, and when it ends.
    static func set(_ screen: XMLTree, _ machine: RunningMachine) throws(LibvirtError) {
        guard let password = screen["passwd"] else { return }
        let kind = JSONValue.string(screen["type"] ?? "vnc")
        var words: JSONObject = ["protocol": kind, "password": .string(password)]
        if let action = screen["connected"] { words["connected"] = .string(action) }
        let monitor = try machine.qmp()
        try monitor.execute("set_password", words)
        var end = "never"
        if let text = screen["passwdValidTo"] {
            guard text.contains("T"), let time = CivilTime(text) else {
                throw LibvirtError.invalidArgument(
                    "cannot parse password validity time '\(text)', expect YYYY-MM-DDTHH:MM:SS")
            }
            end = "\(time.seconds)"
        }
        try monitor.execute("expire_password", ["protocol": kind, "time": .string(end)])
    }
}
