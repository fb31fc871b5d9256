import Foundation
import TestSupport
import Testing

/// `apus fork` on machines that somebody started by hand.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct ForkTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path

    private struct Child {
        let monitor: MonitorClient
        let facts: [String: Any]
        var name: String { facts["name"] as? String ?? "" }
        var folder: String { facts["folder"] as? String ?? "" }
        var pid: Int32 { (facts["pid"] as? NSNumber)?.int32Value ?? 0 }
    }

    /// Forks by the command; the children, with their monitors.
    private func fork(_ socket: String, _ count: Int, _ folder: TemporaryFolder) throws -> [Child] {
        let ended = try HostProgram.run(
            Repository.apus, ["fork", "--qmp", socket, "-n", "\(count)", "--folder", folder.path("forks"), "--json"])
        try #require(ended.status == 0, "\(ended)")
        let list = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [[String: Any]] ?? []
        return try list.map { Child(monitor: try MonitorClient(path: $0["qmp"] as? String ?? ""), facts: $0) }
    }

    /// A number of `info jit`.
    private func counter(_ name: String, in text: String) -> Int {
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    /// Asks the guest of a console's socket something, and gives what it says.
    private func ask(_ path: String, _ command: String) throws -> String {
        let socket = try MonitorClient.connect(path, seconds: 60)
        defer { close(socket) }
        let mark = "mark\(UInt32.random(in: 0..<1_000_000))"
        let echo = "echo \(mark.prefix(4))''\(mark.dropFirst(4))"
        let line = "\n\(echo); \(command); \(echo)\n"
        var said = ""
        let end = Date().addingTimeInterval(120)
        _ = unsafe line.utf8.withContiguousStorageIfAvailable { unsafe write(socket, $0.baseAddress, $0.count) }
        while said.components(separatedBy: "\(mark)\r\n").count < 3 {
            var wanted = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            try #require(Date() < end, "\(said.suffix(500))")
            guard unsafe poll(&wanted, 1, 1000) > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = unsafe recv(socket, &buffer, buffer.count, 0)
            try #require(count > 0)
            said += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return said.components(separatedBy: "\(mark)\r\n")[1].trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test(arguments: ["anonymous", "shared"])
    func childrenGoTheirOwnWays(memory: String) throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        var arguments = [
            "-accel", "tcg", "-name", "mother", "-uuid", "01234567-89ab-4def-8123-456789abcdef",
            "-drive", "file=\(disk),format=qcow2,if=virtio,id=disk", "-device", "vmgenid",
            "-nic", "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:0-:22",
            "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
        ]
        if memory == "shared" {
            arguments += [
                "-object", "memory-backend-memfd,id=ram,size=192M,share=on", "-machine", "memory-backend=ram",
            ]
        }
        let parent = try GuestMachine(booting: arguments + ["-m", "192"])
        try parent.wait(for: "Type poweroff to end.")
        // What the kernel says by itself stays out of what commands print, and is looked at in the end.
        _ = try parent.shell("dmesg -n 1; word=common; for i in 1 2 3 4 5 6 7 8; do ls -l /bin >/dev/null; done; echo common >/dev/vda; sync")
        let before = try parent.output(of: "cat /sys/class/dmi/id/product_uuid; cat /sys/class/net/eth0/address")
        #expect(before.contains("01234567-89ab-4def-8123-456789abcdef") || before.contains("52:54:00"))

        var children: [Child] = []
        defer { for child in children { kill(child.pid, SIGKILL) } }
        // The second time the parent stands on what it froze the first time.
        children += try fork(folder.path("qmp"), 2, folder)
        _ = try parent.shell("word=later; echo later >/dev/vda; sync")
        children += try fork(folder.path("qmp"), 1, folder)

        #expect(children.map(\.name) == ["mother-1", "mother-2", "mother-3"])
        #expect(Set(children.map { $0.facts["uuid"] as? String ?? "" }).count == 3)
        let forwards = children.flatMap { $0.facts["forwards"] as? [String] ?? [] }
        #expect(Set(forwards).count == 3 && forwards.allSatisfy { $0.hasPrefix("tcp:127.0.0.1:") }, "\(forwards)")
        var (cards, generations, seeds): (Set<String>, Set<String>, Set<String>) = ([], [], [])
        for (number, child) in children.enumerated() {
            #expect((try child.monitor.execute("query-status") as? [String: Any])?["status"] as? String == "running")
            let filter = try child.monitor.execute("query-rx-filter") as? [[String: Any]] ?? []
            cards.insert(filter.first?["main-mac"] as? String ?? "")
            let generation = try child.monitor.execute("query-vm-generation-id") as? [String: Any]
            generations.insert(generation?["guid"] as? String ?? "")
            let console = child.folder + "/serial0.sock"
            // It has its parent's code, and has translated little of its own.
            let words = ["command-line": "info jit"]
            let jit = try child.monitor.execute("human-monitor-command", words) as? String ?? ""
            let (all, own) = (counter("TB count", in: jit), counter("TB translated", in: jit))
            #expect(all > 1000 && own < all / 2, "\(jit)")
            let word = number < 2 ? "common" : "later"
            #expect(try ask(console, "echo $word; head -c \(word.count) /dev/vda").contains(word))
            _ = try ask(
                console, "word=own\(number); echo own\(number)... >/dev/vda; sync; echo 3 >/proc/sys/vm/drop_caches")
            seeds.insert(try ask(console, "head -c 16 /dev/urandom | od -An -tx1"))
        }
        // The cards' addresses and the seeds are what the guest's drivers make of them: Debian's cloud kernel has none
        // for the generation, and keeps what it has read of its card.
        #expect(generations.count == 3, "\(cards) \(generations) \(seeds)")
        for (number, child) in children.enumerated() {
            let said = try ask(child.folder + "/serial0.sock", "echo $word; head -c 4 /dev/vda")
            #expect(said.components(separatedBy: "own\(number)").count >= 3, "\(number): \(said)")
        }
        let said = try parent.output(of: "echo $word; head -c 5 /dev/vda")
        #expect(said == "later\nlater", "\(said)")
        let log = try parent.output(of: "dmesg | grep -E 'lockup|stall|BUG:|Oops|I/O error|unstable|hung'")
        #expect(log == "")
        for child in children {
            try child.monitor.execute("quit")
            // It holds its image until it has ended.
            let end = Date().addingTimeInterval(60)
            while kill(child.pid, 0) == 0, Date() < end { Thread.sleep(forTimeInterval: 0.05) }
            #expect(try runOnHost(Self.image, "check", child.folder + "/disk.qcow2").status == 0)
        }
        try parent.type("poweroff -f")
        #expect(try parent.status() == 0)
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
    }

    @Test func whatCannotBeHadTwiceIsSaid() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine([
            "-accel", "tcg", "-machine", "microvm", "-m", "128", "-display", "none", "-nodefaults", "-name", "lonely",
            "-netdev", "socket,id=n,listen=127.0.0.1:0", "-device", "virtio-net-device,netdev=n", "-kernel",
            Repository.kernel, "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
        ])
        _ = try MonitorClient(path: folder.path("qmp"))
        let ended = try HostProgram.run(Repository.apus, ["fork", "--qmp", folder.path("qmp"), "--folder", folder.path("f")])
        #expect(ended.status == 1 && ended.errors.contains("Network 'n' cannot be had by a fork too"), "\(ended)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("f")).isEmpty)
        let monitor = try MonitorClient(path: folder.path("qmp"))
        #expect((try monitor.execute("query-status") as? [String: Any])?["status"] as? String == "running")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        for (words, wanted) in [
            (["fork"], "Either a domain's name or --qmp"), (["fork", "-n", "0", "x"], "takes 1 to 64"),
            (["fork", "--nonsense"], "Unknown option"), (["fork", "--qmp", folder.path("nobody")], "nobody"),
        ] {
            let ended = try HostProgram.run(Repository.apus, words)
            #expect(ended.status != 0 && ended.errors.contains(wanted), "\(ended)")
        }
    }
}
