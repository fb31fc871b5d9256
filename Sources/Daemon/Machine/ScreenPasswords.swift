internal import DomainModel
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
            guard let seconds = seconds(text) else {
                throw LibvirtError.invalidArgument(
                    "cannot parse password validity time '\(text)', expect YYYY-MM-DDTHH:MM:SS")
            }
            end = "\(seconds)"
        }
        try monitor.execute("expire_password", ["protocol": kind, "time": .string(end)])
    }

    /// The seconds since 1970 of a time such as `2027-04-09T15:51:00`, in UTC; nil for what is none.
    static func seconds(_ text: String) -> Int64? {
        let parts = text.split(separator: "T", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        func numbers(_ text: Substring, _ separator: Character, _ ranges: [ClosedRange<Int64>]) -> [Int64]? {
            let words = text.split(separator: separator, omittingEmptySubsequences: false)
            guard words.count == ranges.count else { return nil }
            let values = zip(words, ranges).compactMap { word, range in
                word.allSatisfy(\.isASCII) ? Int64(word).flatMap { range.contains($0) ? $0 : nil } : nil
            }
            return values.count == ranges.count ? values : nil
        }
        guard let date = numbers(parts[0], "-", [1970...9999, 1...12, 1...31]),
            let time = numbers(parts[1], ":", [0...23, 0...59, 0...60])
        else { return nil }
        // Days since 1970: years begin in March, so that the leap day is a year's last.
        let year = date[1] > 2 ? date[0] : date[0] - 1
        let month = (date[1] + 9) % 12
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 + date[2] - 1 - 719_468
        return days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]
    }
}
