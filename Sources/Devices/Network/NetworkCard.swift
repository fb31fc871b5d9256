/// What the machine asks of every network card. Any thread.
public protocol NetworkCard: AnyObject, Sendable {
    /// Plugs the cable in or out: `set_link`.
    func setLink(up: Bool)
}

extension VirtioNet: NetworkCard {}
