internal import BlockImage
internal import SystemPackage

/// QEMU's words for the block layer's errors.
enum Wording {
    /// What follows `Could not open 'X': `.
    static func reason(_ error: BlockError) -> String {
        switch error {
        case .notFound(""): "The 'file' block driver requires a file name"
        case .notFound(let path): "Could not open '\(path)': No such file or directory"
        case .isDirectory(let path), .notRegularFile(let path):
            "'file' driver requires '\(path)' to be a regular file"
        case .noPermission(let path, _): "Could not open '\(path)': Permission denied"
        case .readOnly(let path): "Could not open '\(path)': Read-only file system"
        case .notDevice(let path): "'host_device' driver requires '\(path)' to be either a character or block device"
        case .inUse(let path, let access, _):
            "Failed to get \"\(access)\" lock\nIs another process using the image [\(path)]?"
        case .usedByOthers(let path, let access, _):
            "Failed to get shared \"\(access)\" lock\nIs another process using the image [\(path)]?"
        case .noDirectIO: "The file system does not support O_DIRECT"
        case .noRing(_, let errno): "Unable to use io_uring: \(Formatting.reason(errno.rawValue))"
        case .wrongFormat(let path, "vhdx", _): "Could not open '\(path)': Invalid argument"
        case .wrongFormat(_, let expected, _): wrongFormat(expected)
        case .invalidImage(_, let reason): reason
        case .unsupported(_, let feature): "\(feature) is not supported"
        case .endlessChain(let path, let most):
            "'\(path)': a chain of over \(most) backing images is not followed"
        case .loopingChain(let path): "'\(path)': the backing images below it are a loop"
        case .unknownDriver(let name): "Unknown driver '\(name)'"
        case .unknownOption(let driver, let option):
            isProtocol(driver)
                ? "Block protocol '\(driver)' doesn't support the option '\(option)'"
                : "Block format '\(driver)' does not support the option '\(option)'"
        case .invalidOption(let option, _, "a number of bytes, with K, M, G, T, P or E"):
            "Parameter '\(option)' expects a non-negative number below 2^64\n"
                + "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                + "and exabytes, respectively."
        case .invalidOption("force-share", _, _): "force-share=on can only be used with read-only images"
        case .invalidOption("event", let value, _): "invalid parameter value: \(value)"
        case .invalidOption("align", let value, _): "Cannot meet constraints with align \(value)"
        case .invalidOption(let option, let value, let expected):
            "Parameter '\(option)' expects \(expected), not '\(value)'"
        case .missingOption(_, "file"): "A block device must be specified for \"file\""
        case .missingOption(let driver, "filename"): "The '\(driver)' block driver requires a file name"
        case .missingOption(_, let option): "Parameter '\(option)' is missing"
        case .unknownNode(let name): "Cannot find device='\(name)' nor node-name='\(name)'"
        case .invalidSize(_, let size): "The image size \(size) is out of range"
        case .backing(let error): "Could not open backing file: \(reason(error))"
        case .bitmap(let text), .snapshot(let text), .message(let text): text
        case .system(_, _, let errno): Formatting.reason(errno.rawValue)
        default: error.description
        }
    }

    private static func isProtocol(_ driver: String) -> Bool {
        ["file", "host_device", "nbd", "null-co", "null-aio"].contains(driver)
    }

    private static func wrongFormat(_ name: String) -> String {
        switch name {
        case "qed": "Image not in QED format"
        case "qcow": "Image not in qcow format"
        case "vdi": "Image not in VDI format"
        case "vpc": "invalid VPC image"
        default: "Image is not in \(name) format"
        }
    }
}
