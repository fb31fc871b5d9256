internal import BlockImage
internal import JSON
internal import Synchronization

// Making images: `blockdev-create`, a job whose errors are its own.
extension LiveStorage {
    func create(_ arguments: JSONObject) throws(MachineError) {
        let options = arguments["options"]?.objectValue ?? JSONObject()
        try startTask(.create, id: arguments.string("job-id") ?? "") { [self] () throws(MachineError) in
            try make(options)
        }
    }

    private func make(_ options: JSONObject) throws(MachineError) {
        let graph = try storage().graph
        let size = options["size"]?.uint64Value ?? 0
        let way = options.string("preallocation").flatMap { Preallocation(rawValue: $0) } ?? .off
        let driver = options.string("driver") ?? ""
        if driver == "file" {
            let path = options.string("filename") ?? ""
            return try images { () throws(BlockError) in
                try FileNode.create(path: path, size: size, preallocation: way, open: graph.opener)
            }
        }
        let file = try emptyTarget(options.string("file") ?? "", graph)
        // Volumes round up to whole sectors by themselves where that is right.
        guard size % 512 == 0 else { throw .failed("Image size must be a multiple of 512 bytes") }
        func refuse(_ name: String) -> MachineError { .failed("Unsupported \(name) mode") }
        switch driver {
        case "qcow2": try makeQCow2(options, size, way, in: file, graph)
        case "luks":
            let secret = options.string("key-secret") ?? ""
            try images { () throws(BlockError) in
                let passphrase = try graph.secrets.value(secret)
                try LUKSNode.create(
                    Self.volume(options), size: size, passphrase: passphrase, preallocation: way, in: file.forNewImage)
            }
        case "vdi":
            guard way == .off || way == .metadata else { throw refuse("preallocation") }
            try images { () throws(BlockError) in
                try OtherFormats.createVDI(size: size, isStatic: way == .metadata, in: file.forNewImage)
            }
        case "vpc":
            let (isFixed, isExact) = (options.string("subformat") == "fixed", options["force-size"] == true)
            try images { () throws(BlockError) in
                try OtherFormats.createVPC(size: size, isFixed: isFixed, isExact: isExact, in: file.forNewImage)
            }
        case "vhdx":
            let log = options["log-size"]?.uint64Value ?? 1 << 20
            let block = options["block-size"]?.uint64Value ?? 0
            let (isFixed, marks) = (options.string("subformat") == "fixed", options["block-state-zero"] != false)
            try images { () throws(BlockError) in
                try OtherFormats.createVHDX(
                    size: size, blockSize: block, logSize: log, isFixed: isFixed, marksZero: marks, in: file.forNewImage
                )
            }
        case "vmdk": try makeVMDK(options, size, in: file, graph)
        default: throw .failed("Driver '\(driver)' does not support blockdev-create")
        }
    }

    private func makeQCow2(
        _ options: JSONObject, _ size: UInt64, _ way: Preallocation, in file: any Resizable, _ graph: BlockGraph
    ) throws(MachineError) {
        var wanted = QCow2CreateOptions(size: size)
        wanted.backingFile = options.string("backing-file")
        wanted.backingFormat = options.string("backing-fmt")
        if options.string("version") == "v2" { wanted.version = 2 }
        let cluster = options["cluster-size"]?.uint64Value ?? 65536
        guard (512...2 << 20).contains(cluster), cluster & (cluster - 1) == 0 else {
            throw .failed("Cluster size must be a power of two between 512 and 2048k")
        }
        wanted.clusterSize = Int(cluster)
        let bits = options["refcount-bits"]?.uint64Value ?? 16
        guard (1...64).contains(bits), bits & (bits - 1) == 0 else {
            throw .failed("Refcount width must be a power of two and may not exceed 64 bits")
        }
        wanted.refcountBits = Int(bits)
        wanted.lazyRefcounts = options["lazy-refcounts"] == true
        wanted.extendedL2 = options["extended-l2"] == true
        if options.string("compression-type") == "zstd" { wanted.compression = .zstd }
        guard wanted.version == 3 || !(wanted.lazyRefcounts || wanted.extendedL2 || bits != 16) else {
            throw .failed("Options of compatibility level 1.1 and above need version=v3 or greater")
        }
        guard wanted.fitsTables else { throw .failed("Image size is too large for its cluster size") }
        guard wanted.backingFile == nil || way == .off else {
            throw .failed("Backing file and preallocation can only be used at the same time if extended_l2 is on")
        }
        var data: (any Resizable)?
        if let name = options.string("data-file") {
            guard wanted.version == 3 else {
                throw .failed(
                    "External data files are only supported with compatibility level 1.1 and above (use version=v3 "
                        + "or greater)")
            }
            guard wanted.backingFile == nil else {
                throw .failed("Backing file and data file cannot be used at the same time")
            }
            let node = try emptyTarget(name, graph)
            guard node !== file else { throw .failed("Node '\(name)' is in use") }
            (data, wanted.dataFile) = (node, node.filename)
            wanted.dataFileRaw = options["data-file-raw"] == true
        }
        guard data != nil || options["data-file-raw"] != true else { throw .failed("data-file-raw requires data-file") }
        if let encryption = options["encrypt"]?.objectValue {
            guard encryption.string("format") == "luks" else { throw .failed("Encryption is 'luks' or none") }
            wanted.luks = Self.volume(encryption)
            let secret = encryption.string("key-secret") ?? ""
            wanted.passphrase = try images { () throws(BlockError) in try graph.secrets.value(secret) }
        }
        let final = wanted
        try images { () throws(BlockError) in try QCow2Node.create(final, in: file.forNewImage) }
        guard way != .off || data != nil else { return }
        guard final.luks == nil || way == .off else {
            throw .failed("Preallocation of an encrypted image is not supported")
        }
        let dataNode = data
        try images { () throws(BlockError) in
            // It is of use once it is as long as the disk.
            if let dataNode { try dataNode.resize(to: size, preallocation: .off) }
            var open = ["driver": "qcow2", "file": file.nodeName, "backing": ""]
            if let dataNode { open["data-file"] = dataNode.nodeName }
            guard way != .off || final.dataFileRaw else { return }
            let node = try graph.openImplicitly(open)
            defer { try? graph.remove(node.nodeName) }
            try (node as? QCow2Node)?.reserve(way)
        }
    }

