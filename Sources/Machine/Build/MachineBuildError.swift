/// Why a machine cannot be made: one sentence for the user. Nothing was started.
public struct MachineBuildError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The sentence.
    public let description: String

    /// A sentence.
    public init(_ text: String) { description = text }

    /// Runs a step whose own errors say enough.
    static func wrapping<R, E: Error>(
        _ prefix: String = "", _ body: () throws(E) -> R
    ) throws(MachineBuildError) -> R {
        do throws(E) { return try body() } catch { throw MachineBuildError("\(prefix)\(error)") }
    }
}
