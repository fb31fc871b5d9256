internal import DeviceModel
internal import Log
internal import MachineState

// Dirty bitmaps that go with a machine, where both ends want it (the capability `dirty-bitmaps`).
extension VirtualMachine {
    /// Writes what they mark. The machine stands, and nothing changes its disks.
    func writeBitmaps(to writer: inout StateWriter) throws(StateError) {
        let settings = desk.settings
        guard settings.has("dirty-bitmaps") else { return }
        let cargo: [BitmapCargo]
        do throws(MachineError) { cargo = try board.storage.live.cargo(settings.bitmapMapping) } catch {
            throw .host(error.description)
        }
        guard !cargo.isEmpty else { return }
        try writer.write(BitmapCargo.exported(cargo), section: BitmapCargo.section)
    }

    /// Those that came, checked while the sender can still go on.
    func bitmaps(of loaded: LoadedState) throws(StateError) -> [BitmapCargo] {
        guard let state = loaded.sections[BitmapCargo.section] else { return [] }
        do throws(DeviceStateError) { return try BitmapCargo.imported(state) } catch {
            throw .field(section: BitmapCargo.section, error)
        }
    }

    /// Puts them where they belong. The images are this machine's now. As in QEMU it runs without a bitmap that has
    /// no place.
    func unload(_ cargo: [BitmapCargo]) {
        for complaint in board.storage.live.unload(cargo, desk.settings.bitmapMapping) {
            log.warning("A dirty bitmap did not come with the machine: \(complaint)")
        }
    }
}
