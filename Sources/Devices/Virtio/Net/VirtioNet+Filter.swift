import Synchronization

extension VirtioNet {
    public var receiveFilter: CardReceiveFilter? {
        let address = macAddress
        return receiving.withLock { state in
            let filter = state.filter
            func table(_ set: Set<ReceiveFilter.Address>) -> [[UInt8]] {
                set.sorted().map { value in (0..<6).map { UInt8(value >> UInt64(40 - $0 * 8) & 0xFF) } }
            }
            let vlans = filter.vlans.map { words in
                (0..<4096).filter { words[$0 / 64] >> UInt64($0 % 64) & 1 != 0 }
            }
            return CardReceiveFilter(
                isPromiscuous: filter.isPromiscuous,
                multicast: filter.dropsMulticast ? .none : filter.takesAllMulticast ? .all : .normal,
                unicast: filter.dropsUnicast ? .none : filter.takesAllUnicast ? .all : .normal,
                allowsBroadcast: !filter.dropsBroadcast, overflowsMulticast: filter.overflowsMulticast,
                overflowsUnicast: filter.overflowsUnicast, address: address, unicastTable: table(filter.unicast),
                multicastTable: table(filter.multicast), vlans: vlans)
        }
    }

    public func observeReceiveFilter(_ observer: (@Sendable () -> Void)?) {
        filterNews.withLock { $0.observer = observer }
    }
    public func expectFilterChange() { filterNews.withLock { $0.isExpected = true } }

    /// The driver has changed the filter. No lock of the card's is held.
    func filterChanged() {
        let observer = filterNews.withLock { news -> (@Sendable () -> Void)? in
            defer { news.isExpected = false }
            return news.isExpected ? news.observer : nil
        }
        observer?()
    }
}
