internal import BlockImage

extension Storage {
    /// Gives nodes other options (`blockdev-reopen`), while all disks stand still.
    func reopen(_ nodes: [BlockNodeConfiguration]) throws(MachineError) {
        for node in nodes {
            try live.checkFree(nil, [node.nodeName].compactMap { $0.flatMap { graph.node(named: $0) } })
        }
        let devices = fixedDevices.map(\.device) + removableDrives.compactMap { $0.current?.device }
        for device in devices { device.beginDrained() }
        defer { for device in devices { device.endDrained() } }
        do throws(BlockError) { try graph.reopen(nodes.map(Self.options)) } catch { throw .failed("\(error)") }
    }
}
