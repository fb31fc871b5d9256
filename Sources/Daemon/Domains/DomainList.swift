internal import RPCWire
internal import Synchronization

/// All domains, by what they are looked up with.
final class DomainList: Sendable {
    private struct State {
        var byUUID: [UUIDBytes: Domain] = [:]
        var byName: [String: Domain] = [:]
        var byID: [Int32: Domain] = [:]
        var nextID: Int32 = 1
    }

    private let state = Mutex(State())

    func find(uuid: UUIDBytes) -> Domain? { state.withLock { $0.byUUID[uuid] } }
    func find(name: String) -> Domain? { state.withLock { $0.byName[name] } }
    func find(id: Int32) -> Domain? { state.withLock { $0.byID[id] } }

    /// All, in the order of their names.
    var all: [Domain] {
        state.withLock { state in state.byName.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// The domain of a UUID and name, made if it is not there. An error if either belongs to another.
    func findOrAdd(_ uuid: UUIDBytes, _ name: String) throws(LibvirtError) -> (domain: Domain, isNew: Bool) {
        let result = state.withLock { state -> Result<(Domain, Bool), LibvirtError> in
            if let existing = state.byUUID[uuid] {
                guard state.byName[name] === existing else {
                    let other = state.byName.first { $0.value === existing }?.key ?? ""
                    return .failure(
                        LibvirtError.operationFailed("domain '\(other)' is already defined with uuid \(uuid)"))
                }
                return .success((existing, false))
            }
            if let other = state.byName[name] {
                return .failure(
                    LibvirtError.operationFailed("domain '\(name)' already exists with uuid \(other.uuid)"))
            }
            let domain = Domain(uuid: uuid, state: Domain.State(name: name))
            state.byUUID[uuid] = domain
            state.byName[name] = domain
            return .success((domain, true))
        }
        return try result.get()
    }

    func remove(_ domain: Domain) {
        let (name, id) = domain.state.withLock { state in
            state.removed = true
            return (state.name, state.id)
        }
        state.withLock { state in
            state.byUUID[domain.uuid] = nil
            if state.byName[name] === domain { state.byName[name] = nil }
            if state.byID[id] === domain { state.byID[id] = nil }
        }
    }

    /// Gives a domain another name. An error if it is taken.
    func rename(_ domain: Domain, to name: String) throws(LibvirtError) {
        let old = domain.name
        let done = state.withLock { state -> Bool in
            guard state.byName[name] == nil else { return false }
            state.byName[old] = nil
            state.byName[name] = domain
            return true
        }
        guard done else { throw LibvirtError.operationInvalid("domain with name '\(name)' already exists") }
        domain.state.withLock { $0.name = name }
    }

    /// Gives a domain that starts its number; one that was taken up again keeps it.
    func activate(_ domain: Domain, id: Int32? = nil) -> Int32 {
        let number = state.withLock { state -> Int32 in
            let number = id ?? state.nextID
            state.nextID = max(state.nextID, number == Int32.max ? 1 : number + 1)
            state.byID[number] = domain
            return number
        }
        domain.state.withLock { $0.id = number }
        return number
    }

    func deactivate(_ domain: Domain) {
        let id = domain.state.withLock { state in
            defer { state.id = -1 }
            return state.id
        }
        state.withLock { if $0.byID[id] === domain { $0.byID[id] = nil } }
    }
}
