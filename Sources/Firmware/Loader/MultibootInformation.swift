/// The multiboot information structure and what it points to (Multiboot Specification 0.6.96, 3.3).
enum MultibootInformation {
    /// Loads the modules, writes the structure and returns its address and the first module's extent.
    static func put(
        _ request: BootRequest, kernel: Range<UInt64>, builder: inout EntryBuilder
    ) throws(LoadError) -> (UInt64, Range<UInt64>) {
        // Modules follow the kernel, page by page, as kernels that place their heap behind the last one expect.
        var modules: [UInt8] = []
        var first: Range<UInt64> = 0..<0
        for module in request.modules {
            let count = UInt64(module.source.count)
            let floor = max(kernel.upperBound, 0x10_0000)
            guard let start = builder.placement.lowest(max(count, 1), from: floor, below: 1 << 32) else {
                throw .initrdDoesNotFit(
                    file: module.source.name, count: count, available: builder.placement.largest(below: 1 << 32))
            }
            try module.source.load(at: 0, count: count, to: start, in: builder.memory)
            if modules.isEmpty { first = start..<(start + count) }
            let text = try builder.put(Array(module.commandLine.utf8) + [0], what: "module command line")
            modules.append(little: UInt32(truncatingIfNeeded: start))
            modules.append(little: UInt32(truncatingIfNeeded: start + count))
            modules.append(little: UInt32(truncatingIfNeeded: text))
            modules.append(little: UInt32(0))
        }
        let list = try modules.isEmpty ? 0 : builder.put(modules, what: "module list")

        var map: [UInt8] = []
        for entry in request.memory.entries {
            map.append(little: UInt32(20))
            map.append(little: entry.start)
            map.append(little: entry.count)
            map.append(little: entry.kind.rawValue)
        }
        let mapAddress = try builder.put(map, what: "memory map")
        let text = request.kernel.name + (request.commandLine.isEmpty ? "" : " " + request.commandLine)
        let commandLine = try builder.put(commandLine: text, limit: 65535)
        let loaderName = try builder.put(Array("Apus".utf8) + [0], what: "boot loader name")

        var info = [UInt8](repeating: 0, count: 120)
        func set(_ value: UInt64, _ offset: Int) { info.store(little: UInt32(truncatingIfNeeded: value), at: offset) }
        let memory: UInt64 = 1 << 0
        let hasCommandLine: UInt64 = 1 << 2
        let hasModules: UInt64 = 1 << 3
        let hasMap: UInt64 = 1 << 6
        let hasLoaderName: UInt64 = 1 << 9
        set(memory | hasCommandLine | hasModules | hasMap | hasLoaderName, 0)
        set((lowEnd(request.memory, from: 0) >> 10), 4)
        set((lowEnd(request.memory, from: 0x10_0000) - 0x10_0000) >> 10, 8)
        set(commandLine, 16)
        set(UInt64(request.modules.count), 20)
        set(list, 24)
        set(UInt64(map.count), 44)
        set(mapAddress, 48)
        set(loaderName, 64)
        return (try builder.put(info, what: "multiboot information"), first)
    }

    /// Where the RAM that holds `start` ends; `start` itself where it is not RAM.
    private static func lowEnd(_ map: MemoryMap, from start: UInt64) -> UInt64 {
        map.entries.first { $0.kind == .ram && $0.start <= start && start < $0.end }?.end ?? start
    }

    /// See `KernelLoader.parseModules`.
    static func parseModules(_ text: String) -> [(file: String, commandLine: String)] {
        var parts = [""]
        var characters = Substring(text)
        while let character = characters.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if characters.first == "," {
                characters.removeFirst()
                parts[parts.count - 1].append(",")
            } else {
                parts.append("")
            }
        }
        return parts.compactMap { part in
            guard let word = part.split(separator: " ", maxSplits: 1).first else { return nil }
            return (file: String(word), commandLine: String(part.drop { $0 == " " }))
        }
    }
}
