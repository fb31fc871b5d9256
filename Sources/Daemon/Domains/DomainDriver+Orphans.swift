internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire

/// Machines that a daemon started and was killed before it could write them down.
extension DomainDriver {
    /// Ends every machine's process whose home is a folder of ours and that no domain has. None of them has run an
    /// instruction of its guest yet: what is needed to find a machine is written before it goes on.
    func endOrphans() {
        let known = Set(list.all.compactMap { $0.machine?.process.number })
        for name in (try? HostFolder.names(in: "/proc")) ?? [] {
            guard let number = Int32(name), !known.contains(number), isOurs(number),
                let process = try? HostProcess(number: number),
                // Between the look and the descriptor the number may have become another's.
                isOurs(number)
            else { continue }
            log.warning("Ending process \(number), which was started for a machine and never run")
            process.kill()
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
        }
    }

    /// Whether a process is a machine that waits for its first instruction, with a home in our run folder.
    private func isOurs(_ number: Int32) -> Bool {
        func words(_ file: String) -> [String] {
            guard let bytes = try? HostFile.contents("/proc/\(number)/\(file)", limit: 1 << 20) else { return [] }
            return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        }
        let home = "HOME=\(paths.running)/"
        guard let own = words("environ").first(where: { $0.hasPrefix(home) }),
            UUIDBytes(String(own.dropFirst(home.count))) != nil
        else { return false }
        let arguments = words("cmdline")
        return arguments.contains("-S") && arguments.contains { $0.hasPrefix("guest=") }
    }
}
