internal import CLinux
internal import HostOS

extension HardwareEngine {
    /// What KVM's paravirtual clock (kvm-clock) tells guests, in nanoseconds. A machine that stands reads it when it
    /// stops and sets it again before it goes on. Any thread, while no processor runs.
    public var guestClock: UInt64 {
        get throws(KVMError) {
            var data = kvm_clock_data()
            try KVMError.wrapping { () throws(HostError) in
                _ = try machine.control.exchange(APUS_KVM_GET_CLOCK, &data, "read the guests' clock")
            }
            return data.clock
        }
    }

    /// Has the guest's watchdogs know that the clock goes on from a later time than it stood at
    /// (KVM_KVMCLOCK_CTRL). While no processor runs.
    public func tellClockStep() {
        // A guest that does not keep time by this clock has nothing to be told.
        for processor in processors {
            _ = try? processor.control.request(APUS_KVM_KVMCLOCK_CTRL, "tell the guest of a pause")
        }
    }

    /// Sets the clock.
    public func setGuestClock(_ nanoseconds: UInt64) throws(KVMError) {
        var data = kvm_clock_data()
        data.clock = nanoseconds
        try KVMError.wrapping { () throws(HostError) in
            try machine.control.send(APUS_KVM_SET_CLOCK, data, "set the guests' clock")
        }
    }
}
