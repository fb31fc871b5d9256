public import HostOS

/// What does a device's work, before it was asked anything.
public enum VhostPeer: Sendable {
    /// Another process.
    case process(VhostUserPeer)
    /// The kernel, for each pair of a card's queues: its frames go to a tap's queue and come from there.
    case taps([VhostTap])
    /// The kernel, for sockets of a guest that is known by a number.
    case sockets(KernelVhost, guest: UInt64)

    func open(_ model: VhostModel, patience: Int32) throws(VhostError) -> any VhostBackend {
        switch self {
        case .process(let peer): try VhostUserBackend(try peer.open(), model: model, patience: patience)
        case .taps(let taps): try KernelNetworkBackend(taps)
        case .sockets(let device, let guest): try KernelSocketBackend(device, guest: guest)
        }
    }
    /// Where another one comes from.
    var next: VhostUserPeer.Next {
        if case .process(let peer) = self { return peer.next }
        return .none
    }
}

/// A tap's queue, and the kernel's device that works a card's pair of queues with it.
public struct VhostTap: Sendable {
    let tap: TapDevice
    let device: KernelVhost

    /// A pair. The tap is to be read by nobody else.
    public init(_ tap: TapDevice, _ device: KernelVhost) {
        self.tap = tap
        self.device = device
    }
}

/// Where a back-end is, and where the next one will be.
public struct VhostUserPeer: Sendable {
    /// Where another back-end comes from after the end of one.
    public enum Next: Sendable {
        /// From nowhere.
        case none
        /// It listens; so many milliseconds after the end it is looked for.
        case connect(SocketAddress, milliseconds: Int)
        /// It comes to a socket that listens.
        case accept(Descriptor)
    }
    /// The first connection; nil where it has to be made.
    public var first: Descriptor?
    /// The next.
    public var next: Next

    /// A back-end at the other end of a socket.
    public init(first: Descriptor?, next: Next = Next.none) {
        self.first = first
        self.next = next
    }

    /// The first connection; waits for a back-end that is to come, as QEMU does.
    func open() throws(VhostError) -> Descriptor {
        if let first { return first }
        do throws(HostError) {
            switch next {
            case .none: throw HostError.noDescriptor("connect to a back-end")
            case .connect(let address, let pause):
                while true {
                    if let socket = try? Socket.connect(address) { return socket }
                    Bell().wait(nanoseconds: UInt64(max(pause, 10)) * 1_000_000)
                }
            case .accept(let listener):
                while true {
                    _ = listener.wait(for: [.read], milliseconds: -1)
                    if let socket = try Socket.accept(listener) { return socket }
                }
            }
        } catch { throw .host("\(error)") }
    }
}
