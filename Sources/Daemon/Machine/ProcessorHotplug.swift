internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Processors that join and leave a machine while it runs.
extension RunningMachine {
    /// Takes the machine from so many processors to another number. Those that it was started with stay.
    func setProcessors(_ count: Int, from current: Int) throws(LibvirtError) {
        let monitor = try qmp()
        if count > current {
            // Slots that are free, as the board lists them: from the last processor to the first.
            let free = try slots(monitor).reversed().filter { $0["qom-path"] == nil }
            guard free.count >= count - current else {
                throw LibvirtError.operationUnsupported("the machine has no room for \(count) vCPUs")
            }
            for (place, slot) in free.prefix(count - current).enumerated() {
                var device: JSONObject = [
                    "driver": slot["type"] ?? .null, "id": .string("vcpu\(current + place)"),
                ]
                for property in slot["props"]?.objectValue?.members ?? [] { device[property.name] = property.value }
                try monitor.execute("device_add", device)
            }
        } else if count < current {
            for index in (count..<current).reversed() { try removeProcessor("vcpu\(index)", monitor) }
        }
        refreshProcessors()
    }

    private func slots(_ monitor: QMPClient) throws(LibvirtError) -> [JSONValue] {
        try monitor.execute("query-hotpluggable-cpus").arrayValue ?? []
    }

    /// The guest gives a processor up, or does not.
    private func removeProcessor(_ id: String, _ monitor: QMPClient) throws(LibvirtError) {
        let path = "/machine/peripheral/\(id)"
        func isThere() throws(LibvirtError) -> Bool {
            try slots(monitor).contains { $0["qom-path"]?.stringValue == path }
        }
        guard try isThere() else {
            throw LibvirtError.operationUnsupported("vCPUs that were there at the start cannot be taken away")
        }
        try monitor.execute("device_del", ["id": .string(id)])
        let deadline = HostClock.monotonic + 10_000_000_000
        let pause = Bell()
        while try isThere() {
            guard HostClock.monotonic < deadline else {
                throw LibvirtError.operationTimeout(
                    "vcpu unplug request timed out. Unplug result must be manually inspected in the domain")
            }
            pause.wait(nanoseconds: 20_000_000)
        }
    }
}
