import CLinux
import FileSharing
import Foundation
import Testing

@Suite struct SessionTests {
    @Test func filesAreMadeWrittenAndRead() throws {
        let client = try Client()
        try client.start()
        try client.walk(1)
        try client.create(1, "a file", mode: 0o640)
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        #expect(try client.write(1, bytes) == 100_000)
        #expect(try client.write(1, at: 200_000, [1, 2, 3]) == 3)
        #expect(try client.read(1, at: 5, 1000) == Array(bytes[5..<1005]))
        #expect(try client.read(1, at: 200_000) == [1, 2, 3])
        #expect(try client.read(1, at: 200_003) == [])
        try client.ask(50, .u32(1), .u32(0))
        let status = try client.status(1)
        #expect(status.mode == 0o100640 && status.size == 200_003 && status.owner == getuid())
        #expect(try Data(contentsOf: URL(fileURLWithPath: client.path("a file"))).prefix(100_000) == Data(bytes))
        // A smaller room gives a shorter read, never a longer reply.
        #expect(try client.ask(116, .u32(1), .u64(0), .u32(60000), room: 1000).bytes.count == 1000)
        try client.clunk(1)
        #expect(try client.failure(120, .u32(1)) == EBADF)

        // Opening what is there: for reading only, cut, and made again with and without O_EXCL.
        try client.walk(1, "a file")
        try client.open(1)
        #expect(try client.failure(118, .u32(1), .u64(0), .u32(1), .bytes([1])) == EBADF)
        try client.walk(2)
        #expect(try client.failure(14, .u32(2), .text("a file"), .u32(0o202), .u32(0o600), .u32(0)) == EEXIST)
        try client.create(2, "a file", flags: 0o1002)
        #expect(try client.status(1).size == 0)
    }

    @Test func walksEndWhereNamesDo() throws {
        let client = try Client()
        try FileManager.default.createDirectory(atPath: client.path("x/y"), withIntermediateDirectories: true)
        try client.start()
        let reply = try client.ask(110, .u32(0), .u32(1), .u16(3), .text("x"), .text("nothing"), .text("y"))
        #expect(reply.u16(7) == 1 && reply.bytes[9] == 0x80 && reply.bytes.count == 22)
        #expect(try client.failure(120, .u32(1)) == EBADF, "A walk that ends early makes no fid")
        #expect(try client.failure(110, .u32(0), .u32(1), .u16(1), .text("nothing")) == ENOENT)
        try client.walk(1, "x", "y", "..", "..")
        let (first, second) = (try client.ask(24, .u32(0), .u64(0)), try client.ask(24, .u32(1), .u64(0)))
        #expect(Array(first.bytes[15..<28]) == Array(second.bytes[15..<28]))
        // A number that is taken, a number that is none, too many names, a fid of its own.
        #expect(try client.failure(110, .u32(0), .u32(1), .u16(0)) == EINVAL)
        #expect(try client.failure(110, .u32(9), .u32(2), .u16(0)) == EBADF)
        #expect(try client.failure(110, .u32(0), .u32(2), .u16(17)) == EINVAL)
        try client.ask(110, .u32(1), .u32(1), .u16(1), .text("x"))
        #expect(try client.failure(110, .u32(1), .u32(2), .u16(1), .text("y")) == 0)
    }

