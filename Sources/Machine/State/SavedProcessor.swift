internal import CEngine
internal import DeviceModel
internal import Execution
internal import GuestMemory
internal import HostOS
internal import KVMEngine
internal import TranslatorEngine

/// All that a processor is, the same for every engine: what a saved machine holds of it.
struct SavedProcessor {
    var registers = apus_x86_state()
    var apic = apus_local_apic()
    var events = apus_x86_events()
}

/// A processor that can be saved. While it is outside `run`, with no access outstanding.
protocol SavableProcessor: AnyObject {
    /// What it is; `now` is virtual time in nanoseconds. Throws the engine's words.
    func save(now: UInt64) throws(MachineError) -> SavedProcessor
    /// Makes it that. Guest memory is there already.
    func restore(_ saved: SavedProcessor, now: UInt64) throws(MachineError)
    /// Level-triggered vectors whose end the IOAPIC has yet to hear of; they are told now.
    func takeEndedInterrupts() -> [UInt8]
}

extension SoftwareProcessor: SavableProcessor {
    func save(now: UInt64) throws(MachineError) -> SavedProcessor {
        SavedProcessor(registers: state, apic: localAPIC, events: events)
    }
    func restore(_ saved: SavedProcessor, now: UInt64) throws(MachineError) {
        state = saved.registers
        localAPIC = saved.apic
        events = saved.events
    }
}

extension HardwareProcessor: SavableProcessor {
    func save(now: UInt64) throws(MachineError) -> SavedProcessor {
        do throws(KVMError) {
            return SavedProcessor(registers: state, apic: try localAPIC(now: now), events: try pendingEvents())
        } catch { throw .failed("The state of processor \(index) cannot be read: \(error)") }
    }
    func restore(_ saved: SavedProcessor, now: UInt64) throws(MachineError) {
        guard saved.registers.smm == 0 else {
            throw .failed("Processor \(index) was saved in system management mode, which is not there with KVM")
        }
        do throws(KVMError) {
            state = saved.registers
            try setLocalAPIC(saved.apic, now: now)
            // The deadline of the APIC's timer and the mode of halting come after the APIC is there.
            state = saved.registers
            try setPendingEvents(saved.events)
        } catch { throw .failed("KVM refuses the state of processor \(index): \(error)") }
    }
    func takeEndedInterrupts() -> [UInt8] { [] }
}

/// What an engine has to do with moving a machine, beside its processors.
protocol MovableEngine: AnyObject {
    /// What kvm-clock tells guests, in nanoseconds, while the machine's time stands.
    var guestClock: UInt64 { get }
    /// Has it go on from there.
    func setGuestClock(_ time: UInt64)
    /// Has the guest's watchdogs know that the clock goes on from a later time than it stood at.
    func tellClockStep()
    /// The host's time-stamp counter that the processors' offsets are to be taken with while time stands.
    var standingCounter: UInt64 { get }
    /// The processors were restored: their offsets are those of this value of the host's counter.
    func restoredCounters(at counter: UInt64)
    /// Whether written pages are marked in the blocks' page flags without being asked.
    var marksPagesAlways: Bool { get }
    /// Starts or ends the marking.
    func setDirtyLog(_ isOn: Bool) throws(MachineError)
    /// Marks what was written until now. While all processors are outside `run`.
    func markDirtyPages() throws(MachineError)
    /// The marks were taken and cleared. While all processors are outside `run`.
    func dirtyPagesTaken()
    /// An interrupt of the IOAPIC is in service in a machine that was restored: its end must be told.
    func expectEnd(address: UInt64, data: UInt32)
    /// Code that processors have translated of these blocks, for copies of the machine in other processes of this program;
    /// no files where there is none. While all processors are outside `run`.
    func freezeCode(of blocks: [RAMBlock]) -> [Descriptor]
    /// Has the processors go on with a parent's code of these blocks; false where they translate for themselves. Before
    /// any of them runs.
    func adoptCode(_ files: [Descriptor], of blocks: [RAMBlock]) -> Bool
}

extension MachineEngine {
    /// The engine as one whose machines can be moved; nil where it cannot.
    var movable: (any MovableEngine)? { (self as? any MovableEngineOwner)?.movable }
    /// What its processors offer, by the names of `-cpu`; empty where that is not known.
    var features: [String] { (self as? any MovableEngineOwner)?.features ?? [] }
}

extension SoftwareEngine: MovableEngine {
    var marksPagesAlways: Bool { true }
    func setDirtyLog(_ isOn: Bool) throws(MachineError) {}
    func markDirtyPages() throws(MachineError) {}
    func expectEnd(address: UInt64, data: UInt32) {}
}

extension HardwareEngine: MovableEngine {
    var guestClock: UInt64 { standingClock ?? 0 }
    var standingCounter: UInt64 { apus_rdtsc() }
    func restoredCounters(at counter: UInt64) {}
    func setGuestClock(_ time: UInt64) { standingClock = time }
    var marksPagesAlways: Bool { false }
    func setDirtyLog(_ isOn: Bool) throws(MachineError) {
        do throws(KVMError) { try setDirtyLogging(isOn) } catch { throw .failed("\(error)") }
    }
    func markDirtyPages() throws(MachineError) {
        do throws(KVMError) { try collectDirtyPages() } catch { throw .failed("\(error)") }
    }
    func dirtyPagesTaken() {}
    func expectEnd(address: UInt64, data: UInt32) { routes.expectEnd(address: address, data: data) }
    func freezeCode(of blocks: [RAMBlock]) -> [Descriptor] { [] }
    func adoptCode(_ files: [Descriptor], of blocks: [RAMBlock]) -> Bool { false }
}
