internal import DomainModel
internal import HostOS
internal import Log

/// Domains on the disk: what is defined, one file each, and what runs. Every file is replaced in one step.
struct DomainStore: Sendable {
    let paths: DaemonPaths

    private static let warning = """
        <!--
        WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
        OVERWRITTEN AND LOST. Changes should be made through the libvirt API,
        such as with: virsh edit
        -->


        """

    private func attempt(_ body: () throws(HostError) -> Void) throws(LibvirtError) {
        do throws(HostError) { try body() } catch { throw LibvirtError.system("\(error)") }
    }

    private func path(_ folder: String, _ name: String) -> String { "\(folder)/\(name).xml" }

    // MARK: - Definitions

    func save(_ name: String, _ definition: XMLTree) throws(LibvirtError) {
        let text = DomainStore.warning + XMLWriter.write(definition)
        try attempt { () throws(HostError) in
            try HostFile.replace(path(paths.domains, name), with: Array(text.utf8))
        }
    }

    func remove(_ name: String) throws(LibvirtError) {
        try attempt { () throws(HostError) in
            try HostFile.remove(path(paths.autostart, name))
            try HostFile.remove(path(paths.domains, name))
        }
    }

    func setAutostart(_ name: String, _ on: Bool) throws(LibvirtError) {
        try attempt { () throws(HostError) in
            let link = path(paths.autostart, name)
            if on { try HostFile.link(link, to: path(paths.domains, name)) } else { try HostFile.remove(link) }
        }
    }

    func hasAutostart(_ name: String) -> Bool { HostFile.status(path(paths.autostart, name)).kind == .file }

    /// All that is defined. A file that cannot be read is told and left alone.
    func definitions() -> [XMLTree] { read(paths.domains) }

    // MARK: - What runs

    func saveStatus(_ name: String, _ status: XMLTree) throws(LibvirtError) {
        let text = XMLWriter.write(status)
        try attempt { () throws(HostError) in
            try HostFile.replace(path(paths.running, name), with: Array(text.utf8))
        }
    }

    func removeStatus(_ name: String) { try? HostFile.remove(path(paths.running, name)) }

    func statuses() -> [XMLTree] { read(paths.running) }

    private func read(_ folder: String) -> [XMLTree] {
        let log = Logger("store")
        var trees: [XMLTree] = []
        for name in (try? HostFolder.names(in: folder)) ?? [] where name.hasSuffix(".xml") {
            do {
                let bytes = try HostFile.contents("\(folder)/\(name)", limit: 16 << 20)
                trees.append(try XMLReader.parse(bytes: bytes, document: name))
            } catch {
                log.error("Cannot use '\(folder)/\(name)': \(error)")
            }
        }
        return trees
    }

    // MARK: - Saved machines

    func savedPath(_ name: String) -> String { "\(paths.saved)/\(name).save" }
    func hasSaved(_ name: String) -> Bool { HostFile.status(savedPath(name)).kind == .file }
}
