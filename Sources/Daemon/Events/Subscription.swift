internal import RPCWire
internal import Synchronization

/// What one client wants to be told.
struct Subscription: Sendable {
    /// Whose events.
    enum Family: Sendable, Equatable {
        case domain
        case network
        case storagePool
        case nodeDevice
        case secret
        /// QEMU's own, with the name that is wanted; nil: all.
        case monitor(event: String?)
    }

    var family: Family
    /// The number within the family.
    var event: Int32
    /// Only of this object; nil: of all.
    var object: UUIDBytes?
    /// Registered in the old way: events carry no callback's number.
    var isLegacy = false
}

extension ClientSession {
    /// Subscriptions of one client.
    static let maximumSubscriptions = 4096

    func subscribe(_ subscription: Subscription) throws(LibvirtError) -> Int32 {
        let number = state.withLock { state -> Int32? in
            guard state.subscriptions.count < ClientSession.maximumSubscriptions else { return nil }
            let number = state.nextSubscription
            state.nextSubscription += 1
            state.subscriptions[number] = subscription
            return number
        }
        guard let number else { throw LibvirtError.operationFailed("too many event callbacks on one connection") }
        return number
    }

    func unsubscribe(_ number: Int32, where matches: (Subscription) -> Bool) throws(LibvirtError) {
        let removed = state.withLock { state -> Bool in
            guard let found = state.subscriptions[number], matches(found) else { return false }
            state.subscriptions[number] = nil
            return true
        }
        if !removed { throw LibvirtError.invalidArgument("callback \(number) is not registered").from(0) }
    }

    /// How many subscriptions there are of a kind, after one in the old way has come or gone.
    func setLegacy(_ event: Int32, _ on: Bool) throws(LibvirtError) -> Int32 {
        let matches: (Subscription) -> Bool = { $0.isLegacy && $0.family == .domain && $0.event == event }
        let existing = state.withLock { $0.subscriptions.first { matches($0.value) }?.key }
        if on, existing == nil {
            _ = try subscribe(Subscription(family: .domain, event: event, object: nil, isLegacy: true))
        } else if !on {
            guard let existing else {
                throw LibvirtError.internalError("domain event \(event) not registered").from(0)
            }
            try unsubscribe(existing, where: matches)
        } else {
            throw LibvirtError.internalError("domain event \(event) already registered").from(0)
        }
        return on ? 1 : 0
    }
}
