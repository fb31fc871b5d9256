internal import HostOS
internal import JSON
internal import Machine

/// -name, -uuid, -action, -d, -trace, -sandbox, -overcommit, -icount, -msg, -add-fd, -echr, -seed.
enum ProcessOptions {
    static let nameTable = ParameterTable(
        implied: "guest",
        [
            Parameter("guest", Parameter.Kind.string, "The machine's name"),
            Parameter("process", Parameter.Kind.string, "The process's name"),
            Parameter("debug-threads", Parameter.Kind.boolean, "Names threads"),
        ])
    static let actionTable = ParameterTable([
        Parameter("reboot", Parameter.Kind.choice(LifecycleConfiguration.Reboot.words)),
        Parameter("shutdown", Parameter.Kind.choice(LifecycleConfiguration.Shutdown.words)),
        Parameter("panic", Parameter.Kind.choice(LifecycleConfiguration.Panic.words)),
        Parameter("watchdog", Parameter.Kind.choice(LifecycleConfiguration.Watchdog.words)),
    ])
    static let traceTable = ParameterTable(
        implied: "enable",
        [
            Parameter("enable", Parameter.Kind.string), Parameter("events", Parameter.Kind.string),
            Parameter("file", Parameter.Kind.string),
        ])
    static let sandboxTable = ParameterTable(
        implied: "enable",
        [
            Parameter("enable", Parameter.Kind.boolean),
            Parameter("obsolete", Parameter.Kind.choice(["allow", "deny"])),
            Parameter("elevateprivileges", Parameter.Kind.choice(["allow", "deny", "children"])),
            Parameter("spawn", Parameter.Kind.choice(["allow", "deny"])),
            Parameter("resourcecontrol", Parameter.Kind.choice(["allow", "deny"])),
        ])
    static let overcommitTable = ParameterTable([
        Parameter("mem-lock", Parameter.Kind.boolean), Parameter("cpu-pm", Parameter.Kind.boolean),
    ])
    static let countingTable = ParameterTable(
        implied: "shift",
        [
            Parameter("shift", Parameter.Kind.string, "Nanoseconds of an instruction as a power of 2, or auto"),
            Parameter("align", Parameter.Kind.boolean, "Waits for the host's time"),
            Parameter("sleep", Parameter.Kind.boolean, "Idle time goes as the host's"),
            Parameter("rr", Parameter.Kind.string), Parameter("rrfile", Parameter.Kind.string),
            Parameter("rrsnapshot", Parameter.Kind.string),
        ])
    static let messageTable = ParameterTable([
        Parameter("timestamp", Parameter.Kind.boolean), Parameter("guest-name", Parameter.Kind.boolean),
    ])
    static let descriptorTable = ParameterTable([
        Parameter("fd", Parameter.natural), Parameter("set", Parameter.natural),
        Parameter("opaque", Parameter.Kind.string),
    ])

    static func name(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let name = argument.string("guest") { builder.configuration.name = name }
        if let name = argument.string("process") { builder.configuration.process.name = name }
        if let flag = argument.flag("debug-threads") { builder.configuration.process.namesThreads = flag }
    }

    static func fork(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let value: JSONValue
        do throws(JSONError) { value = try JSONReader.parse(argument.text) } catch { throw .invalid("\(error)") }
        guard let child = ForkedIdentity(value) else { throw .invalid("The words of a fork are not complete") }
        builder.fork = child
    }

    static func uuid(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let uuid = OptionValue.uuid(argument.text) else {
            throw .invalid(
                "failed to parse UUID string: wrong format; it takes 36 characters, such as"
                    + " 123e4567-e89b-12d3-a456-426614174000")
        }
        builder.configuration.uuid = uuid
    }

    static func action(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let value: LifecycleConfiguration.Reboot = argument.values.choice("reboot") {
            builder.configuration.lifecycle.reboot = value
        }
        if let value: LifecycleConfiguration.Shutdown = argument.values.choice("shutdown") {
            builder.configuration.lifecycle.shutdown = value
        }
        if let value: LifecycleConfiguration.Panic = argument.values.choice("panic") {
            builder.configuration.lifecycle.panic = value
        }
        if let value: LifecycleConfiguration.Watchdog = argument.values.choice("watchdog") {
            builder.configuration.lifecycle.watchdog = value
        }
    }

    static func watchdogAction(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let value = LifecycleConfiguration.Watchdog(rawValue: argument.text) else {
            throw .unknown(
                "Parameter 'watchdog' does not accept value", argument.text,
                among: LifecycleConfiguration.Watchdog.words)
        }
        builder.configuration.lifecycle.watchdog = value
    }

    /// What -d takes, with QEMU's names.
    static let logItems: [(name: String, help: String)] = [
        ("out_asm", "host code of each translated block"), ("in_asm", "guest code of each translated block"),
        ("op", "decoded operations of each block"), ("op_opt", "the same"), ("op_ind", "accepted"),
        ("int", "interrupts and exceptions"), ("exec", "each executed block (interpreted)"),
        ("cpu", "CPU registers before each block (interpreted)"), ("fpu", "FPU registers with 'cpu'"),
        ("mmu", "changes and flushes of translations, page faults"), ("pcall", "accepted"),
        ("cpu_reset", "CPU state at resets"), ("unimp", "what is not implemented"),
        ("guest_errors", "what the guest does wrong"), ("page", "accepted"),
        ("nochain", "interprets all blocks"), ("plugin", "accepted"), ("strace", "accepted"),
        ("tid", "a log file for each thread"), ("all", "everything"), ("none", "nothing"),
    ]
    static var logHelp: String {
        "Log items (comma separated):\n"
            + logItems.map { item in
                item.name + String(repeating: " ", count: max(1, 16 - item.name.count)) + item.help + "\n"
            }.joined()
    }

