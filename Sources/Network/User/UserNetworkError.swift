/// What is wrong with a user-mode network.
public enum UserNetworkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no such option.
    case unknownOption(String)
    /// An option's value is not of its type.
    case invalidValue(String, option: String, expected: String)
    /// A forward cannot be read.
    case invalidForward(String, String)
    /// Options that do not fit each other.
    case inconsistent(String)
    /// The host refuses a forward.
    case cannotForward(String, reason: String)
    /// There is no such forward.
    case noSuchForward(String)
    /// The network has been stopped.
    case stopped
    /// The host would not.
    case host(String)

    public var description: String {
        switch self {
        case .unknownOption(let name): "Unknown option '\(name)' of the user network"
        case .invalidValue(let value, let option, let expected):
            "Invalid value '\(value)' of '\(option)': \(expected) expected"
        case .invalidForward(let text, let reason): "Invalid forward '\(text)': \(reason)"
        case .inconsistent(let reason): reason
        case .cannotForward(let text, let reason): "Could not set up host forwarding rule '\(text)': \(reason)"
        case .noSuchForward(let text): "There is no host forwarding rule '\(text)'"
        case .stopped: "The user network has ended"
        case .host(let reason): reason
        }
    }
}
