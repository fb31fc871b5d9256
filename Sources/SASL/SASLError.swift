/// Why nobody has proved who he is, or why a secured connection is of no more use: the whole message, in one line.
public struct SASLError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The message.
    public let description: String

    /// An error with a message.
    public init(_ words: String) { description = words }
}