    static func log(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if isHelp(argument.text) { throw .information(logHelp) }
        let items = argument.text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for item in items where !item.hasPrefix("trace:") && !logItems.contains(where: { $0.name == item }) {
            throw .unknown("invalid log item", item, among: logItems.map(\.name))
        }
        builder.configuration.process.logItems += items
    }

    static func trace(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let path = argument.string("events") {
            do throws(HostError) { _ = try HostFile.contents(path, limit: 1 << 20) } catch {
                throw .invalid(error.description)
            }
        }
        if let pattern = argument.string("enable") {
            builder.warn("trace event '\(pattern)' does not exist: the machine has none yet")
        }
        builder.configuration.process.traces.append(argument.values)
    }

    static func sandbox(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let enabled = argument.flag("enable") else { throw .missing("enable") }
        var sandbox = SandboxConfiguration(enabled: enabled)
        sandbox.deniesObsolete = argument.string("obsolete") != "allow"
        sandbox.deniesElevation = argument.string("elevateprivileges").map { $0 != "allow" } ?? false
        sandbox.deniesSpawn = argument.string("spawn") == "deny"
        sandbox.deniesResourceControl = argument.string("resourcecontrol") == "deny"
        builder.configuration.process.sandbox = sandbox
    }

    static func overcommit(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let flag = argument.flag("mem-lock") { builder.configuration.memory.locked = flag }
        if let flag = argument.flag("cpu-pm") { builder.configuration.memory.processorPowerManagement = flag }
    }

    static func counting(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if argument.string("rr") != nil || argument.string("rrfile") != nil || argument.string("rrsnapshot") != nil {
            throw .invalid("Recording and replaying is not supported")
        }
        guard let word = argument.string("shift") else {
            throw argument.flag("align") == nil
                ? .missing("shift") : .invalid("Please specify shift option when using align")
        }
        var shift: UInt8?
        if word != "auto" {
            guard let number = UInt8(word), number <= InstructionCounting.greatestShift else {
                throw .value("shift", word, expects: "a number from 0 to \(InstructionCounting.greatestShift), or auto")
            }
            shift = number
        }
        var counting = InstructionCounting(shift: shift)
        counting.aligns = argument.flag("align") ?? false
        counting.sleeps = argument.flag("sleep") ?? true
        if counting.aligns && !counting.sleeps { throw .invalid("align=on and sleep=off are incompatible") }
        if shift == nil && counting.aligns { throw .invalid("shift=auto and align=on are incompatible") }
        if shift == nil && !counting.sleeps { throw .invalid("shift=auto and sleep=off are incompatible") }
        builder.configuration.clock.counting = counting
    }

    static func message(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if let flag = argument.flag("timestamp") { builder.configuration.process.timestampsMessages = flag }
        if let flag = argument.flag("guest-name") { builder.configuration.process.namesGuestInMessages = flag }
    }

    static func addDescriptor(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let descriptor = argument.int("fd").flatMap({ Int32(exactly: $0) }) else { throw .missing("fd") }
        guard descriptor > 2 else { throw .value("fd", "\(descriptor)", expects: "a descriptor above 2") }
        guard Descriptor.isOpen(descriptor) else { throw .value("fd", "\(descriptor)", expects: "an open descriptor") }
        guard let set = argument.int("set") else { throw .missing("set") }
        builder.configuration.process.descriptors.append(
            PassedDescriptor(descriptor: descriptor, set: set, opaque: argument.string("opaque")))
    }

    /// Keyboard layouts that QEMU's users name.
    static let keyboardLayouts = [
        "ar", "bepo", "cz", "da", "de", "de-ch", "en-gb", "en-us", "es", "et", "fi", "fo", "fr", "fr-be", "fr-ca",
        "fr-ch", "hr", "hu", "is", "it", "ja", "lt", "lv", "mk", "nl", "no", "pl", "pt", "pt-br", "ru", "sl", "sv",
        "th", "tr",
    ]

    static func keyboardLayout(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard keyboardLayouts.contains(argument.text) else {
            throw .unknown(
                "unknown keyboard layout", argument.text, among: keyboardLayouts,
                hint: "valid: " + keyboardLayouts.joined(separator: ", "))
        }
        builder.configuration.keyboardLayout = argument.text
    }

    static func escapeCharacter(
        _ builder: inout ConfigurationBuilder, _ argument: OptionArgument
    ) throws(OptionError) {
        guard let code = OptionValue.unsigned(argument.text), code < 256 else {
            throw .invalid("expects a character's code from 0 to 255")
        }
        builder.configuration.process.escapeCharacter = UInt8(code)
    }

    static func seed(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let seed = OptionValue.unsigned(argument.text) else { throw .invalid("expects a number") }
        builder.configuration.process.seed = seed
    }
}
