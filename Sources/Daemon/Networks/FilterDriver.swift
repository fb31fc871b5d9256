internal import DomainModel
internal import Log
internal import RPCWire
internal import Synchronization

/// Filters of packets: their definitions, and what ports are told of them.
final class FilterDriver: Sendable {
    private let entries = Mutex<[UUIDBytes: NetworkFilter]>([:])
    private let folder: DocumentFolder

    init(paths: DaemonPaths) { folder = DocumentFolder(path: paths.configuration + "/nwfilter") }

    static func fail(_ error: LibvirtError) -> LibvirtError { error.from(VirErrorDomain.nwfilter) }

    private static func none(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noNwfilter, domain: VirErrorDomain.nwfilter,
            message: "Network filter not found: " + detail, detail: detail)
    }

    static func reference(_ filter: NetworkFilter) -> RemoteNWFilter {
        RemoteNWFilter(name: filter.name, uuid: uuid(filter))
    }

    private static func uuid(_ filter: NetworkFilter) -> UUIDBytes {
        filter.uuid.flatMap { UUIDBytes($0.bytes) } ?? UUIDBytes.random()
    }

    var all: [NetworkFilter] { entries.withLock { Array($0.values) }.sorted { $0.name < $1.name } }

    func find(uuid: UUIDBytes) throws(LibvirtError) -> NetworkFilter {
        if let filter = entries.withLock({ $0[uuid] }) { return filter }
        throw FilterDriver.none("no nwfilter with matching uuid '\(uuid)'")
    }

    func find(name: String) throws(LibvirtError) -> NetworkFilter {
        if let filter = all.first(where: { $0.name == name }) { return filter }
        throw FilterDriver.none("no nwfilter with matching name '\(name)'")
    }

    /// The order of chains, where a definition names none.
    private static let priorities: [(String, Int32)] = [
        ("stp", -810), ("mac", -800), ("vlan", -750), ("ipv4", -700), ("ipv6", -600), ("arp", -500), ("rarp", -400),
    ]

    func define(_ text: String) throws(LibvirtError) -> NetworkFilter {
        var filter: NetworkFilter
        do throws(DefinitionError) { filter = try NetworkFilter(xml: text) } catch {
            throw LibvirtError(error, VirErrorDomain.nwfilter)
        }
        guard !filter.name.isEmpty, !filter.name.contains("/"), !filter.name.contains("\n"), filter.name != ".",
            filter.name != ".."
        else { throw FilterDriver.fail(.xml("name \(filter.name) cannot contain '/'")) }
        if filter.priority == nil {
            filter.priority = FilterDriver.priorities.first { filter.chain.hasPrefix($0.0) }?.1
        }
        let given = filter.uuid.flatMap { UUIDBytes($0.bytes) }
        let named = all.first { $0.name == filter.name }
        let uuid = given ?? named.map { FilterDriver.uuid($0) } ?? UUIDBytes.random()
        filter.uuid = UniqueID(bytes: uuid.bytes)
        if let named, FilterDriver.uuid(named) != uuid {
            throw FilterDriver.fail(
                .operationFailed("filter '\(filter.name)' already exists with uuid \(FilterDriver.uuid(named))"))
        }
        if let other = entries.withLock({ $0[uuid] }), other.name != filter.name {
            throw FilterDriver.fail(
                .operationFailed("filter with same UUID but different name ('\(other.name)') already exists"))
        }
        try folder.save(filter.name, filter.tree())
        let defined = filter
        entries.withLock { $0[uuid] = defined }
        return filter
    }

    func undefine(_ uuid: UUIDBytes) throws(LibvirtError) {
        let filter = try find(uuid: uuid)
        let users = all.filter { other in
            other.entries.contains {
                if case .include(let reference) = $0 { reference.filter == filter.name } else { false }
            }
        }
        guard users.isEmpty else {
            throw FilterDriver.fail(.operationInvalid("nwfilter is in use"))
        }
        try folder.remove(filter.name)
        entries.withLock { $0[uuid] = nil }
    }

    func load() {
        for (name, tree) in folder.all {
            guard let filter = try? NetworkFilter(tree: tree), let uuid = filter.uuid.flatMap({ UUIDBytes($0.bytes) })
            else {
                Logger("filters").error("A filter cannot be used: '\(name)'")
                continue
            }
            entries.withLock { $0[uuid] = filter }
        }
    }
}
