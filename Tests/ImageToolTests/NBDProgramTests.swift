import CLinux
import HostOS
import ImageTool
import Testing

/// A server program in the background, with a Unix socket in a folder; it ends with this object.
final class Server {
    let socket: String
    let process: pid_t
    private var isOver = false

    init(_ program: [String], _ folder: Folder, _ words: [String]) throws {
        socket = folder.file("socket-\(words.count)-\(program.count)")
        let all = program + ["-k", socket, "-t"] + words
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe all.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        // The threads of tests hold back signals; the server is to hear when it shall end.
        var attributes = posix_spawnattr_t()
        var none = sigset_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        // One that was killed has left its socket.
        _ = unsafe unlink(socket)
        var child: pid_t = 0
        // SAFETY: the words live until the child has been started.
        let status = unsafe posix_spawn(&child, all[0], nil, &attributes, &arguments, nil)
        process = child
        try #require(status == 0)
        let bell = Bell()
        for _ in 0..<6000 where !Self.hasListener(socket) { bell.wait(nanoseconds: 10_000_000) }
    }

    /// Whether clients may come: a socket has its name before somebody listens there.
    private static func hasListener(_ path: String) -> Bool {
        // Flags, in the fourth column: __SO_ACCEPTCON.
        let listens = "00010000"
        let table = String(decoding: (try? HostFile.contents("/proc/net/unix")) ?? [], as: UTF8.self)
        return table.split(separator: "\n").contains { line in
            line.hasSuffix(" \(path)") && line.split(separator: " ").dropFirst(3).first == listens[...]
        }
    }

    /// Waits for its end, which somebody has brought about.
    func join() {
        // One that could not be started has no number, and 0 would mean this process with all that it started.
        guard !isOver, process > 0 else { return }
        isOver = true
        var status: Int32 = 0
        _ = unsafe waitpid(process, &status, 0)
    }

    deinit {
        if !isOver, process > 0 { kill(process, SIGTERM) }
        join()
    }
}

/// The programs of NBD beside Debian's, in both directions.
@Suite(.enabled(if: Tool.isThere && Tool.isBuilt, "qemu-utils is not installed, or apus-img not built"))
struct NBDProgramTests {
    private static let theirs = ["/usr/bin/qemu-nbd"]
    private static var ours: [String] { [Tool.apusImg ?? "", "nbd"] }

    @Test func ourClientReadsTheirServer() throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 3))
        let server = try Server(Self.theirs, folder, ["-f", "raw", folder.file("disk.raw")])
        let name = "nbd+unix:///?socket=\(server.socket)"
        #expect(folder.image("convert", "-O", "raw", name, "@copy.raw").status == 0)
        #expect(folder.read("copy.raw") == folder.read("disk.raw"))
        #expect(folder.image("info", name) == folder.qemu("info", name))
        #expect(folder.image("map", "--output=json", name) == folder.qemu("map", "--output=json", name))
        for size in ["8M", "3M"] {
            #expect(folder.image("resize", "-f", "raw", name, size) == folder.qemu("resize", "-f", "raw", name, size))
        }
        folder.write("other.raw", mixedBytes(3 << 20, seed: 4))
        #expect(folder.image("convert", "-n", "-O", "raw", "-f", "raw", "@other.raw", name).status == 0)
        #expect(folder.qemu("compare", "-f", "raw", "-F", "raw", "@other.raw", name).status == 0)
    }

    @Test func theirClientReadsOurServer() throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 5))
        folder.qemu("convert", "-f", "raw", "-O", "qcow2", "@disk.raw", "@disk.qcow2")
        folder.qemu("bitmap", "--add", "--disable", "@disk.qcow2", "b0")
        let server = try Server(
            Self.ours, folder,
            ["-f", "qcow2", "-x", "name", "-D", "words", "-A", "-B", "b0", "-e", "4", folder.file("disk.qcow2")])
        let name = "nbd+unix:///name?socket=\(server.socket)"
        #expect(folder.qemu("compare", "-F", "raw", "-f", "raw", name, "@disk.raw").status == 0)
        let listed = Tool.run(Self.theirs + ["-L", "-k", server.socket]) { String(decoding: $0, as: UTF8.self) }
        let seen = Tool.run(Self.ours + ["-L", "-k", server.socket]) { String(decoding: $0, as: UTF8.self) }
        #expect(listed == seen)
        #expect(
            listed.output == """
                exports available: 1
                 export: 'name'
                  description: words
                  size:  3145728
                  flags: 0xded ( flush fua trim zeroes df multi cache fast-zero )
                  min block: 1
                  opt block: 4096
                  max block: 33554432
                  available meta contexts: 3
                   base:allocation
                   qemu:allocation-depth
                   qemu:dirty-bitmap:b0

                """)
        folder.write("other.raw", mixedBytes(3 << 20, seed: 6))
        #expect(folder.qemu("convert", "-n", "-O", "raw", "-f", "raw", "@other.raw", name).status == 0)
        #expect(folder.qemu("compare", "-f", "raw", "-F", "raw", "@other.raw", name).status == 0)
        #expect(folder.image("compare", "-f", "raw", "-F", "raw", "@other.raw", name).status == 0)
    }

    /// The maps that clients see are the same, whoever serves the image.
    @Test func mapsAreTheSame() throws {
        let folder = try Folder()
        folder.qemu("create", "-q", "-f", "qcow2", "@base.qcow2", "8M")
        folder.io("qcow2", "base.qcow2", "write -P 1 0 1M", "write -z 2M 64k")
        folder.qemu("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "@top.qcow2")
        folder.io("qcow2", "top.qcow2", "write -P 2 512k 1M", "write -z 4M 64k")
        folder.qemu("bitmap", "--add", "@top.qcow2", "b0")
        folder.io("qcow2", "top.qcow2", "write -P 3 6M 64k")
        let words = ["-f", "qcow2", "-r", "-A", "-B", "b0", folder.file("top.qcow2")]
        let (one, two) = (try Server(Self.theirs, folder, words), try Server(Self.ours, folder, words))
        func map(_ server: Server, _ context: String) -> Outcome {
            let options =
                "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=\(server.socket)"
                + ",file.x-dirty-bitmap=\(context)"
            let found = folder.qemu("map", "--output=json", "--image-opts", options)
            #expect(folder.image("map", "--output=json", "--image-opts", options) == found)
            #expect(folder.image("map", "--image-opts", options) == folder.qemu("map", "--image-opts", options))
            return found
        }
        for context in ["base:allocation", "qemu:allocation-depth", "qemu:dirty-bitmap:b0"] {
            #expect(map(one, context) == map(two, context))
        }
        #expect(map(one, "qemu:dirty-bitmap:b0").output.contains("\"present\": false"))
        let unknown = folder.image(
            "map", "--image-opts", "driver=nbd,server.type=unix,server.path=\(one.socket),x-dirty-bitmap=qemu:no")
        #expect(unknown.status == 1 && unknown.errors.contains("requested x-dirty-bitmap qemu:no not found"))
    }
}