    @Test func foldersLinksAndNames() throws {
        let client = try Client()
        try client.start()
        try client.ask(72, .u32(0), .text("folder"), .u32(0o755), .u32(getgid()))
        try client.ask(16, .u32(0), .text("link"), .text("/etc/passwd"), .u32(getgid()))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: client.path("link")) == "/etc/passwd")
        try client.walk(1, "link")
        #expect(try client.ask(22, .u32(1)).text(7) == "/etc/passwd")
        #expect(try client.status(1).mode & 0o170000 == 0o120000)
        try client.ask(18, .u32(0), .text("pipe"), .u32(0o010600), .u32(0), .u32(0), .u32(getgid()))
        try client.walk(2)
        try client.create(2, "file")
        try client.ask(70, .u32(0), .u32(2), .text("other name"))
        // Names change: by a folder's fid and by the file's own, and `..` with it.
        try client.ask(74, .u32(0), .text("file"), .u32(0), .text("renamed"))
        try client.walk(3, "folder")
        try client.ask(20, .u32(2), .u32(3), .text("moved"))
        #expect(FileManager.default.fileExists(atPath: client.path("folder/moved")))
        try client.ask(110, .u32(3), .u32(4), .u16(0))
        try client.open(4)
        #expect(try Set(client.list(4)) == [".", "..", "moved"])
        #expect(try client.failure(76, .u32(0), .text("folder"), .u32(0x200)) == ENOTEMPTY)
        #expect(try client.failure(76, .u32(0), .text("folder"), .u32(0)) == EISDIR)
        #expect(try client.failure(76, .u32(0), .text("pipe"), .u32(1)) == EINVAL)
        try client.ask(122, .u32(2))
        #expect(try client.failure(120, .u32(2)) == EBADF)
        try client.ask(76, .u32(0), .text("folder"), .u32(0x200))
        for name in ["link", "pipe", "other name"] { try client.ask(76, .u32(0), .text(name), .u32(0)) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: client.folder.path) == [])
        #expect(try client.failure(122, .u32(0)) == EINVAL, "The shared folder itself stays")
    }

    @Test func listsAreWhole() throws {
        let client = try Client()
        let names = (0..<500).map { "file \($0) " + String(repeating: "x", count: $0 % 200) }
        for name in names { try Data().write(to: URL(fileURLWithPath: client.path(name))) }
        try client.start()
        try client.walk(1)
        try client.open(1)
        for count in [300, 1000, 8192, 100_000] as [UInt32] {
            #expect(try client.list(1, count).sorted() == (names + [".", ".."]).sorted())
        }
        #expect(try client.failure(40, .u32(1), .u64(0), .u32(10)) == EINVAL)
        #expect(try client.failure(116, .u32(1), .u64(0), .u32(10)) == EISDIR)
    }

    @Test func attributesChange() throws {
        let client = try Client()
        try client.start()
        try client.walk(1)
        try client.create(1, "file")
        func set(_ what: UInt32, mode: UInt32 = 0, size: UInt64 = 0, modified: UInt64 = 0) throws {
            try client.ask(
                26, .u32(1), .u32(what), .u32(mode), .u32(0), .u32(0), .u64(size), .u64(7), .u64(0), .u64(modified),
                .u64(5))
        }
        try set(0x1, mode: 0o100751)
        #expect(try client.status(1).mode == 0o100751)
        try set(0x8, size: 12345)
        #expect(try client.status(1).size == 12345)
        try set(0x10 | 0x80 | 0x20 | 0x100, modified: 1_000_000_000)
        let reply = try client.ask(24, .u32(1), .u64(0x7FF))
        #expect(reply.u64(80) == 7 && reply.u64(96) == 1_000_000_000 && reply.u64(104) == 5)
        let system = try client.ask(8, .u32(1))
        #expect(system.u32(11) >= 512 && system.u64(15) > 0 && system.bytes.count == 67)
        // Locks are the guest's own affair.
        let lock = try client.ask(
            52, .u32(1), .u8(1), .u32(0), .u64(0), .u64(0), .u32(1), .text("guest"))
        #expect(lock.bytes[7] == 0)
        let other = try client.ask(54, .u32(1), .u8(1), .u64(2), .u64(3), .u32(4), .text("guest"))
        #expect(other.bytes[7] == 2 && other.u64(8) == 2 && other.u64(16) == 3 && other.text(28) == "guest")
        try client.ask(108, .u16(3))
        #expect(try client.failure(102, .u32(3), .text(""), .text(""), .u32(0)) == EOPNOTSUPP)
        #expect(try client.failure(200) == EOPNOTSUPP)
    }

    @Test func extendedAttributes() throws {
        let client = try Client()
        try client.start()
        try client.walk(1)
        try client.create(1, "file")
        try client.set(attribute: "user.colour", of: 1, through: 2, Array("blue".utf8))
        #expect(try client.attribute("user.colour", of: 1, through: 2) == Array("blue".utf8))
        #expect(try client.attribute("", of: 1, through: 2) == Array("user.colour\0".utf8))
        #expect(unsafe getxattr(client.path("file"), "user.colour", nil, 0) == 4)
        try client.set(attribute: "user.colour", of: 1, through: 2, [])
        #expect(try client.failure(30, .u32(1), .u32(2), .text("user.colour")) == ENODATA)
        #expect(try client.failure(30, .u32(1), .u32(2), .text("trusted.x")) == EOPNOTSUPP)
        try client.ask(110, .u32(1), .u32(2), .u16(0))
        #expect(try client.failure(32, .u32(2), .text("user.big"), .u64(1 << 40), .u32(0)) == ENOSPC)
        try client.ask(32, .u32(2), .text("user.x"), .u64(4), .u32(0))
        #expect(try client.failure(118, .u32(2), .u64(2), .u32(3), .bytes([1, 2, 3])) == ENOSPC)
        #expect(try client.failure(120, .u32(2)) == EINVAL, "Too little was written")
    }

    @Test func versionsAndSizes() throws {
        let client = try Client()
        #expect(try client.failure(104, .u32(0), .u32(Client.none), .text(""), .text(""), .u32(0)) == EINVAL)
        #expect(try client.ask(100, .u32(8192), .text("9P2000.u")).text(11) == "unknown")
        #expect(try client.failure(100, .u32(100), .text("9P2000.L")) == EMSGSIZE)
        #expect(try client.ask(100, .u32(UInt32.max), .text("9P2000.L")).u32(7) == UInt32(ShareSession.mostBytes))
        try client.start()
        #expect(client.session.isInUse)
        #expect(try client.ask(100, .u32(4096), .text("9P2000.L")).u32(7) == 4096)
        #expect(!client.session.isInUse)
        #expect(try client.failure(120, .u32(0)) == EBADF)
    }
}
