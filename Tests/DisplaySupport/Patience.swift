internal import HostOS

/// Waits until something holds, for a minute at most.
public func eventually(_ holds: () -> Bool) -> Bool {
    for _ in 0..<6000 {
        if holds() { return true }
        _ = try? EventCounter().descriptor.wait(for: [.read], milliseconds: 10)
    }
    return false
}
