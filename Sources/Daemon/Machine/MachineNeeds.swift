internal import DomainCommandLine
internal import DomainModel
internal import HostOS

/// What of the host a machine cannot do without.
enum MachineNeeds {
    private static let ports = ["serial", "console", "parallel", "channel", "redirdev", "smartcard"]

    /// Whether a machine's user may be one that nobody knows: nothing that it opens by itself is root's.
    static func noRoot(_ live: XMLTree, _ attachments: [Int: LaunchPlan.Attachment], _ folder: String) -> Bool {
        // Files of a shared folder belong to whom the guest says. (Those of virtiofs are another process's matter.)
        if DomainFigures.devices(live, "filesystem").contains(where: { $0.child("driver")?["type"] != "virtiofs" }) {
            return false
        }
        let backing = live.child("memoryBacking")
        if backing?.child("hugepages") != nil || backing?.child("source")?["type"] == "file" { return false }
        if ["hostdev", "shmem"].contains(where: { !DomainFigures.devices(live, $0).isEmpty }) { return false }
        // Modules of memory that is a file, and a TPM of the host's.
        if DomainFigures.devices(live, "memory").contains(where: { $0.at("source", "path") != nil }) { return false }
        if DomainFigures.devices(live, "tpm").contains(where: { $0.child("backend")?["type"] != "emulator" }) {
            return false
        }
        for (index, card) in DomainFigures.devices(live, "interface").enumerated() {
            switch attachments[index] {
            case .openTap, .datagram, .user, .userNetwork: continue
            // Sockets of a switch are root's, and new ones come where it was killed.
            case .stream, .tapName, .bridge: return false
            case nil:
                if !["user", "null", "udp", "client", "server", "mcast"].contains(card["type"] ?? "") { return false }
            }
        }
        for port in ports.flatMap({ DomainFigures.devices(live, $0) }) {
            if port["type"] == "unix", port.child("source")?["path"]?.hasPrefix(folder + "/") != true { return false }
        }
        for screen in DomainFigures.devices(live, "graphics") {
            for listener in screen.all("listen") + [screen] {
                if let path = listener["socket"], !path.hasPrefix(folder + "/") { return false }
            }
        }
        return true
    }

    /// Whether a machine needs the host's network: for a screen that others look at, a port, a disk of another host, or a
    /// card. (What goes over sockets of the file system, or over descriptors that it is given, does not.)
    static func network(_ live: XMLTree, _ attachments: [Int: LaunchPlan.Attachment]) -> Bool {
        for (index, card) in DomainFigures.devices(live, "interface").enumerated() {
            switch attachments[index] {
            case .openTap, .datagram, .stream: continue
            case .user, .userNetwork, .tapName, .bridge: return true
            case nil: if !["null", "vhostuser"].contains(card["type"] ?? "") { return true }
            }
        }
        for screen in DomainFigures.devices(live, "graphics") {
            let kinds = screen.all("listen").map { $0["type"] ?? "address" }
            if kinds.isEmpty ? screen["socket"] == nil : kinds.contains(where: { $0 == "address" || $0 == "network" }) {
                return true
            }
        }
        for port in ports.flatMap({ DomainFigures.devices(live, $0) }) where ["tcp", "udp"].contains(port["type"]) {
            return true
        }
        for disk in DomainFigures.devices(live, "disk") {
            var image: XMLTree? = disk
            while let current = image {
                if ["network", "nvme", "vhostuser"].contains(current["type"]) { return true }
                image = current.child("backingStore")
            }
        }
        if !DomainFigures.devices(live, "vsock").isEmpty { return true }
        return DomainFigures.devices(live, "rng").contains { $0.child("backend")?["model"] == "egd" }
    }
}
