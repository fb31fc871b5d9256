internal import JSON

/// One firmware of the host, as a file of `/usr/share/qemu/firmware` describes it (QEMU's docs/interop/firmware.json).
struct FirmwareDescriptor: Equatable, Sendable {
    /// Where the firmware's code goes.
    enum Mapping: Equatable, Sendable {
        /// Two chips of flash: the code, and variables that each machine has a copy of; without a template the code
        /// keeps none.
        case flash(code: String, variables: String?)
        /// Plain memory.
        case memory(String)
    }

    /// Kinds of interfaces: `uefi`, `bios`, …
    var interfaces: Set<String> = []
    var mapping: Mapping
    /// Architecture and patterns of machine types.
    var targets: [(architecture: String, machines: [String])] = []
    var features: Set<String> = []

    static func == (left: Self, right: Self) -> Bool {
        left.mapping == right.mapping && left.interfaces == right.interfaces && left.features == right.features
    }

    /// Reads one; nil for what is none, or cannot be used: variables and code in one file, code that is no raw image.
    init?(_ bytes: [UInt8]) {
        guard let document = try? JSONReader.parse(bytes, limits: JSONLimits(size: 1 << 20, depth: 32)),
            let device = document["mapping"]?["device"]?.stringValue, let mapping = document["mapping"]
        else { return nil }
        func names(_ value: JSONValue?) -> [String] { value?.arrayValue?.compactMap(\.stringValue) ?? [] }
        func image(_ value: JSONValue?) -> String? {
            guard value?["format"]?.stringValue == "raw", let path = value?["filename"]?.stringValue else { return nil }
            return path.hasPrefix("/") && !path.utf8.contains(0) ? path : nil
        }
        switch device {
        case "flash":
            guard let code = image(mapping["executable"]) else { return nil }
            switch mapping["mode"]?.stringValue ?? "split" {
            case "split":
                guard let variables = image(mapping["nvram-template"]) else { return nil }
                self.mapping = .flash(code: code, variables: variables)
            case "stateless": self.mapping = .flash(code: code, variables: nil)
            default: return nil
            }
        case "memory":
            guard let path = mapping["filename"]?.stringValue, path.hasPrefix("/") else { return nil }
            self.mapping = .memory(path)
        default: return nil
        }
        interfaces = Set(names(document["interface-types"]))
        features = Set(names(document["features"]))
        targets = (document["targets"]?.arrayValue ?? []).compactMap { target in
            target["architecture"]?.stringValue.map { ($0, names(target["machines"])) }
        }
    }

    /// Firmware that hosts without descriptors have.
    init(code: String, variables: String, isSecure: Bool) {
        mapping = .flash(code: code, variables: variables)
        interfaces = ["uefi"]
        features = isSecure ? ["secure-boot", "requires-smm"] : []
        targets = [("x86_64", isSecure ? ["pc-q35-*"] : ["pc-i440fx-*", "pc-q35-*"])]
    }

    /// Whether it is for a machine type: by its full name, or a board's own where that has no versions.
    func fits(architecture: String, machine: String) -> Bool {
        let names = [machine, "pc-\(machine)-"].map { Array($0.utf8) }
        return targets.contains { target in
            target.architecture == architecture
                && target.machines.contains { pattern in names.contains { Self.matches($0, Array(pattern.utf8)) } }
        }
    }

    /// A shell's pattern of `*` and `?`.
    static func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
        var (at, here) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while at < text.count {
            if here < pattern.count, pattern[here] == UInt8(ascii: "*") {
                star = (here, at)
                here += 1
            } else if here < pattern.count, pattern[here] == UInt8(ascii: "?") || pattern[here] == text[at] {
                here += 1
                at += 1
            } else if let last = star {
                // One byte more for the last star.
                star = (last.pattern, last.text + 1)
                here = last.pattern + 1
                at = last.text + 1
            } else {
                return false
            }
        }
        return pattern[here...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
