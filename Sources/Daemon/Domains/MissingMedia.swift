internal import DomainModel
internal import HostOS
internal import RPCWire

/// Media whose definition says that the machine may do without them (`startupPolicy`), and that are not there: drives are
/// empty then, and disks are left out.
struct MissingMedia {
    /// The definition without them.
    private(set) var rest: XMLTree
    private var missing: [(target: String, path: String, isDrive: Bool)] = []

    /// - Parameter isPowerOn: `requisite` media may only be missing where the machine comes with a state.
    init(_ definition: XMLTree, isPowerOn: Bool) {
        rest = definition
        var found: [(target: String, path: String, isDrive: Bool)] = []
        rest.update("devices") { devices in
            devices.nodes = devices.nodes.compactMap { node in
                guard case .element(var disk) = node, disk.name == "disk", disk["type"] == "file",
                    let policy = disk.child("source")?["startupPolicy"],
                    policy == "optional" || policy == "requisite" && !isPowerOn,
                    let path = disk.child("source")?["file"], HostFile.status(path).kind == .nothing
                else { return node }
                let isDrive = disk["device"] == "cdrom" || disk["device"] == "floppy"
                found.append((disk.child("target")?["dev"] ?? "", path, isDrive))
                disk.remove("source")
                return isDrive ? .element(disk) : nil
            }
        }
        missing = found
    }

    /// What is told of it, with the aliases that drives have in the live form.
    func events(in live: XMLTree) -> [DomainEvent] {
        typealias Reason = VirConnectDomainEventDiskChangeReason
        return missing.map { medium in
            let drive = DomainFigures.disk(live, medium.target)
            return .diskChange(
                old: medium.path, alias: drive?.child("alias")?["name"] ?? medium.target,
                medium.isDrive ? Reason.changeMissingOnStart : Reason.dropMissingOnStart)
        }
    }
}
