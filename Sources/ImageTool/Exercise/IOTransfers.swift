internal import BlockImage
internal import CLinux
internal import HostOS
internal import SystemPackage

/// The commands that move bytes.
enum IOTransfers {
    static var commands: [IOCommand] {
        [
            IOCommand(
                "read", short: "r", 2...Int.max, "[-abCqv] [-P pattern [-s off] [-l len]] off len",
                "reads a number of bytes at a specified offset", run: read),
            IOCommand(
                "readv", 2...Int.max, "[-Cqv] [-P pattern] off len [len..]",
                "reads a number of bytes at a specified offset", run: read),
            IOCommand(
                "aio_read", 2...Int.max, "[-Ciqv] [-P pattern] off len [len..]",
                "asynchronously reads a number of bytes", run: read),
            IOCommand(
                "write", short: "w", 2...Int.max, "[-bcCfnquz] [-P pattern | -s source_file] off len",
                "writes a number of bytes at a specified offset", run: write),
            IOCommand(
                "writev", 2...Int.max, "[-Cfq] [-P pattern] off len [len..]",
                "writes a number of bytes at a specified offset", run: write),
            IOCommand(
                "aio_write", 2...Int.max, "[-Cfiquz] [-P pattern] off len [len..]",
                "asynchronously writes a number of bytes", run: write),
            IOCommand(
                "discard", short: "d", 2...Int.max, "[-Cq] off len", "discards a number of bytes at a specified offset",
                run: discard),
        ]
    }

    /// The largest request without `-n`, in bytes.
    private static let maximum: UInt64 = 2_147_483_136

    /// What the options of one of the commands say.
    private struct Flags {
        var isQuiet = false
        var isBrief = false
        var isVerbose = false
        var isZero = false
        var mayUnmap = false
        var isFast = false
        var isDurable = false
        var isPacked = false
        var isState = false
        var isInvalid = false
        var pattern: UInt8?
        var source: String?
        var patternStart: UInt64?
        var patternCount: UInt64?

        init(_ options: [(key: String, value: String)], isRead: Bool) throws(IOFailure) {
            for (key, value) in options {
                switch key {
                case "q": isQuiet = true
                case "C": isBrief = true
                case "v": isVerbose = true
                case "z": isZero = true
                case "u": mayUnmap = true
                case "n": isFast = true
                case "f": isDurable = true
                case "c": isPacked = true
                case "b": isState = true
                case "i": isInvalid = true
                case "P":
                    guard let byte = IOText.pattern(value) else { throw .text("\(value) is not a valid pattern byte") }
                    pattern = byte
                case "s" where isRead: patternStart = try IOCommand.number(value)
                case "l": patternCount = try IOCommand.number(value)
                case "s": source = value
                default: break
                }
            }
        }
    }

    /// Offset and length; several lengths are parts of one request.
    private static func range(
        _ operands: [String], isVector: Bool, limit: UInt64 = maximum, _ hint: String = ""
    ) throws(IOFailure) -> (offset: UInt64, count: UInt64) {
        guard isVector ? operands.count >= 2 : operands.count == 2 else { throw .usage }
        let offset = try IOCommand.number(operands[0])
        var total: UInt64 = 0
        for text in operands.dropFirst() {
            let count = try IOCommand.number(text)
            guard count <= limit, total <= limit - count else {
                throw .text("length cannot exceed \(limit)\(hint), given \(text)")
            }
            total += count
        }
        return (offset, total)
    }

    /// `EIO` for what lies outside of the disk.
    private static func bounds(_ image: OpenImage, _ offset: UInt64, _ count: UInt64) -> Int32? {
        offset > image.size || count > image.size - offset ? EIO : nil
    }

    private static func failed(_ what: String, _ status: Int32) -> IOFailure {
        .text("\(what) failed: \(Formatting.reason(status))")
    }

    // MARK: Reading

