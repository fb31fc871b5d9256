internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire

/// Machines that a daemon started and was killed before it could write them down.
extension DomainDriver {
    /// Ends every process whose command line names a folder of ours and that no domain has. They have not run an
    /// instruction of their guests yet: what is needed to find a machine is written before it goes on.
    func endOrphans() {
        let known = Set(list.all.compactMap { $0.machine?.process.number })
        let mark = Array("\(paths.running)/".utf8)
        for name in (try? HostFolder.names(in: "/proc")) ?? [] {
            guard let number = Int32(name), !known.contains(number),
                let words = try? HostFile.contents("/proc/\(number)/cmdline", limit: 1 << 20), words.contains(0),
                DomainDriver.names(words, mark), let process = try? HostProcess(number: number)
            else { continue }
            // Between the look and the descriptor the number may have become another's.
            guard let again = try? HostFile.contents("/proc/\(number)/cmdline", limit: 1 << 20), again == words else {
                continue
            }
            log.warning("Ending process \(number), which was started for a machine and never run")
            process.kill()
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
        }
    }

    /// Whether the monitor of the command line is in one of our folders: `…path=RUN/UUID/monitor.sock` of our own
    /// machine, or for QEMU, which inherits it, the log of a console or the master key in such a folder.
    private static func names(_ words: [UInt8], _ mark: [UInt8]) -> Bool {
        guard words.count > mark.count, let first = words.firstIndex(of: 0) else { return false }
        // The program itself may lie anywhere.
        let arguments = words[first...]
        for start in arguments.indices where arguments[start] == mark[0] {
            let rest = arguments[start...]
            guard rest.count > mark.count + 36, rest.starts(with: mark) else { continue }
            let name = rest.dropFirst(mark.count).prefix(36)
            if UUIDBytes(String(decoding: name, as: UTF8.self)) != nil { return true }
        }
        return false
    }
}
