internal import SPICE

/// A character back-end that wants to know whether a program of the guest has its port open. Any thread.
protocol GuestPortListener: AnyObject, Sendable {
    /// A program of the guest has opened its end of the port, or closed it.
    func setGuestOpen(_ isOpen: Bool)
}

extension SPICEPort: GuestPortListener {}
