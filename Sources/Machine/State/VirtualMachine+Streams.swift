internal import DeviceModel
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
}
