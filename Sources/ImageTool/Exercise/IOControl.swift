internal import BlockImage
internal import CLinux
internal import HostOS

/// The commands that open and close, wait and end.
enum IOControl {
    static var commands: [IOCommand] {
        [
            IOCommand(
                "open", short: "o", 1...Int.max, needsFile: false,
                "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]", "open the file specified by path", run: open),
            IOCommand("close", short: "c", 0...0, "", "close the current open file") { exercise, _, _ in
                exercise.close()
            },
            IOCommand(
                "reopen", 0...Int.max, "[(-r|-w)] [-c cache] [-o options]", "reopens an image with new options",
                run: reopen),
            IOCommand("quit", short: "q", 0...0, needsFile: false, "", "exit the program") { exercise, _, _ in
                exercise.end()
            },
            IOCommand("help", short: "?", 0...1, needsFile: false, "[command]", "help for one or all commands") {
                exercise, _, words throws(IOFailure) in try IOCommand.help(exercise, words.first)
            },
            IOCommand(
                "sleep", 1...1, needsFile: false, "", "waits for the given value in milliseconds", run: sleep),
            IOCommand("abort", 0...0, needsFile: false, "", "simulate a program crash using abort(3)") { _, _, _ in
                abort()
            },
            IOCommand("sigraise", 1...1, needsFile: false, "signal", "raises a signal") {
                exercise, _, words throws(IOFailure) in
                let number = Int32(truncatingIfNeeded: try IOCommand.number(words[0]))
                // What was written so far is not lost with the process.
                exercise.session.console.flush()
                raise(number)
            },
        ] + IOBreakpoints.commands
    }

    private static func open(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let (options, operands) = try command.scan(words, "snCro:ki:t:d:U", exercise)
        var plan = IOImagePlan()
        var list = ""
        for (key, value) in options {
            switch key {
            case "s": plan.isSnapshot = true
            case "n": plan.mode.cache = CacheMode.none
            case "r": plan.mode.isWritable = false
            case "U": plan.mode.isShared = true
            case "t":
                guard let mode = CacheMode(name: value) else { throw .report("Invalid cache option: \(value)") }
                plan.mode.cache = mode
            case "d":
                guard let discard = IOImagePlan.discard(value) else {
                    throw .report("Invalid discard option: \(value)")
                }
                plan.mode.discard = discard
            case "o": list += (list.isEmpty ? "" : ",") + value
            default: break
            }
        }
        guard operands.count <= 1 else { throw .usage }
        guard let name = operands.first else {
            plan.name = list
            plan.isOptionList = true
            if !exercise.open(plan) { throw .silent }
            return
        }
        if !list.isEmpty { try merge(list, name, &plan) } else { plan.name = name }
        if !exercise.open(plan) { throw .silent }
    }

    /// A file name with options beside it.
    private static func merge(_ list: String, _ name: String, _ plan: inout IOImagePlan) throws(IOFailure) {
        func doubled(_ text: String) -> String {
            text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
        }
        if OptionText.pairs(list).count == 1, list.hasPrefix("driver="), !list.contains(",") {
            plan.format = String(list.dropFirst(7))
            plan.name = name
            return
        }
        plan.isOptionList = true
        let hasFile = OptionText.pairs(list).contains { $0.name == "file.filename" || $0.name == "file.image.filename" }
        plan.name = hasFile ? list : "\(list),file.filename=\(doubled(name))"
    }

    private static func reopen(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let (options, operands) = try command.scan(words, "c:o:rw", exercise)
        guard operands.isEmpty else { throw .usage }
        var isWritable: Bool?
        var cache: CacheMode?
        for (key, value) in options {
            switch key {
            case "r", "w":
                guard isWritable == nil else { throw .report("Only one -r/-w option may be given") }
                isWritable = key == "w"
            case "c":
                guard let mode = CacheMode(name: value) else { throw .report("Invalid cache option: \(value)") }
                cache = mode
            default:
                let name = OptionText.pairs(value).first?.name ?? value
                guard ["lazy-refcounts", "pass-discard-request"].contains(name) || name.hasSuffix("cache-size") else {
                    throw .report("Cannot change the option '\(name)'")
                }
            }
        }
        let isGood = exercise.reopen { plan in
            if let isWritable { plan.mode.isWritable = isWritable }
            if let cache { plan.mode.cache = cache }
        }
        if !isGood { throw .silent }
    }

    private static func sleep(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        guard let milliseconds = UInt64(words[0]), milliseconds < 1 << 40 else {
            throw .text("\(words[0]) is not a valid number")
        }
        exercise.session.console.flush()
        let end = HostClock.monotonic + milliseconds * 1_000_000
        let bell = Bell()
        while HostClock.monotonic < end { bell.wait(nanoseconds: end - min(end, HostClock.monotonic)) }
    }
}
