/// Writes the messages of one component. A message whose level is off costs a load and a compare: it is not made.
public struct Logger: Sendable {
    /// The part of the program that speaks: `serial0`.
    public let component: String
    /// Where it speaks to.
    public let sink: LogSink

    /// A logger of `component`.
    public init(_ component: String, sink: LogSink = LogSink.standard) {
        self.component = component
        self.sink = sink
    }

    /// Writes the message if its level is on.
    public func log(_ level: LogLevel, _ message: @autoclosure () -> String) {
        if sink.writes(level) { sink.write(level, component, message()) }
    }

    /// Writes a message of level `info` whether that level is on or not: a line that every user should see once.
    public func announce(_ message: String) { sink.write(LogLevel.info, component, message) }

    /// See `LogLevel.error`.
    public func error(_ message: @autoclosure () -> String) { log(LogLevel.error, message()) }
    /// See `LogLevel.warning`.
    public func warning(_ message: @autoclosure () -> String) { log(LogLevel.warning, message()) }
    /// See `LogLevel.info`.
    public func info(_ message: @autoclosure () -> String) { log(LogLevel.info, message()) }
    /// See `LogLevel.debug`.
    public func debug(_ message: @autoclosure () -> String) { log(LogLevel.debug, message()) }
    /// See `LogLevel.trace`.
    public func trace(_ message: @autoclosure () -> String) { log(LogLevel.trace, message()) }
}
