internal import DeviceModel
internal import Devices

/// Watchdogs of `-device`.
extension BoardBuilder {
    func addWatchdog(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let lifecycle = lifecycle
        let name = stateName(device.id ?? device.driver)
        if device.driver == "ib700" {
            try checkBus(device, "isa.0")
            let made = IB700(clock: clock, stateName: name) { lifecycle.send(.watchdog) }
            made.attach(to: io)
            devices.append(made)
            note(device.driver, id: device.id, bus: "isa.0", properties: device.properties)
        } else {
            let made = I6300ESB(clock: clock, stateName: name) { lifecycle.send(.watchdog) }
            try attach(made.function, device, withGlobals(device))
            devices.append(made)
        }
    }
}
