internal import JSON

/// A memory back-end of a machine, as `query-memdev` tells it.
public struct MemoryBackendStatus: Equatable, Sendable {
    /// The object's name; nil for memory that the machine made by itself.
    public var id: String?
    /// Bytes.
    public var size: UInt64
    /// Whether equal pages may be merged.
    public var merges: Bool
    /// Whether core dumps have it.
    public var dumps: Bool
    /// Whether all pages were made at the start.
    public var preallocates: Bool
    /// Whether writes are seen by others who map it.
    public var isShared: Bool
    /// How the host's nodes are chosen: `default`, `preferred`, `bind` or `interleave`.
    public var policy: String
    /// The host's nodes.
    public var hostNodes: [Int]

    /// What the machine has where no object is its RAM.
    init(_ configuration: MachineConfiguration) {
        let (board, memory) = (configuration.board, configuration.memory)
        (size, merges, dumps) = (memory.size, board.mergesMemory, board.dumpsGuestMemory)
        (preallocates, isShared, policy, hostNodes) = (memory.preallocates, false, "default", [])
    }

    /// A `memory-backend-*` object, with what the machine says where the object says nothing.
    init(_ object: ObjectConfiguration, _ configuration: MachineConfiguration) {
        self.init(configuration)
        let properties = object.properties
        id = object.id
        size = properties["size"]?.uint64Value ?? 0
        merges = properties.bool("merge") ?? merges
        dumps = properties.bool("dump") ?? dumps
        preallocates = properties.bool("prealloc") ?? preallocates
        isShared = properties.bool("share") ?? (object.type == "memory-backend-memfd")
        policy = properties.string("policy") ?? policy
        hostNodes = (properties["host-nodes"]?.arrayValue ?? []).compactMap(\.intValue)
    }
}

extension MachineOperations {
    /// The memory back-ends: the objects, or what the machine has where none is its RAM.
    public var memoryBackends: [MemoryBackendStatus] {
        let isPlain =
            configuration.board.memoryBackend == nil && configuration.numa.nodes.allSatisfy { $0.backend == nil }
        return (isPlain ? [MemoryBackendStatus(configuration)] : [])
            + objects.filter { $0.type.hasPrefix("memory-backend-") }.map { MemoryBackendStatus($0, configuration) }
    }
}
