import HostOS
import Machine
import Testing

/// Machines that go and come by every kind of address.
@Suite(.serialized)
struct MigrationAddressTests {
    @Test(
        "A guest goes by every kind of address",
        arguments: ["file", "offset", "exec", "unix", "tcp", "tcp6", "descriptor"])
    func goes(way: String) throws {
        Signals.ignoreBrokenPipes()
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            var configuration = CountingGuest.configuration(.microvm, folder)
            let source = try RunningMachine(configuration)
            configuration.incoming = "defer"
            let target = try RunningMachine(configuration)
            source.wait("counting") { (try? CountingGuest.count(source.machine)) ?? 0 > 0 }
            let before = try CountingGuest.count(source.machine)
            func receive(_ address: String, _ descriptor: Descriptor? = nil) throws {
                try target.machine.receiveMigration(from: address, descriptor: descriptor)
            }
            func send(_ address: String, _ descriptor: Descriptor? = nil) throws {
                try source.machine.migrate(to: address, descriptor: descriptor)
                source.wait("sent") { !source.machine.migration.status.isUnderWay }
                try #require(source.machine.migration.status == .completed, "\(source.machine.migration)")
            }
            let path = "\(folder)/f"
            switch way {
            case "file":
                try send("file:\(path)")
                try receive("file:\(path)")
            case "offset":
                let own = [UInt8](repeating: 7, count: 0x1000)
                try HostFile.open(path, .replace).writeAll(own)
                try send("file:\(path),offset=0x1000")
                #expect(try HostFile.contents(path).prefix(0x1000).elementsEqual(own))
                try receive("file:\(path),offset=4096")
            case "exec":
                try send("exec:gzip -1 >\(path).gz")
                try receive("exec:gzip -dc <\(path).gz")
            case "unix":
                try receive("unix:\(path)")
                try send("unix:\(path)")
            case "descriptor":
                let (near, far) = try DescriptorPair.sockets()
                try receive("fd:door", far)
                try send("fd:door", near)
            default:
                do throws(MachineError) {
                    try target.machine.receiveMigration(
                        from: way == "tcp" ? "tcp:127.0.0.1:0" : "tcp:[::1]:0", descriptor: nil)
                } catch {
                    // A host without the newer protocol.
                    try #require(way == "tcp6", "\(error)")
                    _ = source.end()
                    _ = target.end()
                    return
                }
                try send(try #require(target.machine.migration.address))
            }
            target.wait("running there") { target.machine.runState == .running }
            #expect(source.machine.runState == .postMigrate)
            let there = try CountingGuest.count(target.machine)
            #expect(there >= before)
            target.wait("counting on") { (try? CountingGuest.count(target.machine)) ?? 0 != there }
            #expect(source.end() == 0)
            #expect(target.end() == 0)
        }
    }

    @Test("What is no address, or none that can be had, is said at once, and the machine goes on")
    func refused() throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            let machine = try RunningMachine(CountingGuest.configuration(.microvm, folder))
            for (address, words) in [
                ("", "unknown migration protocol"), ("rdma:host:1", "unknown migration protocol: rdma:host:1"),
                ("file:", "unknown migration protocol"), ("file:\(folder)/x,offset=no", "offset 'no' is no number"),
                ("file:\(folder)/none/x", "none/x"), ("unix:\(folder)/nobody", "nobody"), ("fd:none", "descriptor 'none'"),
                ("tcp:host", "unknown migration protocol: tcp:host"), ("tcp:host:", "tcp:HOST:PORT"),
            ] {
                do throws(MachineError) {
                    try machine.machine.migrate(to: address, descriptor: nil)
                    Issue.record("'\(address)' is taken")
                } catch { #expect(error.description.contains(words), "\(address): \(error)") }
                #expect(machine.machine.runState == .running)
            }
            for address in ["tcp:127.0.0.1:1", "exec:exit 3"] {
                try machine.machine.migrate(to: address, descriptor: nil)
                machine.wait("failed") { machine.machine.migration.status == .failed }
                machine.wait("running") { machine.machine.runState == .running }
            }
            #expect(machine.end() == 0)
        }
    }
}
