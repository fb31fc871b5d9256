internal import CLinux
internal import Synchronization

/// A disk in the format LUKS, version 1: a header with key slots, then the disk, sector by sector encrypted.
public final class LUKSNode: BlockNode, Reopenable {
    public let nodeName: String
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) }
    public var driverName: String { "luks" }
    public var filename: String { file.filename }
    public var logicalBlockSize: Int { 512 }
    public var children: [BlockChild] { [BlockChild(role: "file", node: file)] }
    public var sizeInBytes: UInt64 {
        let size = file.sizeInBytes
        return size > payload ? (size - payload) / 512 * 512 : 0
    }

    private let file: any BlockNode
    private let payload: UInt64
    private let volume: Mutex<LUKSBox>
    /// nil: only described.
    private let cipher: DiskCipher?
    let usualPolicy: NodePolicy
    private let readOnly: Atomic<Bool>
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }
    private let pool = WorkerPool(name: "block-luks", maximum: 16)
    private let ranges = RangeLocks()
    private let inFlight = InFlight()

    /// Opens the volume in `file` with a passphrase; without one only what describes it is to be had. Blocks.
    public init(
        file: any BlockNode, nodeName: String, passphrase: [UInt8]?, options: NodeOptions = NodeOptions()
    ) throws(BlockError) {
        guard options.readOnly || options.autoReadOnly || !file.isReadOnly else {
            throw .readOnly(path: file.filename)
        }
        let volume = try LUKSVolume(file: file, at: 0, length: file.sizeInBytes)
        if let passphrase {
            guard let key = try volume.unlock(passphrase) else {
                throw .secret("Invalid password, cannot unlock any keyslot")
            }
            cipher = try volume.cipher(key)
        } else {
            cipher = nil
        }
        payload = volume.header.payloadOffset
        self.volume = Mutex(LUKSBox(volume: volume))
        self.file = file
        self.nodeName = nodeName
        readOnly = Atomic(options.readOnly || file.isReadOnly)
        usualPolicy = NodePolicy(options, readOnly: options.readOnly || file.isReadOnly)
    }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        guard let file = file as? any Reopenable else { throw .readOnly(path: filename) }
        try file.reopen(readOnly: wanted)
        readOnly.store(wanted, ordering: .relaxed)
    }

    /// Writes an empty volume for a disk of `size` bytes into a file, whose content is lost. Blocks.
    public static func create(
        _ options: LUKSOptions, size: UInt64, passphrase: [UInt8], preallocation: Preallocation = .off,
        in file: any Resizable
    ) throws(BlockError) {
        let length = try LUKSVolume.headerLength(options)
        let (end, overflow) = length.addingReportingOverflow(size)
        guard !overflow, end <= UInt64(Int64.max) else { throw .invalidSize(path: file.filename, size: size) }
        try file.resize(to: 0, preallocation: .off)
        try file.resize(to: end, preallocation: preallocation)
        try LUKSVolume.create(options, passphrase: passphrase, in: file, at: 0)
    }

    /// The facts of the header, as `info` lists them.
    var facts: [ImageFact] {
        let bytes = file.bytesAndWait(at: 0, count: LUKSFacts.size).bytes
        // Inside of another image it tells its format; here that is the image's.
        return (LUKSFacts.facts(bytes, at: 0) ?? []).filter { $0.name != "format" }
    }

    public func submit(_ request: BlockRequest) {
        inFlight.enter()
        pool.submit { [self] in
            request.completion(carryOut(request))
            inFlight.leave()
        }
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        var request = request
        if let status = policy.apply(to: &request) { return status }
        if request.operation == .flush { return file.carryOut(request) }
        guard let cipher else { return EACCES }
        let size = sizeInBytes
        guard request.offset <= size, request.length <= size - request.offset else {
            return request.isModifying ? ENOSPC : EINVAL
        }
        let start = request.offset & ~511
        let end = (request.offset + request.length + 511) & ~511
        let isWhole = start == request.offset && end == request.offset + request.length
        let ticket = ranges.acquireAndWait(start: start, end: end, isExclusive: request.isModifying && !isWhole)
        defer { ranges.release(ticket) }
        let access = EncryptedAccess(cipher: cipher, file: file)
        let place = request.offset + payload
        switch request.operation {
        case .read: return access.read(at: place, sectorOffset: request.offset, into: request.segments)
        case .write:
            return access.write(
                at: place, sectorOffset: request.offset, from: request.segments, durably: request.forceUnitAccess)
        case .writeZeroes:
            return access.writeZeroes(
                at: place, sectorOffset: request.offset, count: request.length, durably: request.forceUnitAccess)
        // What it reads as afterwards is undefined: what was there is as good as anything.
        case .discard, .flush: return 0
        }
    }

    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }

    public func drain() {
        inFlight.waitUntilIdle()
        file.drain()
    }

    public func close() {
        drain()
        pool.close()
    }
}

/// A volume, which is one thread's at a time.
struct LUKSBox: @unchecked Sendable {
    // Sendable: behind the lock of the node that owns it.
    let volume: LUKSVolume
}

extension LUKSNode: SparseMappable {
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        let size = sizeInBytes
        guard offset < size, length > 0 else { return [] }
        // A hole of the file is no zeroes here.
        return [BlockExtent(offset: offset, length: min(length, size - offset), isAllocated: true, isZero: false)]
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        try (file as? any SparseMappable)?.allocatedBytes() ?? file.sizeInBytes
    }
}

extension LUKSNode: Resizable, DescribedImage, LUKSAmendable {
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard let file = file as? any Resizable else {
            throw .unsupported(path: filename, feature: "another size of this disk")
        }
        let (end, overflow) = payload.addingReportingOverflow(size)
        guard !overflow else { throw .invalidSize(path: filename, size: size) }
        try file.resize(to: end, preallocation: preallocation)
    }

    public var imageDescription: ImageDescription {
        var result = ImageDescription()
        result.isEncrypted = true
        result.specific = facts
        return result
    }

    public func amendKeys(_ change: LUKSAmendment, passphrase: [UInt8]) throws(BlockError) {
        guard !isReadOnly else { throw .readOnly(path: filename) }
        try volume.withLock { box throws(BlockError) in try box.volume.amend(change, passphrase: passphrase) }
    }
}

extension BlockDriver {
    /// The driver `luks`.
    static var luks: BlockDriver {
        BlockDriver(name: "luks") { graph, options, node, nodeName throws(BlockError) in
            let secret = options.take("key-secret")
            let isDescription = try options.takeBool("x-describe") ?? false
            let file = try graph.openChild("file", of: "luks", &options, node)
            do throws(BlockError) {
                try options.finish(driver: "luks")
                var passphrase: [UInt8]?
                if !isDescription {
                    guard let secret else { throw BlockError.secret("Parameter 'key-secret' is required for cipher") }
                    passphrase = try graph.secrets.value(secret)
                }
                return try LUKSNode(file: file, nodeName: nodeName, passphrase: passphrase, options: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
