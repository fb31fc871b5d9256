public import GuestMemory

/// A device's place in the life of its machine, and its state as a versioned value.
///
/// Life: made → `reset` → (`pause` → `exportState`/`importState` → `resume`)* → `halt`. The machine calls all of
/// these from its control thread; processors are outside `run` during every one of them but `pause`.
public protocol Device: AnyObject, Sendable {
    /// The section name in saved states, unique in its machine: `serial0`.
    var stateName: String { get }
    /// To the state after power-on.
    func reset()
    /// Finishes or holds back work of its own threads. Registers stay readable.
    func pause()
    /// Undoes `pause`.
    func resume()
    /// Ends its threads and closes its files; nothing is called after it.
    func halt()
    /// The whole state, taken while paused.
    func exportState() -> DeviceState
    /// The same for a stream that another machine is to go on from: throws where a part of it is somebody else's, who
    /// does not hand it over. `exportState`, unless the device says otherwise.
    func fetchState() throws(DeviceStateError) -> DeviceState
    /// Takes a state of this or an earlier version; on an error the machine is not started.
    func importState(_ state: DeviceState) throws(DeviceStateError)
    /// Memory of the device's own that is saved page by page, mapped or not; none unless it says otherwise.
    var ownMemory: [RAMBlock] { get }
}

extension Device {
    public func pause() {}
    public func resume() {}
    public func halt() {}
    public func fetchState() throws(DeviceStateError) -> DeviceState { exportState() }
    public var ownMemory: [RAMBlock] { [] }
}
