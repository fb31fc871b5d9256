internal import CLinux
internal import SystemPackage

/// Namespaces of a process's own, and what is in the root that it sees (namespaces(7)): mounts, process numbers and
/// System V's objects are its own, and the network where that is asked for. Making one needs root.
public struct ProcessIsolation: Sendable {
    /// What is done, in this order, before the process becomes its program.
    public enum Step: Equatable, Sendable {
        /// Makes a folder, or an empty file, where there is none.
        case folder(String), file(String)
        /// Shows what is at `source` at a second place too, with what is mounted below.
        case bind(String, at: String)
        /// Nothing at or below a mount is changed through it.
        case readOnly(String)
        /// An empty file system in memory; options of tmpfs(5).
        case temporary(String, options: String)
        /// The list of processes of the process's own namespace.
        case processes(String)
        /// A device like another, with owner and mode of its own.
        case device(String, like: String, owner: UInt32, mode: UInt32)
        /// A symbolic link.
        case link(String, to: String)
        /// A mount becomes the root; nothing of the root before stays.
        case root(String)
        /// Allows what is at a path then to a confined process.
        case allow(String, FileConfinement.Rights)
        /// A file, folder or device that was made here gets a label of SELinux's.
        case label(String, SecurityContext)
        /// A program that follows takes a label of SELinux's on: the process keeps the way to privileges of programs
        /// open, as most policies refuse the label otherwise.
        case transit

        var text: String {
            switch self {
            case .folder(let path), .file(let path): "make '\(path)'"
            case .bind(let source, _): "show '\(source)'"
            case .readOnly(let path): "protect '\(path)'"
            case .temporary(let path, _), .processes(let path): "mount '\(path)'"
            case .device(let path, _, _, _): "make device '\(path)'"
            case .link(let path, _): "make link '\(path)'"
            case .root(let path): "make '\(path)' the root"
            case .allow(let path, _): "allow '\(path)'"
            case .label(let path, let context): "label '\(path)' as '\(context)'"
            case .transit: "keep the way to another label open"
            }
        }
    }

    public var steps: [Step]
    /// Whether it has a network of its own, which leads nowhere.
    public var hasOwnNetwork: Bool

    public init(steps: [Step], hasOwnNetwork: Bool) {
        self.steps = steps
        self.hasOwnNetwork = hasOwnNetwork
    }

    /// Calls `body` with the steps as the kernel's caller takes them; they live for the call.
    func withSteps(
        _ body: (UnsafePointer<apus_step>?, Int32) -> Int32
    ) throws(HostError) -> Int32 {
        // SAFETY: each string is freed after the body, which is the only one to see it.
        var strings: [UnsafeMutablePointer<CChar>?] = unsafe []
        defer { unsafe strings.forEach { unsafe free($0) } }
        func text(_ string: String) -> UnsafePointer<CChar>? {
            let copy = unsafe strdup(string)
            unsafe strings.append(copy)
            return unsafe UnsafePointer(copy)
        }
        var list: [apus_step] = unsafe []
        for step in steps {
            var entry = unsafe apus_step()
            switch step {
            case .folder(let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_FOLDER), text(path))
            case .file(let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_FILE), text(path))
            case .bind(let source, let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_BIND), text(path))
                unsafe entry.other = text(source)
            case .readOnly(let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_READ_ONLY), text(path))
            case .temporary(let path, let options):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_TEMPORARY), text(path))
                unsafe entry.other = text(options)
            case .processes(let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_PROCESSES), text(path))
            case .device(let path, let other, let owner, let mode):
                guard let device = HostFile.device(other) else { throw HostError(reason: ENODEV, step.text) }
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_NODE), text(path))
                unsafe (entry.number, entry.mode) = (device.number, device.type | mode)
                unsafe entry.owner = owner
            case .link(let path, let target):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_LINK), text(path))
                unsafe entry.other = text(target)
            case .root(let path):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_ROOT), text(path))
            case .allow(let path, let rights):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_ALLOW), text(path))
                unsafe entry.number = rights.rawValue & FileConfinement.handledRights
            case .label(let path, let context):
                unsafe (entry.kind, entry.path) = (Int32(APUS_STEP_LABEL), text(path))
                unsafe entry.other = text(context.description)
            case .transit: unsafe entry.kind = Int32(APUS_STEP_TRANSIT)
            }
            unsafe list.append(entry)
        }
        return unsafe list.withUnsafeBufferPointer { unsafe body($0.baseAddress, Int32($0.count)) }
    }
}

extension HostFile {
    /// A device's number, and the kind of device as bits of its mode; nil: there is none at the path.
    static func device(_ path: String) -> (number: UInt64, type: UInt32)? {
        var number: UInt64 = 0
        var mode: UInt32 = 0
        // SAFETY: the C string and the numbers live for the call.
        guard unsafe path.withCString({ unsafe apus_device_number($0, &number, &mode) }) == 0 else { return nil }
        return (number, mode & 0o170000)
    }

    /// Whether there is a device at a path, links followed.
    public static func isDevice(_ path: String) -> Bool { device(path) != nil }
}
