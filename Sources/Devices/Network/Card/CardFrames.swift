/// Frames that are ready to go, one behind the other.
package struct CardFrames {
    package var bytes: [UInt8] = []
    /// Where each frame ends in `bytes`.
    package var ends: [Int] = []

    package init() {}
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }
    /// Adds a frame.
    mutating func append(_ frame: [UInt8]) {
        bytes.append(contentsOf: frame)
        ends.append(bytes.count)
    }
    /// Bytes after which a turn of sending ends.
    static let limit = 512 << 10
}
