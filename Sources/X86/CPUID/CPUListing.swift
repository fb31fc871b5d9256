/// The text of `-cpu help`.
public enum CPUListing {
    /// Models and feature names, in the form in which QEMU prints them and other programs read them.
    public static var text: String {
        var lines = ["Available CPUs:"]
        for name in CPUModel.names.sorted() {
            let version = CPUModel.version(of: name)
            let isVersion = version == name
            lines.append(line(name, isVersion ? CPUModel.named(name)?.modelID ?? "" : "(alias of \(version))"))
        }
        lines.append(line("host", "processor with all supported host features"))
        lines.append(line("max", "Enables all features supported by the accelerator in the current host"))
        lines += ["", "Recognized CPUID flags:"]
        lines += wrapped(Set(CPUFeature.all.map(\.name)).sorted())
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ name: String, _ note: String) -> String {
        "x86 " + name + String(repeating: " ", count: max(1, 22 - name.utf8.count)) + note
    }

    /// Lines of up to 75 columns, indented by two.
    private static func wrapped(_ words: [String]) -> [String] {
        var lines: [String] = []
        var current = " "
        for word in words {
            if current.utf8.count + word.utf8.count + 1 > 75 {
                lines.append(current)
                current = " "
            }
            current += " " + word
        }
        return lines + [current]
    }
}
