internal import HostOS
internal import Synchronization

/// What a TPM's registers stand in front of. Calls wait; one thread at a time.
public protocol TPMBackend: AnyObject, Sendable {
    /// Carries a command out for a locality, and returns the response.
    func execute(_ command: [UInt8], locality: UInt8) throws(TPMError) -> [UInt8]
    /// Powers the TPM on anew. Buffers have room for `bufferSize` bytes.
    func start(bufferSize: UInt32) throws(TPMError)
    /// Ends the command at work sooner. Any thread, while `execute` waits on another.
    func cancel()
    /// Whether the flag of an established root of trust is set.
    var isEstablished: Bool { get }
    /// Clears that flag.
    func resetEstablished(locality: UInt8)
    /// The state in three parts: permanent, volatile, saved.
    func exportState() throws(TPMError) -> [TPMStatePart]
    /// Takes a state, and powers the TPM on with it.
    func importState(_ parts: [TPMStatePart], bufferSize: UInt32) throws(TPMError)
    /// Nothing is asked of it any more.
    func close()
}

/// A part of a TPM's state. What is in it is the emulator's.
public struct TPMStatePart: Equatable, Sendable {
    /// Its bytes; none where the TPM has no such part.
    public var bytes: [UInt8]
    /// Whether a key is needed to take it (swtpm's `--migration-key`).
    public var isEncrypted: Bool
    /// The most bytes of a part; swtpm's are some kilobytes.
    public static let limit = 4 << 20

    /// A part of these bytes.
    public init(_ bytes: [UInt8], isEncrypted: Bool = false) {
        self.bytes = bytes
        self.isEncrypted = isEncrypted
    }
}

/// Why a TPM does not do what it was asked for.
public enum TPMError: Error, Sendable, CustomStringConvertible {
    /// The connection failed.
    case connection(String)
    /// The emulator answers with a code of failure.
    case failed(command: String, code: UInt32)
    /// It speaks TPM 1.2.
    case oldVersion

    public var description: String {
        switch self {
        case .connection(let text): text
        case .failed(let command, let code): "TPM emulator: \(command) failed with 0x\(String(code, radix: 16))"
        case .oldVersion: "TPM emulator: TPM 1.2 is not supported; start swtpm with --tpm2"
        }
    }
}

/// swtpm behind its control socket (`-tpmdev emulator`): commands of the machine on the socket, the guest's on a pair of
/// sockets of which swtpm gets one end. (swtpm_ioctls(3).)
public final class TPMEmulator: TPMBackend {
    private enum Control: UInt32 {
        case capabilities = 1
        case start = 2
        case shutDown = 3
        case established = 4
        case setLocality = 5
        case cancel = 9
        case resetEstablished = 11
        case getState = 12
        case setState = 13
        case stop = 14
        case setData = 16
        case bufferSize = 17
    }
    /// What GET_STATEBLOB and SET_STATEBLOB call the parts, in the order in which they are set.
    private enum StateKind: UInt32, CaseIterable {
        case permanent = 1
        case volatile = 2
        case saved = 3
    }
    private enum StateFlag {
        static let decrypted: UInt32 = 1
        static let encrypted: UInt32 = 2
    }
    /// As long as an answer may take: a TPM makes keys.
    private static let patience: Int32 = 120_000
    /// INIT's flag: no volatile state is left for the INIT after it.
    private static let deleteVolatile: UInt32 = 1
    /// The longest command or response.
    private static let most = 1 << 16
    /// A code's mark of what is not fatal (TPM 1.2 main specification, part 2, 16).
    private static let notFatal: UInt32 = 0x800

    private struct State: Sendable {
        var locality: UInt8?
        var isClosed = false
    }
    private let control: Descriptor
    private let data: Descriptor
    private let controlLock = Mutex(State())

    /// Connects to the control socket at a path.
    public init(path: String) throws(TPMError) {
        do throws(HostError) {
            control = try Socket.connect(try SocketAddress.unix(path))
            let (mine, its) = try DescriptorPair.sockets()
            data = mine
            let order = Self.number(Control.setData.rawValue)
            try Socket.send(control, order, passing: its)
        } catch { throw .connection("\(error)") }
        try Self.check(Self.receive(control, 4), "SET_DATAFD")
        // A TPM 2.0 answers with its own tag to a request for its properties.
        try start(bufferSize: 4096)
        let question: [UInt8] = [
            0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7A, 0, 0, 0, 6, 0, 0, 0x01, 0, 0, 0, 0, 1,
        ]
        guard try execute(question, locality: 0).starts(with: [0x80, 0x01]) else { throw .oldVersion }
    }

    // MARK: Bytes

