/// Why there is no secret connection: the whole message, in one line.
public struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The message.
    public let description: String

    init(_ words: String) { description = words }
}
