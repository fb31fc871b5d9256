import BlockImage
import CLinux
import TestSupport
import Testing

/// Images that two graphs have open, as two machines do while one goes to the other: one at a time writes.
@Suite struct HandoverTests {
    private func open(_ file: TestFile, isInactive: Bool) throws -> (BlockGraph, BlockDevice, QCow2Node) {
        let graph = BlockGraph(isInactive: isInactive)
        try graph.open([
            "driver": "qcow2", "node-name": "disk", "file.driver": "file", "file.filename": file.path,
        ])
        let device = try graph.attach("disk", id: "drive")
        return (graph, device, try #require(device.root as? QCow2Node))
    }

    private func incompatible(_ file: TestFile) -> UInt8 { file.read()[79] }

    @Test func anImageThatWaitsIsNotWritten() throws {
        let file = TestFile()
        let node = try openFile(file)
        var options = QCow2CreateOptions(size: 8 << 20)
        options.lazyRefcounts = true
        try QCow2Node.create(options, in: node)
        node.close()
        let (here, device, _) = try open(file, isInactive: false)
        #expect(device.write([UInt8](repeating: 5, count: 65536), at: 0) == 0)
        #expect(device.perform(.flush) == 0)
        // The counts on the disk lag behind, and it says so.
        #expect(incompatible(file) & 1 == 1)
        let before = file.read()
        let (there, other, _) = try open(file, isInactive: true)
        #expect(other.write([1, 2, 3], at: 0) != 0)
        #expect(other.read(3, at: 0).bytes == [5, 5, 5])
        there.closeAll()
        let isUntouched = file.read() == before
        #expect(isUntouched)
        #expect(device.write([UInt8](repeating: 6, count: 65536), at: 65536) == 0)
        here.closeAll()
        #expect(incompatible(file) & 1 == 0)
    }

    @Test func bitmapsGoWithTheirImage() throws {
        let file = TestFile()
        try createImage(file, size: 8 << 20)
        let (here, device, image) = try open(file, isInactive: false)
        try image.changeBitmap("marks", .add(granularity: 65536, isEnabled: true))
        #expect(device.write([UInt8](repeating: 1, count: 65536), at: 0) == 0)
        #expect(device.perform(.flush) == 0)
        // Opened while they are in use here.
        let (there, other, copy) = try open(file, isInactive: true)
        #expect(device.write([UInt8](repeating: 2, count: 65536), at: 1 << 20) == 0)
        try here.inactivate()
        try there.activate()
        #expect(copy.bitmapList.map(\.name) == ["marks"] && copy.bitmapList[0].flags == QCow2Bitmap.Flag.auto)
        #expect(try copy.bitmapRanges("marks").ranges == [0..<1, 16..<17])
        for place in 2..<8 as Range<UInt64> {
            #expect(other.write([UInt8](repeating: 3, count: 65536), at: place << 20) == 0)
        }
        here.closeAll()
        there.closeAll()
        // All that was ever written, and nothing of the image was overwritten.
        let (again, last, kept) = try open(file, isInactive: false)
        #expect(try kept.bitmapRanges("marks").ranges.count == 8)
        for (place, byte) in [(0, 1), (1, 2), (2, 3), (7, 3)] as [(UInt64, UInt8)] {
            let isThere = last.read(65536, at: place << 20).bytes.allSatisfy { $0 == byte }
            #expect(isThere, "\(place)")
        }
        again.closeAll()
        let node = try openFile(file)
        let found = try QCow2Check(file: node) { Issue.record("\($0)") }.run()
        #expect(found.corruptions == 0 && found.leaks == 0 && found.errors == 0, "\(found)")
        node.close()
    }

    @Test func whatIsOpenedLaterIsTheMachinesOwn() throws {
        let (file, late) = (TestFile(), TestFile(bytes: [UInt8](repeating: 0, count: 4096)))
        try createImage(file, size: 1 << 20)
        let (graph, device, _) = try open(file, isInactive: true)
        try graph.activate()
        #expect(device.write([1], at: 0) == 0)
        try graph.open(["driver": "file", "node-name": "late", "filename": late.path])
        #expect(throws: BlockError.self) { try openFile(late) }
        // And given away with the rest.
        try graph.inactivate()
        let next = try openFile(late)
        next.close()
        #expect(device.write([2], at: 0) != 0)
        try graph.activate()
        #expect(device.write([2], at: 0) == 0)
        #expect(throws: BlockError.self) { try openFile(late) }
        graph.closeAll()
    }

    /// The target of a mirror is the machine's before the machine is here.
    @Test func anImageThatIsTakenAheadKeepsWhatWasWritten() throws {
        let file = TestFile()
        try createImage(file, size: 8 << 20)
        let (graph, device, image) = try open(file, isInactive: true)
        #expect(device.write([7], at: 0) != 0)
        try graph.activate(image)
        #expect(throws: BlockError.self) { try openFile(file) }
        #expect(device.write([UInt8](repeating: 7, count: 65536), at: 1 << 20) == 0)
        try graph.activate()
        let isHere = device.read(65536, at: 1 << 20).bytes.allSatisfy { $0 == 7 }
        #expect(isHere)
        graph.closeAll()
        let (again, last, _) = try open(file, isInactive: false)
        let isThere = last.read(65536, at: 1 << 20).bytes.allSatisfy { $0 == 7 }
        #expect(isThere)
        again.closeAll()
    }
}
