import BlockImage
import CLinux
import Testing

/// Who may open an image at the same time.
@Suite struct ImageLockTests {
    @Test func aSecondWriterIsRefused() throws {
        let file = TestFile(bytes: [1])
        let first = try openFile(file)
        let error = #expect(throws: BlockError.self) { try openFile(file) }
        #expect(error?.description.contains("'\(file.path)'") == true)
        #expect(error?.description.contains("this process uses the image") == true)
        #expect(throws: BlockError.self) { try openFile(file) { $1.readOnly = true } }
        // Those who say that they know what they do.
        let unlocked = try openFile(file) { options, _ in options.locking = .off }
        unlocked.close()
        let sharing = try openFile(file) {
            $1.readOnly = true
            $1.forceShare = true
        }
        sharing.close()
        first.close()
        let next = try openFile(file) { options, _ in options.locking = .on }
        next.close()
    }

    @Test func readersShare() throws {
        let file = TestFile(bytes: [1])
        let first = try openFile(file) { $1.readOnly = true }
        let second = try openFile(file) { $1.readOnly = true }
        #expect(throws: BlockError.self) { try openFile(file) }
        first.close()
        #expect(throws: BlockError.self) { try openFile(file) }
        second.close()
        let writer = try openFile(file)
        writer.close()
    }

    @Test(.enabled(if: Tool.qemuIO != nil, "qemu-io is not installed"))
    func theHolderIsNamed() throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 4096))
        let words = [Tool.qemuIO!, "-f", "raw", "-c", "sleep 60000", file.path]
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        // SAFETY: the words live until the child has been started.
        try #require(unsafe posix_spawn(&child, words[0], nil, nil, &arguments, nil) == 0)
        defer {
            kill(child, SIGKILL)
            var status: Int32 = 0
            _ = unsafe waitpid(child, &status, 0)
        }
        var text = ""
        for _ in 0..<1000 where !text.contains("process") {
            usleep(10_000)
            do { try openFile(file).close() } catch { text = "\(error)" }
        }
        #expect(text == "Cannot open '\(file.path)': process \(child) (qemu-io) uses the image with write access")
    }

    @Test(.enabled(if: Tool.qemuIO != nil, "qemu-io is not installed"))
    func qemuRespectsOurLocks() throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 4096))
        let writer = try openFile(file)
        #expect(Tool.run([Tool.qemuIO!, "-f", "raw", "-c", "read 0 512", file.path]) != 0)
        writer.close()
        let reader = try openFile(file) { $1.readOnly = true }
        #expect(Tool.run([Tool.qemuIO!, "-r", "-f", "raw", "-c", "read 0 512", file.path]) == 0)
        #expect(Tool.run([Tool.qemuIO!, "-f", "raw", "-c", "write 0 512", file.path]) != 0)
        reader.close()
    }
}
