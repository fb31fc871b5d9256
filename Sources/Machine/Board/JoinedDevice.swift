internal import DeviceModel
internal import GuestMemory

/// A device whose saved state has another's in a field: for what came after the first releases to machines of which states
/// are about, and which therefore cannot have a section of its own. States without the field load as before.
final class JoinedDevice: Device {
    private let first: any Device
    private let second: any Device
    private let field: String

    /// The first device, under its name, with the second one's state in a field.
    init(_ first: any Device, with second: any Device, in field: String) {
        (self.first, self.second, self.field) = (first, second, field)
    }

    var stateName: String { first.stateName }
    var ownMemory: [RAMBlock] { first.ownMemory + second.ownMemory }
    func reset() {
        first.reset()
        second.reset()
    }
    func pause() {
        first.pause()
        second.pause()
    }
    func resume() {
        first.resume()
        second.resume()
    }
    func halt() {
        first.halt()
        second.halt()
    }
    func exportState() -> DeviceState {
        var saved = first.exportState()
        saved.set(field, [second.exportState()])
        return saved
    }
    func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try first.importState(saved)
        guard saved.fields[field] != nil else { return }
        try second.importState(try saved.list(field, count: 1)[0])
    }
}