    private func makeVMDK(
        _ options: JSONObject, _ size: UInt64, in file: any Resizable, _ graph: BlockGraph
    ) throws(MachineError) {
        var wanted = VMDKCreateOptions(size: size)
        if let name = options.string("subformat") {
            guard let layout = VMDKCreateOptions.Layout(rawValue: name) else { throw .failed("Unknown subformat") }
            wanted.layout = layout
        }
        wanted.adapter = options.string("adapter-type") ?? wanted.adapter
        wanted.hardware = options.string("hwversion") ?? wanted.hardware
        wanted.tools = options.string("toolsversion") ?? wanted.tools
        wanted.hasZeroGrains = options["zeroed-grain"] == true
        guard options["backing-file"] == nil else { throw .failed("VMDK images over another are not made here") }
        var extents: [any Resizable] = []
        for name in options["extents"]?.arrayValue ?? [] {
            extents.append(try emptyTarget(name.stringValue ?? "", graph))
        }
        guard extents.count == wanted.extentCount else {
            throw .failed(
                extents.count < wanted.extentCount
                    ? "Extent [\(extents.count)] not specified" : "List of extents contains unused extents")
        }
        let (final, nodes) = (wanted, extents)
        let names = nodes.map { String($0.filename.split(separator: "/").last ?? "") }
        try images { () throws(BlockError) in
            var number = 0
            try OtherFormats.createVMDK(final, at: file.filename, names: nodes.isEmpty ? nil : names) {
                (_, body) throws(BlockError) in
                let target = (number < nodes.count ? nodes[number] : file).forNewImage
                number += 1
                try target.resize(to: 0, preallocation: .off)
                try body(target)
            }
        }
    }

    /// A node that a new image may be written to: nobody uses it.
    private func emptyTarget(_ name: String, _ graph: BlockGraph) throws(MachineError) -> any Resizable {
        let node = try node(name)
        try images { () throws(BlockError) in try graph.expectWrites(to: node) }
        guard let file = node as? any Resizable, !file.isReadOnly else {
            throw .failed("Block node '\(node.nodeName)' is read-only")
        }
        guard graph.users(of: file) == 0 else { throw .failed("Node '\(file.nodeName)' is in use") }
        if graph.isInactive { try images { () throws(BlockError) in try graph.activate(node) } }
        return file
    }

    private static func volume(_ options: JSONObject) -> LUKSOptions {
        var volume = LUKSOptions()
        volume.cipher = options.string("cipher-alg") ?? volume.cipher
        volume.mode = options.string("cipher-mode") ?? volume.mode
        volume.vector = options.string("ivgen-alg") ?? volume.vector
        volume.vectorHash = options.string("ivgen-hash-alg")
        volume.hash = options.string("hash-alg") ?? volume.hash
        volume.iterationTime = options["iter-time"]?.uint64Value ?? volume.iterationTime
        return volume
    }
}
