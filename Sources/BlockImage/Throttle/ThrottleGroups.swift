internal import Synchronization

/// The groups of a graph by name: those that are objects stay until they are removed, others as long as somebody is in
/// them. Any thread.
public final class ThrottleGroups: Sendable {
    private struct Entry: Sendable {
        weak var group: ThrottleGroup?
        /// The same, if it is an object.
        var object: ThrottleGroup?
    }
    private let entries = Mutex<[String: Entry]>([:])

    /// No groups.
    public init() {}

    /// Whether a type of object is one of these.
    public static func takes(_ type: String) -> Bool { type == "throttle-group" }

    /// Adds a group that is an object, by its options (`x-bps-total`, `limits.bps-total`, …).
    public func add(_ name: String, _ options: [String: String]) throws(BlockError) {
        var limits = ThrottleLimits()
        try limits.apply(options)
        let isNew = entries.withLock { [limits] entries in
            guard entries[name]?.group == nil else { return false }
            let group = ThrottleGroup(name: name, limits: limits)
            entries[name] = Entry(group: group, object: group)
            return true
        }
        guard isNew else { throw .message("A group with this name already exists") }
    }

    /// Removes a group that is an object. False where somebody is in it; true, too, where there is none.
    public func remove(_ name: String) -> Bool {
        entries.withLock { entries in
            guard let object = entries[name]?.object else { return true }
            guard !object.isUsed else { return false }
            entries[name] = nil
            return true
        }
    }

    /// The group of a name, or nil.
    public func group(named name: String) -> ThrottleGroup? { entries.withLock { $0[name]?.group } }

    /// The group of a name that is an object, or nil.
    public func object(named name: String) -> ThrottleGroup? { entries.withLock { $0[name]?.object } }

    /// The group of a name with new limits. One that is not there yet goes with its last member.
    public func group(named name: String, limits: ThrottleLimits) -> ThrottleGroup {
        entries.withLock { entries in
            if let group = entries[name]?.group {
                group.limits = limits
                return group
            }
            entries = entries.filter { $0.value.group != nil }
            let group = ThrottleGroup(name: name, limits: limits)
            entries[name] = Entry(group: group, object: nil)
            return group
        }
    }
}
