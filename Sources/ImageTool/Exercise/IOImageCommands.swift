internal import BlockImage

/// The commands on the image as a whole.
enum IOImageCommands {
    static var commands: [IOCommand] {
        [
            IOCommand("aio_flush", 0...0, "", "completes all outstanding aio requests") {
                exercise, command, words throws(IOFailure) in
                exercise.awaitRequests()
                try flush(exercise, command, words)
            },
            IOCommand("flush", short: "f", 0...0, "", "flush all in-core file state to disk", run: flush),
            IOCommand("length", short: "l", 0...0, "", "gets the length of the current file") { exercise, _, _ in
                exercise.session.put("\(IOText.size(exercise.image?.size ?? 0))\n")
            },
            IOCommand("map", 0...1, "", "prints the allocated areas of a file", run: map),
            IOCommand(
                "alloc", short: "a", 1...2, "offset [count]", "checks if offset is allocated in the file",
                run: allocation),
            IOCommand("info", short: "i", 0...0, "", "prints information about the current file", run: info),
            IOCommand(
                "truncate", short: "t", 1...3, "[-m prealloc_mode] off",
                "truncates the current file at the given offset", run: truncate),
        ]
    }

    private static func flush(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        guard let image = exercise.image, !image.node.isReadOnly else { return }
        let status = image.node.performAndWait(.flush)
        guard status == 0 else { throw .text("flush failed: \(Formatting.reason(status))") }
    }

    /// The runs that this image itself holds, and those that it does not.
    private static func runs(
        _ image: OpenImage, _ start: UInt64, _ end: UInt64
    ) throws(IOFailure) -> [(offset: UInt64, length: UInt64, isAllocated: Bool)] {
        var result: [(offset: UInt64, length: UInt64, isAllocated: Bool)] = []
        guard let node = image.node as? any SparseMappable else { return [(start, end - start, true)] }
        var at = start
        while at < end {
            do throws(BlockError) {
                let extents = try node.extents(offset: at, length: end - at, limit: 1024)
                guard !extents.isEmpty else { break }
                for extent in extents {
                    if let last = result.last, last.isAllocated == extent.isAllocated {
                        result[result.count - 1].length += extent.length
                    } else {
                        result.append((at, extent.length, extent.isAllocated))
                    }
                    at += extent.length
                }
            } catch {
                throw .report("Failed to get allocation status: \(Wording.reason(error))")
            }
        }
        return result
    }

    private static func map(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        guard let image = exercise.image else { return }
        for run in try runs(image, 0, image.size) {
            let (length, offset) = (String(run.length, radix: 16), String(run.offset, radix: 16))
            exercise.session.put(
                "\(IOText.size(run.length)) (0x\(length)) bytes \(run.isAllocated ? "    allocated" : "not allocated") "
                    + "at offset \(IOText.size(run.offset)) (0x\(offset))\n")
        }
    }

    private static func allocation(
        _ exercise: IOExercise, _ command: IOCommand, _ words: [String]
    ) throws(IOFailure) {
        guard let image = exercise.image else { return }
        let start = try IOCommand.number(words[0])
        let count = words.count > 1 ? try IOCommand.number(words[1]) : 512
        guard count <= UInt64(Int32.max) else {
            throw .text("length argument cannot exceed \(Int32.max), given \(words[1])")
        }
        guard start <= image.size else { throw .report("Failed to get allocation status: Input/output error") }
        let end = start + min(count, image.size - start)
        let sum = try runs(image, start, end).reduce(UInt64(0)) { $0 + ($1.isAllocated ? $1.length : 0) }
        exercise.session.put("\(sum)/\(end - start) bytes allocated at offset \(IOText.size(start))\n")
    }

    private static func info(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        guard let image = exercise.image else { return }
        let protocols = ["file", "host_device", "nbd", "null-co", "null-aio"]
        // A protocol has two names, which are the same.
        let times = protocols.contains(image.format) ? 2 : 1
        exercise.session.put(String(repeating: "format name: \(image.format)\n", count: times))
        // QEMU has nothing to say of these.
        guard !["bochs", "cloop", "dmg", "nbd", "null-co", "null-aio", "parallels"].contains(image.format) else {
            throw .silent
        }
        do throws(ToolFailure) {
            let facts = try ImageInfo(image)
            exercise.session.put("cluster size: \(IOText.size(facts.clusterSize ?? 0))\n")
            exercise.session.put("vm state offset: \(IOText.size(image.qcow2?.stateOffset ?? 0))\n")
            exercise.session.put(facts.specificText)
        } catch {
            throw .report(error.lines.first ?? "")
        }
    }

    private static func truncate(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let (options, operands) = try command.scan(words, "m:", exercise)
        var way = Preallocation.off
        for (_, value) in options {
            guard let found = Preallocation(rawValue: value) else {
                throw .report("invalid parameter value: \(value)")
            }
            way = found
        }
        guard let image = exercise.image, let text = operands.first else { throw .usage }
        let size = try IOCommand.number(text)
        guard !image.node.isReadOnly else { throw .report("Block node is read-only") }
        guard let node = image.node as? any Resizable else {
            throw .report("Image format driver does not support resize")
        }
        do throws(BlockError) {
            try node.resize(to: (size + 511) / 512 * 512, preallocation: way)
        } catch {
            throw .report(Wording.reason(error))
        }
    }
}