/// qemu-io's commands beside Debian's, with the times left out.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct IOProgramTests {
    func masked(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let words = line.split(separator: ";", maxSplits: 1)
            if words.count == 2, words[0].hasSuffix(" ops") { return String(words[0]) }
            let numbers = line.split(separator: ",")
            if numbers.count == 5, numbers.allSatisfy({ $0.first?.isNumber ?? false }) {
                return numbers[..<2].joined(separator: ",")
            }
            return String(line)
        }.joined(separator: "\n")
    }

    @Test(arguments: [
        ["write -P 0x11 0 64k", "read -P 0x12 0 64k", "read -P 0x11 -s 512 -l 512 0 64k", "read -v 0 40"],
        ["write -q 64k 64k", "read -P 0xcd 64k 64k", "write -z 128k 64k", "write -z -u 1M 64k"],
        ["write -c 2M 64k", "write -c 2M 63k", "write -f 3M 4k", "write -n -z 4M 64k", "read -P 0xcd 2M 64k"],
        ["writev 5M 4k 8k", "readv -P 0xcd 5M 4k 8k", "readv -v 5M 16 16", "writev 0 1k 1000"],
        ["aio_write 6M 64k", "aio_flush", "aio_read -P 0xcd 6M 64k", "aio_flush", "aio_write -P 3 0 1k", "aio_flush"],
        ["write 0 192k", "write 1M 64k", "flush", "length", "map", "alloc 0 1M", "alloc 5M", "discard 0 64k"],
        ["info", "truncate 12M", "length", "truncate 5M", "length", "truncate -m full 7M", "map"],
        ["sleep 1", "close", "read 0 512", "length"], ["reopen -r", "write 0 512", "reopen -w", "write 0 512"],
        ["reopen -o nosuch=1"], ["reopen -r -w"], ["nosuch"], ["write"], ["write 0"], ["write x 1"],
        ["write 0 x"], ["write -P 256 0 1"], ["write 0 1 2"], ["write -X 0 512"], ["read"], ["length 1"],
        ["quit", "length"], ["write 11M 512"], ["read 9M 2M"], ["write 0 3G"], ["read 0 0"], ["write 511 2"],
        ["write -z -P 1 0 512"], ["write -u 0 512"], ["write -n 0 512"], ["write -b -z 0 512"], ["write -f -b 0 512"],
        ["read -l 10 0 512"], ["read -s 10 0 512"], ["read -P 1 -s 600 0 512"], ["write -C 0 1k", "read -C 0 1k"],
        ["discard -C 0 64k"], ["discard 0 100"], ["discard 0 3G"], ["alloc"], ["truncate"], ["sleep x"],
        ["read -P 5 0 2k"], ["write -s /nosuch 0 512"], ["aio_write -i 0 512"], ["aio_read -i 0 512"],
        ["read 0 1000", "read 0 1025", "read 0 1M", "read 0 1100000", "read 0 999k", "read 0 10M"], ["help"],
        ["help map"], ["help nosuch"], ["open x"],
        ["write -b -P 7 0 64k", "read -b -P 7 0 64k", "read -P 0 0 64k", "write -b 100 512", "read -b -P 0xcd 100 512"],
    ])
    func sameAsTheirs(commands: [String]) throws {
        let pair = try Pair()
        for folder in [pair.theirs, pair.ours] { folder.qemu("create", "-q", "-f", "qcow2", "@disk.qcow2", "10M") }
        let words = commands.flatMap { ["-c", $0] }
        let expected = Tool.run([Tool.qemuIO!, "-f", "qcow2"] + words + [pair.theirs.file("disk.qcow2")]) {
            String(decoding: $0, as: UTF8.self)
        }
        let console = Console(captures: true)
        let status = ImageProgram.run(["qemu-io", "-f", "qcow2"] + words + [pair.ours.file("disk.qcow2")], console)
        #expect(status == expected.status)
        #expect(masked(String(decoding: console.output, as: UTF8.self)) == masked(expected.output))
        #expect(String(decoding: console.errors, as: UTF8.self) == expected.errors)
        // And what was written is the same.
        let compared = Tool.run([
            Tool.qemuImg!, "compare", pair.ours.file("disk.qcow2"), pair.theirs.file("disk.qcow2"),
        ]) { String(decoding: $0, as: UTF8.self) }
        #expect(compared.status == 0)
    }
}

