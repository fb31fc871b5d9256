/// How loud a message is: chosen by who must react to it.
public enum LogLevel: UInt8, Sendable, Comparable, CaseIterable {
    /// The operator must act: the machine cannot do what it was told to. Never for anything that a guest can cause.
    case error
    /// The operator should know: something works worse than asked for.
    case warning
    /// Nobody must act; it tells what the program decided (which engine, which address).
    case info
    /// For whoever looks for a fault of the guest or of a configuration.
    case debug
    /// For whoever works on the program: each request, each register.
    case trace

    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }

    /// The name, as it is written and given on the command line.
    public var name: String {
        switch self {
        case .error: "error"
        case .warning: "warning"
        case .info: "info"
        case .debug: "debug"
        case .trace: "trace"
        }
    }

    /// The level of a name.
    public init?(name: String) {
        guard let level = LogLevel.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }
}
