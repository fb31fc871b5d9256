internal import BlockImage

extension CreationFormat {
    static var vdi: CreationFormat {
        CreationFormat(
            name: "vdi", options: [size, Option("static", Kind.flag, "VDI static (pre-allocated) image")],
            defaults: ["static": "off"]
        ) { path, values, session throws(ToolFailure) in
            let isStatic = values.flag("static")
            _ = try preallocation(values, allowed: ["off", "falloc", "full"])
            guard values.size <= 0x1fff_ff80 << 20 else {
                throw ToolFailure(
                    "Unsupported VDI image size (size is 0x\(String(values.size, radix: 16)), max supported is "
                        + "0x1fffff8000000)")
            }
            try made(path, "create") { () throws(BlockError) in
                try withNewFile(path, session) { file throws(BlockError) in
                    try OtherFormats.createVDI(size: (values.size + 511) / 512 * 512, isStatic: isStatic, in: file)
                }
            }
        }
    }

    static var vpc: CreationFormat {
        let options = [
            size,
            Option(
                "subformat", Kind.text,
                "Type of virtual hard disk format. Supported formats are {dynamic (default) | fixed} "),
            Option(
                "force_size", Kind.flag,
                "Force disk size calculation to use the actual size specified, rather than using the nearest CHS-based "
                    + "calculation"),
        ]
        return CreationFormat(name: "vpc", options: options) { path, values, session throws(ToolFailure) in
            let isFixed: Bool
            switch values.text("subformat") {
            case nil, "dynamic": isFixed = false
            case "fixed": isFixed = true
            case .some(let other): throw ToolFailure("Parameter 'subformat' does not accept value '\(other)'")
            }
            do throws(BlockError) {
                try withNewFile(path, session) { file throws(BlockError) in
                    try OtherFormats.createVPC(
                        size: values.size, isFixed: isFixed, isExact: values.flag("force_size"), in: file)
                }
            } catch {
                if case .invalidSize = error {
                    throw ToolFailure("The image size is too large for file format 'vpc'")
                }
                try made(path, "create") { () throws(BlockError) in throw error }
            }
        }
    }

    static var vhdx: CreationFormat {
        let options = [
            Option("size", Kind.size, "Virtual disk size; max of 64TB."),
            Option("log_size", Kind.size, "Log size; min 1MB."),
            Option(
                "block_size", Kind.size,
                "Block Size; min 1MB, max 256MB. 0 means auto-calculate based on image size."),
            Option(
                "subformat", Kind.text,
                "VHDX format type, can be either 'dynamic' or 'fixed'. Default is 'dynamic'."),
            Option(
                "block_state_zero", Kind.flag,
                "Force use of payload blocks of type 'ZERO'. Non-standard, but default.  Do not set to 'off' when "
                    + "using 'qemu-img convert' with subformat=dynamic."),
        ]
        return CreationFormat(
            name: "vhdx", options: options, defaults: ["log_size": "1048576", "block_size": "0"]
        ) { path, values, session throws(ToolFailure) in
            let isFixed: Bool
            switch values.text("subformat") {
            case nil, "dynamic": isFixed = false
            case "fixed": isFixed = true
            case .some(let other): throw ToolFailure("Parameter 'subformat' does not accept value '\(other)'")
            }
            // What is larger than a block may be is taken down to that.
            let block = min(values.number("block_size") ?? 0, 256 << 20)
            guard block & (block &- 1) == 0 || block == 0 else {
                throw ToolFailure("Block size must be a power of two")
            }
            guard block == 0 || block >= 1 << 20 else { throw ToolFailure("Block size must be a multiple of 1 MB") }
            guard values.size <= 64 << 40 else { throw ToolFailure("Image size too large; max of 64TB") }
            try made(path, "create") { () throws(BlockError) in
                try withNewFile(path, session) { file throws(BlockError) in
                    try OtherFormats.createVHDX(
                        size: (values.size + 511) / 512 * 512, blockSize: block,
                        logSize: values.number("log_size") ?? 0, isFixed: isFixed,
                        marksZero: !values.has("block_state_zero") || values.flag("block_state_zero"), in: file)
                }
            }
        }
    }

    static var vmdk: CreationFormat {
        let options = [
            size,
            Option(
                "adapter_type", Kind.text,
                "Virtual adapter type, can be one of ide (default), lsilogic, buslogic or legacyESX"),
            Option("backing_file", Kind.text, "File name of a base image"),
            Option("backing_fmt", Kind.text, "Must be 'vmdk' if present"),
            Option("compat6", Kind.flag, "VMDK version 6 image"),
            Option("hwversion", Kind.text, "VMDK hardware version"),
            Option("toolsversion", Kind.text, "VMware guest tools version"),
            Option(
                "subformat", Kind.text,
                "VMDK flat extent format, can be one of {monolithicSparse (default) | monolithicFlat | "
                    + "twoGbMaxExtentSparse | twoGbMaxExtentFlat | streamOptimized} "),
            Option("zeroed_grain", Kind.flag, "Enable efficient zero writes using the zeroed-grain GTE feature"),
        ]
        return CreationFormat(
            name: "vmdk", options: options, defaults: ["compat6": "off", "hwversion": "undefined"]
        ) { path, values, session throws(ToolFailure) in
            let options = try vmdkOptions(values, path, session)
            try made(path, "create") { () throws(BlockError) in
                try OtherFormats.createVMDK(options, at: ImageReference.stripped(path)) {
                    path, body throws(BlockError) in
                    try withNewFile(path, session, body)
                }
            }
        }
    }

    private static func vmdkOptions(
        _ values: CreationValues, _ path: String, _ session: Session
    ) throws(ToolFailure) -> VMDKCreateOptions {
        var options = VMDKCreateOptions(size: (values.size + 511) / 512 * 512)
        if let name = values.text("subformat") {
            guard let layout = VMDKCreateOptions.Layout(rawValue: name) else {
                throw ToolFailure("invalid parameter value: \(name)")
            }
            options.layout = layout
        }
        let adapters = ["ide", "lsilogic", "buslogic", "legacyESX"]
        if let adapter = values.text("adapter_type") {
            guard adapters.contains(adapter) else { throw ToolFailure("invalid parameter value: \(adapter)") }
            options.adapter = adapter
        }
        let hardware = values.text("hwversion") ?? "undefined"
        if values.flag("compat6") {
            guard hardware == "undefined" else { throw ToolFailure("compat6 cannot be enabled with hwversion set") }
            options.hardware = "6"
        } else if hardware != "undefined" {
            options.hardware = hardware
        }
        if let tools = values.text("toolsversion") { options.tools = tools }
        options.hasZeroGrains = values.flag("zeroed_grain")
        let isFlat = options.layout == .monolithicFlat || options.layout == .twoGbMaxExtentFlat
        if let backing = values.text("backing_file") {
            guard values.text("backing_fmt") == nil || values.text("backing_fmt") == "vmdk" else {
                throw ToolFailure("backing_file must be a vmdk image")
            }
            guard !isFlat else { throw ToolFailure("Flat image can't have backing file") }
            let below = try OpenImage(
                OpenImage.combine(path, backing), format: "vmdk", OpenMode(hasNoBacking: true), session)
            defer { below.close() }
            var identity: UInt32 = 0
            for fact in (below.node as? any DescribedImage)?.imageDescription.specific ?? [] where fact.name == "cid" {
                if case .number(let number) = fact.value { identity = UInt32(truncatingIfNeeded: number) }
            }
            options.parent = (backing, identity)
        }
        if isFlat && options.hasZeroGrains { throw ToolFailure("Flat image can't enable zeroed grain") }
        return options
    }
}
