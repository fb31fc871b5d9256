internal import CLinux

/// A wait for nothing but time.
enum Pause {
    static func wait(milliseconds: Int32) {
        _ = apus_poll(nil, 0, milliseconds)
    }
}
