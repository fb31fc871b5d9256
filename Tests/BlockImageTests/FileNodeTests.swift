import BlockImage
import CLinux
import SystemPackage
import Testing

/// A file's edges: its end, its modes, what is refused.
@Suite struct FileNodeTests {
    @Test(arguments: Way.all)
    func readsPastTheEndGiveZeroes(_ way: Way) throws {
        let file = TestFile(bytes: [UInt8](repeating: 5, count: 1000))
        let node = try openFile(file, aio: way.aio) { $1.cache = way.cache }
        #expect(node.sizeInBytes == 1024)
        let tail = node.read(1024, at: 512)
        #expect(tail.status == 0)
        #expect(tail.bytes == [UInt8](repeating: 5, count: 488) + [UInt8](repeating: 0, count: 536))
        let beyond = node.read(600, at: 1 << 40, segment: 100)
        #expect(beyond.status == 0)
        #expect(beyond.bytes == [UInt8](repeating: 0, count: 600))
        node.close()
    }

    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func writesPastTheEndGrowTheFile(_ aio: FileAIO) throws {
        let file = TestFile(bytes: [1])
        let node = try openFile(file, aio: aio) { $1.discard = .unmap }
        #expect(node.write([2, 3], at: 5000) == 0)
        #expect(node.sizeInBytes == 5120)
        #expect(node.perform(.writeZeroes(mayUnmap: false), 5002, 998) == 0)
        #expect(node.perform(.writeZeroes(mayUnmap: true), 6000, 2000) == 0)
        node.close()
        let bytes = file.read()
        #expect(bytes.count == 8000)
        #expect(Array(bytes[4999..<5003]) == [0, 2, 3, 0])
    }

    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func nonsenseIsRefused(_ aio: FileAIO) throws {
        let node = try openFile(TestFile(bytes: [1, 2, 3]), aio: aio)
        #expect(node.perform(.read, UInt64.max - 5, 100) == EINVAL)
        #expect(node.perform(.discard, 1 << 63, 1) == EINVAL)
        #expect(node.perform(.write, 0, 10) == EINVAL)
        #expect(node.perform(.read, 0, 0) == 0)
        #expect(node.write([], at: 3) == 0)
        // The kernel's own refusal comes through: no file system holds this offset.
        #expect(node.write([1], at: UInt64(Int64.max) - 1) != 0)
        #expect(node.write([1], at: 1 << 62) != 0)
        #expect(node.sizeInBytes == 512)
        node.close()
        #expect(node.perform(.read, 0, 0) == EBADF)
    }

    @Test func readOnlyRefusesChanges() throws {
        let file = TestFile(bytes: [1, 2, 3])
        let node = try openFile(file) { $1.readOnly = true }
        #expect(node.isReadOnly)
        #expect(node.write([9], at: 0) == EPERM)
        #expect(node.perform(.writeZeroes(mayUnmap: true), 0, 1) == EPERM)
        #expect(node.perform(.discard, 0, 1) == EPERM)
        #expect(node.perform(.flush) == 0)
        #expect(node.read(3, at: 0).bytes == [1, 2, 3])
        #expect(throws: BlockError.readOnly(path: file.path)) { try node.resize(to: 10, preallocation: .off) }
        node.close()
    }

