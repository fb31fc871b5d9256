internal import CLinux
internal import HostOS

extension BlockDriver {
    /// The driver `blkdebug`: faults at named points of the node above, by a configuration file (`config=`) and by
    /// options (`inject-error.0.event=`, `set-state.0.event=`).
    static var blkdebug: BlockDriver {
        BlockDriver(name: "blkdebug") { graph, options, node, nodeName throws(BlockError) in
            var rules: [BlkdebugRule] = []
            if let path = options.take("config"), !path.isEmpty {
                rules = try BlkdebugRule.parse(try configuration(path), path: path)
            }
            for group in ["inject-error", "set-state"] {
                guard var list = options.takeChild(group) else { continue }
                var index = 0
                while var single = list.takeChild("\(index)") {
                    rules.append(try BlkdebugRule(group: group, &single))
                    index += 1
                }
                try list.finish(driver: group)
            }
            let alignment = try options.takeSize("align") ?? 1
            guard alignment > 0, alignment & (alignment - 1) == 0, alignment <= 1 << 20 else {
                throw .invalidOption(option: "align", value: "\(alignment)", expected: "a power of two up to 1M")
            }
            try takeLimits(&options, alignment)
            _ = options.take("x-image")
            _ = options.takeChild("take-child-perms")
            _ = options.takeChild("unshare-child-perms")
            let image = try graph.openChild("image", of: "blkdebug", &options, node)
            return BlkdebugNode(
                image: image, nodeName: nodeName, rules: rules, alignment: alignment, options: node)
        }
    }

    /// Limits for splitting requests: nothing here splits by them, but they must go together.
    private static func takeLimits(_ options: inout BlockOptions, _ alignment: UInt64) throws(BlockError) {
        func take(_ name: String, of unit: UInt64) throws(BlockError) -> UInt64 {
            let value = try options.takeSize(name) ?? 0
            guard value < UInt64(Int32.max), value % unit == 0 else {
                throw .message("Cannot meet constraints with \(name) \(value)")
            }
            return value
        }
        _ = try take("max-transfer", of: alignment)
        for kind in ["write-zero", "discard"] {
            let optimum = try take("opt-\(kind)", of: alignment)
            _ = try take("max-\(kind)", of: max(optimum, alignment))
        }
    }

    private static func configuration(_ path: String) throws(BlockError) -> String {
        do throws(HostError) {
            return String(decoding: try HostFile.contents(path), as: UTF8.self)
        } catch {
            throw .message("Could not read blkdebug config file: \(error.errno)")
        }
    }
}
