internal import JSON
internal import Machine

extension QMPCommandTable {
    /// Snapshots of the machine within its images.
    static let snapshots: [QMPCommand] = []
}
