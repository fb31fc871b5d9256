internal import DomainModel

/// Numbers and texts out of a domain's tree, which was checked when it was defined.
enum DomainFigures {
    /// KiB that the machine may have.
    static func memory(_ tree: XMLTree) -> UInt64 { tree.child("memory").flatMap { UInt64($0.text) } ?? 0 }

    /// KiB that it has.
    static func currentMemory(_ tree: XMLTree) -> UInt64 {
        tree.child("currentMemory").flatMap { UInt64($0.text) } ?? memory(tree)
    }

    /// Processors that are plugged in.
    static func processors(_ tree: XMLTree) -> Int {
        tree.child("vcpu")?["current"].flatMap { Int($0) } ?? maximumProcessors(tree)
    }

    /// Processors that it may have.
    static func maximumProcessors(_ tree: XMLTree) -> Int {
        tree.child("vcpu").flatMap { Int(HostDescription.trim($0.text)) } ?? 1
    }

    static func devices(_ tree: XMLTree, _ kind: String) -> [XMLTree] { tree.child("devices")?.all(kind) ?? [] }

    /// The disk of a target's name or an image's path.
    static func disk(_ tree: XMLTree, _ name: String) -> XMLTree? {
        devices(tree, "disk").first { $0.child("target")?["dev"] == name || path($0) == name }
    }

    /// Where a disk's image is.
    static func path(_ disk: XMLTree) -> String? {
        disk.child("source").flatMap { $0["file"] ?? $0["dev"] ?? $0["dir"] ?? $0["name"] }
    }

    /// A disk's images, the uppermost first, each as the element that has its source.
    static func images(_ disk: XMLTree) -> [XMLTree] {
        var images: [XMLTree] = []
        var image: XMLTree? = disk
        while let current = image, current.child("source") != nil, images.count < 200 {
            images.append(current)
            image = current.child("backingStore")
        }
        return images
    }

    /// The node of an image's file or other storage in a machine that runs.
    static func storageNode(_ image: XMLTree) -> String { "libvirt-\(image.child("source")?["index"] ?? "0")-storage" }

    /// Passwords of screens are only for those who may see them.
    static func withoutSecrets(_ tree: XMLTree) -> XMLTree {
        guard devices(tree, "graphics").contains(where: { $0["passwd"] != nil }) else { return tree }
        var copy = tree
        copy.update("devices") { devices in
            devices.updateChildren { screen in
                guard screen.name == "graphics" else { return }
                for name in ["passwd", "passwdValidTo", "connected"] { screen.set(name, nil) }
            }
        }
        return copy
    }
}
