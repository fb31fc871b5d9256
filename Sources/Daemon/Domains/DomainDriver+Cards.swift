internal import DomainModel
internal import Synchronization

/// The cards of machines that run.
extension DomainDriver {
    /// Names of the cards of all machines that run.
    var usedCards: Set<String> {
        Set(
            list.all.flatMap { domain -> [String] in
                guard let live = domain.state.withLock({ $0.live }) else { return [] }
                return DomainFigures.devices(live, "interface").compactMap { $0.child("target")?["dev"] }
            })
    }

    /// Cards of all machines that run.
    var liveCards: [LiveCard] {
        list.all.flatMap { domain -> [LiveCard] in
            let (name, live) = domain.state.withLock { ($0.name, $0.live) }
            guard let live, !DomainFigures.devices(live, "interface").isEmpty else { return [] }
            let isApus = (live.at("devices", "emulator")?.text).flatMap { emulators.emulator($0) }?.isApus ?? true
            return DomainDriver.cards(live).map { LiveCard(machine: name, hasHeaders: isApus, interface: $0) }
        }
    }

    /// The cards of a live form.
    static func cards(_ live: XMLTree) -> [NetworkInterface] {
        (try? DomainModel.Domain(tree: live, options: [.lenient]))?.devices.interfaces ?? []
    }
}
