internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Jobs between images, sizes and limits of disks.
    mutating func addBlockJobs() {
        add(Remote.DomainBlockPull.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.blockPull(
                domain, arguments.path, base: nil, bandwidth: arguments.bandwidth, flags: arguments.flags)
        }
        add(Remote.DomainBlockRebase.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            typealias Flags = VirDomainBlockRebaseFlags
            let domain = try call.domain(arguments.dom)
            guard arguments.flags & Flags.copy != 0 else {
                return try call.driver.blockPull(
                    domain, arguments.path, base: arguments.base, bandwidth: arguments.bandwidth,
                    flags: arguments.flags)
            }
            guard let path = arguments.base else { throw LibvirtError.invalidArgument("the copy has no path") }
            let disk = DomainFigures.disk(domain.state.withLock { $0.current }, arguments.path)
            let format =
                arguments.flags & Flags.copyRaw != 0 ? "raw" : disk?.child("driver")?["type"] ?? "raw"
            try call.driver.blockCopy(
                domain, arguments.path, path: path, format: format, reuses: arguments.flags & Flags.reuseExt != 0,
                bandwidth: min(arguments.bandwidth, 1 << 40) << 20)
        }
        add(Remote.DomainBlockCopy.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let tree: XMLTree
            do throws(DefinitionError) {
                tree = try XMLReader.parse(arguments.destxml, document: "(disk_definition)")
            } catch {
                throw LibvirtError(error, VirErrorDomain.none)
            }
            guard let path = DomainFigures.path(tree) else { throw LibvirtError.xml("the copy has no path") }
            var bandwidth: UInt64 = 0
            for parameter in arguments.params where parameter.field == "bandwidth" {
                if case .ulong(let value) = parameter.value { bandwidth = value }
            }
            let domain = try call.domain(arguments.dom)
            let disk = DomainFigures.disk(domain.state.withLock { $0.current }, arguments.path)
            try call.driver.blockCopy(
                domain, arguments.path, path: path,
                format: tree.child("driver")?["type"] ?? disk?.child("driver")?["type"] ?? "raw",
                reuses: arguments.flags & VirDomainBlockCopyFlags.reuseExt != 0, bandwidth: bandwidth)
        }
        add(Remote.DomainBlockCommit.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.blockCommit(
                domain, arguments.disk, base: arguments.base, top: arguments.top, bandwidth: arguments.bandwidth,
                flags: arguments.flags)
        }
        add(Remote.DomainGetBlockJobInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            try call.driver.blockJobInfo(try call.domain(arguments.dom), arguments.path)
        }
        add(Remote.DomainBlockJobAbort.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.abortBlockJob(try call.domain(arguments.dom), arguments.path, flags: arguments.flags)
        }
        add(Remote.DomainBlockJobSetSpeed.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.setBlockJobSpeed(domain, arguments.path, arguments.bandwidth, flags: arguments.flags)
        }
        add(Remote.DomainBlockResize.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let isBytes = arguments.flags & VirDomainBlockResizeFlags.bytes != 0
            let (size, overflow) =
                isBytes ? (arguments.size, false) : arguments.size.multipliedReportingOverflow(by: 1024)
            guard !overflow, size < 1 << 62 else { throw LibvirtError.invalidArgument("size is out of range") }
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            guard let disk = DomainFigures.disk(domain.state.withLock { $0.current }, arguments.disk) else {
                throw LibvirtError.invalidArgument("disk '\(arguments.disk)' was not found in the domain config")
            }
            try domain.job.run { () throws(LibvirtError) -> Void in
                try machine.qmp().execute(
                    "block_resize",
                    [
                        "node-name": .string("libvirt-\(disk.child("source")?["index"] ?? "0")-format"),
                        "size": .number(size),
                    ])
            }
        }
        add(Remote.DomainBlockPeek.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            guard let disk = DomainFigures.disk(domain.state.withLock { $0.current }, arguments.path),
                let path = DomainFigures.path(disk)
            else { throw LibvirtError.invalidArgument("invalid disk or path '\(arguments.path)'") }
            guard arguments.size <= 4 << 20, arguments.offset < 1 << 62 else {
                throw LibvirtError.rpc("size is out of range")
            }
            let bytes = try call.driver.onHost { () throws(HostError) -> [UInt8] in
                let file = try HostFile.open(path, HostFile.Mode.read)
                try HostFile.seek(file, Int64(arguments.offset))
                return try file.readAvailable(limit: Int(arguments.size))
            }
            return .init(buffer: bytes)
        }
        add(Remote.DomainMemoryPeek.self, .worker) { (call, arguments) throws(LibvirtError) in
            guard arguments.size <= 4 << 20 else { throw LibvirtError.rpc("size is out of range") }
            let domain = try call.domain(arguments.dom)
            let path = call.driver.folder(domain) + "/peek"
            let isVirtual = arguments.flags & VirDomainMemoryFlags.virtual != 0
            defer { try? HostFile.remove(path) }
            try domain.running().qmp().execute(
                isVirtual ? "memsave" : "pmemsave",
                [
                    "val": .number(arguments.offset), "size": .number(UInt64(arguments.size)),
                    "filename": .string(path),
                ])
            let bytes = try call.driver.onHost { () throws(HostError) in
                try HostFile.contents(path, limit: 8 << 20)
            }
            return .init(buffer: bytes)
        }
        add(Remote.DomainGetDiskErrors.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let answer = try domain.running().qmp().execute("query-block").arrayValue ?? []
            let disks = DomainFigures.devices(domain.state.withLock { $0.current }, "disk")
            var errors: [RemoteDomainDiskError] = []
            for entry in answer {
                let status = entry["io-status"]?.stringValue ?? "ok"
                let place = entry["qdev"]?.stringValue ?? ""
                let disk = disks.first { disk in
                    let alias = disk.child("alias")?["name"] ?? "?"
                    return place == alias || place.split(separator: "/").contains(Substring(alias))
                }
                guard status != "ok", let target = disk?.child("target")?["dev"] else { continue }
                errors.append(
                    .init(
                        disk: target,
                        error: status == "nospace" ? VirDomainDiskErrorCode.noSpace : VirDomainDiskErrorCode.unspec))
            }
            let shown = arguments.maxerrors == 0 ? [] : Array(errors.prefix(Int(min(arguments.maxerrors, 256))))
            return .init(errors: shown, nerrors: Int32(clamping: arguments.maxerrors == 0 ? errors.count : shown.count))
        }
        add(Remote.DomainSetBlockThreshold.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            let image = try Self.image(arguments.dev, of: domain.state.withLock { $0.current })
            machine.mayHaveThresholds.store(true, ordering: .relaxed)
            try machine.qmp().execute(
                "block-set-write-threshold",
                [
                    "node-name": .string(DomainFigures.storageNode(image)),
                    "write-threshold": .number(arguments.threshold),
                ])
        }
    }

    /// The image that `vda` or `vda[2]` means.
    private static func image(_ name: String, of tree: XMLTree) throws(LibvirtError) -> XMLTree {
        let target = name.prefix { $0 != "[" }
        let number = name.dropFirst(target.count)
        guard number.isEmpty || (number.hasSuffix("]") && UInt32(number.dropFirst().dropLast()) != nil) else {
            throw .invalidArgument("failed to parse block device '\(name)'")
        }
        let disk = DomainFigures.devices(tree, "disk").first { $0.child("target")?["dev"] == String(target) }
        guard let disk else { throw .invalidArgument("failed to find disk '\(target)'") }
        guard let index = UInt32(number.dropFirst().dropLast()), index > 0 else { return disk }
        let image = DomainFigures.images(disk).first { $0.child("source")?["index"] == "\(index)" }
        guard let image else { throw .invalidArgument("failed to find disk '\(name)'") }
        return image
    }
}
