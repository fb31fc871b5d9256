import HostOS
import SystemPackage
import Testing

@Suite struct DescriptorTests {
    @Test func aDescriptorClosesWithItsLastOwner() throws {
        let pair = try DescriptorPair.pipe()
        var output: Descriptor? = pair.output.rawValue >= 0 ? try pair.output.duplicate() : nil
        let number = try #require(output).rawValue
        output = nil
        let again = try pair.output.duplicate()
        #expect(again.rawValue == number)
    }

    @Test func transfersTellEndFromNothingThere() throws {
        let (near, far) = try DescriptorPair.sockets()
        try near.setNonBlocking()
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(unsafe bytes.withUnsafeMutableBytes { unsafe near.read(into: $0) } == .wouldBlock)
        try far.writeAll([7, 8])
        #expect(unsafe bytes.withUnsafeMutableBytes { unsafe near.read(into: $0) } == .moved(2))
        Socket.shutDown(far)
        #expect(unsafe bytes.withUnsafeMutableBytes { unsafe near.read(into: $0) } == .end)
        #expect(bytes.prefix(2) == [7, 8])
    }

    @Test func anEventCounterCountsAndEmpties() throws {
        let counter = try EventCounter()
        #expect(counter.take() == 0)
        counter.signal()
        counter.signal()
        #expect(counter.descriptor.wait(for: [.read], milliseconds: 0).contains(.read))
        #expect(counter.take() == 2)
        #expect(counter.take() == 0)
    }

    @Test func descriptorsPassOverUnixSockets() throws {
        let (near, far) = try DescriptorPair.sockets()
        let pipe = try DescriptorPair.pipe()
        try Socket.send(near, [1, 2, 3], passing: pipe.output)
        var bytes = [UInt8](repeating: 0, count: 16)
        let (transfer, passed) = unsafe bytes.withUnsafeMutableBytes { unsafe Socket.receive(far, into: $0) }
        #expect(transfer == .moved(3))
        #expect(passed.count == 1)
        try passed[0].writeAll([9])
        #expect(try pipe.input.readAvailable(limit: 4) == [9])
    }
}

@Suite struct HostFileTests {
    @Test func wholeFilesAndSizes() throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/file"
        let content = (0..<10000).map { UInt8(truncatingIfNeeded: $0) }
        try HostFile.open(path, .replace).writeAll(content)
        #expect(try HostFile.contents(path) == content)
        #expect(try HostFile.size(path) == 10000)
        try HostFile.open(path, .append).writeAll([1])
        #expect(try HostFile.contents(path).count == 10001)
        #expect(throws: HostError.self) { try HostFile.contents(path, limit: 10000) }
        #expect(try HostFile.contents("/proc/self/stat").count > 10)
        try HostFile.remove(path)
        try HostFile.remove(path)
        let error = #expect(throws: HostError.self) { try HostFile.contents(path) }
        #expect(error?.description.contains("'\(path)'") == true)
        #expect(error?.errno == .noSuchFileOrDirectory)
    }

    @Test func aPIDFileHoldsTheNumberAndIsRemoved() throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let file = try PIDFile(folder + "/pid")
        #expect(try HostFile.contents(file.path) == Array("\(HostIdentity.processID)\n".utf8))
        file.remove()
        #expect(throws: HostError.self) { try HostFile.size(file.path) }
        #expect(throws: HostError.self) { try PIDFile(folder + "/missing/pid") }
    }
}

@Suite struct HostFactsTests {
    @Test func factsAreSane() throws {
        #expect(HostFacts.physicalMemory > 1 << 24)
        #expect(HostFacts.processorCount >= 1)
        #expect(HostFacts.pageSize == 4096)
        let processors = try Affinity.get()
        #expect(!processors.isEmpty)
        #expect(throws: HostError.self) { try Affinity.set(processors: [5000]) }
        #expect(throws: HostError.self) { try Affinity.set(processors: [-1]) }
        #expect(try HostRandom.bytes(32) != HostRandom.bytes(32))
        #expect(try HostRandom.bytes(0) == [])
    }

    @Test func aThreadIsPinned() throws {
        let first = try #require(Affinity.get().first)
        let done = Bell()
        let thread = try HostThread(name: "pinned") {
            try? Affinity.set(processors: [first])
            if (try? Affinity.get()) == [first] { done.ring() }
        }
        thread.join()
        done.wait(nanoseconds: 120_000_000_000)
    }
}

@Suite struct SocketTests {
    @Test func unixAddressesAreChecked() {
        #expect(throws: HostError.self) { try SocketAddress.unix("") }
        #expect(throws: HostError.self) { try SocketAddress.unix(String(repeating: "x", count: 108)) }
        #expect(throws: HostError.self) { try SocketAddress.unix("a\0b") }
    }

    @Test func numbersResolve() throws {
        let address = try #require(SocketAddress.resolve(host: "127.0.0.1", port: "80").first)
        #expect(address.description == "127.0.0.1:80")
        #expect(address.port == 80)
        #expect(throws: HostError.self) { try SocketAddress.resolve(host: "127.0.0.1", port: "no port") }
    }

    @Test func tcpOverLoopback() throws {
        let any = try #require(SocketAddress.resolve(host: "127.0.0.1", port: "0", listening: true).first)
        let listener = try Socket.listen(any)
        let address = try Socket.localAddress(listener)
        #expect(address.port != 0)
        #expect(try Socket.accept(listener) == nil)
        let client = try Socket.connect(address)
        Socket.setNoDelay(client)
        _ = listener.wait(for: [.read], milliseconds: 120_000)
        let server = try #require(try Socket.accept(listener))
        try client.writeAll([1, 2])
        _ = server.wait(for: [.read], milliseconds: 120_000)
        #expect(try server.readAvailable(limit: 9) == [1, 2])
    }

    @Test func aDeadUnixSocketIsReplacedAndAFileIsNot() throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let address = try SocketAddress.unix(folder + "/socket")
        do { _ = try Socket.listen(address) }
        let second = try Socket.listen(address)
        #expect(throws: HostError.self) { try Socket.listen(address) }
        _ = second
        let file = folder + "/file"
        try HostFile.open(file, .replace).writeAll([1])
        #expect(throws: HostError.self) { try Socket.listen(SocketAddress.unix(file)) }
        #expect(try HostFile.size(file) == 1)
    }
}

@Suite struct TerminalTests {
    @Test func rawModeComesAndGoes() throws {
        let (master, path) = try PseudoTerminal.open()
        let user = try HostFile.open(path, .readWrite)
        #expect(user.kind == .terminal)
        let pipe = try DescriptorPair.pipe()
        #expect(try RawTerminal(pipe.input, signals: false) == nil)
        let guardian = try #require(try RawTerminal(user, signals: false))
        #expect(throws: HostError.self) { try RawTerminal(user, signals: true) }
        guardian.restore()
        guardian.restore()
        let again = try RawTerminal(user, signals: true)
        #expect(again != nil)
        _ = master
    }

    @Test func signalsArriveAsEvents() throws {
        let done = Bell()
        let thread = try HostThread(name: "signals") {
            guard let signals = try? SignalDescriptor([Signals.user1]), signals.next() == nil else { return }
            done.ring()
        }
        thread.join()
        done.wait(nanoseconds: 120_000_000_000)
    }
}
