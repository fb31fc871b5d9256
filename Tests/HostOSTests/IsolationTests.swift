import HostOS
import TestSupport
import Testing

@Suite("Isolation of processes")
struct IsolationTests {
    @Test("A user comes into an access list and leaves it as it was")
    func accessLists() {
        let before = AccessList(mode: 0o600)
        var list = before
        let isAllowed = list.allow(user: 1_900_000_001, writing: false)
        #expect(isAllowed)
        // user::rw-, user:1900000001:r--, group::---, mask::r--, other::---
        #expect(
            list.bytes == [
                2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 1, 0xB3, 0x3F, 0x71, 4, 0, 0, 0, 255, 255, 255,
                255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
            ])
        let isAnother = list.allow(user: 7, writing: false)
        #expect(isAnother)
        list.remove(user: 7)
        list.remove(user: 1_900_000_001)
        #expect(list == before)
        // A mask that keeps others from writing stays.
        var masked = AccessList(mode: 0o640)
        let reads = masked.allow(user: 7, writing: false)
        let writes = masked.allow(user: 8, writing: true)
        #expect(reads && !writes)
    }

    @Test("Access lists of nonsense are none, and never more than their bytes")
    func accessListsOfNonsense() {
        var random = SplitMix64(state: 0xACC)
        for _ in 0..<FuzzRounds.times(2000) {
            var bytes = [UInt8](repeating: 0, count: Int(random.next() % 60))
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
            if bytes.count > 4, random.next() % 2 == 0 { bytes.replaceSubrange(0..<4, with: [2, 0, 0, 0]) }
            guard var list = AccessList(bytes) else { continue }
            #expect(list.bytes == bytes)
            _ = list.allow(user: 5, writing: true)
            list.remove(user: 5)
        }
    }

    @Test(
        "A process with a root of its own sees what it was given, and is the first of its processes",
        .enabled(if: HostIdentity.userID == 0, "needs root"))
    func roots() throws {
        let staging = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(staging) }
        let root = staging + "/root"
        try HostFolder.make(root)
        for name in ["own", "other"] { try HostFile.replace("\(staging)/\(name)", with: Array(name.utf8)) }
        var steps: [ProcessIsolation.Step] = [.temporary(root, options: "mode=0755")]
        for folder in ["/usr", "/bin", "/lib", "/lib64"] where HostFile.status(folder).kind == .folder {
            steps += [.folder(root + folder), .bind(folder, at: root + folder), .readOnly(root + folder)]
        }
        steps += [.folder(root + "/proc"), .processes(root + "/proc"), .folder(root + "/dev")]
        steps += [
            .device(root + "/dev/null", like: "/dev/null", owner: 0, mode: 0o666), .link(root + "/x", to: "/own"),
        ]
        steps += [.file(root + "/own"), .bind(staging + "/own", at: root + "/own"), .root(root)]
        let words = """
            echo $$; cat /x; echo; cat \(staging)/other 2>/dev/null || echo none; echo a > /dev/null && echo null
            touch /usr/x 2>/dev/null || echo kept; ls -d /proc/[0-9]* | wc -l; wc -l < /proc/net/dev
            """
        let (input, output) = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            "/bin/sh", arguments: ["sh", "-c", words], environment: ["PATH=/usr/bin:/bin"],
            descriptors: [null, output, null], isolation: ProcessIsolation(steps: steps, hasOwnNetwork: true))
        #expect(process.waitForEnd(milliseconds: 20_000))
        process.reap()
        let lines = String(decoding: try input.readAvailable(limit: 4096), as: UTF8.self).split(separator: "\n")
        // Shell, `ls` and `wc`; two lines of heading and the loopback.
        #expect(lines == ["1", "own", "none", "null", "kept", "3", "3"], "\(lines)")
        #expect(HostFile.status(root + "/own").kind == .nothing)
    }

    @Test(
        "Files that a confinement does not name are refused, also to root",
        .enabled(if: FileConfinement.isSupported, "the kernel has no Landlock"))
    func confinement() throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        for name in ["own", "other"] { try HostFile.replace("\(folder)/\(name)", with: Array("\(name)\n".utf8)) }
        let rules = try FileConfinement()
        for path in ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"] { try rules.allow(path, [.read, .execute]) }
        try rules.allow(folder + "/own", .read)
        let (input, output) = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            "/bin/cat", arguments: ["cat", folder + "/own", folder + "/other"], environment: ["LC_ALL=C"],
            descriptors: [null, output, output], confinement: rules)
        #expect(process.waitForEnd(milliseconds: 20_000))
        process.reap()
        let said = String(decoding: try input.readAvailable(limit: 4096), as: UTF8.self)
        #expect(said == "own\ncat: \(folder)/other: Permission denied\n", "\(said)")
    }

    @Test(
        "A step that cannot be taken is told", .enabled(if: HostIdentity.userID == 0, "needs root"))
    func failures() throws {
        let isolation = ProcessIsolation(steps: [.bind("/nowhere", at: "/tmp")], hasOwnNetwork: false)
        let error = #expect(throws: HostError.self) {
            try HostProcess.spawn(
                "/bin/true", arguments: ["true"], environment: [], descriptors: [], isolation: isolation)
        }
        #expect(error?.description.contains("show '/nowhere'") == true)
    }
}
