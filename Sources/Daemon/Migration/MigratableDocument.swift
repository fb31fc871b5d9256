internal import DomainModel

/// The form of a running machine that another daemon can start: without what this host chose for it.
enum MigratableDocument {
    static func make(_ live: XMLTree, runFolder: String) -> XMLTree {
        var tree = live
        tree.set("id", nil)
        MachineConfinement.unlabel(&tree)
        tree.update("devices") { devices in
            devices.updateChildren { device in
                switch device.name {
                case "disk":
                    // The destination looks itself what is below.
                    device.remove("backingStore")
                    if device.child("source") != nil { device.update("source") { $0.set("index", nil) } }
                case "interface": forgetPort(&device)
                case "serial", "console", "parallel", "channel":
                    if device["type"] == "pty" {
                        device.set("tty", nil)
                        device.remove("source")
                    } else if device.child("source")?["path"]?.hasPrefix(runFolder) == true {
                        device.remove("source")
                    }
                    if device.child("target")?["state"] != nil { device.update("target") { $0.set("state", nil) } }
                case "graphics":
                    if device["autoport"] == "yes" { device.set("port", "-1") }
                default: break
                }
                if device.child("alias")?["name"]?.hasPrefix("ua-") == false { device.remove("alias") }
            }
        }
        return tree
    }

    private static func forgetPort(_ device: inout XMLTree) {
        device.update("source") { source in
            source.set("portid", nil)
            if source["network"] != nil { source.set("bridge", nil) }
        }
        if device.child("target")?["dev"]?.hasPrefix("vnet") == true { device.remove("target") }
    }
}