    private static func read(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let letters =
            switch command.name {
            case "read": "abCl:pP:qs:v"
            case "readv": "CP:qv"
            default: "CP:iqv"
            }
        let (options, operands) = try command.scan(words, letters, exercise)
        let flags = try Flags(options, isRead: true)
        guard let image = exercise.image else { return }
        let (offset, count) = try range(operands, isVector: command.name != "read")
        guard flags.pattern != nil || (flags.patternStart == nil && flags.patternCount == nil) else { throw .usage }
        let start = flags.patternStart ?? 0
        let checked = flags.patternCount ?? (count > start ? count - start : 0)
        if flags.pattern != nil, start > count || checked > count - start || (flags.patternStart ?? 0) > count {
            throw .text("pattern verification range exceeds end of read data")
        }
        if flags.isInvalid {
            exercise.session.put("injecting invalid read request\n")
            return
        }
        try checkState(flags, offset, count)
        let buffer = AlignedBuffer(count: Int(count))
        let began = HostClock.monotonic
        let what = command.name
        if !flags.isState, let status = bounds(image, offset, count) { throw failed(what, status) }
        let status =
            flags.isState
            ? state(image, offset, buffer, isWrite: false) : image.node.read(buffer, at: offset, count: Int(count))
        let took = HostClock.monotonic - began
        guard status == 0 else { throw failed(what, status) }
        var isRight = true
        if let pattern = flags.pattern {
            // SAFETY: the range was checked against the buffer's length.
            let bytes = unsafe UnsafeRawBufferPointer(start: buffer.base + Int(start), count: Int(checked))
            if unsafe bytes.contains(where: { $0 != pattern }) {
                exercise.session.put("Pattern verification failed at offset \(offset + start), \(checked) bytes\n")
                isRight = false
            }
        }
        if !flags.isQuiet {
            if flags.isVerbose {
                // SAFETY: the buffer holds the count.
                let bytes = unsafe UnsafeRawBufferPointer(start: buffer.base, count: Int(count))
                exercise.session.put(unsafe IOText.dump(bytes, at: offset))
            }
            exercise.session.put(
                IOText.report("read", offset: offset, count: count, nanoseconds: took, isBrief: flags.isBrief))
        }
        if !isRight { throw .silent }
    }

    // MARK: Writing

    private static func write(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let letters =
            switch command.name {
            case "write": "bcCfnpP:qs:uz"
            case "writev": "CfP:q"
            default: "CfiP:quz"
            }
        let (options, operands) = try command.scan(words, letters, exercise)
        let flags = try Flags(options, isRead: false)
        guard let image = exercise.image else { return }
        try check(flags)
        let limit = flags.isFast ? UInt64(Int64.max) : maximum
        let (offset, count) = try range(
            operands, isVector: command.name != "write", limit: limit, command.name == "write" ? " without -n" : "")
        if flags.isInvalid {
            exercise.session.put("injecting invalid write request\n")
            return
        }
        guard !image.node.isReadOnly else { throw .report("Block node is read-only") }
        try checkState(flags, offset, count)
        let buffer = flags.isZero ? nil : try content(flags, Int(count))
        let began = HostClock.monotonic
        let what = command.name
        if !flags.isState, let status = bounds(image, offset, count) { throw failed(what, status) }
        let status: Int32
        if flags.isState, let buffer {
            status = state(image, offset, buffer, isWrite: true)
        } else if flags.isPacked && !flags.isZero {
            status = pack(image, offset, buffer)
        } else if let buffer {
            // SAFETY: the buffer holds the count and outlives the call.
            let segment = unsafe BlockSegment(pointer: buffer.base, count: Int(count))
            status =
                count == 0
                ? 0
                : image.node.carryOut(
                    BlockRequest(
                        operation: .write, offset: offset, length: count, segments: [segment],
                        forceUnitAccess: flags.isDurable
                    ) { _ in })
        } else {
            status = image.node.carryOut(
                BlockRequest(
                    operation: .writeZeroes(mayUnmap: flags.mayUnmap), offset: offset, length: count,
                    forceUnitAccess: flags.isDurable
                ) { _ in })
        }
        let took = HostClock.monotonic - began
        guard status == 0 else { throw failed(what, status) }
        guard !flags.isQuiet else { return }
        exercise.session.put(
            IOText.report("wrote", offset: offset, count: count, nanoseconds: took, isBrief: flags.isBrief))
    }

    /// Parts of a machine's state are whole sectors.
    private static func checkState(_ flags: Flags, _ offset: UInt64, _ count: UInt64) throws(IOFailure) {
        guard flags.isState else { return }
        for (value, name) in [(offset, "offset"), (count, "count")] where value % 512 != 0 {
            throw .text("\(value) is not a sector-aligned value for '\(name)'")
        }
    }

