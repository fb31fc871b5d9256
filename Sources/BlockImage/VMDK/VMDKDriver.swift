extension BlockDriver {
    /// The driver `vmdk`: one file with all in it, or a descriptor that names others.
    static var vmdk: BlockDriver {
        BlockDriver(name: "vmdk") { graph, options, node, nodeName throws(BlockError) in
            let file = try graph.openChild("file", of: "vmdk", &options, node)
            var children = [BlockChild(role: "file", node: file)]
            do throws(BlockError) {
                let map = try openVMDK(graph, file, &children, node)
                do throws(BlockError) {
                    let backing = try openBacking(
                        graph, map.parent.map { ($0, nil) }, file, &options, node, driver: "vmdk")
                    if let backing { children.append(BlockChild(role: "backing", node: backing)) }
                } catch {
                    throw BlockError.below(error)
                }
                try options.finish(driver: "vmdk")
                return try MappedNode(map, children: children, nodeName: nodeName, node: node)
            } catch {
                for child in children { graph.discard(child.node) }
                throw error
            }
        }
    }

    private static func openVMDK(
        _ graph: BlockGraph, _ file: any BlockNode, _ children: inout [BlockChild], _ node: NodeOptions
    ) throws(BlockError) -> VMDKMap {
        let path = file.filename
        let (status, head) = file.bytesAndWait(at: 0, count: 512)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        if Array(head.prefix(4)) == VMDKExtent.magic {
            let extent = try VMDKExtent.sparse(file, word: "", start: 0, sectors: nil)
            guard let place = extent.descriptorPlace else {
                throw .invalidImage(path: path, reason: "The extent has no descriptor")
            }
            let text = try file.metadataBytes("descriptor", at: place.offset, count: place.size)
            return VMDKMap(try VMDKDescriptor(text, path: path), in: file, at: place, [extent])
        }
        guard Array(head.prefix(4)) != Array("COWD".utf8) else {
            throw .unsupported(path: path, feature: "an ESX sparse extent without its descriptor")
        }
        guard ImageFormat.probe(head) == .vmdk else {
            throw .invalidImage(path: path, reason: "invalid VMDK image descriptor")
        }
        let size = Int(min(file.sizeInBytes, UInt64(VMDKDescriptor.maximumSize)))
        let descriptor = try VMDKDescriptor(try file.metadataBytes("descriptor", at: 0, count: size), path: path)
        let kinds = ["monolithicFlat", "vmfs", "vmfsSparse", "seSparse", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"]
        guard kinds.contains(descriptor.createType) else {
            throw .invalidImage(path: path, reason: "Unsupported image type '\(descriptor.createType)'")
        }
        var extents: [VMDKExtent] = []
        var start: UInt64 = 0
        for (number, line) in descriptor.extents.enumerated() {
            let length = line.sectors * 512
            guard start <= UInt64(Int64.max) - length else { throw .invalidSize(path: path, size: start) }
            if line.kind == "ZERO" {
                extents.append(VMDKExtent(file: file, word: line.kind, start: start, length: length, kind: .zero))
                start += length
                continue
            }
            try graph.references.check(line.file, "extent", in: file)
            let name = try resolve(line.file, of: path)
            let options = BlockOptions([
                "driver": try BlockGraph.isDevice(name, opener: graph.opener) ? "host_device" : "file",
                "filename": name, "read-only": node.readOnly ? "on" : "off",
                "auto-read-only": node.autoReadOnly ? "on" : "off", "force-share": node.forceShare ? "on" : "off",
                "cache.direct": node.cache.direct ? "on" : "off", "cache.no-flush": node.cache.noFlush ? "on" : "off",
                "discard": "unmap",
            ])
            let child = try graph.openBelow(options)
            children.append(BlockChild(role: "extents.\(number)", node: child))
            switch line.kind {
            case "FLAT", "VMFS":
                extents.append(
                    VMDKExtent(
                        file: child, word: line.kind, start: start, length: length,
                        kind: .flat(offset: line.offset * 512)))
            case "SPARSE":
                extents.append(
                    try VMDKExtent.sparse(child, word: line.kind, start: start, sectors: line.sectors))
            default: throw .invalidImage(path: path, reason: "Unsupported extent type '\(line.kind)'")
            }
            start += length
        }
        return VMDKMap(descriptor, in: file, at: nil, extents)
    }
}

extension MappedNode: PackedWritable {
    public var packing: (clusterSize: Int, kind: Packing) {
        guard let vmdk = map.value as? VMDKMap, vmdk.isPacked else { return (0, .zlib) }
        return (Int(vmdk.grainSize), .zlib)
    }
    public var needsPacking: Bool { packing.clusterSize > 0 }

    public func writePacked(at offset: UInt64, _ packed: [UInt8]) throws(BlockError) {
        do throws(ImageFailure) {
            try changing { map throws(ImageFailure) in
                guard let vmdk = map as? VMDKMap else { throw .io(95) }
                try vmdk.writePacked(offset, packed)
            }
        } catch {
            throw .io(path: filename, operation: "write a compressed cluster to", error.status)
        }
    }

    public func alignEnd() throws(BlockError) {}
}
