internal import GuestMemory

/// Boots an ELF file by Xen's PVH protocol (xen/docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h): protected
/// mode without paging, EBX = `hvm_start_info`.
enum PVHBoot {
    static func load(_ request: BootRequest, into memory: AddressSpace) throws(LoadError) -> EntryState {
        let file = try ELFFile(file: request.kernel)
        let name = request.kernel.name
        guard let entry = try file.physicalEntry() else { throw .notAKernel(file: name) }
        var builder = EntryBuilder(memory: memory, file: name, placement: Placement(request.memory))
        let kernel = try file.loadSegments(into: &builder)
        guard kernel.contains(entry) else {
            throw .malformed(file: name, "its PVH entry \(hex(entry)) lies in none of its segments")
        }
        let commandLine = try builder.put(commandLine: request.commandLine, limit: 65535)
        var modules: [UInt8] = []
        var first: Range<UInt64> = 0..<0
        for module in request.modules {
            let extent = try builder.loadModule(module.source, below: 1 << 31)
            if modules.isEmpty { first = extent }
            let text =
                try module.commandLine.isEmpty
                ? 0 : builder.put(Array(module.commandLine.utf8) + [0], what: "module command line")
            modules.append(little: extent.lowerBound)
            modules.append(little: UInt64(extent.count))
            modules.append(little: text)
            modules.append(little: UInt64(0))
        }
        let moduleList = try modules.isEmpty ? 0 : builder.put(modules, what: "module list")
        var map: [UInt8] = []
        for entry in request.memory.entries {
            map.append(little: entry.start)
            map.append(little: entry.count)
            map.append(little: entry.kind.rawValue)
            map.append(little: UInt32(0))
        }
        let mapAddress = try builder.put(map, what: "memory map")

        var info: [UInt8] = []
        info.append(little: UInt32(0x336E_C578))
        info.append(little: UInt32(1))
        info.append(little: UInt32(0))
        info.append(little: UInt32(request.modules.count))
        info.append(little: moduleList)
        info.append(little: commandLine)
        info.append(little: request.rsdp?.rawValue ?? 0)
        info.append(little: mapAddress)
        info.append(little: UInt32(request.memory.entries.count))
        info.append(little: UInt32(0))
        let infoAddress = try builder.put(info, what: "start information")
        var state = try builder.finish(
            format: .pvh, mode: .protected32, entry: entry, kernel: kernel, initrd: first)
        state.rbx = infoAddress
        return state
    }
}
