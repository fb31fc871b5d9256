internal import Firmware
internal import HostOS
internal import JSON

extension MachineConfiguration {
    /// The SMBIOS tables that a configuration describes.
    func smbiosTables(layout: PCMemory, topology: ProcessorTopology) throws(MachineBuildError) -> SMBIOSTables {
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
            case .fields(let type, let fields):
                for member in fields.members {
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

    private static func text(_ value: JSONValue) -> String {
        if let text = value.stringValue { return text }
        if let on = value.boolValue { return on ? "on" : "off" }
        return value.uint64Value.map { String($0) } ?? ""
    }
}