extension IOProgramTests {
    @Test(arguments: [
        [
            "break write_aio A", "aio_write -P 1 0 64k", "wait_break A", "write -P 2 1M 64k", "read -P 2 1M 64k",
            "resume A", "aio_flush", "read -P 1 0 64k",
        ],
        ["resume A"], ["remove_break A"], ["break write_aio A", "remove_break A", "aio_write 0 64k", "aio_flush"],
        ["break nosuch A"],
    ])
    func breakpointsAreTheirs(commands: [String]) throws {
        let pair = try Pair()
        for folder in [pair.theirs, pair.ours] { folder.qemu("create", "-q", "-f", "qcow2", "@disk.qcow2", "10M") }
        let words = ["-f", "qcow2"] + commands.flatMap { ["-c", $0] }
        let theirs = Tool.run([Tool.qemuIO!] + words + ["blkdebug::\(pair.theirs.file("disk.qcow2"))"]) {
            String(decoding: $0, as: UTF8.self)
        }
        let console = Console(captures: true)
        let status = ImageProgram.run(
            ["qemu-io"] + words + ["blkdebug::\(pair.ours.file("disk.qcow2"))"], console)
        #expect(status == theirs.status)
        #expect(masked(String(decoding: console.output, as: UTF8.self)) == masked(theirs.output))
    }
}

/// File names that are options, beside Debian's.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct ImageNameTests {
    @Test func sameAsTheirs() throws {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@a.qcow2", "10M")
        pair.same("create", "-q", "-f", "raw", "@b.raw", "1M")
        let names = [
            "json:{", "json:[]", "json:{\"driver\":\"qcow2\"}", "json:{\"filename\":\"@a.qcow2\"}",
            "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"@a.qcow2\"}}",
            "json:{\"driver\":\"qcow2\",\"file.filename\":\"@a.qcow2\"}", "json:{\"file.filename\":\"@a.qcow2\"}",
            "json:{\"driver\":\"file\",\"filename\":\"@b.raw\"}",
            "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"@a.qcow2\"},\"nosuch\":1}",
            "json:{\"driver\":\"nosuch\",\"file.filename\":\"@a.qcow2\"}", "nosuch:a", "json:a",
            "json:{\"driver\":\"nbd\"}", "json:{\"driver\":\"nbd\",\"host\":\"x\",\"path\":\"y\"}",
            "json:{\"driver\":\"nbd\",\"server\":{\"type\":\"x\"}}", "nbd:foo", "nbd://x/y?z=1",
            "nbd:unix:/nosuch:exportname=x", "json:{\"driver\":\"raw\",\"file.driver\":\"file\"}",
        ]
        for name in names { pair.same("info", name) }
        for list in [
            "driver=qcow2,file.filename=@a.qcow2", "file.filename=@a.qcow2", "a.qcow2", "filename=@a.qcow2",
            "driver=qcow2", "driver=qcow2,file=a.qcow2", "driver=file,filename=@b.raw",
        ] {
            pair.same("info", "--image-opts", list)
        }
        pair.same("info", "--image-opts", "-f", "qcow2", "driver=qcow2,file.filename=@a.qcow2")
        pair.same("map", "--output=json", "json:{\"driver\":\"raw\",\"file.filename\":\"@b.raw\",\"offset\":4096}")
        let base = "json:{\"driver\":\"qcow2\",\"file.filename\":\"@a.qcow2\"}"
        pair.same("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", "@c.qcow2")
        pair.same("convert", "-O", "raw", "@c.qcow2", "@c.raw")
    }
}
