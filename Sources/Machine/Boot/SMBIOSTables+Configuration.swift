internal import Firmware
internal import HostOS
internal import JSON

extension MachineConfiguration {
    /// A PCI device's place: on a root bus or below it, slot and function.
    typealias PCIPlace = (isOnRoot: Bool, slot: Int, function: Int)

    /// The SMBIOS tables that a configuration describes. `place` tells where the PCI device of a name is.
    func smbiosTables(
        layout: PCMemory, topology: ProcessorTopology, place: (String) -> PCIPlace?
    ) throws(MachineBuildError) -> SMBIOSTables {
        var tables = Firmware.SMBIOSConfiguration(memory: layout)
        tables.system.manufacturer = "Apus"
        tables.system.product = board.kind.versionedName
        tables.system.version = board.kind.versionedName
        if let uuid { tables.uuid = uuid }
        tables.sockets = topology.sockets
        tables.coresPerSocket = topology.dies * topology.cores
        tables.threadsPerSocket = topology.dies * topology.cores * topology.threads
        for entry in smbios {
            switch entry {
            case .file(let path):
                do throws(HostError) {
                    tables.extraStructures.append(try HostFile.contents(path, limit: 1 << 20))
                } catch { throw MachineBuildError("-smbios file=\(path): \(error)") }
            case .fields(type: 8, let fields): tables.connectors.append(Self.connector(fields))
            case .fields(type: 41, let fields): tables.onboardDevices.append(try Self.onboardDevice(fields, place))
            case .fields(let type, let fields):
                let paths = type == 11 ? fields["path"]?.arrayValue ?? [] : []
                for path in paths.compactMap(\.stringValue) {
                    do throws(HostError) {
                        let bytes = try HostFile.contents(path, limit: 1 << 16)
                        tables.oemStrings.append(String(decoding: bytes, as: UTF8.self))
                    } catch { throw MachineBuildError("-smbios type=11,path=\(path): \(error)") }
                }
                for member in fields.members where member.name != "path" {
                    let values = member.value.arrayValue ?? [member.value]
                    for value in values {
                        do throws(SMBIOSError) { try tables.set(type: type, member.name, Self.text(value)) } catch {
                            throw MachineBuildError("-smbios type=\(type): \(error)")
                        }
                    }
                }
            }
        }
        do throws(SMBIOSError) { return try SMBIOSTables(tables) } catch {
            throw MachineBuildError("-smbios: \(error)")
        }
    }

    private static func connector(_ fields: JSONObject) -> Firmware.SMBIOSConfiguration.Connector {
        var connector = Firmware.SMBIOSConfiguration.Connector()
        connector.internalReference = fields.string("internal_reference") ?? ""
        connector.externalReference = fields.string("external_reference") ?? ""
        connector.connectorType = UInt8(clamping: fields.number("connector_type") ?? 0)
        connector.portType = UInt8(clamping: fields.number("port_type") ?? 0)
        return connector
    }

    private static func onboardDevice(
        _ fields: JSONObject, _ place: (String) -> PCIPlace?
    ) throws(MachineBuildError) -> Firmware.SMBIOSConfiguration.OnboardDevice {
        typealias Device = Firmware.SMBIOSConfiguration.OnboardDevice
        var device = Device()
        device.designation = fields.string("designation") ?? ""
        device.instance = UInt8(clamping: fields.number("instance") ?? 1)
        device.kind = fields.string("kind").flatMap { Device.kinds.firstIndex(of: $0) } ?? 0
        guard let name = fields.string("pcidev") else { return device }
        guard let found = place(name) else {
            throw MachineBuildError("No PCI device \(name) for SMBIOS type 41 entry \(device.designation)")
        }
        guard found.isOnRoot else {
            throw MachineBuildError(
                "Cannot create type 41 entry for PCI device \(name): not attached to the root bus")
        }
        device.address = UInt8(truncatingIfNeeded: found.slot << 3 | found.function)
        return device
    }

    private static func text(_ value: JSONValue) -> String {
        if let text = value.stringValue { return text }
        if let on = value.boolValue { return on ? "on" : "off" }
        return value.uint64Value.map { String($0) } ?? ""
    }
}
