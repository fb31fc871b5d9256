public import SystemPackage

/// Why an image cannot be opened, created or changed. Says which image and what stands in the way.
public enum BlockError: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is no such file.
    case notFound(path: String)
    /// The path names a directory.
    case isDirectory(path: String)
    /// The user may not open the file in this way.
    case noPermission(path: String, forWriting: Bool)
    /// The file system or device takes no writes.
    case readOnly(path: String)
    /// The driver `file` met something else than a regular file.
    case notRegularFile(path: String)
    /// The driver `host_device` met something else than a device.
    case notDevice(path: String)
    /// Another process (or another drive of this machine) uses the image in a way that excludes this one. `holder`: which
    /// one, in words.
    case inUse(path: String, access: String, holder: String? = nil)
    /// Another process uses the image in a way that this one would have to share.
    case usedByOthers(path: String, access: String, holder: String? = nil)
    /// An operation on a bitmap that cannot be: the whole message.
    case bitmap(String)
    /// A secret or a key that is not there, or not the right one: the whole message.
    case secret(String)
    /// An operation on a snapshot that cannot be: the whole message.
    case snapshot(String)
    /// Anything else: the whole message.
    case message(String)
    /// The image below another cannot be opened: why.
    indirect case backing(BlockError)
    /// One of the images below this one stands on it again.
    case loopingChain(path: String)
    /// More images lie below one another than are followed.
    case endlessChain(path: String, most: UInt64)
    /// The file system knows no `O_DIRECT`.
    case noDirectIO(path: String)
    /// `aio=io_uring` was asked for and the kernel refuses it.
    case noRing(path: String, Errno)
    /// The file's content is of another format than the one asked for.
    case wrongFormat(path: String, expected: String, found: String)
    /// The image is damaged or hostile.
    case invalidImage(path: String, reason: String)
    /// The image needs what this program does not do.
    case unsupported(path: String, feature: String)
    /// A driver that does not exist.
    case unknownDriver(String)
    /// An option that the driver does not take.
    case unknownOption(driver: String, option: String)
    /// An option's value that does not fit.
    case invalidOption(option: String, value: String, expected: String)
    /// An option that the driver needs.
    case missingOption(driver: String, option: String)
    /// A node name that is taken.
    case duplicateNode(String)
    /// A node name that nothing bears.
    case unknownNode(String)
    /// A node that others still use.
    case nodeInUse(String)
    /// A size outside of what can be represented.
    case invalidSize(path: String, size: UInt64)
    /// Anything else that the kernel said.
    case system(path: String, operation: String, Errno)

    public var description: String {
        switch self {
        case .notFound(let path): "Cannot open '\(path)': no such file"
        case .isDirectory(let path): "Cannot open '\(path)': it is a directory"
        case .noPermission(let path, let writing):
            "Cannot open '\(path)' for \(writing ? "writing" : "reading"): permission denied"
        case .readOnly(let path): "Cannot write to '\(path)': it is read-only"
        case .notRegularFile(let path): "Cannot open '\(path)': driver 'file' takes a regular file"
        case .notDevice(let path): "Cannot open '\(path)': driver 'host_device' takes a block device"
        case .inUse(let path, let access, let holder):
            "Cannot open '\(path)': \(holder ?? "another process") uses the image and does not share \(access) access"
        case .usedByOthers(let path, let access, let holder):
            "Cannot open '\(path)': \(holder ?? "another process") uses the image with \(access) access"
        case .bitmap(let text), .snapshot(let text), .secret(let text), .message(let text): text
        case .backing(let reason): "Cannot open the backing image: \(reason)"
        case .endlessChain(let path, let most):
            "Cannot open '\(path)': a chain of over \(most) backing images is not followed"
        case .loopingChain(let path): "Cannot open '\(path)': the backing images below it are a loop"
        case .noDirectIO(let path): "Cannot open '\(path)' with cache.direct=on: the file system has no O_DIRECT"
        case .noRing(let path, let reason): "Cannot open '\(path)' with aio=io_uring: \(reason)"
        case .wrongFormat(let path, let expected, let found):
            "Cannot open '\(path)' as \(expected): its content is \(found)"
        case .invalidImage(let path, let reason): "Cannot use image '\(path)': \(reason)"
        case .unsupported(let path, let feature): "Cannot open '\(path)': \(feature) is not supported"
        case .unknownDriver(let name): "Unknown block driver '\(name)'"
        case .unknownOption(let driver, let option): "Block driver '\(driver)' has no option '\(option)'"
        case .invalidOption(let option, let value, let expected):
            "Option '\(option)' cannot be '\(value)': it takes \(expected)"
        case .missingOption(let driver, let option): "Block driver '\(driver)' needs the option '\(option)'"
        case .duplicateNode(let name): "Node name '\(name)' is already in use"
        case .unknownNode(let name): "There is no node '\(name)'"
        case .nodeInUse(let name): "Node '\(name)' is still in use"
        case .invalidSize(let path, let size): "Image '\(path)' cannot have a size of \(size) bytes"
        case .system(let path, let operation, let reason): "Cannot \(operation) '\(path)': \(reason)"
        }
    }

    /// Throws if a request to a node did not end well.
    public static func check(_ status: Int32, _ node: any BlockNode) throws(BlockError) {
        guard status == 0 else { throw .system(path: node.filename, operation: "use", Errno(rawValue: status)) }
    }

    /// An error of the kernel's by its number.
    static func io(path: String, operation: String, _ status: Int32) -> BlockError {
        .system(path: path, operation: operation, Errno(rawValue: status))
    }

    /// The error of opening `path`, from the kernel's reason.
    static func opening(_ path: String, forWriting: Bool, _ reason: Errno) -> BlockError {
        switch reason {
        case .noSuchFileOrDirectory: .notFound(path: path)
        case .isDirectory: .isDirectory(path: path)
        case .permissionDenied, .notPermitted: .noPermission(path: path, forWriting: forWriting)
        case .readOnlyFileSystem: .readOnly(path: path)
        default: .system(path: path, operation: "open", reason)
        }
    }

    /// Why an image cannot be opened when it is for the one below it: said a few times at most for a long chain.
    static func below(_ error: BlockError) -> BlockError {
        switch error {
        case .endlessChain, .loopingChain: return error
        default: break
        }
        var (inner, times) = (error, 0)
        while case .backing(let reason) = inner { (inner, times) = (reason, times + 1) }
        return times < 8 ? .backing(error) : error
    }
}
