internal import LibvirtClient

/// A command that did not do what it should, with what to say of it.
struct CommandFailure: Error {
    /// Lines, each of which gets `error: ` before it.
    let lines: [String]
    /// There is no connection: whatever was tried, this is what is wrong.
    var isOfConnection = false

    /// Without a line: the command has said it itself.
    init(_ lines: String...) { self.lines = lines }
    init(lines: [String]) { self.lines = lines }

    /// What an error of any kind says.
    static func lines(of error: any Error) -> [String] {
        if let failure = error as? CommandFailure { return failure.lines }
        if let failure = error as? ClientError { return [failure.message] }
        return ["\(error)"]
    }
}

/// Runs `body`; its error is told behind a line that says what was tried.
@discardableResult
func failing<Result>(_ text: @autoclosure () -> String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch {
        if let failure = error as? CommandFailure, failure.isOfConnection { throw failure }
        throw CommandFailure(lines: [text()] + CommandFailure.lines(of: error))
    }
}