    @Test func openingNamesTheFileAndTheReason() throws {
        #expect(throws: BlockError.notFound(path: "/nonexistent/x")) {
            try FileNode(
                FileOptions(path: "/nonexistent/x"), node: NodeOptions(), isDevice: false, nodeName: "n")
        }
        #expect(throws: BlockError.notFound(path: "/tmp\0x")) {
            try FileNode(FileOptions(path: "/tmp\0x"), node: NodeOptions(), isDevice: false, nodeName: "n")
        }
        for readOnly in [true, false] {
            var node = NodeOptions()
            node.readOnly = readOnly
            #expect(throws: BlockError.isDirectory(path: "/tmp")) {
                try FileNode(FileOptions(path: "/tmp"), node: node, isDevice: false, nodeName: "n")
            }
        }
        #expect(throws: BlockError.notRegularFile(path: "/dev/null")) {
            try FileNode(FileOptions(path: "/dev/null"), node: NodeOptions(), isDevice: false, nodeName: "n")
        }
        let file = TestFile(bytes: [1])
        #expect(throws: BlockError.notDevice(path: file.path)) {
            try FileNode(FileOptions(path: file.path), node: NodeOptions(), isDevice: true, nodeName: "n")
        }
        #expect(BlockError.notFound(path: "/x").description == "Cannot open '/x': no such file")
        #expect(throws: BlockError.self) { try openFile(file, aio: .native) }
    }

    @Test func automaticallyReadOnlyWhereWritingIsRefused() throws {
        let file = TestFile(bytes: [7])
        var node = NodeOptions()
        let refusing: FileOpener = { path, flags, mode in
            flags & O_ACCMODE == O_RDONLY
                ? FileNode.openDirectly(path, flags, mode) : .failure(.permissionDenied)
        }
        #expect(throws: BlockError.noPermission(path: file.path, forWriting: true)) {
            try FileNode(
                FileOptions(path: file.path), node: node, isDevice: false, nodeName: "n", open: refusing)
        }
        node.autoReadOnly = true
        let opened = try FileNode(
            FileOptions(path: file.path), node: node, isDevice: false, nodeName: "n", open: refusing)
        #expect(opened.isReadOnly)
        opened.close()
    }

    @Test func fallsBackToThreadsWithoutRing() throws {
        let file = TestFile(bytes: [1, 2, 3])
        for reason in [Errno.noFunction, Errno.notPermitted, Errno.permissionDenied] {
            let node = try openFile(file) { options, _ in options.ringFailure = reason }
            #expect(node.engineName == "threads")
            #expect(node.read(3, at: 0).bytes == [1, 2, 3])
            node.close()
            #expect(throws: BlockError.noRing(path: file.path, reason)) {
                try openFile(file, aio: .io_uring) { options, _ in options.ringFailure = reason }
            }
        }
        let threads = try openFile(file, aio: .threads)
        #expect(threads.engineName == "threads")
        threads.close()
    }

    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func discardGivesStorageBackOnlyWhenAllowed(_ aio: FileAIO) throws {
        let size = 1 << 20
        let file = TestFile(bytes: [UInt8](repeating: 1, count: size))
        let ignoring = try openFile(file, aio: aio)
        #expect(ignoring.perform(.discard, 0, UInt64(size)) == 0)
        #expect(ignoring.read(4, at: 0).bytes == [1, 1, 1, 1])
        #expect(try ignoring.allocatedBytes() >= UInt64(size))
        ignoring.close()

        let unmapping = try openFile(file, aio: aio) { $1.discard = .unmap }
        #expect(unmapping.perform(.discard, 4096, UInt64(size - 8192)) == 0)
        #expect(try unmapping.allocatedBytes() < UInt64(size / 2))
        let extents = try unmapping.extents(offset: 0, length: UInt64(size), limit: 100)
        #expect(extents.map(\.isZero) == [false, true, false])
        #expect(extents.map(\.length).reduce(0, +) == UInt64(size))
        #expect(try unmapping.extents(offset: 0, length: 1 << 40, limit: 1).count == 1)
        #expect(try unmapping.extents(offset: 1 << 40, length: 1, limit: 9).isEmpty)
        unmapping.close()
        #expect(file.read().count == size)
    }

    @Test func detectedZeroesBecomeHoles() throws {
        let size = 1 << 20
        for (mode, isSparse) in [(DetectZeroes.off, false), (DetectZeroes.unmap, true)] {
            let file = TestFile(bytes: [UInt8](repeating: 1, count: size))
            let node = try openFile(file) {
                $1.discard = .unmap
                $1.detectZeroes = mode
            }
            #expect(node.write([UInt8](repeating: 0, count: size), at: 0) == 0)
            #expect(node.perform(.flush) == 0)
            #expect(try (node.allocatedBytes() < UInt64(size / 2)) == isSparse)
            node.close()
            #expect(file.read().count == size)
            #expect(file.read().allSatisfy { $0 == 0 })
        }
    }

    @Test func createAndResize() throws {
        let file = TestFile(bytes: [1, 2, 3])
        try FileNode.create(path: file.path, size: 1 << 20)
        #expect(file.read() == [UInt8](repeating: 0, count: 1 << 20))
        try FileNode.create(path: file.path, size: 100_000, preallocation: .full)
        let node = try openFile(file)
        #expect(try node.allocatedBytes() >= 100_000)
        try node.resize(to: 300_000, preallocation: .falloc)
        #expect(node.sizeInBytes == 300_032)
        try node.resize(to: 512, preallocation: .off)
        #expect(throws: BlockError.invalidSize(path: file.path, size: 1 << 63)) {
            try node.resize(to: 1 << 63, preallocation: .off)
        }
        // The image is in use.
        #expect(throws: BlockError.self) { try FileNode.create(path: file.path, size: 0) }
        node.close()
        #expect(file.read().count == 512)
    }
}
