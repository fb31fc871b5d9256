package import DeviceModel
internal import Devices
internal import Display
internal import HostOS
package import MachineState
internal import Synchronization

// The stream of a machine that stands, without a journey around it.
extension VirtualMachine {
    /// Takes a saved state, as a machine does that waits for one. It does not run. On an error it is in pieces.
    package func take(_ source: any StateSource) throws(StateError) {
        let loaded = try readState(source)
        _ = try control.withLock { (_) throws(StateError) in try apply(loaded) }
    }

    /// Writes devices and processors of a machine that stands: all but its memory.
    package func tell(_ sink: any StateSink) throws(StateError) {
        var writer = try StateWriter(sink)
        try writeHead(to: &writer, guestPages, answers: false)
        try writeDevices(to: &writer)
    }

    /// The same with its memory.
    package func tellAll(_ sink: any StateSink) throws(StateError) {
        var writer = try StateWriter(sink)
        let pages = guestPages
        try writeHead(to: &writer, pages, answers: false)
        try pages.send(pages.touched(), to: &writer, skipsZeroes: true, isStanding: true) { _ in }
        try writeDevices(to: &writer)
    }

    /// Its devices, in the order of their resets. For tests that drive them without processors.
    package var parts: [any Device] { board.devices }

    /// Waits until the threads of its devices have done what they were asked for before.
    package func awaitWorkers() {
        for worker in board.workers {
            let bell = Bell()
            let done = Atomic(false)
            let item = worker.makeItem {
                done.store(true, ordering: .releasing)
                bell.ring()
            }
            item.schedule()
            while !done.load(ordering: .acquiring) { bell.wait(nanoseconds: 100_000_000) }
        }
    }

    /// Waits until its cards have had what is in hubs, as far as they have room; the rest is lost where that is wanted.
    package func awaitFrames(losingRest: Bool = false) { board.networks.settle(losingRest: losingRest) }

    /// Whether keys and movements reach its devices.
    package func setListening(_ isListening: Bool) { board.input.isListening = isListening }
}
