internal import CLinux
internal import GuestMemory
internal import HostOS
internal import Synchronization

// Which pages guests write, for migration and displays.
extension HardwareEngine {
    /// Starts or ends the log. The pages written until then count as clean. Any thread.
    public func setDirtyLogging(_ isOn: Bool) throws(KVMError) {
        try slots.state.withLock { (state) throws(KVMError) in
            guard state.isLogging != isOn else { return }
            try slots.harvest(&state)
            for index in state.slots.indices {
                state.slots[index].isLogged = isOn
                try slots.set(state.slots[index], exists: true)
            }
            state.isLogging = isOn
        }
    }

    /// Takes the log into the page flags of the RAM blocks (`dirtyMigration`, `dirtyDisplay`), and has KVM log these
    /// pages anew. Returns how many pages were written since the last time. Any thread.
    @discardableResult
    public func collectDirtyPages() throws(KVMError) -> Int {
        if usesDirtyRings {
            // The hardware keeps the last pages to itself until its processor leaves the guest.
            var result: Result<Int, KVMError> = .success(0)
            whileOutside {
                do throws(KVMError) {
                    result = .success(
                        try slots.state.withLock { (state) throws(KVMError) in try slots.harvest(&state) })
                } catch { result = .failure(error) }
            }
            return try result.get()
        }
        return try slots.state.withLock { (state) throws(KVMError) in
            var count = 0
            for slot in state.slots where slot.isLogged {
                count += try KVMError.wrapping { () throws(HostError) in
                    try DirtyLog.collect(slot, control: machine.control, clears: slots.protectsManually)
                }
            }
            return count
        }
    }
}
