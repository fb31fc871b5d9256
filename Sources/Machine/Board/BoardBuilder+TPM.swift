internal import Devices
internal import Firmware

/// TPMs of `-tpmdev` and `-device tpm-tis` or `tpm-crb`.
extension BoardBuilder {
    func addTPM(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        guard acpi.tpm == nil else { throw MachineBuildError("\(device.origin): at most one TPM device is permitted") }
        guard configuration.board.kind.isPC else {
            throw MachineBuildError("\(device.origin): the board '\(configuration.board.name)' has no place for a TPM")
        }
        guard let id = properties.string("tpmdev"),
            let wanted = configuration.tpmBackends.first(where: { $0.id == id })
        else {
            throw MachineBuildError(
                "\(device.origin): '\(device.driver)' needs tpmdev=, the id of a -tpmdev emulator")
        }
        guard !usedTPMs.contains(id) else {
            throw MachineBuildError("\(device.origin): tpmdev '\(id)' is in use by another device")
        }
        guard let character = configuration.characterDevices.first(where: { $0.id == wanted.characterDevice }),
            case .socket(let socket) = character.kind, !socket.isServer,
            case .unix(let path, _, _) = socket.address
        else {
            throw MachineBuildError(
                "-tpmdev emulator,id=\(id): chardev '\(wanted.characterDevice)' is no socket with a path=, as swtpm"
                    + " listens on by --ctrl type=unixio,path=")
        }
        usedTPMs.insert(id)
        let isTIS = device.driver == "tpm-tis"
        let name = stateName(device.id ?? device.driver)
        let emulator = try MachineBuildError.wrapping("-tpmdev emulator,id=\(id): ") { () throws(TPMError) in
            try TPMEmulator(path: path)
        }
        let irq = properties.number("irq").flatMap { 0..<16 ~= $0 ? $0 : nil } ?? 5
        let made = TPMDevice(
            isTIS ? .tis : .crb, backend: emulator, line: isTIS ? line(irq) : nil, scheduler: try worker(name),
            controlScheduler: try worker("\(name).control"), stateName: name)
        made.attach(to: mmio)
        devices.append(made)
        acpi.tpm = isTIS ? .fifo(TPMDevice.address) : .commandBuffer(TPMDevice.address)
        note(device.driver, id: device.id, bus: isTIS ? "isa.0" : "main-system-bus", properties: device.properties)
    }
}
