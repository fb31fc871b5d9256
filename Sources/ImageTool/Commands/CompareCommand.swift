internal import BlockImage
internal import CLinux

/// `compare [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2`
enum CompareCommand {
    private static let bufferSize = 2 << 20

    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:F:T:pqsU",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts"), .init("force-share", "U")])
        var (first, second): (String?, String?)
        var (isOptionList, isStrict, showsProgress) = (false, false, false)
        var mode = OpenMode.read
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": first = value
            case "F": second = value
            case "T":
                do throws(ToolFailure) { mode.cache = try CacheOption.parse(value, "source") } catch {
                    var failure = error
                    // 1 says that the images differ.
                    failure.status = 2
                    throw failure
                }
            case "p": showsProgress = true
            case "q": session.isQuiet = true
            case "s": isStrict = true
            case "U": mode.isShared = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        let names = scanner.operands
        guard names.count == 2 else { throw .usage("Expecting two image file names") }
        func open(_ name: String, _ format: String?) throws(ToolFailure) -> OpenImage {
            do throws(ToolFailure) {
                return try OpenImage(name, format: format, isOptionList: isOptionList, mode, session)
            } catch {
                var failure = error
                failure.status = 2
                throw failure
            }
        }
        let progress = Progress(session, isOn: showsProgress && !session.isQuiet, step: 2, showsStart: false)
        let one = try open(names[0], first)
        defer { one.close() }
        let two = try open(names[1], second)
        defer { two.close() }
        progress.show(0)
        let status = try Comparison(one, two, isStrict: isStrict, session, progress).run()
        progress.end(isDone: status == 0)
        return status
    }

    private struct Comparison {
        let one: OpenImage
        let two: OpenImage
        let isStrict: Bool
        let session: Session
        let progress: Progress
        let buffer = AlignedBuffer(count: bufferSize)
        let other = AlignedBuffer(count: bufferSize)
        let (walkerOne, walkerTwo): (StatusWalker, StatusWalker)

        init(_ one: OpenImage, _ two: OpenImage, isStrict: Bool, _ session: Session, _ progress: Progress) {
            (self.one, self.two, self.isStrict, self.session, self.progress) = (one, two, isStrict, session, progress)
            (walkerOne, walkerTwo) = (StatusWalker(one.node), StatusWalker(two.node))
        }

        func run() throws(ToolFailure) -> Int32 {
            if isStrict && one.size != two.size {
                session.say("Strict mode: Image size mismatch!\n")
                return 1
            }
            let common = min(one.size, two.size)
            let end = max(one.size, two.size)
            var at: UInt64 = 0
            while at < common {
                let first = try status(walkerOne, one, at)
                let second = try status(walkerTwo, two, at)
                var length = min(first.length, second.length)
                if isStrict && !isSame(first, second) {
                    session.say("Strict mode: Offset \(at) block status mismatch!\n")
                    return 1
                }
                if !(first.isZero && second.isZero) {
                    if first.isPresent == second.isPresent {
                        if first.isPresent {
                            length = min(length, UInt64(bufferSize))
                            if let place = try difference(at, Int(length)) { return mismatch(place) }
                        }
                    } else {
                        length = min(length, UInt64(bufferSize))
                        if let place = try content(first.isPresent ? one : two, at, Int(length)) {
                            return mismatch(place)
                        }
                    }
                }
                at += length
                progress.show(Double(at) / Double(end))
            }
            if one.size != two.size {
                session.say("Warning: Image size mismatch!\n")
                let (longer, walker) = one.size > two.size ? (one, walkerOne) : (two, walkerTwo)
                while at < end {
                    let rest = try status(walker, longer, at)
                    var length = rest.length
                    if rest.isPresent && !rest.isZero {
                        length = min(length, UInt64(bufferSize))
                        if let place = try content(longer, at, Int(length)) { return mismatch(place) }
                    }
                    at += length
                    progress.show(Double(at) / Double(end))
                }
            }
            session.say("Images are identical.\n")
            return 0
        }

        private func mismatch(_ place: UInt64) -> Int32 {
            session.say("Content mismatch at offset \(place)!\n")
            return 1
        }

        private func isSame(_ first: BlockStatus, _ second: BlockStatus) -> Bool {
            first.isData == second.isData && first.isZero == second.isZero && first.isPresent == second.isPresent
                && (first.hostOffset == nil) == (second.hostOffset == nil)
        }

        private func status(_ walker: StatusWalker, _ image: OpenImage, _ at: UInt64) throws(ToolFailure) -> BlockStatus
        {
            do throws(BlockError) {
                return try walker.status(at: at, limit: image.size - at)
            } catch {
                throw ToolFailure("Sector allocation test failed for \(image.name)", status: 3)
            }
        }

        private func read(_ image: OpenImage, _ buffer: AlignedBuffer, _ at: UInt64, _ count: Int) throws(ToolFailure) {
            let status = image.node.read(buffer, at: at, count: count)
            guard status == 0 else {
                throw ToolFailure(
                    "Error while reading offset \(at) of \(image.name): \(Formatting.reason(status))", status: 4)
            }
        }

        /// The first sector of the range that differs.
        private func difference(_ at: UInt64, _ count: Int) throws(ToolFailure) -> UInt64? {
            try read(one, buffer, at, count)
            try read(two, other, at, count)
            // SAFETY: both buffers hold the count.
            if unsafe memcmp(buffer.base, other.base, count) == 0 { return nil }
            for start in stride(from: 0, to: count, by: 512) {
                let length = min(512, count - start)
                if unsafe memcmp(buffer.base + start, other.base + start, length) != 0 { return at + UInt64(start) }
            }
            return nil
        }

        /// The first byte of the range that is not zero.
        private func content(_ image: OpenImage, _ at: UInt64, _ count: Int) throws(ToolFailure) -> UInt64? {
            try read(image, buffer, at, count)
            return buffer.firstNonZero(count).map { at + UInt64($0) }
        }
    }
}
