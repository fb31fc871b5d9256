internal import HostOS

/// The environment that programs inherit.
public enum HostEnvironment {
    /// All of it as `NAME=value`, as it was when this program started.
    public static var all: [String] {
        let bytes = (try? HostFile.contents("/proc/self/environ", limit: 1 << 22)) ?? []
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
