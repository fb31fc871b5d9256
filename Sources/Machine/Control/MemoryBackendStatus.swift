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
}

extension MachineOperations {
    /// The memory back-ends: the objects, or what the machine has where none is its RAM.
    public var memoryBackends: [MemoryBackendStatus] {
        let (board, memory) = (configuration.board, configuration.memory)
        var backends: [MemoryBackendStatus] = []
        if board.memoryBackend == nil && configuration.numa.nodes.allSatisfy({ $0.backend == nil }) {
            backends.append(
                MemoryBackendStatus(
                    size: memory.size, merges: board.mergesMemory, dumps: board.dumpsGuestMemory,
                    preallocates: memory.preallocates, isShared: false, policy: "default", hostNodes: []))
        }
        return backends
            + objects.filter { $0.type.hasPrefix("memory-backend-") }.map { object in
                let properties = object.properties
                return MemoryBackendStatus(
                    id: object.id, size: properties["size"]?.uint64Value ?? 0,
                    merges: properties.bool("merge") ?? board.mergesMemory,
                    dumps: properties.bool("dump") ?? board.dumpsGuestMemory,
                    preallocates: properties.bool("prealloc") ?? memory.preallocates,
                    isShared: properties.bool("share") ?? (object.type == "memory-backend-memfd"),
                    policy: properties.string("policy") ?? "default",
                    hostNodes: (properties["host-nodes"]?.arrayValue ?? []).compactMap(\.intValue))
            }
    }
}
