internal import HostOS

/// What clients are told of the host, read once from Linux's own files.
struct HostDescription: Sendable {
    /// One memory cell.
    struct Cell: Sendable {
        let id: Int
        /// KiB.
        let memory: UInt64
        let processors: [Int]
    }

    /// One processor.
    struct Processor: Sendable {
        let id: Int
        let socket: Int
        let core: Int
        let siblings: String
    }

    let name: String
    let uuid: String
    let architecture = "x86_64"
    /// The vendor in libvirt's words.
    let vendor: String
    /// The model's name as the processor tells it.
    let modelName: String
    let flags: [String]
    let signature: (family: Int, model: Int, stepping: Int)
    let megahertz: Int
    /// KiB.
    let memory: UInt64
    let processors: [Processor]
    let cells: [Cell]

    init() {
        let info = HostDescription.text("/proc/cpuinfo")
        var fields: [String: String] = [:]
        for line in info.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[HostDescription.trim(parts[0])] = HostDescription.trim(parts[1])
        }
        name = HostIdentity.hostName
        uuid = HostDescription.readUUID()
        vendor = fields["vendor_id"] == "AuthenticAMD" ? "AMD" : "Intel"
        modelName = fields["model name"] ?? "x86_64"
        flags = (fields["flags"] ?? "").split(separator: " ").map(String.init)
        signature = (
            Int(fields["cpu family"] ?? "") ?? 6, Int(fields["model"] ?? "") ?? 0, Int(fields["stepping"] ?? "") ?? 0
        )
        megahertz = Int(Double(fields["cpu MHz"] ?? "") ?? 0)
        memory = HostDescription.kilobytes("MemTotal:", in: HostDescription.text("/proc/meminfo"))
        processors = HostDescription.range(HostDescription.text("/sys/devices/system/cpu/online")).map { id in
            let folder = "/sys/devices/system/cpu/cpu\(id)/topology/"
            return Processor(
                id: id, socket: HostDescription.number(folder + "physical_package_id") ?? 0,
                core: HostDescription.number(folder + "core_id") ?? id,
                siblings: HostDescription.trim(HostDescription.text(folder + "thread_siblings_list")))
        }
        cells = HostDescription.readCells(memory: memory, processors: processors.map(\.id))
    }

    /// KiB of the pages that the kernel can give, the smallest first.
    var pageSizes: [Int] {
        let huge = ((try? HostFolder.names(in: "/sys/kernel/mm/hugepages")) ?? []).compactMap { name in
            Int(name.drop { !$0.isNumber }.prefix(while: \.isNumber))
        }
        return [HostFacts.pageSize / 1024] + huge.sorted()
    }

    /// Threads that share a core.
    var threads: Int { max(1, processors.count / max(1, Set(processors.map { [$0.socket, $0.core] }).count)) }
    /// Packages, as many as a cell has.
    var sockets: Int { max(1, Set(processors.map(\.socket)).count / max(1, cells.count)) }
    /// Cores of a package.
    var cores: Int { max(1, processors.count / (threads * sockets * max(1, cells.count))) }

    /// Bytes of memory that can be had at once.
    static var freeMemory: UInt64 { kilobytes("MemFree:", in: text("/proc/meminfo")) * 1024 }

    private static func readCells(memory: UInt64, processors: [Int]) -> [Cell] {
        let nodes = range(text("/sys/devices/system/node/online"))
        let cells = nodes.compactMap { id -> Cell? in
            let info = text("/sys/devices/system/node/node\(id)/meminfo")
            let own = range(text("/sys/devices/system/node/node\(id)/cpulist"))
            let size = kilobytes("MemTotal:", in: info)
            return size == 0 ? nil : Cell(id: id, memory: size, processors: own)
        }
        return cells.isEmpty ? [Cell(id: 0, memory: memory, processors: processors)] : cells
    }

    private static func readUUID() -> String {
        for path in ["/sys/devices/virtual/dmi/id/product_uuid", "/etc/machine-id"] {
            let digits = text(path).filter(\.isHexDigit).lowercased()
            if digits.count == 32, Set(digits).count > 1 { return digits }
        }
        return "00000000000000000000000000000001"
    }

    // MARK: - Linux's files

    static func text(_ path: String) -> String {
        guard let bytes = try? HostFile.contents(path, limit: 4 << 20) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func number(_ path: String) -> Int? { Int(trim(text(path))) }

    static func trim(_ text: some StringProtocol) -> String {
        var slice = text[...]
        while let first = slice.first, first.isWhitespace { slice = slice.dropFirst() }
        while let last = slice.last, last.isWhitespace { slice = slice.dropLast() }
        return String(slice)
    }

    /// The number after a name in a table of the kernel's.
    static func kilobytes(_ name: String, in table: String) -> UInt64 {
        for line in table.split(separator: "\n") {
            guard let range = line.firstRange(of: name) else { continue }
            let rest = line[range.upperBound...].drop { $0 == " " }
            return UInt64(rest.prefix(while: \.isNumber)) ?? 0
        }
        return 0
    }

    /// `0-2,5` as numbers.
    static func range(_ text: String) -> [Int] {
        var result: [Int] = []
        for part in trim(text).split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last < 8192 else { continue }
            result += Array(first...last)
        }
        return result
    }
}
