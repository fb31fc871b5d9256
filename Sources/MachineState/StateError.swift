public import DeviceModel

/// Why a stream of a machine's state cannot be written or read. Every error of the contents names the section.
public enum StateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The host cannot write or read: its words.
    case host(String)
    /// These bytes are no machine's state.
    case notAState
    /// A format of the future.
    case format(UInt32)
    /// The stream ends before the section does; nil: before the first.
    case truncated(section: String?)
    /// The stream ends behind this section, which is not its last.
    case ends(after: String)
    /// A section's checksum is another one.
    case checksum(section: String)
    /// The head of the section behind this one is damaged; nil: of the first. Its own name cannot be believed.
    case head(after: String?)
    /// A section is malformed: the field, and what is wrong with it.
    case malformed(section: String, field: String, problem: String)
    /// A field has no value that its device takes.
    case field(section: String, DeviceStateError)
    /// A section that this machine has no part for.
    case unexpected(section: String)
    /// A part of this machine that the stream does not tell of.
    case missing(section: String)
    /// The machine that was saved is another one: a sentence.
    case mismatch(String)
    /// Somebody ended the transfer.
    case cancelled

    public var description: String {
        switch self {
        case .host(let words), .mismatch(let words): words
        case .notAState: "This is no saved state of a machine"
        case .format(let version): "Format \(version) of saved states is newer than this program"
        case .truncated(let section):
            section.map { "The saved state ends in the middle of section '\($0)'" } ?? "The saved state is cut short"
        case .ends(let section): "The saved state is cut short: it ends behind section '\(section)'"
        case .checksum(let section): "Section '\(section)' is damaged: its checksum is wrong"
        case .head(let section):
            "The head of \(section.map { "the section behind '\($0)'" } ?? "the first section") is damaged: "
                + "its checksum is wrong"
        case .malformed(let section, let field, let problem): "Section '\(section)', \(field): \(problem)"
        case .field(let section, let error): "Section '\(section)': \(error)"
        case .unexpected(let section): "Section '\(section)' belongs to no device of this machine"
        case .missing(let section): "Section '\(section)' is missing"
        case .cancelled: "The transfer was cancelled"
        }
    }
}

/// Where a stream's bytes go, in order.
public protocol StateSink: AnyObject {
    /// Takes all bytes before it returns.
    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError)
}

/// Where a stream's bytes come from.
public protocol StateSource: AnyObject {
    /// Fills the buffer from its start, and gives the bytes that there were: fewer than its size only at the end.
    func read(_ buffer: UnsafeMutableRawBufferPointer) throws(StateError) -> Int
    /// Whether bytes can be gone over without being read.
    var canSkip: Bool { get }
    /// Goes over bytes; false where there are not so many.
    func skip(_ count: Int) throws(StateError) -> Bool
}

extension StateSource {
    public var canSkip: Bool { false }
    public func skip(_ count: Int) throws(StateError) -> Bool { false }
}
