import HostOS
import TestSupport
import Testing

/// Who a process is, as the kernel tells it of the program that it has become.
@Suite("Users and powers of processes", .enabled(if: HostIdentity.userID == 0, "needs root"))
struct IdentityTests {
    /// Fields of `/proc/self/status` in a process with an identity.
    private func fields(
        _ identity: ProcessIdentity, _ confinement: FileConfinement? = nil
    ) throws -> [Substring: [Substring]] {
        let (input, output) = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            "/bin/cat", arguments: ["cat", "/proc/self/status"], environment: ["LC_ALL=C"],
            descriptors: [null, output, null], confinement: confinement, identity: identity)
        #expect(process.waitForEnd(milliseconds: 20_000))
        process.reap()
        let text = String(decoding: try input.readAvailable(limit: 8192), as: UTF8.self)
        var fields: [Substring: [Substring]] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0]] = parts.last?.split(whereSeparator: \.isWhitespace)
        }
        return fields
    }

    private func powers(_ fields: [Substring: [Substring]], _ name: String) throws -> UInt64 {
        try #require(fields["Cap\(name)"]?.first.flatMap { UInt64($0, radix: 16) })
    }

    @Test(
        "Another user has its groups and what is left of root's powers, in each of their sets", arguments: [false, true])
    func otherUsers(isConfined: Bool) throws {
        var rules: FileConfinement?
        if isConfined, FileConfinement.isSupported {
            rules = try FileConfinement()
            for path in ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc"] {
                try rules?.allow(path, [.read, .execute])
            }
        }
        let own: UInt64 = try powers(try fields(ProcessIdentity()), "Eff")
        let wanted: ProcessIdentity.Powers = [.lockMemory, .lowPorts]
        let there = wanted.rawValue & own
        let owner = ProcessIdentity.Owner(user: 1234, group: 1235, groups: [1236, 1237])
        let found = try fields(ProcessIdentity(owner: owner, powers: wanted), rules)
        #expect(found["Uid"] == ["1234", "1234", "1234", "1234"] && found["Gid"] == ["1235", "1235", "1235", "1235"])
        #expect(found["Groups"] == ["1236", "1237"])
        for name in ["Inh", "Prm", "Eff", "Bnd", "Amb"] { #expect(try powers(found, name) == there, "\(name)") }
        // Without any it has no groups and no powers.
        let bare = try fields(ProcessIdentity(owner: .init(user: 1234, group: 1235), powers: []), rules)
        #expect(bare["Groups"] == [])
        for name in ["Inh", "Prm", "Eff", "Bnd", "Amb"] { #expect(try powers(bare, name) == 0, "\(name)") }
    }

    @Test("Root without powers cannot get them back")
    func rootWithout() throws {
        let own: UInt64 = try powers(try fields(ProcessIdentity()), "Eff")
        let found = try fields(ProcessIdentity(powers: [.overridePermissions]))
        #expect(found["Uid"]?.first == "0")
        let there = ProcessIdentity.Powers.overridePermissions.rawValue & own
        for name in ["Prm", "Eff", "Bnd"] { #expect(try powers(found, name) == there, "\(name)") }
        for name in ["Inh", "Amb"] { #expect(try powers(found, name) == 0, "\(name)") }
    }

    @Test("A process that starts another user's stays who it is, in all of its threads")
    func theParent() throws {
        func parent() throws -> [String] {
            let names = try HostFolder.names(in: "/proc/self/task").sorted()
            return try names.map { thread in
                let text = String(decoding: try HostFile.contents("/proc/self/task/\(thread)/status"), as: UTF8.self)
                let lines = text.split(separator: "\n").filter { $0.hasPrefix("Uid") || $0.hasPrefix("Cap") }
                return lines.joined(separator: " ")
            }
        }
        let before = Set(try parent())
        _ = try fields(ProcessIdentity(owner: .init(user: 1234, group: 1235), powers: []))
        #expect(Set(try parent()) == before)
    }

    @Test("A label that the host cannot give is told")
    func labels() throws {
        guard !SecurityLabels.isEnabled else { return }
        let label = SecurityContext(user: "u", role: "r", type: "t", range: nil)
        let error = #expect(throws: HostError.self) { _ = try fields(ProcessIdentity(label: label)) }
        #expect(error?.description.contains("take the label 'u:r:t' on") == true, "\(error?.description ?? "")")
    }
}
