extension BlockDriver {
    /// The driver `qcow2`.
    static var qcow2: BlockDriver {
        BlockDriver(name: "qcow2") { graph, options, node, nodeName throws(BlockError) in
            var own = QCow2Node.Options()
            try takeCacheSizes(&options, &own)
            own.passDiscard = try options.takeBool("pass-discard-request")
            try takeUnused(&options, &own)
            own.isElsewhere = graph.isInactive
            own.onCorruption = { [weak graph] damage in graph?.tell(damage) }
            own.isRepair = try options.takeBool("x-repair") ?? false
            own.isDescription = try options.takeBool("x-describe") ?? false
            own.snapshot = options.take("x-snapshot")
            let encrypt = options.takeChild("encrypt")
            let file = try graph.openChild("file", of: "qcow2", &options, node)
            var backing: (any BlockNode)?
            do throws(BlockError) {
                let header = try QCow2Node.readHeader(file)
                own.header = header
                try check(own, header)
                if let encrypt { own.passphrase = try passphrase(encrypt, header, graph, isWanted: !own.isDescription) }
                own.dataFile = try openData(graph, header, file, &options, node)
                do throws(BlockError) {
                    backing = try openBacking(
                        graph, header.backingFile.map { ($0, header.backingFormat) }, file, &options, node, driver: "qcow2")
                } catch {
                    throw BlockError.below(error)
                }
                try options.finish(driver: "qcow2")
                return try QCow2Node(file: file, backing: backing, nodeName: nodeName, options: own, node: node)
            } catch {
                if let backing { graph.discard(backing) }
                if let data = own.dataFile { graph.discard(data) }
                graph.discard(file)
                throw error
            }
        }
    }

    /// The sizes of both caches: each for itself, or by `cache-size` together.
    private static func takeCacheSizes(
        _ options: inout BlockOptions, _ own: inout QCow2Node.Options
    ) throws(BlockError) {
        let most: UInt64 = 1 << 30
        let (total, l2) = (try options.takeSize("cache-size"), try options.takeSize("l2-cache-size"))
        let counts = try options.takeSize("refcount-cache-size")
        if let total {
            guard l2 == nil || counts == nil else {
                throw .message("cache-size, l2-cache-size and refcount-cache-size may not be set at the same time")
            }
            for (name, size) in [("l2-cache-size", l2), ("refcount-cache-size", counts)] {
                guard (size ?? 0) <= total else { throw .message("\(name) may not exceed cache-size") }
            }
            // The tables need most of it, and the counts little: they lie in order.
            let forCounts = counts ?? l2.map { total - $0 } ?? min(1 << 20, total / 8)
            own.refcountCacheSize = Int(min(forCounts, most))
            own.l2CacheSize = Int(min(total - forCounts, most))
        } else {
            if let l2 { own.l2CacheSize = Int(min(l2, most)) }
            if let counts { own.refcountCacheSize = Int(min(counts, most)) }
        }
    }

    /// Gives an open image other caches, and says anew whether it passes discards on.
    static func retune(
        _ image: QCow2Node, _ options: inout BlockOptions, _ undos: inout [() -> Void]
    ) throws(BlockError) {
        var own = QCow2Node.Options()
        try takeCacheSizes(&options, &own)
        try takeUnused(&options, &own)
        try check(own, image.header)
        let passes = try options.takeBool("pass-discard-request")
        let wanted = (own.l2CacheSize / image.header.clusterSize, own.refcountCacheSize / image.header.clusterSize)
        let old = image.tune(wanted, passes)
        undos.append { _ = image.tune(old.tables, old.passes) }
    }

    /// Options that are right as they stand: counts are always kept right, every write is checked against the tables,
    /// tables are cached whole, and the caches are bounded.
    private static func takeUnused(
        _ options: inout BlockOptions, _ own: inout QCow2Node.Options
    ) throws(BlockError) {
        own.wantsLazyCounts = try options.takeBool("lazy-refcounts") ?? false
        for name in ["pass-discard-snapshot", "pass-discard-other"] { _ = try options.takeBool(name) }
        own.l2CacheEntrySize = try options.takeSize("l2-cache-entry-size")
        guard try options.takeSize("cache-clean-interval") ?? 0 <= UInt64(UInt32.max) else {
            throw .message("Cache clean interval too big")
        }
        let levels = ["none", "constant", "cached", "all"]
        var checks = options.takeChild("overlap-check") ?? BlockOptions([:])
        let (level, template) = (options.take("overlap-check"), checks.take("template"))
        if let level, let template, level != template {
            throw .message(
                "Conflicting values for qcow2 options 'overlap-check' ('\(level)') and 'overlap-check.template' "
                    + "('\(template)')")
        }
        for level in [level, template].compactMap({ $0 }) {
            guard levels.contains(level) else {
                throw .message(
                    "Unsupported value '\(level)' for qcow2 option 'overlap-check'. Allowed are any of the following: "
                        + "none, constant, cached, all")
            }
        }
        for name in [
            "main-header", "active-l1", "active-l2", "refcount-table", "refcount-block", "snapshot-table",
            "inactive-l1", "inactive-l2", "bitmap-directory",
        ] { _ = try checks.takeBool(name) }
        try checks.finish(driver: "qcow2", under: "overlap-check.")
    }

    /// Throws for what does not go with the image.
    private static func check(_ own: QCow2Node.Options, _ header: QCow2Header) throws(BlockError) {
        guard header.version >= 3 || !own.wantsLazyCounts else {
            throw .message("Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
        }
        guard let size = own.l2CacheEntrySize else { return }
        guard size >= 512, size <= UInt64(header.clusterSize), size & (size - 1) == 0 else {
            throw .message(
                "L2 cache entry size must be a power of two between 512 and the cluster size (\(header.clusterSize))")
        }
    }

    /// The secret of the options `encrypt.…`.
    private static func passphrase(
        _ given: BlockOptions, _ header: QCow2Header, _ graph: BlockGraph, isWanted: Bool
    ) throws(BlockError) -> [UInt8]? {
        var options = given
        let expected = ["", "aes", "luks"][Int(min(header.encryption, 2))]
        if let format = options.take("format"), format != expected {
            throw .secret(
                header.encryption == 0
                    ? "No encryption in image header, but options specified format '\(format)'"
                    : "Header reported '\(expected)' encryption format but options specify '\(format)'")
        }
        let secret = options.take("key-secret")
        try options.finish(driver: "qcow2", under: "encrypt.")
        guard isWanted, let secret, header.encryption != 0 else { return nil }
        return try graph.secrets.value(secret)
    }

    /// The external data file: the one that the options name, or else the header.
    private static func openData(
        _ graph: BlockGraph, _ header: QCow2Header, _ file: any BlockNode, _ options: inout BlockOptions,
        _ node: NodeOptions
    ) throws(BlockError) -> (any BlockNode)? {
        if header.hasDataFile, options.value("data-file") == nil, options.value("data-file.filename") == nil,
            let name = header.dataFile
        {
            try graph.references.check(name, "data file", in: file)
            let path = try resolve(name, of: file.filename)
            let isDevice = try BlockGraph.examine(path, graph.opener).isDevice
            options.setDefault("data-file.filename", path)
            options.setDefault("data-file.driver", isDevice ? "host_device" : "file")
        }
        guard options.value("data-file") != nil || options.value("data-file.filename") != nil else { return nil }
        return try graph.openChild("data-file", of: "qcow2", &options, node)
    }
}
