public import HostOS
internal import SystemPackage

/// Names of translated blocks for Linux's perf: `/tmp/perf-PID.map`, a line of start, size and name each (Linux,
/// tools/perf/Documentation/jit-interface.txt). Any thread.
public final class PerfMap: Sendable {
    private let file: HostOS.Descriptor

    /// Makes this process's file anew.
    public init() throws(HostError) {
        file = try HostFile.open("/tmp/perf-\(HostIdentity.processID).map", HostFile.Mode.replace)
    }

    /// Notes a block; each line is one write, so that those of several processors do not mix.
    func note(_ code: UInt64, size: Int, guest: UInt64, processor: Int) {
        let line = "\(String(code, radix: 16)) \(String(size, radix: 16)) guest-0x\(String(guest, radix: 16))\n"
        try? file.writeAll(Array(line.utf8))
    }
}
