import BlockImage
import CLinux
import TestSupport
import Testing

/// A block device of the host: a loop device, where this user may make one.
@Suite struct HostDeviceTests {
    static let canLoop = geteuid() == 0 && Tool.capture(["/usr/sbin/losetup", "-f"]).status == 0

    @Test(.enabled(if: canLoop, "no right to make loop devices"), arguments: Way.all)
    func randomRequestsOnADevice(_ way: Way) throws {
        let size = 1 << 20
        var numbers = SplitMix64(state: 11)
        var oracle = randomBytes(size, &numbers)
        let file = TestFile(bytes: oracle)
        let (status, output) = Tool.capture(["/usr/sbin/losetup", "-f", "--show", file.path])
        guard status == 0 else { return }
        let device = String(output.dropLast())
        defer { _ = Tool.run(["/usr/sbin/losetup", "-d", device]) }
        let graph = BlockGraph()
        #expect(throws: BlockError.notRegularFile(path: device)) {
            try graph.open(["driver": "file", "filename": device])
        }
        var drive = DriveOptions(id: "d", path: device, format: "raw")
        drive.aio = way.aio
        drive.cache = way.cache
        drive.discard = .unmap
        let disk = try graph.openDrive(drive)
        #expect(disk.sizeInBytes == UInt64(size))
        for step in 0..<60 {
            let offset = Int.random(in: 0..<size, using: &numbers)
            let length = Int.random(in: 1...min(size - offset, 30_000), using: &numbers)
            let range = offset..<offset + length
            switch step % 4 {
            case 0:
                let bytes = randomBytes(length, &numbers)
                #expect(disk.write(bytes, at: UInt64(offset), shift: 3) == 0)
                oracle.replaceSubrange(range, with: bytes)
            case 1, 2:
                let mayUnmap = step % 4 == 1
                #expect(disk.perform(.writeZeroes(mayUnmap: mayUnmap), UInt64(offset), UInt64(length)) == 0)
                oracle.replaceSubrange(range, with: [UInt8](repeating: 0, count: length))
            default:
                let isSame = disk.read(length, at: UInt64(offset)).bytes == Array(oracle[range])
                #expect(isSame)
            }
        }
        #expect(disk.perform(.flush) == 0)
        #expect(disk.perform(.discard, 5, 100_000) == 0)
        #expect(disk.read(1, at: UInt64(size)).status == EIO)
        // Bytes outside of the discarded range are as they were.
        let tail = disk.read(size - 200_000, at: 200_000).bytes == Array(oracle[200_000...])
        #expect(tail)
        graph.detach(disk)
    }
}
