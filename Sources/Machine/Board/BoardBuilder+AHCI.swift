internal import DeviceModel
internal import Devices

/// AHCI controllers beside the board's own: `-device ich9-ahci`, with the drives that name one of their buses.
extension BoardBuilder {
    /// Ports of each.
    private static let ports = 6

    /// The names of their buses, controller by controller, in the order of the command line: those with an id by it, others
    /// as the board's go on.
    var addedDriveBuses: [[String]] {
        var next = configuration.board.kind == .q35 ? Q35Board.ahciPorts : 2
        return configuration.devices.filter { $0.driver == "ich9-ahci" }.map { device in
            if let id = device.id { return (0..<Self.ports).map { "\(id).\($0)" } }
            defer { next += Self.ports }
            return (next..<next + Self.ports).map { "ide.\($0)" }
        }
    }

    /// Adds one. Its drives are made with it: nothing comes to an IDE bus later.
    func addController(ahci device: DeviceConfiguration) throws(MachineBuildError) {
        let number = ahciCount
        ahciCount += 1
        let count = storage.removableDrives.count
        var buses = DriveBuses(addedDriveBuses[number], units: 1, firstNumber: 7 + number * Self.ports)
        for drive in configuration.devices where Self.isIDEDrive(drive.driver) {
            if let bus = drive.bus, buses.names.contains(bus) { try addDrive(drive, &buses) }
        }
        let name = stateName(device.id ?? "ahci")
        let controller = AHCIController(
            units: buses.places.map { $0[0]?.unit }, memory: memory, scheduler: try worker(name), stateName: name)
        controller.observeTrays(connectDrives(after: count, to: controller))
        try attach(controller.function, device, withGlobals(device), buses: buses.nodes)
        devices.append(controller)
        guard case .slot(let bus, _, let slot, let function) = lastPlace else { return }
        let unit = String(slot, radix: 16) + (function > 0 ? ",\(function)" : "")
        let path = bridgePath(bus) + "pci8086,2922@\(unit)"
        try noteBootIndexes(buses) { channel, _ in "\(path)/drive@\(channel)/disk@0" }
    }
}
