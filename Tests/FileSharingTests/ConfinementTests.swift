import CLinux
import FileSharing
import Foundation
import TestSupport
import Testing

@Suite struct ConfinementTests {
    @Test func linksAreNotFollowed() throws {
        let client = try Client()
        for (name, target) in [("file", "/etc/passwd"), ("out", ".."), ("near", "../secret"), ("folder", "/")] {
            try FileManager.default.createSymbolicLink(atPath: client.path(name), withDestinationPath: target)
        }
        try client.start()
        #expect(throws: (any Error).self) { try client.walk(9, "folder", "etc") }
        #expect(throws: (any Error).self) { try client.walk(9, "out", "secret") }
        for (index, name) in ["file", "out", "near", "folder"].enumerated() {
            let fid = UInt32(10 + index)
            try client.walk(fid, name)
            #expect(try client.failure(12, .u32(fid), .u32(0)) == ELOOP)
            #expect(try client.failure(12, .u32(fid), .u32(0o1002)) == ELOOP)
            #expect(try client.failure(40, .u32(fid), .u64(0), .u32(1000)) != 0)
            // Making through a link, over a link, and changing what it leads to.
            #expect(try client.failure(14, .u32(fid), .text("x"), .u32(2), .u32(0o600), .u32(0)) == ENOTDIR)
            #expect(try client.failure(72, .u32(fid), .text("x"), .u32(0o700), .u32(0)) == ENOTDIR)
            try client.walk(30)
            #expect(try client.failure(14, .u32(30), .text(name), .u32(0o1002), .u32(0o600), .u32(0)) == ELOOP)
            try client.clunk(30)
            #expect(
                try client.failure(
                    26, .u32(fid), .u32(0x9), .u32(0o777), .u32(0), .u32(0), .u64(0), .u64(0), .u64(0), .u64(0),
                    .u64(0)) != 0)
        }
        let secret = client.folder.deletingLastPathComponent().appendingPathComponent("secret")
        #expect(try String(contentsOf: secret, encoding: .utf8) == "secret")
    }

    @Test func nothingIsAboveTheFolder() throws {
        let client = try Client()
        try client.start()
        try client.walk(1, "..", "..", "..")
        let (first, second) = (try client.ask(24, .u32(0), .u64(0)), try client.ask(24, .u32(1), .u64(0)))
        #expect(Array(first.bytes[7..<28]) == Array(second.bytes[7..<28]))
        #expect(throws: (any Error).self) { try client.walk(2, "..", "secret") }
        try client.ask(12, .u32(1), .u32(0))
        let list = try client.ask(40, .u32(1), .u64(0), .u32(1000))
        let root = first.u64(20)
        var place = 11
        while place < list.bytes.count {
            #expect(list.u64(place + 5) == root, "The parent of the folder has no number")
            place += 24 + Int(list.u16(place + 22))
        }
    }

    @Test(arguments: ["", ".", "..", "/", "a/b", "../secret", "/etc/passwd", "a\0b", String(repeating: "n", count: 256)])
    func namesAreNames(_ name: String) throws {
        let client = try Client()
        try Data().write(to: URL(fileURLWithPath: client.path("file")))
        try client.start()
        try client.walk(1, "file")
        let codes: Set<Int32> = [ENOENT, ENAMETOOLONG]
        if name != ".." { #expect(codes.contains(try client.failure(110, .u32(0), .u32(9), .u16(1), .text(name)))) }
        #expect(codes.contains(try client.failure(14, .u32(0), .text(name), .u32(2), .u32(0o600), .u32(0))))
        #expect(codes.contains(try client.failure(72, .u32(0), .text(name), .u32(0o700), .u32(0))))
        #expect(codes.contains(try client.failure(16, .u32(0), .text(name), .text("x"), .u32(0))))
        #expect(
            codes.contains(
                try client.failure(18, .u32(0), .text(name), .u32(0o010600), .u32(0), .u32(0), .u32(0))))
        #expect(codes.contains(try client.failure(70, .u32(0), .u32(1), .text(name))))
        #expect(codes.contains(try client.failure(20, .u32(1), .u32(0), .text(name))))
        #expect(codes.contains(try client.failure(74, .u32(0), .text(name), .u32(0), .text("x"))))
        #expect(codes.contains(try client.failure(74, .u32(0), .text("file"), .u32(0), .text(name))))
        #expect(codes.contains(try client.failure(76, .u32(0), .text(name), .u32(0))))
        #expect(try FileManager.default.contentsOfDirectory(atPath: client.folder.path) == ["file"])
    }

    @Test func specialFilesAreNeverOpened() throws {
        let client = try Client()
        #expect(unsafe mkfifo(client.path("pipe"), 0o600) == 0)
        try client.start()
        try client.walk(1, "pipe")
        #expect(try client.failure(12, .u32(1), .u32(0)) == ENXIO)
        #expect(try client.failure(12, .u32(1), .u32(1)) == ENXIO)
        try client.walk(2)
        #expect(try client.failure(14, .u32(2), .text("pipe"), .u32(2), .u32(0o600), .u32(0)) == ENXIO)
    }

    @Test func nothingChangesWhereItIsReadOnly() throws {
        let client = try Client { $0.isReadOnly = true }
        try Data("content".utf8).write(to: URL(fileURLWithPath: client.path("file")))
        try client.start()
        try client.walk(1, "file")
        try client.walk(2)
        #expect(try client.failure(12, .u32(1), .u32(1)) == EROFS)
        #expect(try client.failure(12, .u32(1), .u32(0o1000)) == EROFS)
        #expect(try client.failure(14, .u32(2), .text("new"), .u32(2), .u32(0o600), .u32(0)) == EROFS)
        #expect(try client.failure(16, .u32(0), .text("new"), .text("x"), .u32(0)) == EROFS)
        #expect(try client.failure(18, .u32(0), .text("new"), .u32(0o010600), .u32(0), .u32(0), .u32(0)) == EROFS)
        #expect(try client.failure(20, .u32(1), .u32(0), .text("new")) == EROFS)
        #expect(
            try client.failure(
                26, .u32(1), .u32(1), .u32(0), .u32(0), .u32(0), .u64(0), .u64(0), .u64(0), .u64(0), .u64(0)) == EROFS)
        #expect(try client.failure(32, .u32(1), .text("user.x"), .u64(1), .u32(0)) == EROFS)
        #expect(try client.failure(70, .u32(0), .u32(1), .text("new")) == EROFS)
        #expect(try client.failure(72, .u32(0), .text("new"), .u32(0o700), .u32(0)) == EROFS)
        #expect(try client.failure(74, .u32(0), .text("file"), .u32(0), .text("new")) == EROFS)
        #expect(try client.failure(76, .u32(0), .text("file"), .u32(0)) == EROFS)
        try client.open(1)
        #expect(try client.read(1) == Array("content".utf8))
        #expect(try client.failure(122, .u32(1)) == EROFS)
        #expect(try FileManager.default.contentsOfDirectory(atPath: client.folder.path) == ["file"])
    }

    @Test func mappedOwnersAreAttributes() throws {
        let client = try Client(.mapped)
        try client.start(owner: 1234)
        try client.walk(1)
        try client.ask(14, .u32(1), .text("file"), .u32(2), .u32(0o4755), .u32(77))
        let status = try client.status(1)
        #expect(status.mode == 0o104755 && status.owner == 1234 && status.group == 77)
        var host = stat()
        #expect(unsafe lstat(client.path("file"), &host) == 0 && host.st_mode == 0o100600 && host.st_uid == getuid())
        var number: UInt32 = 0
        #expect(unsafe getxattr(client.path("file"), "user.virtfs.uid", &number, 4) == 4 && number == 1234)
        #expect(unsafe getxattr(client.path("file"), "user.virtfs.mode", &number, 4) == 4 && number == 0o104755)
        try client.ask(72, .u32(0), .text("folder"), .u32(0o1777), .u32(0))
        #expect(unsafe lstat(client.path("folder"), &host) == 0 && host.st_mode == 0o040700)

        // A device and a link are files here.
        try client.ask(18, .u32(0), .text("null"), .u32(0o020666), .u32(1), .u32(3), .u32(0))
        try client.ask(16, .u32(0), .text("link"), .text("/some/where"), .u32(0))
        for name in ["null", "link"] { #expect(unsafe lstat(client.path(name), &host) == 0 && host.st_mode == 0o100600) }
        var device: UInt64 = 0
        #expect(unsafe getxattr(client.path("null"), "user.virtfs.rdev", &device, 8) == 8 && device == 0x103)
        try client.walk(2, "null")
        #expect(try client.status(2).mode == 0o020666)
        #expect(try client.status(2).special == 0x103)
        #expect(try client.failure(12, .u32(2), .u32(0)) == ENXIO)
        try client.walk(3, "link")
        #expect(try client.status(3).mode == 0o120777)
        #expect(try client.ask(22, .u32(3)).text(7) == "/some/where")
        #expect(try client.failure(12, .u32(3), .u32(0)) == ELOOP)

        // Changes stay in the attributes, and the guest neither sees nor sets those.
        try client.ask(
            26, .u32(1), .u32(7), .u32(0o600), .u32(5), .u32(6), .u64(0), .u64(0), .u64(0), .u64(0), .u64(0))
        #expect(try client.status(1).mode == 0o100600 && client.status(1).owner == 5)
        #expect(unsafe lstat(client.path("file"), &host) == 0 && host.st_uid == getuid())
        #expect(try client.attribute("", of: 1, through: 9) == [])
        #expect(try client.failure(30, .u32(1), .u32(9), .text("user.virtfs.uid")) == ENODATA)
        try client.ask(110, .u32(1), .u32(9), .u16(0))
        #expect(try client.failure(32, .u32(9), .text("user.virtfs.uid"), .u64(4), .u32(0)) == EOPNOTSUPP)
        // A mode that no file here can have is not believed.
        number = 0o040755
        #expect(unsafe setxattr(client.path("file"), "user.virtfs.mode", &number, 4, 0) == 0)
        #expect(try client.status(1).mode & 0o170000 == 0o100000)
    }

    @Test func fidsAndDescriptorsAreBounded() throws {
        let client = try Client()
        try client.start()
        var number: UInt32 = 1
        while try client.failure(110, .u32(0), .u32(number), .u16(0)) == 0, number < 1 << 17 { number += 1 }
        #expect(number == 1 << 16)
        #expect(try client.failure(110, .u32(0), .u32(number), .u16(0)) == EMFILE)
        client.session.reset()
        try client.start()
    }

    @Test func hostileMessagesEndInErrors() throws {
        let client = try Client()
        #expect(client.session.reply(to: [], room: 100) == nil)
        #expect(client.session.reply(to: [7, 0, 0, 0, 100, 0], room: 100) == nil)
        #expect(client.session.reply(to: [7, 0, 0, 0, 100, 0, 0], room: 10) == nil)
        #expect(client.session.reply(to: [7, 0, 0, 0, 100, 0, 0], room: 11)?.count == 11)
        try client.start()
        for size in [0, 6, 8, 1 << 20, UInt32.max] {
            let request = Client.bytes([.u32(size), .u8(120), .u16(1)])
            #expect(client.session.reply(to: request, room: 100)?[4] == 7)
        }
        #expect(try client.failure(120, .u32(0), .u8(0)) == EINVAL, "Too long")
        #expect(try client.failure(118, .u32(0), .u64(0), .u32(UInt32.max)) == EINVAL)
        try client.walk(1)
        try client.create(1, "file")
        #expect(try client.failure(118, .u32(1), .u64(UInt64.max), .u32(1), .bytes([1])) == EINVAL)
        #expect(try client.failure(118, .u32(1), .u64(UInt64(Int64.max)), .u32(1), .bytes([1])) == EINVAL)
        #expect(try client.failure(116, .u32(1), .u64(UInt64.max), .u32(1)) == EINVAL)
        #expect(try client.ask(116, .u32(1), .u64(0), .u32(UInt32.max)).data == [])
    }

    /// Messages of random types and contents, many of them nearly right. What is outside stays as it is.
    @Test(arguments: [ShareOptions.SecurityModel.none, .mapped]) func randomMessages(
        _ model: ShareOptions.SecurityModel
    ) throws {
        let client = try Client(model)
        var random = Numbers(state: model == .mapped ? 99 : 11)
        try FileManager.default.createSymbolicLink(atPath: client.path("out"), withDestinationPath: "../secret")
        try FileManager.default.createSymbolicLink(atPath: client.path("up"), withDestinationPath: "..")
        let types: [UInt8] = [
            8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 102, 104, 108, 110, 110, 110,
            116, 118, 120, 122,
        ]
        let names = ["a", "b", "c", "..", ".", "out", "up", "secret", "../secret", "", "user.x", "9P2000.L"]
        var answers = 0
        try client.start()
        for round in 0..<FuzzRounds.times(20_000) {
            var parts: [Client.Part] = [.u32(random.next(3))]
            for _ in 0..<random.next(7) {
                switch random.next(6) {
                case 0: parts.append(.u8(UInt8(random.next(256))))
                case 1: parts.append(.u16(UInt16(random.next(4))))
                case 2: parts.append(.u32(random.next(3) == 0 ? random.next(UInt32.max) : random.next(8)))
                case 3: parts.append(.u64(random.next(4) == 0 ? UInt64.max : UInt64(random.next(70_000))))
                default: parts.append(.text(names[Int(random.next(UInt32(names.count)))]))
                }
            }
            // Now and then a message that has the right form.
            var type = types[Int(random.next(UInt32(types.count)))]
            let name = names[Int(random.next(UInt32(names.count)))]
            switch random.next(8) {
            case 0:
                type = 110
                parts = [.u32(random.next(3)), .u32(random.next(8)), .u16(2), .text(name), .text("a")]
            case 1:
                type = 14
                parts = [.u32(random.next(8)), .text(name), .u32(random.next(4) | 0o1000), .u32(0o600), .u32(0)]
            case 2:
                type = 74
                parts = [.u32(random.next(8)), .text(name), .u32(random.next(8)), .text("b")]
            case 3:
                type = [72, 16][Int(random.next(2))]
                parts = [.u32(random.next(8)), .text(name)]
                parts += type == 72 ? [.u32(0o700), .u32(0)] : [.text("/etc"), .u32(0)]
            case 4:
                type = 118
                parts = [.u32(random.next(8)), .u64(0), .u32(3), .bytes([1, 2, 3])]
            default: break
            }
            let body = Client.bytes(parts)
            let size = random.next(16) == 0 ? random.next(64) : UInt32(7 + body.count)
            let request = Client.bytes([.u32(size), .u8(type), .u16(1)]) + body
            let room = random.next(8) == 0 ? Int(random.next(64)) : 8192
            let reply = client.session.reply(to: request, room: room)
            #expect(reply.map { $0.count <= room } ?? (room < 11))
            if let reply, reply[4] != 7 { answers += 1 }
            if round % 25 == 24 { try client.start() }
        }
        #expect(answers > 500)
        let outer = client.folder.deletingLastPathComponent()
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: outer.path)) == ["secret", "shared"])
        #expect(try String(contentsOf: outer.appendingPathComponent("secret"), encoding: .utf8) == "secret")
    }

    /// splitmix64.
    private struct Numbers {
        var state: UInt64
        mutating func next(_ limit: UInt32) -> UInt32 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return UInt32(truncatingIfNeeded: word ^ word >> 31) % max(limit, 1)
        }
    }
}
