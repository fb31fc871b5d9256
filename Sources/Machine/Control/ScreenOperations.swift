public import HostOS
public import SPICE
public import VNC

/// The format of a picture's file.
public enum PictureFormat: String, CaseIterable, Sendable {
    /// Portable pixmap.
    case ppm
    /// Portable Network Graphics.
    case png
}

/// What monitors ask about pictures and keys. Any thread but a processor's.
public protocol ScreenOperations: AnyObject, Sendable {
    /// Writes what an adapter shows to a file of the host. `device` is an adapter's id, nil the first adapter's.
    func saveScreen(
        device: String?, head: Int, format: PictureFormat, to path: String
    ) throws(MachineError)

    /// The number of a key of one of QEMU's names (`QKeyCode`), or nil.
    func keyCode(named name: String) -> UInt8?
    /// Presses keys together and releases them after a time, when what was asked before is done.
    func pressKeys(_ codes: [UInt8], milliseconds: Int) throws(MachineError)
    /// Hands events to the guest's keyboard and pointer at once.
    func sendInput(_ events: [InputEvent]) throws(MachineError)
    /// The pointer devices.
    var pointers: [PointerStatus] { get }
    /// Has a pointer device get the movements.
    func choosePointer(_ index: Int) throws(MachineError)

    /// The VNC servers.
    var vncServers: [VNCStatus] { get }
    /// Sets the password of a server; nil for the first.
    func setVNCPassword(_ password: String, display: String?) throws(MachineError)
    /// Sets when a server's password ends, in nanoseconds since 1970; nil for never.
    func setVNCExpiry(_ time: UInt64?, display: String?) throws(MachineError)
    /// Lets the first server have a viewer at the other end of a connected socket, without asking who it is if so wished.
    func addVNCViewer(_ socket: Descriptor, skipsAuthentication: Bool) throws(MachineError)

    /// The SPICE server; nil for none.
    var spiceServer: SPICEStatus? { get }
    /// Sets its password, and what becomes of a client that is there.
    func setSPICEPassword(_ password: String, _ action: SPICEPasswordAction) throws(MachineError)
    /// Sets when its password ends, in nanoseconds since 1970; nil for never.
    func setSPICEExpiry(_ time: UInt64?) throws(MachineError)
    /// Says where its client goes when the machine has gone.
    func setSPICEDestination(_ destination: SPICEDestination) throws(MachineError)
    /// Lets it have a client at the other end of a connected socket.
    func addSPICEClient(_ socket: Descriptor, skipsAuthentication: Bool, isSecure: Bool) throws(MachineError)
}

extension ScreenOperations {
    public func saveScreen(
        device: String?, head: Int, format: PictureFormat, to path: String
    ) throws(MachineError) { throw .failed("There is no console to take a screendump from.") }
    public func keyCode(named name: String) -> UInt8? { nil }
    public func pressKeys(_ codes: [UInt8], milliseconds: Int) throws(MachineError) {
        throw .notSupported("The machine has no keyboard")
    }
    public func sendInput(_ events: [InputEvent]) throws(MachineError) {
        throw .notSupported("The machine has no keyboard and no pointer")
    }
    public var pointers: [PointerStatus] { [] }
    public var vncServers: [VNCStatus] { [] }
    public func setVNCPassword(_ password: String, display: String?) throws(MachineError) {
        throw .failed("VNC is not active")
    }
    public func setVNCExpiry(_ time: UInt64?, display: String?) throws(MachineError) {
        throw .failed("VNC is not active")
    }
    public func addVNCViewer(_ socket: Descriptor, skipsAuthentication: Bool) throws(MachineError) {
        throw .failed("VNC is not active")
    }
    public var spiceServer: SPICEStatus? { nil }
    public func setSPICEPassword(_ password: String, _ action: SPICEPasswordAction) throws(MachineError) {
        throw .failed("SPICE is not in use")
    }
    public func setSPICEDestination(_ destination: SPICEDestination) throws(MachineError) {
        throw .failed("SPICE is not in use")
    }
    public func setSPICEExpiry(_ time: UInt64?) throws(MachineError) { throw .failed("SPICE is not in use") }
    public func addSPICEClient(
        _ socket: Descriptor, skipsAuthentication: Bool, isSecure: Bool
    ) throws(MachineError) { throw .failed("SPICE is not in use") }
    public func choosePointer(_ index: Int) throws(MachineError) {
        throw .failed("Mouse at index '\(index)' not found")
    }
}
