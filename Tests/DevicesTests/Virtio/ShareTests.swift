import DeviceModel
import Devices
import FileSharing
import Foundation
import GuestMemory
import Testing
import VirtQueue

/// A folder for a device.
final class ShareFolder {
    let path: String
    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("apus-device-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func device() throws -> VirtioShare {
        VirtioShare(
            tag: "tag", session: try ShareSession(ShareOptions(path: path, securityModel: .none)),
            scheduler: InlineScheduler())
    }
}

@Suite struct ShareTests {
    // Tversion with 8,192 bytes, and Tattach of fid 1 as user 0.
    private static let version: [UInt8] = [21, 0, 0, 0, 100, 255, 255, 0, 32, 0, 0, 8, 0] + Array("9P2000.L".utf8)
    private static let attach: [UInt8] =
        [23, 0, 0, 0, 104, 1, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]

    private func ask(
        _ memory: AddressSpace, _ queue: DriverQueue, _ transport: any TestTransport, _ request: [UInt8],
        room: UInt32 = 4096
    ) throws -> [UInt8]? {
        try memory.write(GuestPhysical(0x80000), bytes: request)
        _ = queue.add(
            readable: [.init(0x80000, 5), .init(0x80005, UInt32(request.count - 5))], writable: [.init(0x90000, room)])
        transport.notify(0)
        guard let used = queue.poll() else { return nil }
        return try memory.bytes(GuestPhysical(0x90000), count: Int(used.length))
    }

    @Test(arguments: Road.allCases) func requestsAreAnswered(_ road: Road) throws {
        let folder = try ShareFolder()
        let memory = try makeMemory()
        let device = try folder.device()
        let transport = try road.make(device, memory)
        let queue = try transport.start(memory)[0]
        #expect(try ask(memory, queue, transport, Self.version) == [21, 0, 0, 0, 101] + Self.version[5...])
        #expect(!device.isInUse)
        let reply = try #require(try ask(memory, queue, transport, Self.attach))
        #expect(reply.count == 20 && reply[4] == 105 && reply[7] == 0x80)
        #expect(device.isInUse)
        device.reset()
        #expect(!device.isInUse)
    }

    @Test func theNameIsInTheConfiguration() throws {
        let device = try ShareFolder().device()
        #expect(device.features & VirtioShare.mountTag != 0 && device.configurationCount == 5)
        #expect(device.readConfiguration(offset: 0, size: 2) == 3)
        #expect(device.readConfiguration(offset: 2, size: 2) == 0x6174)
        #expect(device.queueSizes == [128])
    }

    @Test func whatCannotBeAnsweredNeedsReset() throws {
        let folder = try ShareFolder()
        let memory = try makeMemory()
        let transport = MMIOTransport(try folder.device(), memory)
        var queue = try transport.start(memory)[0]
        #expect(try ask(memory, queue, transport, [6, 0, 0, 0, 100, 0]) == nil)
        #expect(transport.status == 0x4F)
        queue = try transport.start(memory)[0]
        #expect(try ask(memory, queue, transport, Self.version, room: 10) == nil)
        #expect(transport.status == 0x4F)
        queue = try transport.start(memory)[0]
        #expect(try ask(memory, queue, transport, Self.version)?.count == 21)
        // Room for less than the reply is an error that the guest hears of.
        #expect(try ask(memory, queue, transport, Self.version, room: 12)?[4] == 7)
    }

    @Test func nothingHappensWhilePaused() throws {
        let folder = try ShareFolder()
        let memory = try makeMemory()
        let transport = MMIOTransport(try folder.device(), memory)
        let queue = try transport.start(memory)[0]
        transport.transport.pause()
        #expect(try ask(memory, queue, transport, Self.version) == nil)
        let other = MMIOTransport(try folder.device(), memory)
        try other.transport.importState(transport.transport.exportState())
        #expect(queue.poll() == nil)
        other.transport.resume()
        #expect(queue.poll()?.length == 21)
    }
}