    private static func number(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - $0 * 8)) }
    }
    private static func number(_ bytes: [UInt8], _ place: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 8 | (place + $1 < bytes.count ? UInt32(bytes[place + $1]) : 0) }
    }
    private static func check(_ answer: [UInt8], _ command: String) throws(TPMError) {
        let code = number(answer, 0)
        guard code == 0 else { throw .failed(command: command, code: code) }
    }

    private static func send(_ socket: Descriptor, _ bytes: [UInt8]) throws(TPMError) {
        do throws(HostError) { try socket.writeAll(bytes) } catch {
            throw .connection("the TPM emulator cannot be reached: \(error)")
        }
    }

    /// Just so many bytes.
    private static func receive(_ socket: Descriptor, _ count: Int) throws(TPMError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard !socket.wait(for: [.read], milliseconds: patience).isEmpty else {
                throw .connection("the TPM emulator does not answer")
            }
            let more: [UInt8]
            do throws(HostError) { more = try socket.readAvailable(limit: count - bytes.count) } catch {
                throw .connection("\(error)")
            }
            guard !more.isEmpty else { throw .connection("the TPM emulator has gone") }
            bytes += more
        }
        return bytes
    }

    private func ask(
        _ command: Control, _ name: String, _ operands: [UInt8] = [], answer count: Int = 4
    ) throws(TPMError) -> [UInt8] {
        try controlLock.withLock { _ throws(TPMError) in
            try Self.send(control, Self.number(command.rawValue) + operands)
            let answer = try Self.receive(control, count)
            try Self.check(answer, name)
            return answer
        }
    }

    // MARK: TPMBackend

    public func start(bufferSize: UInt32) throws(TPMError) {
        _ = try ask(.stop, "STOP")
        _ = try ask(.bufferSize, "SET_BUFFERSIZE", Self.number(bufferSize), answer: 16)
        _ = try ask(.start, "INIT", Self.number(0))
        controlLock.withLock { $0.locality = nil }
    }

    public func execute(_ command: [UInt8], locality: UInt8) throws(TPMError) -> [UInt8] {
        if controlLock.withLock({ $0.locality }) != locality {
            _ = try ask(.setLocality, "SET_LOCALITY", [locality, 0, 0, 0])
            controlLock.withLock { $0.locality = locality }
        }
        try Self.send(data, command)
        // Tag, length of the whole, code.
        let head = try Self.receive(data, 10)
        let length = Int(Self.number(head, 2))
        guard 10...Self.most ~= length else { throw .connection("the TPM emulator's answer has \(length) bytes") }
        return head + (try Self.receive(data, length - 10))
    }

    public func cancel() { _ = try? ask(.cancel, "CANCEL_TPM_CMD") }

    public var isEstablished: Bool {
        (try? ask(.established, "GET_TPMESTABLISHED", answer: 8)).map { $0[4] != 0 } ?? false
    }
    public func resetEstablished(locality: UInt8) {
        _ = try? ask(.resetEstablished, "RESET_TPMESTABLISHED", [locality, 0, 0, 0])
    }

    public func exportState() throws(TPMError) -> [TPMStatePart] {
        var parts: [TPMStatePart] = []
        for kind in StateKind.allCases { parts.append(try get(kind)) }
        return parts
    }

    private func get(_ kind: StateKind) throws(TPMError) -> TPMStatePart {
        var part = TPMStatePart([])
        while true {
            // Plain, so that a TPM whose files have another key takes it; where there is a migration key it is encrypted
            // by that all the same.
            let operands =
                Self.number(StateFlag.decrypted) + Self.number(kind.rawValue) + Self.number(UInt32(part.bytes.count))
            let (more, total) = try controlLock.withLock { _ throws(TPMError) -> ([UInt8], Int) in
                try Self.send(control, Self.number(Control.getState.rawValue) + operands)
                let head = try Self.receive(control, 16)
                // TPM 2.0 has no state that it saves by itself: that there is none is no failure.
                if kind == .saved, Self.number(head, 0) & Self.notFatal != 0 { return ([], 0) }
                try Self.check(head, "GET_STATEBLOB of the \(kind) state")
                part.isEncrypted = Self.number(head, 4) & StateFlag.encrypted != 0
                let (total, length) = (Int(Self.number(head, 8)), Int(Self.number(head, 12)))
                guard total <= TPMStatePart.limit, length <= total - part.bytes.count else {
                    throw .connection("the TPM emulator's \(kind) state has \(max(total, length)) bytes")
                }
                return (try Self.receive(control, length), total)
            }
            part.bytes += more
            if part.bytes.count >= total { return part }
            guard !more.isEmpty else { throw .connection("the TPM emulator's \(kind) state is cut short") }
        }
    }

    public func importState(_ parts: [TPMStatePart], bufferSize: UInt32) throws(TPMError) {
        _ = try ask(.stop, "STOP")
        _ = try ask(.bufferSize, "SET_BUFFERSIZE", Self.number(bufferSize), answer: 16)
        for (kind, part) in zip(StateKind.allCases, parts) where !part.bytes.isEmpty {
            let flags = part.isEncrypted ? StateFlag.encrypted : 0
            let operands = Self.number(flags) + Self.number(kind.rawValue) + Self.number(UInt32(part.bytes.count))
            _ = try ask(.setState, "SET_STATEBLOB of the \(kind) state", operands + part.bytes)
        }
        // What came is in use then, and is not to come back with the next power-on.
        _ = try ask(.start, "INIT", Self.number(Self.deleteVolatile))
        controlLock.withLock { $0.locality = nil }
    }

    public func close() {
        let isFirst = controlLock.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { _ = try? ask(.shutDown, "SHUTDOWN") }
    }
}
