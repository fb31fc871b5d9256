internal import HostOS
internal import JSON

/// `apus host check`, also under the name `virt-host-validate`: looks at the host and says what to do.
public enum HostCheckProgram {
    /// The name that a link to the program may have.
    public static let name = "virt-host-validate"

    private static let usage = """
        usage: \(name) [--json] [-q | --quiet] [-h | --help] [qemu]

        Checks whether this host is ready to run virtual machines. Ends with status 1 where a check failed.

          --json       print an object for programs
          -q, --quiet  print only what is not as it should be

        """

    /// Runs with the arguments after the program's name. Returns the exit status.
    public static func run(_ arguments: [String]) -> Int32 {
        var isJSON = false
        var isQuiet = false
        for argument in arguments {
            switch argument {
            case "--json": isJSON = true
            case "-q", "--quiet": isQuiet = true
            case "qemu": break
            case "-h", "--help":
                write(usage, to: 1)
                return 0
            default:
                write("\(name): unknown argument '\(argument)'\n\(usage)", to: 2)
                return 1
            }
        }
        let host = HostSnapshot.read()
        let checks = HostCheck.all(host)
        write(isJSON ? json(checks, of: host) : text(checks, isQuiet: isQuiet), to: 1)
        return checks.contains { $0.result.word == "FAIL" } ? 1 : 0
    }

    /// One line a check, in virt-host-validate's form.
    public static func text(_ checks: [HostCheck], isQuiet: Bool = false) -> String {
        checks.filter { !isQuiet || $0.result != .pass }.map { check in
            let padding = String(repeating: " ", count: max(0, 60 - check.name.count))
            let advice = check.result.advice.isEmpty ? "" : " (\(check.result.advice))"
            return "  QEMU: Checking \(check.name)\(padding): \(check.result.word)\(advice)\n"
        }.joined()
    }

    /// The same for programs.
    public static func json(_ checks: [HostCheck], of host: HostSnapshot = HostSnapshot()) -> String {
        let items = checks.map { check -> JSONValue in
            ["name": .string(check.name), "result": .string(check.result.word), "advice": .string(check.result.advice)]
        }
        let value: JSONValue = [
            "processor": .string(host.processorName), "kernel": .string(host.kernelRelease), "checks": .array(items),
        ]
        return String(decoding: JSONWriter.write(value, pretty: true), as: UTF8.self) + "\n"
    }

    private static func write(_ text: String, to descriptor: Int32) {
        try? Descriptor(borrowing: descriptor).writeAll(Array(text.utf8))
    }
}