    /// Moves a part of a machine's state, which lies beside the disk (`-b`).
    private static func state(
        _ image: OpenImage, _ offset: UInt64, _ buffer: AlignedBuffer, isWrite: Bool
    ) -> Int32 {
        guard let node = image.qcow2 else { return ENOTSUP }
        do throws(BlockError) {
            // SAFETY: the buffer's own bytes, which it keeps over the call.
            let bytes = unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: buffer.count)
            if isWrite {
                unsafe try node.writeState(at: offset, UnsafeRawBufferPointer(bytes))
            } else {
                unsafe try node.readState(at: offset, bytes)
            }
            return 0
        } catch {
            if case .system(_, _, let reason) = error { return reason.rawValue }
            return EIO
        }
    }

    private static func check(_ flags: Flags) throws(IOFailure) {
        if flags.isState && flags.isZero { throw .text("-b and -z cannot be specified at the same time") }
        if flags.isDurable && (flags.isState || flags.isPacked) {
            throw .text("-f and -b or -c cannot be specified at the same time")
        }
        if flags.isFast && !flags.isZero { throw .text("-n requires -z to be specified") }
        if flags.mayUnmap && !flags.isZero { throw .text("-u requires -z to be specified") }
        let ways = [flags.isZero, flags.pattern != nil, flags.source != nil].count { $0 }
        if ways > 1 { throw .text("Only one of -z, -P, and -s can be specified at the same time") }
    }

    private static func content(_ flags: Flags, _ count: Int) throws(IOFailure) -> AlignedBuffer {
        let buffer = AlignedBuffer(count: count)
        guard let source = flags.source else {
            // SAFETY: the buffer's own length.
            unsafe buffer.base.initializeMemory(as: UInt8.self, repeating: flags.pattern ?? 0xcd, count: count)
            return buffer
        }
        let bytes: [UInt8]
        do throws(HostError) {
            bytes = try HostFile.contents(source)
        } catch {
            throw .error("\(source): \(Formatting.reason(error.errno.rawValue))")
        }
        guard !bytes.isEmpty else { throw .error("\(source): file is empty") }
        for index in 0..<count {
            // SAFETY: the index lies inside the buffer.
            unsafe buffer.base.storeBytes(of: bytes[index % bytes.count], toByteOffset: index, as: UInt8.self)
        }
        return buffer
    }

    /// Writes whole clusters packed; what does not get smaller goes as it is.
    private static func pack(_ image: OpenImage, _ offset: UInt64, _ buffer: AlignedBuffer?) -> Int32 {
        guard let buffer, let node = image.node as? any PackedWritable else { return ENOTSUP }
        let cluster = node.packing.clusterSize
        guard cluster > 0 else { return ENOTSUP }
        let unit = UInt64(cluster)
        let end = offset + UInt64(buffer.count)
        guard offset % unit == 0, buffer.count % cluster == 0 || end == image.size else { return EINVAL }
        guard let packer = ClusterPacker(node.packing.kind) else { return ENOMEM }
        var at = 0
        while at < buffer.count {
            var bytes = [UInt8](repeating: 0, count: cluster)
            let count = min(cluster, buffer.count - at)
            // SAFETY: both hold the count.
            unsafe bytes.withUnsafeMutableBytes {
                unsafe $0.baseAddress!.copyMemory(from: buffer.base + at, byteCount: count)
            }
            do throws(BlockError) {
                if let packed = packer.pack(bytes), packed.count < cluster {
                    try node.writePacked(at: offset + UInt64(at), packed)
                } else {
                    let status = node.writeAndWait(at: offset + UInt64(at), bytes: Array(bytes.prefix(count)))
                    if status != 0 { return status }
                }
            } catch {
                return EIO
            }
            at += cluster
        }
        return 0
    }

    private static func discard(_ exercise: IOExercise, _ command: IOCommand, _ words: [String]) throws(IOFailure) {
        let (options, operands) = try command.scan(words, "Cq", exercise)
        let flags = try Flags(options, isRead: false)
        guard let image = exercise.image else { return }
        let (offset, count) = try range(operands, isVector: false)
        guard !image.node.isReadOnly else { throw .report("Block node is read-only") }
        let began = HostClock.monotonic
        let status =
            bounds(image, offset, count) ?? image.node.performAndWait(.discard, offset: offset, length: count)
        let took = HostClock.monotonic - began
        guard status == 0 else { throw failed("discard", status) }
        guard !flags.isQuiet else { return }
        exercise.session.put(
            IOText.report("discard", offset: offset, count: count, nanoseconds: took, isBrief: flags.isBrief))
    }
}
