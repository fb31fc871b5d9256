import FileSharing
import Foundation
import Testing

/// A guest's side of a session: messages out, what the reply has in.
final class Client {
    let session: ShareSession
    let folder: URL
    private let outer: URL

    /// A session with a new folder; `outer` holds it and what must not be reached.
    init(_ model: ShareOptions.SecurityModel = .none, _ change: (inout ShareOptions) -> Void = { _ in }) throws {
        outer = FileManager.default.temporaryDirectory.appendingPathComponent("apus-share-\(UUID().uuidString)")
        folder = outer.appendingPathComponent("shared")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data("secret".utf8).write(to: outer.appendingPathComponent("secret"))
        var options = ShareOptions(path: folder.path, securityModel: model)
        change(&options)
        session = try ShareSession(options)
    }
    deinit { try? FileManager.default.removeItem(at: outer) }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// What a request may be made of.
    enum Part {
        case u8(UInt8), u16(UInt16), u32(UInt32), u64(UInt64), text(String), bytes([UInt8])
    }
    static func bytes(_ parts: [Part]) -> [UInt8] {
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            (0..<MemoryLayout.size(ofValue: value)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        return parts.flatMap { part -> [UInt8] in
            switch part {
            case .u8(let value): [value]
            case .u16(let value): little(value)
            case .u32(let value): little(value)
            case .u64(let value): little(value)
            case .text(let text): little(UInt16(text.utf8.count)) + Array(text.utf8)
            case .bytes(let bytes): bytes
            }
        }
    }

    /// A failed request's number.
    struct Failure: Error, Equatable { let number: Int32 }

    /// Asks, and gives what the reply has behind its head.
    @discardableResult
    func ask(_ type: UInt8, _ parts: Part..., room: Int = 1 << 20) throws -> Reply {
        let body = Self.bytes(parts)
        let request = Self.bytes([.u32(UInt32(7 + body.count)), .u8(type), .u16(5)]) + body
        let reply = Reply(try #require(session.reply(to: request, room: room)))
        #expect(reply.u32(0) == UInt32(reply.bytes.count) && reply.u16(5) == 5)
        if reply.bytes[4] == 7 { throw Failure(number: Int32(bitPattern: reply.u32(7))) }
        #expect(reply.bytes[4] == type + 1)
        return reply
    }

    /// The number with which a request fails; 0 where it does not.
    func failure(_ type: UInt8, _ parts: Part...) throws -> Int32 {
        let body = Self.bytes(parts)
        let request = Self.bytes([.u32(UInt32(7 + body.count)), .u8(type), .u16(5)]) + body
        let reply = Reply(try #require(session.reply(to: request, room: 1 << 20)))
        return reply.bytes[4] == 7 ? Int32(bitPattern: reply.u32(7)) : 0
    }

    struct Reply {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        private func number(_ place: Int, _ size: Int) -> UInt64 {
            (0..<size).reduce(0) { $0 | UInt64(place + $1 < bytes.count ? bytes[place + $1] : 0) << UInt64($1 * 8) }
        }
        func u16(_ place: Int) -> UInt16 { UInt16(number(place, 2)) }
        func u32(_ place: Int) -> UInt32 { UInt32(number(place, 4)) }
        func u64(_ place: Int) -> UInt64 { number(place, 8) }
        func text(_ place: Int) -> String {
            String(decoding: bytes[(place + 2)..<(place + 2 + Int(u16(place)))], as: UTF8.self)
        }
        /// What Rread brings.
        var data: [UInt8] { Array(bytes[11...]) }
    }

    static let none = UInt32.max

    /// Tversion and Tattach: fid 0 is the folder.
    func start(owner: UInt32 = getuid()) throws {
        let reply = try ask(100, .u32(1 << 17), .text("9P2000.L"))
        #expect(reply.u32(7) == 1 << 17 && reply.text(11) == "9P2000.L")
        try ask(104, .u32(0), .u32(Self.none), .text("root"), .text(""), .u32(owner))
    }
    /// Twalk from fid 0.
    func walk(_ fid: UInt32, _ names: String...) throws {
        let reply = try ask(
            110, .u32(0), .u32(fid), .u16(UInt16(names.count)), .bytes(Self.bytes(names.map { .text($0) })))
        if Int(reply.u16(7)) != names.count { throw Failure(number: ENOENT) }
    }
    func clunk(_ fid: UInt32) throws { try ask(120, .u32(fid)) }
    func open(_ fid: UInt32, _ flags: UInt32 = 0) throws { try ask(12, .u32(fid), .u32(flags)) }
    func read(_ fid: UInt32, at offset: UInt64 = 0, _ count: UInt32 = 65536) throws -> [UInt8] {
        try ask(116, .u32(fid), .u64(offset), .u32(count)).data
    }
    func write(_ fid: UInt32, at offset: UInt64 = 0, _ bytes: [UInt8]) throws -> UInt32 {
        try ask(118, .u32(fid), .u64(offset), .u32(UInt32(bytes.count)), .bytes(bytes)).u32(7)
    }
    /// Tlcreate in a folder, whose fid becomes the file.
    func create(_ fid: UInt32, _ name: String, flags: UInt32 = 2, mode: UInt32 = 0o644) throws {
        try ask(14, .u32(fid), .text(name), .u32(flags), .u32(mode), .u32(getgid()))
    }
    /// mode, owner, group, special, size of Rgetattr.
    func status(_ fid: UInt32) throws -> (mode: UInt32, owner: UInt32, group: UInt32, special: UInt64, size: UInt64) {
        let reply = try ask(24, .u32(fid), .u64(0x7FF))
        return (reply.u32(28), reply.u32(32), reply.u32(36), reply.u64(48), reply.u64(56))
    }
    /// The names in a folder, by requests of `count` bytes.
    func list(_ fid: UInt32, _ count: UInt32 = 8192) throws -> [String] {
        var names: [String] = []
        var cookie: UInt64 = 0
        while true {
            let reply = try ask(40, .u32(fid), .u64(cookie), .u32(count))
            var place = 11
            if place == reply.bytes.count { return names }
            #expect(reply.bytes.count - 11 <= Int(count))
            while place < reply.bytes.count {
                cookie = reply.u64(place + 13)
                names.append(reply.text(place + 22))
                place += 24 + names[names.count - 1].utf8.count
            }
        }
    }
    func set(attribute name: String, of fid: UInt32, through new: UInt32, _ value: [UInt8]) throws {
        try ask(110, .u32(fid), .u32(new), .u16(0))
        try ask(32, .u32(new), .text(name), .u64(UInt64(value.count)), .u32(0))
        if !value.isEmpty { #expect(try write(new, value) == UInt32(value.count)) }
        try clunk(new)
    }
    func attribute(_ name: String, of fid: UInt32, through new: UInt32) throws -> [UInt8] {
        let size = try ask(30, .u32(fid), .u32(new), .text(name)).u64(7)
        defer { try? clunk(new) }
        let bytes = try read(new)
        #expect(bytes.count == Int(size))
        return bytes
    }
}
