internal import BlockImage
internal import CLinux
internal import SystemPackage

/// `snapshot [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename`
enum SnapshotCommand {
    private enum Action {
        case list
        case apply(String)
        case create(String)
        case delete(String)
    }

    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "la:c:d:hqU",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts"), .init("force-share", "U")])
        var action: Action?
        var (isOptionList, isShared) = (false, false)
        func choose(_ new: Action) throws(ToolFailure) {
            guard action == nil else { throw .usage("Cannot mix '-l', '-a', '-c', '-d'") }
            action = new
        }
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "l": try choose(.list)
            case "a": try choose(.apply(value))
            case "c": try choose(.create(value))
            case "d": try choose(.delete(value))
            case "q": session.isQuiet = true
            case "U": isShared = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        let path = scanner.operands[0]
        var mode = OpenMode(isShared: isShared)
        if case .list? = action {} else { mode.isWritable = true }
        mode.hasNoBacking = !mode.isWritable
        let image = try OpenImage(path, format: nil, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        // Without an action there is nothing to do.
        if let action { try perform(action, image, session) }
        return 0
    }

    private static func perform(_ action: Action, _ image: OpenImage, _ session: Session) throws(ToolFailure) {
        switch action {
        case .list:
            let all = image.qcow2?.snapshots ?? []
            if !all.isEmpty { session.put(SnapshotList.text(all)) }
        case .create(let name):
            guard let node = image.qcow2 else { throw refusal("create", name, EOPNOTSUPP) }
            var now = timespec()
            // SAFETY: the structure outlives the call.
            unsafe clock_gettime(CLOCK_REALTIME, &now)
            do throws(BlockError) {
                try node.createSnapshot(
                    name: name, seconds: UInt32(truncatingIfNeeded: now.tv_sec),
                    nanoseconds: UInt32(now.tv_nsec / 1000 * 1000))
            } catch {
                throw refusal("create", name, error)
            }
        case .apply(let name):
            guard let node = image.qcow2 else {
                // QEMU looks for snapshots of what is below, too, and opens it anew.
                if image.format == "raw" { OpenImage.warnOfProbing(image.name, session) }
                throw ToolFailure("Could not apply snapshot '\(name)': Block driver does not support snapshots")
            }
            guard let snapshot = node.snapshot(name) else {
                throw ToolFailure(
                    "Could not apply snapshot '\(name)': Failed to load snapshot: No such file or directory")
            }
            do throws(BlockError) { try node.applySnapshot(snapshot) } catch { throw refusal("apply", name, error) }
        case .delete(let name):
            // By its name alone: one whose number is another's name must not go in its place.
            guard let snapshot = image.qcow2?.snapshots.first(where: { $0.name == name }) else {
                throw ToolFailure("Could not delete snapshot '\(name)': snapshot not found")
            }
            do throws(BlockError) {
                try image.qcow2?.deleteSnapshot(snapshot)
            } catch {
                throw refusal("delete", name, error)
            }
        }
    }

    private static func refusal(_ verb: String, _ name: String, _ status: Int32) -> ToolFailure {
        let reason = status == EOPNOTSUPP ? "Operation not supported" : Formatting.reason(status)
        return ToolFailure("Could not \(verb) snapshot '\(name)': \(-status) (\(reason))")
    }

    private static func refusal(_ verb: String, _ name: String, _ error: BlockError) -> ToolFailure {
        if case .system(_, _, let errno) = error { return refusal(verb, name, errno.rawValue) }
        return ToolFailure("Could not \(verb) snapshot '\(name)': \(Wording.reason(error))")
    }
}
